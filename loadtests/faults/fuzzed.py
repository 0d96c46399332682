"""F8: nonsense over HTTP and over sockets: refused, never a fault, nothing hangs, nobody else's data changes."""

import asyncio
import json
import random
import time
from collections import Counter
from typing import Any

import aiohttp
import asyncpg
import websockets

from core.actor import Role
from core.ids import new_id
from loadtests.faults import scene
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.nemesis import Server
from loadtests.faults.scene import Person, Tracked
from loadtests.faults.stage import Stage, rss_mib
from loadtests.faults.traffic import http, now_text, percentile, signed

ANSWERED_WITHIN_S, MEMORY_MIB = 1.0, 30
FAULT = 1011
AT_ONCE = 6
ODD: list[Any] = [
    None, True, "", "\0", "\ud800", "x" * 5_000, "1e999", -1, 0, 2**31, 2**53 + 1, 2**63, -(2**70), 10**400, 1e308,
    -0.0, [], {}, [[]], [[[[]]]] * 50, {"kind": "hello"}, "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z", "../../etc/passwd", "'; DROP TABLE task; --", "${7*7}", "<script>",
]  # fmt: skip
_COUNTS = "SELECT (SELECT count(*) FROM task), (SELECT count(*) FROM violation WHERE recorded_by = $1)"


def _mutated(chance: random.Random, message: dict[str, Any]) -> str | bytes:
    """A message with something wrong in it, or bytes that are none."""
    match chance.randrange(6):
        case 0:
            return bytes(chance.randrange(256) for _ in range(chance.randrange(1, 60)))
        case 1:
            text = json.dumps(message)
            return text[: chance.randrange(len(text))]
        case 2:
            return json.dumps(chance.choice(ODD))
        case _:
            made = dict(message)
            for _ in range(chance.randint(1, 2)):
                made[chance.choice([*made, "extra"])] = chance.choice(ODD)
            return json.dumps(made)


class _Sockets:
    """Frames to both sockets; a connection that is closed for one is made anew for the next."""

    def __init__(self, server: Server, dispatcher: Person, officer: Person, chance: random.Random) -> None:
        self._server, self._chance = server, chance
        self._who = {"/live": dispatcher, "/inbox/live": officer}
        self.sent, self.codes = 0, Counter[int | None]()
        self.hung: list[str] = []

    def _frame(self, path: str) -> str | bytes:
        hello = {"kind": "hello", "token": self._who[path].token, "after": 0}
        good: list[dict[str, Any]] = [{"kind": "ping", "n": 1}, {"kind": "ack", "upto": 0}, hello,
                                      {"kind": "view", "bbox": [20.5, 53.7, 27.0, 56.6]}]  # fmt: skip
        return _mutated(self._chance, self._chance.choice(good))

    async def fuzz(self, path: str, n: int) -> None:
        """Send so many frames."""
        while n > 0:
            async with websockets.connect(f"{self._server.socket_url}{path}", max_size=None) as socket:
                n -= await self._one(socket, path)

    async def _one(self, socket: websockets.ClientConnection, path: str) -> int:
        """Frames on one connection until it is closed; how many."""
        if self._chance.random() < 0.8:
            await socket.send(json.dumps({"kind": "hello", "token": self._who[path].token}))
        for count in range(1, 60):
            frame = self._frame(path)
            try:
                await socket.send(frame)
                self.sent += 1
                await socket.send(json.dumps({"kind": "ping", "n": count}))
                await self._heard(socket, count)
            except websockets.ConnectionClosed:
                self.codes[socket.close_code] += 1
                return count
            except TimeoutError:
                self.hung.append(f"{path}: nothing after {frame[:80]!r}")
                return count
        return 60

    @staticmethod
    async def _heard(socket: websockets.ClientConnection, n: int) -> None:
        async with asyncio.timeout(8):
            while True:
                message = json.loads(await socket.recv())
                if message["kind"] == "pong" and message["n"] == n:
                    return


class _Requests:
    """Bodies and queries to routes that write and read."""

    def __init__(self, session: aiohttp.ClientSession, who: dict[str, Person | Tracked], chance: random.Random) -> None:
        self._session, self._who, self._chance = session, who, chance
        self.statuses: Counter[int] = Counter()
        self.took_s: list[float] = []
        self.faults: list[str] = []

    def _next(self) -> tuple[str, str, str, dict[str, Any]]:
        fix = {"fix_at": now_text(), "lon": 25.3, "lat": 54.7, "speed_mps": 3, "accuracy_m": 5, "battery_pct": 50}
        violation = {"id": str(new_id()), "category": "tobacco", "occurred_at": now_text(), "lon": 25.3, "lat": 54.7,
                     "coord_source": "gps", "quantity": 1, "evaded_duties_eur": 10}  # fmt: skip
        draft = {"kind": "stop_vehicle", "priority": "P3", "title": "Stop it", "reason_code": "indicator", "lon": 25.3,
                 "lat": 54.7, "window_to": now_text()}  # fmt: skip
        notice = {"kind": "information", "priority": "P3", "headline": "x", "to": {"units": [str(new_id())]}}
        return self._chance.choice([
            ("device", "POST", "/positions", {"fixes": [fix]}), ("officer", "POST", "/violations", violation),
            ("dispatcher", "POST", "/notices", notice), ("officer", "POST", "/inbox/ack", {"upto": 0}),
            ("auditor", "POST", "/tasks", draft), ("officer", "GET", "/inbox", {"after": 0, "limit": 10}),
            ("dispatcher", "GET", "/violations", {"bbox": "20,53,27,57", "from": now_text(), "limit": 5}),
            ("dispatcher", "GET", "/units/nearest", {"lon": 25.3, "lat": 54.7, "limit": 5}),
        ])  # fmt: skip

    async def fuzz(self, n: int) -> None:
        """Send so many."""
        for _ in range(n):
            who, method, path, content = self._next()
            wrong = _mutated(self._chance, content if path != "/positions" else content["fixes"][0])
            body = wrong if method == "POST" else None
            if path == "/positions" and isinstance(wrong, str):
                body = f'{{"fixes":[{wrong}]}}'
            query = {} if body else {k: str(self._chance.choice(ODD))[:300] for k in content}
            query = {key: value.encode(errors="replace").decode() for key, value in query.items()}
            began = time.monotonic()
            headers = signed(self._who[who]) | ({"Content-Type": "application/json"} if body else {})
            async with self._session.request(
                method, f"/api/v1{path}", data=body, params=query, headers=headers
            ) as told:
                await told.read()
                self.statuses[told.status] += 1
                if told.status >= 500 and told.status != 503:
                    self.faults.append(f"{method} {path} {body or query!r}: {told.status}"[:300])
            self.took_s.append(time.monotonic() - began)


async def _bystanders(db: asyncpg.Connection, person: Person) -> tuple[int, ...]:
    return tuple(await db.fetchrow(_COUNTS, person.id))


async def play(stage: Stage) -> list[Figure]:
    """Sockets and routes at once."""
    engine, db = stage.engine(), await stage.owner()
    dispatcher, officer, auditor, bystander = [
        (await scene.people(engine, role, 1))[0] for role in (Role.DISPATCHER, Role.OFFICER, Role.AUDITOR, Role.OFFICER)
    ]
    (unit,) = await scene.tracked(engine, 1)
    await engine.dispose()
    server = await stage.serving()
    before = await _bystanders(db, bystander)
    async with http(server) as session:
        who = {"dispatcher": dispatcher, "officer": officer, "auditor": auditor, "device": unit}
        sockets = _Sockets(server, dispatcher, officer, stage.chance)
        requests = _Requests(session, who, stage.chance)
        await requests.fuzz(100)
        memory, n = rss_mib(server), stage.n(5_000, 400)
        half = n // 4
        await asyncio.gather(
            sockets.fuzz("/live", half), sockets.fuzz("/live", half), sockets.fuzz("/inbox/live", half),
            sockets.fuzz("/inbox/live", half), *(requests.fuzz(n // AT_ONCE) for _ in range(AT_ONCE)),
        )  # fmt: skip
        grown = rss_mib(server) - memory
        changed = await _bystanders(db, bystander) != before
    await db.close()
    return [
        Figure("frames to sockets", sockets.sent, least=n),
        Figure("requests", len(requests.took_s), least=n * 0.9),
        zero("answers 5xx", requests.faults, stage),
        zero("sockets closed for a fault of ours", sockets.codes[FAULT], stage),
        zero("sockets that hung", sockets.hung, stage),
        Figure("answers, p99.9", percentile(requests.took_s, 0.999), "s", most=ANSWERED_WITHIN_S),
        Figure("server memory grown by", grown, "MiB", most=MEMORY_MIB),
        zero("changes to what is a bystander's, and tasks", int(changed), stage),
        zero("server errors", stage.errors(), stage),
    ]


F8 = Fault(
    "F8",
    "nonsense over HTTP and sockets: refused with 4xx or 4400, never a fault or a hang, nobody else's data changed",
    "5,000 frames and 5,000 requests to eight routes; every route: tests/dispatch_api/test_fuzz.py",
    on_a_loop(play),
    {"unchecked_int": Mutant("numbers of socket messages are not checked", "sockets closed for a fault of ours")},
)
