"""F17: the server's clock jumps by an hour, forward and back: order, time limits and sessions are unaffected."""

import asyncio
import json
import time
from pathlib import Path

import websockets

from core.actor import Role
from loadtests.faults import scene
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.nemesis import Broken, Server
from loadtests.faults.scene import Person, Tracked
from loadtests.faults.stage import Stage
from loadtests.faults.traffic import http, signed

LIBRARIES = "/usr/lib/*/faketime/libfaketime.so.1"
JUMPS_S = (3_600, 0, -3_600, 0)
SCREENS, CREWS = 10, 6
DELIVERED_WITHIN_S, SILENCE_WITHIN_S = 2.0, 5.0


class _Clock:
    """The wall clock of one server, set through a file; its monotonic clock goes on."""

    def __init__(self, file: Path) -> None:
        found = sorted(Path("/").glob(LIBRARIES.removeprefix("/")))
        if not found:
            raise Broken("libfaketime is missing: install `faketime`")
        self._file = file
        self.env = {
            "LD_PRELOAD": str(found[0]), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        self.set(0)

    def set(self, offset_s: int) -> None:
        """From now on it is so much ahead."""
        whole = self._file.with_suffix(".new")
        whole.write_text(f"{offset_s:+d}\n")
        whole.replace(self._file)


class _Sockets:
    """Screens and inboxes that stay open; when each last had anything, and what came."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.last: dict[Person, float] = {}
        self.longest_s = 0.0
        self.closed: list[str] = []
        self.came: dict[str, float] = {}
        self.numbers: dict[Person, list[int]] = {}

    async def listen(self, path: str, person: Person) -> None:
        async with websockets.connect(f"{self._server.socket_url}{path}", max_size=None) as socket:
            await socket.send(json.dumps({"kind": "hello", "token": person.token}))
            try:
                async for text in socket:
                    self._take(person, json.loads(text))
            except websockets.ConnectionClosed:
                pass
            self.closed.append(f"{path} was closed with {socket.close_code} {socket.close_reason}")

    def _take(self, person: Person, message: dict[str, list[dict[str, dict[str, str]]]]) -> None:
        now = time.monotonic()
        self.longest_s = max(self.longest_s, now - self.last.get(person, now))
        self.last[person] = now
        for item in message.get("items", []):
            self.came.setdefault(item["body"]["id"], now)
            self.numbers.setdefault(person, []).append(int(str(item["seq"])))


class _Desk:
    """A dispatcher who goes on working."""

    def __init__(self, session: object, person: Person, units: list[Tracked]) -> None:
        self._session, self._person, self._units = session, person, units
        self.sent: dict[str, float] = {}
        self.refused: list[str] = []

    async def work(self, seconds: float) -> None:
        """Send a task and take it back, again and again."""
        until, number = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            unit = self._units[number % len(self._units)]
            number += 1
            began = time.monotonic()
            made = await self._post("/tasks", {
                "kind": "stop_vehicle", "priority": "P3", "title": "Stop it", "reason_code": "indicator", "lon": 25.3,
                "lat": 54.7, "unit_id": str(unit.unit_id), "issue": True,
            })  # fmt: skip
            if made:
                self.sent[made["id"]] = began
                await self._post(f"/tasks/{made['id']}/transitions", {"verb": "cancel", "reason": "test"})
            await asyncio.sleep(0.3)

    async def _post(self, path: str, body: dict[str, object]) -> dict[str, str] | None:
        async with self._session.post(f"/api/v1{path}", json=body, headers=signed(self._person)) as answer:  # type: ignore[attr-defined]
            told = await answer.json()
            if answer.status // 100 == 2:
                return dict(told)
            self.refused.append(f"{path} was answered with {answer.status}: {told.get('code')}")
            return None


async def play(stage: Stage) -> list[Figure]:
    """Work on through every jump."""
    engine, db = stage.engine(), await stage.owner()
    desk_person, *watchers = await scene.people(engine, Role.DISPATCHER, SCREENS + 1)
    officers = await scene.people(engine, Role.OFFICER, CREWS)
    units = await scene.tracked(engine, CREWS)
    await scene.with_crews(engine, units, officers)
    await engine.dispose()
    clock, server = _Clock(stage.folder / "clock"), stage.server()
    server.add(clock.env)
    server.spawn()
    await asyncio.to_thread(server.wait_ready)
    sockets = _Sockets(server)
    going = [asyncio.create_task(sockets.listen("/live", person)) for person in watchers]
    going += [asyncio.create_task(sockets.listen("/inbox/live", person)) for person in officers]
    async with http(server) as session:
        desk = _Desk(session, desk_person, units)
        await desk.work(3)
        seen = []
        for offset_s in JUMPS_S:
            clock.set(offset_s)
            await desk.work(stage.n(10, 6))
            async with session.get("/healthz") as answer:
                seen.append(answer.headers.get("date", ""))
        await asyncio.sleep(DELIVERED_WITHIN_S)
    open_still = len(going) - len(sockets.closed)
    for each in going:
        each.cancel()
    await asyncio.gather(*going, return_exceptions=True)
    heads = {row["user_id"]: row["seq"] for row in await db.fetch("SELECT user_id, seq FROM recipient")}
    await db.close()
    disordered = [str(p.id) for p in officers if sockets.numbers.get(p) != list(range(1, heads.get(p.id, 0) + 1))]
    shown = Figure("hours the server's clock showed", len({date[17:19] for date in seen}), least=3)
    return [shown, *_figures(stage, desk, sockets, open_still, disordered)]


def _figures(stage: Stage, desk: _Desk, sockets: _Sockets, open_still: int, disordered: list[str]) -> list[Figure]:
    late = [sockets.came[task] - at for task, at in desk.sent.items() if task in sockets.came]
    return [
        Figure("tasks sent", len(desk.sent), least=10),
        zero("requests refused", desk.refused, stage),
        zero("sockets closed", sockets.closed, stage),
        Figure("sockets still open", open_still, least=SCREENS + CREWS),
        Figure("longest silence of a socket", sockets.longest_s, "s", most=SILENCE_WITHIN_S),
        zero("inboxes with gaps or out of order", disordered, stage),
        zero("tasks that did not come", sum(task not in sockets.came for task in desk.sent), stage),
        Figure("task sent to task at its officer, at most", max(late, default=0), "s", most=DELIVERED_WITHIN_S),
        zero("server errors", stage.errors(), stage),
    ]


F17 = Fault(
    "F17",
    "the server's clock jumps an hour forward, back, an hour back, and right again: order, limits, sessions stand",
    "one server; the database's clock stays right",
    on_a_loop(play),
    {"wall_clock": Mutant("sockets are ended when the wall clock says that they were silent", "sockets closed")},
)
