"""F13: every database connection waits for a lock, or for a slow query; requests are refused soon, nothing hangs."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from contextlib import AsyncExitStack

import aiohttp
import asyncpg
import websockets

from core.actor import Role
from core.ids import new_id
from loadtests.faults import scene
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.nemesis import Broken, Server
from loadtests.faults.scene import Person
from loadtests.faults.stage import Stage
from loadtests.faults.traffic import http, now_text, percentile, signed

CLIENTS = 60
"""Six for each connection of the pool."""
REFUSED_WITHIN_S, ALIVE_WITHIN_S, NORMAL_WITHIN_S = 2.0, 0.1, 5.0
SOCKETS = 20


class _Clients:
    """People who write without pause, and how long each answer took."""

    def __init__(self, session: aiohttp.ClientSession, people: list[Person]) -> None:
        self._session, self._people = session, people
        self.took: list[tuple[int, float, float]] = []
        """Status, when it was answered, after how long."""

    async def write(self, n: int) -> None:
        """Record violations one after another; who is refused waits a moment."""
        headers = signed(self._people[n % len(self._people)])
        while True:
            body = {"id": str(new_id()), "category": "tobacco", "occurred_at": now_text(), "lon": 25.3, "lat": 54.7,
                    "coord_source": "gps"}  # fmt: skip
            began = time.monotonic()
            async with self._session.post("/api/v1/violations", json=body, headers=headers) as answer:
                await answer.read()
            now = time.monotonic()
            self.took.append((answer.status, now, now - began))
            await asyncio.sleep(0.05 if answer.status < 400 else 0.3)

    def between(self, begin: float, end: float) -> list[tuple[int, float]]:
        """Status and seconds of what was answered in this time."""
        return [(status, took) for status, at, took in self.took if begin <= at < end]


async def _alive(session: aiohttp.ClientSession, took: list[float]) -> None:
    while True:
        began = time.monotonic()
        async with session.get("/healthz") as answer:
            await answer.read()
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.05)


async def _open_sockets(stack: AsyncExitStack, server: Server, people: list[Person]) -> int:
    """Sockets that only listen; how many were welcomed."""
    welcomed = 0
    for n in range(SOCKETS):
        try:
            socket = await stack.enter_async_context(websockets.connect(f"{server.socket_url}/live", max_size=None))
            await socket.send(json.dumps({"kind": "hello", "token": people[n % len(people)].token}))
            welcomed += json.loads(await asyncio.wait_for(socket.recv(), 8))["kind"] == "welcome"
        except (TimeoutError, OSError, websockets.WebSocketException):
            pass
    return welcomed


async def _locked(db: asyncpg.Connection, seconds: float) -> tuple[float, float]:
    """Hold the table that everybody writes; when it was taken and released."""
    async with db.transaction():
        await db.execute("LOCK TABLE violation IN EXCLUSIVE MODE")
        began = time.monotonic()
        await asyncio.sleep(seconds)
    return began, time.monotonic()


async def _back(clients: _Clients, released: float) -> float:
    """Seconds from the release until a second went by in which everything was answered as usual."""
    while time.monotonic() - released < 30:
        await asyncio.sleep(0.1)
        now = time.monotonic()
        last = clients.between(now - 1, now)
        if len(last) > 5 and all(status == 201 for status, _ in last):
            return now - 1 - released
    return 30.0


async def play(stage: Stage) -> list[Figure]:
    """Sockets open, writers busy; lock, release, look."""
    engine, db = stage.engine(), await stage.owner()
    officers = await scene.people(engine, Role.OFFICER, CLIENTS)
    dispatchers = await scene.people(engine, Role.DISPATCHER, SOCKETS)
    await engine.dispose()
    server, alive = await stage.serving(), []
    async with AsyncExitStack() as stack:
        welcomed = await _open_sockets(stack, server, dispatchers)
        session = await stack.enter_async_context(http(server, limit=0, timeout_s=60))
        other = await stack.enter_async_context(http(server))
        clients = _Clients(session, officers)
        going = [asyncio.create_task(clients.write(n)) for n in range(CLIENTS)]
        going.append(asyncio.create_task(_alive(other, alive)))
        await asyncio.sleep(stage.n(6, 4))
        before = clients.between(0, time.monotonic())
        alive.clear()
        began, released = await _locked(db, stage.n(15, 8))
        back_s = await _back(clients, released)
        for each in going:
            each.cancel()
        with contextlib.suppress(aiohttp.ClientError):
            for outcome in await asyncio.gather(*going, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, aiohttp.ClientError):
                    raise outcome
    await db.close()
    if not clients.took:
        raise Broken("nobody was answered")
    during = clients.between(began + 0.1, released)
    return [
        Figure("sockets open", welcomed, least=SOCKETS),
        Figure("writes before the lock", sum(status == 201 for status, _ in before), least=50),
        *_figures(stage, clients, during, alive),
        Figure("everything as usual after the release", back_s, "s", most=NORMAL_WITHIN_S),
        zero("server errors", stage.errors(), stage),
    ]


def _figures(stage: Stage, clients: _Clients, during: list[tuple[int, float]], alive: list[float]) -> list[Figure]:
    """What was answered while the locks were held."""
    statuses = Counter(status for status, _ in clients.between(0, time.monotonic()))
    return [
        Figure("refused while locked", sum(status == 503 for status, _ in during), least=20),
        zero("answered with anything but 201 and 503", sum(statuses.values()) - statuses[201] - statuses[503], stage),
        Figure("a refusal's answer, p99", percentile([took for status, took in during if status == 503]), "s",
               most=REFUSED_WITHIN_S),
        Figure("a refusal's answer, median", percentile([t for s, t in during if s == 503], 0.5), "s",
               most=REFUSED_WITHIN_S),
        Figure("/healthz while locked, p99", percentile(alive), "s", most=ALIVE_WITHIN_S),
    ]  # fmt: skip


F13 = Fault(
    "F13",
    "every database connection waits for a lock: refused soon, alive throughout, back at once; sockets hold none",
    "a lock of 15 s; 60 clients, 20 sockets, 10 connections",
    on_a_loop(play),
    {"connection_per_socket": Mutant("each open socket keeps a database session", "writes before the lock")},
)
