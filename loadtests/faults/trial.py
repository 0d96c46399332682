"""One fault from start to verdict: crews and a server are made, writers write, the nemesis strikes, all is counted."""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from core.db import make_engine
from core.settings import Settings
from dispatch_api.process.cluster import Cluster
from dispatch_api.process.database import environment
from loadtests.faults import mutants, nemesis, scene
from loadtests.faults.checker import Found, check
from loadtests.faults.ledger import Promises
from loadtests.faults.nemesis import Blow, Server, until
from loadtests.faults.writers import WRITERS, Load

Fault = Literal["F1", "F2"]
Mutant = Literal["ack_before_commit", "asynchronous_commit"]
MEANING = {"F1": "kill -9 of the server", "F2": "kill -9 of every process of the database"}
READY_WITHIN_S = {"F1": 5.0, "F2": 10.0}
"""From the start of what was killed to a server that says it is ready; with the machine to itself."""
BACK_WITHIN_S = 10.0
"""From a ready server to an acknowledgement for every client."""
SLOWEST_PER_S = 10
"""Writers slower than this are stuck."""
ORDERLY_EVERY = 4
"""So many blows at the database make one orderly restart under load."""


@dataclass(frozen=True)
class Plan:
    """What to do: so many blows, `pauses_s` from all clients' return to the next, and at least so many writes."""

    fault: Fault
    acks: int
    kills: int
    seed: int
    pauses_s: tuple[float, float] = (2.0, 6.0)
    away_s: tuple[float, float] = (0.2, 1.0)
    mutant: Mutant | None = None
    worker: bool = True
    """Run the background work as well."""


@dataclass
class Outcome:
    """What became of it; `found` and `trouble` are empty when every promise was kept."""

    plan: Plan
    acked: int
    kinds: dict[str, int]
    """What was acknowledged, by kind; each fix counts here, though a delivery of several is one acknowledgement."""
    seconds: float
    answers: dict[str, int]
    replayed: int
    gave_up: int
    blows: list[Blow]
    back_s: list[float]
    found: Found
    trouble: list[str] = field(default_factory=list)
    """What else was promised: nothing but 2xx and 503, no fault logged, a server that outlives the database."""

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        return not (self.trouble or any(asdict(self.found).values()))

    @property
    def ready_s(self) -> list[float]:
        """Seconds to a ready server, by blow."""
        return [blow.ready_s for blow in self.blows]

    @property
    def slow(self) -> list[str]:
        """Which times were mostly longer than they should be."""
        ready_within_s = READY_WITHIN_S[self.plan.fault]
        limits = (("ready", self.ready_s, ready_within_s), ("all clients back", self.back_s, BACK_WITHIN_S))
        return [f"{name} within {most:g} s" for name, times, most in limits if times and median(times) > most]

    def figures(self) -> dict[str, Any]:
        """The outcome for other programs."""
        counts = {name: len(listed) for name, listed in asdict(self.found).items()}
        return asdict(self) | counts | {"kept": self.kept, "ready_s": self.ready_s, "slow": self.slow}


def run(plan: Plan, cluster: Cluster, say: Callable[[str], None], urls: dict[str, str] | None = None) -> Outcome:
    """Do it on the cluster's migrated database, or that of `urls`; from the main thread. `say` hears of each blow."""
    with tempfile.TemporaryDirectory(prefix="outrider-faults-") as name:
        trial = _Trial(plan, cluster, Path(name), say, urls or environment(Settings(), cluster))
        try:
            return trial.run()
        finally:
            trial.server.close()


class _Trial:
    def __init__(
        self, plan: Plan, cluster: Cluster, folder: Path, say: Callable[[str], None], urls: dict[str, str]
    ) -> None:
        self._plan, self._cluster, self._say = plan, cluster, say
        self._chance = random.Random(plan.seed)
        self._urls = mutants.asynchronous_commit(urls) if plan.mutant == "asynchronous_commit" else urls
        self.server = Server(self._urls, folder, mutants.factory(plan.mutant))
        self._crews = asyncio.run(self._make_crews())
        self._load = Load(self.server.url, self._crews, folder, plan.seed)
        self._blows: list[Blow] = []
        self._back_s: list[float] = []

    async def _make_crews(self) -> list[scene.Crew]:
        engine = make_engine(self._urls["OUTRIDER_DATABASE_URL"])
        try:
            return await scene.crews(engine, WRITERS)
        finally:
            await engine.dispose()

    def run(self) -> Outcome:
        self.server.start()
        if self._plan.worker:
            self.server.start_worker()
        began = time.monotonic()
        self._load.start()
        trouble = []
        try:
            self._strike()
            self.server.end_worker()
        except nemesis.Broken as broken:
            trouble.append(str(broken))
            self._stand_up()
        self._load.stop()
        seconds = time.monotonic() - began
        promises = Promises(self._load.path)
        found = asyncio.run(check(self._urls, self.server.url, self._crews, promises))
        seen = self._load.seen
        found.gaps += seen.gaps
        return Outcome(
            self._plan, self._load.acked, {kind: len(keys) for kind, keys in sorted(promises.acked.items())}, seconds,
            dict(sorted(seen.answers.items())), seen.replayed, seen.gave_up, self._blows, self._back_s, found,
            trouble + seen.wrong + self.server.errors(),
        )  # fmt: skip

    def _strike(self) -> None:
        plan = self._plan
        self._wait_back()
        for number in range(1, plan.kills + 1):
            time.sleep(self._chance.uniform(*plan.pauses_s))
            blow = self._blow(orderly=number % ORDERLY_EVERY == 0)
            self._blows.append(blow)
            self._back_s.append(self._wait_back())
            self._say(
                f"{plan.fault} {number}/{plan.kills} {blow.what}: {self._load.acked} acknowledged,"
                f" ready {blow.ready_s:.1f} s, all clients back {self._back_s[-1]:.1f} s later"
            )
        time.sleep(self._chance.uniform(*plan.pauses_s))
        until(self._has_enough, plan.acks / SLOWEST_PER_S, "the writers are too slow")

    def _has_enough(self) -> bool:
        """Whether the writers wrote all they should, or fell over, which `Load.stop` tells."""
        return self._load.acked >= self._plan.acks or not self._load.is_alive()

    def _stand_up(self) -> None:
        """Have everything run again, so that what is there can be looked at."""
        if not self._cluster.alive:
            self._cluster.start()
        if self.server.pid is None:
            self.server.start()

    def _blow(self, *, orderly: bool) -> Blow:
        if self._plan.fault == "F1":
            return nemesis.kill_server(self.server)
        away_s = self._chance.uniform(*self._plan.away_s)
        return nemesis.strike_database(self.server, self._cluster, orderly=orderly, away_s=away_s)

    def _wait_back(self) -> float:
        """The seconds until every client was acknowledged something; raises Broken."""
        since = time.monotonic()

        def all_back() -> bool:
            return self._load.all_acked_since(since) or not self._load.is_alive()

        until(all_back, nemesis.BACK_WITHIN_S, "not every client came back")
        return time.monotonic() - since
