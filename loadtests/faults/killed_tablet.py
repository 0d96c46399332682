"""F5: tablets killed between writing down, sending and hearing; the line half open or reset meanwhile."""

import asyncio
import subprocess
import sys
from collections import Counter
from signal import SIGKILL

from core.actor import Role
from dispatch_api.process.children import spawn
from loadtests.bench.scratch import ROOT
from loadtests.faults import scene
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.nemesis import Broken
from loadtests.faults.proxy import Proxy
from loadtests.faults.scene import Person
from loadtests.faults.stage import Stage

TABLETS, RECORDS = 6, 1_500
FINISHES_WITHIN_S, NEVER_S = 60, 600.0


class _Tablet:
    def __init__(self, stage: Stage, person: Person, url: str) -> None:
        self.ledger = stage.folder / f"{person.id}.ledger"
        self._log = stage.folder / f"{person.id}.log"
        self._words = [url, person.token, str(stage.folder / f"{person.id}.sqlite"), str(self.ledger)]
        self._mutant = stage.mutant or ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, what: str = "work") -> None:
        command = [sys.executable, "-m", "loadtests.faults.tablet", *self._words, what, self._mutant]
        self._process = spawn(command, log=self._log, death_signal=SIGKILL, cwd=str(ROOT))

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    async def finish(self) -> None:
        """Send what waits; raises Broken when that takes too long."""
        self.start("finish")
        assert self._process
        for _ in range(FINISHES_WITHIN_S * 10):
            if self._process.poll() is not None:
                if self._process.returncode:
                    raise Broken(f"a tablet ended by itself; its log ends:\n{self._log.read_text()[-1000:]}")
                return
            await asyncio.sleep(0.1)
        raise Broken("a tablet did not get its outbox sent")

    @property
    def promised(self) -> set[str]:
        """What its officer was told is kept; the last line may have been cut in half."""
        if not self.ledger.exists():
            return set()
        return {line for line in self.ledger.read_text().splitlines() if len(line) == 36}

    @property
    def refused(self) -> list[str]:
        return self._log.read_text().splitlines()


async def _line(stage: Stage, proxy: Proxy) -> None:
    """Let the network be as it is in a car."""
    while True:
        await asyncio.sleep(stage.chance.uniform(1, 3))
        proxy.turn(stage.chance.choice(["blackhole", "rst"]))
        await asyncio.sleep(stage.chance.uniform(0.2, 1.2))
        proxy.turn("pass")


async def play(stage: Stage) -> list[Figure]:
    """Kill one tablet after another, then let all of them finish, and count."""
    engine, db = stage.engine(), await stage.owner()
    officers = await scene.people(engine, Role.OFFICER, TABLETS)
    await engine.dispose()
    server, kills = await stage.serving(), stage.n(60, 15)
    async with Proxy(server.port).running() as proxy:
        proxy.latency_s = 0.02
        tablets = [_Tablet(stage, officer, proxy.url) for officer in officers]
        for tablet in tablets:
            tablet.start()
        await asyncio.sleep(3)
        breaking = asyncio.create_task(_line(stage, proxy))
        done = await _killed(stage, tablets, kills)
        breaking.cancel()
        for tablet in tablets:
            tablet.kill()
        proxy.turn("pass")
        for tablet in tablets:
            await tablet.finish()
    rows = await db.fetch("SELECT note FROM violation WHERE recorded_by = ANY($1)", [each.id for each in officers])
    await db.close()
    return _figures(stage, tablets, Counter(row["note"] for row in rows), done)


async def _killed(stage: Stage, tablets: list[_Tablet], kills: int) -> int:
    """Kill so many, and as many more as it takes until the records are there, whatever the pace; how many it were."""
    deadline, done = asyncio.get_running_loop().time() + NEVER_S, 0
    while done < kills or len(_promised(tablets)) < stage.n(RECORDS, 200):
        if asyncio.get_running_loop().time() > deadline:
            raise Broken("the tablets are too slow")
        await asyncio.sleep(stage.chance.uniform(0.4, 1.2))
        tablet = tablets[done % len(tablets)]
        tablet.kill()
        tablet.start()
        done += 1
    return done


def _promised(tablets: list[_Tablet]) -> set[str]:
    return set[str]().union(*(tablet.promised for tablet in tablets))


def _figures(stage: Stage, tablets: list[_Tablet], stored: Counter[str], kills: int) -> list[Figure]:
    promised = _promised(tablets)
    return [
        Figure("kills of a tablet", kills),
        Figure("records promised to officers", len(promised), least=stage.n(RECORDS, 200)),
        zero("lost", [name for name in promised if not stored[name]], stage),
        zero("doubled", [f"{name} {n} times" for name, n in stored.items() if n > 1], stage),
        zero("refused", [line for tablet in tablets for line in tablet.refused], stage),
        zero("server errors", stage.errors(), stage),
    ]


F5 = Fault(
    "F5",
    "tablets killed between writing, sending and hearing, on a half-open line: the outbox survives, nothing twice",
    f"at least {RECORDS:,} records for 10,000; 60 kills of 6 tablets or as many as it takes",
    on_a_loop(play),
    {"new_id_each_time": Mutant("what is sent again gets a new id", "doubled")},
)
