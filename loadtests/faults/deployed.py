"""F18: a deployment under load: the schema is expanded, the old server drains while the new one starts."""

import asyncio
import subprocess
import time
from collections import Counter

import asyncpg

from core.actor import Role
from loadtests.faults import scene
from loadtests.faults.checker import check
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.ledger import Promises
from loadtests.faults.nemesis import Server
from loadtests.faults.revoked import Line
from loadtests.faults.scene import Person
from loadtests.faults.stage import Stage
from loadtests.faults.writers import WRITERS, Load

DRAINED_WITHIN_S, PAUSE_WITHIN_S = 15.0, 10.0
GOING_DOWN = 1012
SOCKETS = 20
BLOCKS_S = 14
"""How long the mutant's migration holds its table."""


async def _expand(db: asyncpg.Connection, number: int, *, blocks: bool) -> int:
    """Add a column as migrations do: with a short patience for the lock, again and again; how many tries it took."""
    alter = f"ALTER TABLE violation ADD COLUMN later_{number} text"
    if blocks:
        async with db.transaction():
            await db.execute(alter)
            await asyncio.sleep(BLOCKS_S)
        return 1
    await db.execute("SET lock_timeout = '1s'")
    for tries in range(1, 60):
        try:
            await db.execute(alter)
            return tries
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(0.2)
    return 60


async def _hand_over(server: Server) -> float:
    """Start the new server on the same socket and let the old one drain; the seconds until that has ended."""
    old = server.terminate()
    began = time.monotonic()
    server.spawn()
    try:
        await asyncio.to_thread(old.wait, 60)
    except subprocess.TimeoutExpired:
        old.kill()
    drained_s = time.monotonic() - began
    await asyncio.to_thread(server.wait_ready)
    return drained_s


class _Pauses:
    """The longest time that any writer had no acknowledgement."""

    def __init__(self, load: Load) -> None:
        self._load, self.longest_s = load, 0.0

    async def watch(self) -> None:
        while True:
            self.longest_s = max(self.longest_s, self._load.silence_s)
            await asyncio.sleep(0.05)


async def _sockets(server: Server, people: list[Person]) -> list[tuple[Line, "asyncio.Task[None]"]]:
    lines = [Line(server, "/live" if n % 2 else "/inbox/live", person) for n, person in enumerate(people)]
    ready = [asyncio.Event() for _ in lines]
    tasks = [asyncio.create_task(line.listen(each)) for line, each in zip(lines, ready, strict=True)]
    await asyncio.wait_for(asyncio.gather(*(each.wait() for each in ready)), 20)
    return list(zip(lines, tasks, strict=True))


async def play(stage: Stage) -> list[Figure]:
    """Migrate and hand over, several times."""
    engine, db, rounds = stage.engine(), await stage.owner(), stage.n(4, 2)
    crews = await scene.crews(engine, WRITERS)
    roles = [Role.OFFICER, Role.DISPATCHER]
    people = [(await scene.people(engine, roles[n % 2], 1))[0] for n in range(SOCKETS)]
    await engine.dispose()
    server = await stage.serving()
    load = Load(server.url, crews, stage.folder, stage.seed)
    load.start()
    pauses, codes, drained, tries = _Pauses(load), Counter[int | None](), [], []
    watching = asyncio.create_task(pauses.watch())
    for number in range(rounds):
        sockets = await _sockets(server, people)
        await asyncio.sleep(2)
        tries.append(await _expand(db, number, blocks=stage.mutant == "blocking_alter"))
        drained.append(await _hand_over(server))
        await asyncio.wait([task for _, task in sockets], timeout=5)
        codes.update(line.code for line, _ in sockets)
    await asyncio.sleep(2)
    watching.cancel()
    await asyncio.to_thread(load.stop)
    await db.close()
    found = await check(stage.urls, server.url, crews, Promises(load.path))
    return [
        Figure("deployments", rounds),
        Figure("writes acknowledged", load.acked, least=300),
        zero("requests that failed for good", load.seen.wrong, stage),
        zero("lost or doubled", found.lost + found.doubled, stage),
        zero("gaps, halves, made up", found.gaps + found.wrong + found.foreign + load.seen.gaps, stage),
        Figure("sockets closed with 1012", codes[GOING_DOWN], least=SOCKETS * rounds),
        Figure("the old server drained within", max(drained), "s", most=DRAINED_WITHIN_S),
        Figure("a writer's longest time without an acknowledgement", pauses.longest_s, "s", most=PAUSE_WITHIN_S),
        Figure("tries of the schema change, at most", max(tries)),
        zero("server errors", stage.errors(), stage),
    ]


F18 = Fault(
    "F18",
    "deployment with a schema change under load: drained, sockets told 1012, every request done with retries",
    "4 deployments; the new column is the test's own",
    on_a_loop(play),
    {
        "blocking_alter": Mutant(
            "the schema change holds its lock for 14 s", "a writer's longest time without an acknowledgement"
        )
    },
)
