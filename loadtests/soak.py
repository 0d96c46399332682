"""An hour of ordinary load, and whether anything grows: `python -m loadtests.soak [--minutes 60]`.

150 fixes a second from 300 units, 100 live and inbox sockets that come and go, a task every two seconds; a real server
and worker on a database of their own. Memory, descriptors and database connections are sampled, and the slope of each
over what follows the warm-up (a sixth of the time) is set beside its bound. The exit code is 1 when one is missed.
"""

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass

import aiohttp
import asyncpg
import psutil
import websockets

from core.actor import Role
from dispatch_api.process.cluster import Cluster
from loadtests.faults import scene
from loadtests.faults.fault import Figure, told
from loadtests.faults.nemesis import Server
from loadtests.faults.scene import Person, Tracked
from loadtests.faults.stage import Stage, migrate, staged
from loadtests.faults.traffic import Trackers, http, percentile, signed

UNITS, PER_S, SOCKETS, CREWS = 300, 150, 100, 50
STAYS_S = 2.0, 60.0
EVERY_S = 10.0
GROWS_MIB_AN_HOUR, GROWS_AN_HOUR = 8.0, 4.0
"""What is still called flat, beside the noise of an hour: the server's memory, its descriptors and connections."""


@dataclass(frozen=True)
class Sample:
    """What was held at a moment, in hours since the beginning."""

    at_h: float
    rss_mib: float
    worker_mib: float
    descriptors: int
    clients: int
    """Connections that the clients have open to the server, each a descriptor of it."""
    connections: int
    threads: int
    p99_s: float

    @property
    def own(self) -> int:
        """The server's descriptors beside those that its clients hold open: what it forgot to close is among them."""
        return self.descriptors - self.clients


class Visitors:
    """People whose sockets come and go: some say goodbye, some vanish."""

    def __init__(self, server: Server, dispatchers: list[Person], officers: list[Person]) -> None:
        self._server, self._people = server, {"/live": dispatchers, "/inbox/live": officers}
        self.opened, self.codes = 0, Counter[int | None]()

    async def come_and_go(self) -> None:
        """One after another, for ever."""
        await asyncio.sleep(random.uniform(0, STAYS_S[0]))
        while True:
            path = random.choice(list(self._people))
            with contextlib.suppress(OSError, TimeoutError, websockets.WebSocketException):
                await self._visit(path, random.choice(self._people[path]))

    async def _visit(self, path: str, person: Person) -> None:
        async with websockets.connect(f"{self._server.socket_url}{path}", max_size=None) as socket:
            await socket.send(json.dumps({"kind": "hello", "token": person.token, "after": 0}))
            self.opened += 1
            try:
                async with asyncio.timeout(random.uniform(*STAYS_S)):
                    async for _ in socket:
                        pass
            except TimeoutError:
                if random.random() < 0.3:
                    socket.transport.abort()
                return
            self.codes[socket.close_code] += 1


async def _click(session: aiohttp.ClientSession, dispatcher: Person, units: list[Tracked]) -> None:
    """Send a task and take it back, every two seconds."""
    for number in range(10**9):
        task = {
            "kind": "stop_vehicle", "priority": "P3", "title": "Stop it", "reason_code": "indicator", "lon": 25.3,
            "lat": 54.7, "unit_id": str(units[number % len(units)].unit_id), "issue": True,
        }  # fmt: skip
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.post("/api/v1/tasks", json=task, headers=signed(dispatcher)) as answer:
                made = await answer.json()
            path, cancel = f"/api/v1/tasks/{made.get('id')}/transitions", {"verb": "cancel", "reason": "soak"}
            async with session.post(path, json=cancel, headers=signed(dispatcher)) as answer:
                await answer.read()
        await asyncio.sleep(2)


def _clients(server: Server) -> int:
    """How many connections this process, where all the clients are, has to the server."""
    held = psutil.Process().net_connections("tcp")
    return sum(bool(one.raddr) and one.raddr.port == server.port for one in held)


def _rss_mib(pid: int | None) -> float:
    return float(psutil.Process(pid).memory_info().rss / 2**20)


async def _sample(server: Server, db: asyncpg.Connection, trackers: Trackers, began: float) -> Sample:
    process = psutil.Process(server.pid)
    took_s, trackers.took_s = trackers.took_s, []
    connections = await db.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    return Sample(
        (time.monotonic() - began) / 3_600, _rss_mib(server.pid), _rss_mib(server.worker_pid), process.num_fds(),
        _clients(server), connections, process.num_threads(), percentile(took_s),
    )  # fmt: skip


async def soak(stage: Stage, minutes: float) -> tuple[list[Sample], Trackers, Visitors]:
    """Run for so long; what was sampled, and how it went."""
    engine, db = stage.engine(), await stage.owner()
    dispatchers = await scene.people(engine, Role.DISPATCHER, SOCKETS)
    officers = await scene.people(engine, Role.OFFICER, CREWS)
    units = await scene.tracked(engine, UNITS)
    await scene.with_crews(engine, units[:CREWS], officers)
    await engine.dispose()
    server, samples, began = await stage.serving(), list[Sample](), time.monotonic()
    server.start_worker()
    visitors = Visitors(server, dispatchers, officers)
    async with http(server, limit=0) as session, Trackers(session, units, PER_S).reporting() as trackers:
        going = [asyncio.create_task(visitors.come_and_go()) for _ in range(SOCKETS)]
        going.append(asyncio.create_task(_click(session, dispatchers[0], units[:CREWS])))
        while time.monotonic() - began < minutes * 60:
            await asyncio.sleep(EVERY_S)
            samples.append(await _sample(server, db, trackers, began))
            if len(samples) % 6 == 0:
                stage.say(f"{samples[-1]}; answers {dict(trackers.answers)}, {visitors.opened} sockets")
        for each in going:
            each.cancel()
        await asyncio.gather(*going, return_exceptions=True)
    await db.close()
    server.end_worker()
    return samples, trackers, visitors


def slope(samples: list[Sample], what: str) -> float:
    """How much it grows in an hour."""
    return statistics.linear_regression([s.at_h for s in samples], [getattr(s, what) for s in samples]).slope


def figures(samples: list[Sample], trackers: Trackers, visitors: Visitors, stage: Stage) -> list[Figure]:
    """What was measured after the warm-up."""
    steady = samples[len(samples) // 6 :]
    third = len(steady) // 3
    first, last = (statistics.median(s.p99_s for s in part) for part in (steady[:third], steady[-third:]))
    stored = trackers.answers["200"]
    return [
        Figure("fixes stored", stored, "", least=0.98 * PER_S * samples[-1].at_h * 3_600),
        Figure("fixes not stored", sum(trackers.answers.values()) - stored, most=0.001 * stored),
        Figure("sockets opened", visitors.opened),
        Figure("sockets the server closed", sum(visitors.codes.values()), most=0),
        Figure("server memory, at the end", steady[-1].rss_mib, "MiB"),
        Figure("server memory grows", slope(steady, "rss_mib"), "MiB/h", most=GROWS_MIB_AN_HOUR),
        Figure("worker memory grows", slope(steady, "worker_mib"), "MiB/h", most=GROWS_MIB_AN_HOUR),
        Figure("descriptors grow, beside those that clients hold open", slope(steady, "own"), "/h", most=GROWS_AN_HOUR),
        Figure("database connections grow", slope(steady, "connections"), "/h", most=GROWS_AN_HOUR),
        Figure("threads grow", slope(steady, "threads"), "/h", most=GROWS_AN_HOUR),
        Figure("a fix's answer, p99, first third of the time", first * 1_000, "ms"),
        Figure("the last third, to that", last / first, "x"),
        Figure("server errors", len(stage.errors()), most=0),
    ]


def main() -> int:
    """Run and print; 1 when something grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    arguments = parser.parse_args()
    with Cluster.temporary() as cluster:
        migrate(cluster)
        with staged(cluster, lambda line: print(line, flush=True)) as stage:
            found = figures(*asyncio.run(soak(stage, arguments.minutes)), stage)
    return told(found)


if __name__ == "__main__":
    sys.exit(main())
