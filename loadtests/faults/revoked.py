"""F11: rights taken away while sockets are open: no data afterwards, and REST refuses at once, on every server."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg
import websockets

from core.actor import Role
from core.ids import new_id
from loadtests.faults import scene
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.nemesis import Broken, Server
from loadtests.faults.scene import Person, Tracked
from loadtests.faults.stage import Stage
from loadtests.faults.traffic import Trackers, http, now_text, signed

LAST_FRAME_WITHIN_S = 5.0
WAITED_S = 9.0
CODES = {4401, 4403}
EACH = 4
"""People of each sort; half of their sockets are on the server that did not hear of it first."""


@dataclass
class Line:
    """One open socket: when it last had anything, and how it ended."""

    server: Server
    path: str
    person: Person
    last: float = 0.0
    code: int | None = None
    said: list[str] = field(default_factory=list)
    """The objects that inbox items were about."""

    async def listen(self, ready: asyncio.Event) -> None:
        """Read until the server ends it."""
        async with websockets.connect(f"{self.server.socket_url}{self.path}", max_size=None) as socket:
            await socket.send(json.dumps({"kind": "hello", "token": self.person.token}))
            try:
                async for text in socket:
                    message = json.loads(text)
                    if message["kind"] == "bye":
                        continue
                    self.last = time.monotonic()
                    ready.set()
                    self.said += [item["body"]["id"] for item in message.get("items", [])]
            except websockets.ConnectionClosed:
                pass
            self.code = socket.close_code


class _Scene:
    """Two servers, an administrator, and what was seen."""

    def __init__(
        self, stack: AsyncExitStack, servers: list[Server], admin: Person, first: aiohttp.ClientSession
    ) -> None:
        self._stack, self._servers, self._admin, self._first = stack, servers, admin, first
        self.last_s: list[float] = []
        self.codes: list[str] = []
        self.served: list[str] = []

    async def ask(self, who: Person, method: str, path: str, body: Any = None) -> Any:
        """The answer of the first server; raises Broken when it refuses."""
        async with self._first.request(method, f"/api/v1{path}", json=body, headers=signed(who)) as answer:
            if answer.status >= 400:
                raise Broken(f"{method} {path} was answered with {answer.status}: {await answer.text()}")
            return await answer.json() if answer.status != 204 else None

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        """What the administrator is answered."""
        return await self.ask(self._admin, method, path, body)

    async def open(self, people: list[Person], path: str) -> list[tuple[Line, "asyncio.Task[None]"]]:
        """A socket for each, in turn on either server, with something heard on it."""
        opened = []
        for n, person in enumerate(people):
            line, ready = Line(self._servers[n % 2], path, person), asyncio.Event()
            task = asyncio.create_task(line.listen(ready))
            self._stack.callback(task.cancel)
            await asyncio.wait_for(ready.wait(), 10)
            opened.append((line, task))
        return opened

    async def shut_out(
        self, what: str, people: list[Person], path: str, how: Callable[[Person], Awaitable[Any]]
    ) -> None:
        """Take these people's rights away one after another, and see what they still get."""
        lines = await self.open(people, path)
        at: dict[Person, float] = {}
        for line, _ in lines:
            await how(line.person)
            at[line.person] = time.monotonic()
            for server in self._servers:
                async with (
                    aiohttp.ClientSession(server.url) as fresh,
                    fresh.get(
                        "/api/v1/inbox" if path == "/inbox/live" else "/api/v1/positions/latest",
                        headers=signed(line.person),
                    ) as answer,
                ):
                    if answer.status not in {401, 403}:
                        self.served.append(f"{what}: REST answered {answer.status} afterwards")
        await asyncio.wait([task for _, task in lines], timeout=WAITED_S)
        for line, _ in lines:
            self.last_s.append(max(0.0, line.last - at[line.person]))
            if line.code not in CODES:
                self.codes.append(f"{what}: the socket ended with {line.code}")


async def _device(scene_: _Scene, stage: Stage, servers: list[Server], unit: Tracked) -> float:
    """Revoke a device; seconds until no server takes its fixes any more."""
    await scene_.admin("POST", f"/devices/{unit.device_id}/revoke")
    revoked = last = time.monotonic()
    async with aiohttp.ClientSession() as session:
        while time.monotonic() - revoked < 3:
            for server in servers:
                fix = {"fixes": [{"fix_at": now_text(), "lon": 25.3, "lat": 54.7}]}
                async with session.post(f"{server.url}/api/v1/positions", json=fix, headers=signed(unit)) as answer:
                    if answer.status == 200:
                        last = time.monotonic()
            await asyncio.sleep(0.05)
    return last - revoked


async def _moved(scene_: _Scene, dispatcher: Person, officer: Person, units: list[Tracked]) -> list[str]:
    """Give the officer another unit; what still comes of the old one, and what does not of the new."""
    (opened,) = await scene_.open([officer], "/inbox/live")

    async def task(unit: Tracked) -> str:
        made = await scene_.ask(dispatcher, "POST", "/tasks", {
            "kind": "stop_vehicle", "priority": "P3", "title": "Stop it", "reason_code": "indicator", "lon": 25.3,
            "lat": 54.7, "unit_id": str(unit.unit_id), "issue": True,
        })  # fmt: skip
        return str(made["id"])

    before = await task(units[0])
    for unit, members in ((units[0], []), (units[1], [str(officer.id)])):
        shown = await scene_.admin("GET", f"/units/{unit.unit_id}")
        await scene_.admin("PATCH", f"/units/{unit.unit_id}", {"version": shown["version"], "members": members})
    shifts = await scene_.ask(dispatcher, "GET", "/shifts")
    (mine,) = [shift for shift in shifts["items"] if shift["unit_id"] == str(units[0].unit_id)]
    await scene_.ask(dispatcher, "POST", f"/shifts/{mine['id']}/end", {})
    await scene_.ask(dispatcher, "POST", f"/tasks/{before}/transitions", {"verb": "cancel", "reason": "test"})
    after = await task(units[1])
    await asyncio.sleep(LAST_FRAME_WITHIN_S)
    line, wrong = opened[0], []
    wrong += [] if before in line.said else ["the old unit's task did not come before"]
    wrong += [] if after in line.said else ["the new unit's task did not come"]
    return wrong


async def _with_installs(db: asyncpg.Connection, people: list[Person]) -> dict[Person, str]:
    """Make these people's sessions those of tablets."""
    made = {}
    for person in people:
        made[person] = install_id = str(new_id())
        await db.execute(
            "INSERT INTO install (id, user_id, name, credential_digest, created_at)"
            " VALUES ($1, $2, 'tablet', $3, now())",
            install_id, person.id, new_id().bytes,
        )  # fmt: skip
        await db.execute("UPDATE sign_in SET install_id = $1 WHERE id = $2", install_id, person.session_id)
    return made


async def play(stage: Stage) -> list[Figure]:
    """Take rights away in every way there is."""
    engine, db = stage.engine(), await stage.owner()
    admin = (await scene.people(engine, Role.ADMINISTRATOR, 1))[0]
    dispatchers = await scene.people(engine, Role.DISPATCHER, 3 * EACH + 1)
    officers = await scene.people(engine, Role.OFFICER, 3 * EACH)
    tablets = await _with_installs(db, officers[EACH : 2 * EACH])
    units = await scene.tracked(engine, 40)
    await engine.dispose()
    servers = [await stage.serving(), await stage.serving()]
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(http(servers[0]))
        await stack.enter_async_context(Trackers(first, units[1:], 40).reporting())
        seen = _Scene(stack, servers, admin, first)

        async def signs_out(person: Person) -> None:
            await seen.ask(person, "DELETE", "/session")

        await seen.shut_out("disabled", dispatchers[:EACH], "/live",
                            lambda p: seen.admin("POST", f"/users/{p.id}/disable"))  # fmt: skip
        await seen.shut_out("role taken", dispatchers[EACH : 2 * EACH], "/live",
                            lambda p: seen.admin("PATCH", f"/users/{p.id}", {"roles": ["auditor"]}))  # fmt: skip
        await seen.shut_out("signed out", dispatchers[2 * EACH : 3 * EACH], "/live", signs_out)
        await seen.shut_out("officer disabled", officers[:EACH], "/inbox/live",
                            lambda p: seen.admin("POST", f"/users/{p.id}/disable"))  # fmt: skip
        await seen.shut_out("tablet revoked", officers[EACH : 2 * EACH], "/inbox/live",
                            lambda p: seen.admin("POST", f"/installs/{tablets[p]}/revoke"))  # fmt: skip
        await seen.shut_out("officer signed out", officers[2 * EACH :], "/inbox/live", signs_out)
        device_s = await _device(seen, stage, servers, units[0])
    await db.close()
    return [
        Figure("sockets whose right was taken", len(seen.last_s), least=6 * EACH),
        Figure("last frame after the right was taken", max(seen.last_s), "s", most=LAST_FRAME_WITHIN_S),
        zero("closed with another code than 4401 or 4403, or not at all", seen.codes, stage),
        zero("REST still served afterwards", seen.served, stage),
        Figure("last fix taken of a revoked device", device_s, "s", most=LAST_FRAME_WITHIN_S),
        zero("server errors", stage.errors(), stage),
    ]


F11 = Fault(
    "F11",
    "a right, session, tablet or device revoked under an open socket, on two servers: no data after 5 s, REST at once",
    "24 sockets",
    on_a_loop(play),
    {
        "check_at_connect": Mutant(
            "sockets are checked when they connect and never again", "last frame after the right was taken"
        )
    },
)
