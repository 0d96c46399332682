"""F16: the connections that carry wake-ups between servers are killed again and again: only latency suffers."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from typing import Any

import aiohttp
import asyncpg
import websockets

from core.actor import Role
from loadtests.faults import scene
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.nemesis import Server
from loadtests.faults.scene import Person, Tracked
from loadtests.faults.stage import Stage
from loadtests.faults.traffic import http, signed

BEFORE_EVERY = 5
"""A connection is ended right before every so many-th task, which is about each second."""
DELIVERED_WITHIN_S = 2.0
CREWS = 40
"""So many that in a short run nobody is sent a second task, whose wake-up would bring the first, too."""


class _Inboxes:
    """Officers' sockets on the server that does not take the tasks, and when each task came."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.came: dict[str, float] = {}
        self.times: Counter[str] = Counter()
        self.numbers: dict[str, list[int]] = {}

    async def listen(self, person: Person, ready: asyncio.Event) -> None:
        """Read one officer's inbox."""
        async with websockets.connect(f"{self._server.socket_url}/inbox/live", max_size=None) as socket:
            await socket.send(json.dumps({"kind": "hello", "token": person.token}))
            async for text in socket:
                message = json.loads(text)
                ready.set()
                for item in message.get("items", []):
                    self.came.setdefault(item["body"]["id"], time.monotonic())
                    self.times[item["event_id"]] += 1
                    self.numbers.setdefault(str(person.id), []).append(item["seq"])


async def _cut(db: asyncpg.Connection) -> int:
    """End the connection that one of the servers listens on, if it has one."""
    rows = await db.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'outrider wake-ups'"
        " AND datname = current_database() ORDER BY random() LIMIT 1"
    )
    return len(rows)


async def _send(
    session: aiohttp.ClientSession, db: asyncpg.Connection, dispatcher: Person, units: list[Tracked], n: int
) -> tuple[dict[str, float], int]:
    """Send tasks and take them back; when each was acknowledged to the dispatcher, and how many lines were cut."""
    sent, cuts = {}, 0
    for number in range(n):
        if number % BEFORE_EVERY == 0:
            cuts += await _cut(db)
        body: dict[str, Any] = {
            "kind": "stop_vehicle", "priority": "P3", "title": "Stop it", "reason_code": "indicator", "lon": 25.3,
            "lat": 54.7, "unit_id": str(units[number % CREWS].unit_id), "issue": True,
        }  # fmt: skip
        began = time.monotonic()
        async with session.post("/api/v1/tasks", json=body, headers=signed(dispatcher)) as answer:
            made = await answer.json()
            answer.raise_for_status()
        sent[made["id"]] = began
        path = f"/api/v1/tasks/{made['id']}/transitions"
        async with session.post(path, json={"verb": "cancel", "reason": "test"}, headers=signed(dispatcher)) as answer:
            answer.raise_for_status()
        await asyncio.sleep(0.15)
    return sent, cuts


async def play(stage: Stage) -> list[Figure]:
    """Send at one server, read at the other, while the line of one of them is cut again and again."""
    engine, db = stage.engine(), await stage.owner()
    dispatcher = (await scene.people(engine, Role.DISPATCHER, 1))[0]
    officers = await scene.people(engine, Role.OFFICER, CREWS)
    units = await scene.tracked(engine, CREWS)
    await scene.with_crews(engine, units, officers)
    await engine.dispose()
    servers = [await stage.serving(), await stage.serving()]
    inboxes, ready = _Inboxes(servers[1]), [asyncio.Event() for _ in officers]
    going = [asyncio.create_task(inboxes.listen(o, r)) for o, r in zip(officers, ready, strict=True)]
    await asyncio.wait_for(asyncio.gather(*(each.wait() for each in ready)), 15)
    async with http(servers[0]) as session:
        sent, cuts = await _send(session, db, dispatcher, units, stage.n(150, 40))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):
            while len(inboxes.came) < len(sent):
                await asyncio.sleep(0.05)
    for each in going:
        each.cancel()
    await asyncio.gather(*going, return_exceptions=True)
    heads = {str(r["user_id"]): r["seq"] for r in await db.fetch("SELECT user_id, seq FROM recipient")}
    await db.close()
    gaps = [who for who, numbers in inboxes.numbers.items() if numbers != list(range(1, heads[who] + 1))]
    late = [inboxes.came[task] - at for task, at in sent.items() if task in inboxes.came]
    return [
        Figure("listening connections ended", cuts, least=stage.n(20, 5)),
        Figure("tasks sent", len(sent)),
        zero("lost", [task for task in sent if task not in inboxes.came], stage),
        zero("doubled", sum(n > 1 for n in inboxes.times.values()), stage),
        zero("inboxes with gaps or out of order", gaps, stage),
        Figure("task sent to task at the other server's officer, at most", max(late, default=0), "s",
               most=DELIVERED_WITHIN_S),
        zero("server errors", stage.errors(), stage),
    ]  # fmt: skip


F16 = Fault(
    "F16",
    "the connection that listens for wake-ups is killed: only latency suffers",
    "150 tasks; killed before every fifth, about each second for every 10 s",
    on_a_loop(play),
    {"notify_alone": Mutant("wake-ups are the only trigger: nothing is polled", "lost")},
)
