"""F4: officers cut from the network without being told so; everything waits, and arrives once and in order."""

import asyncio
import contextlib
import json
import time
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
from loadtests.faults.proxy import Proxy
from loadtests.faults.scene import Person, Tracked
from loadtests.faults.stage import Stage
from loadtests.faults.traffic import http, now_text, signed
from mobile_contract.client import Officer, Store
from mobile_contract.client.wire import Wire

OFFICERS, NOTICES, CUT_S = 50, 1_000, 300
STEPS = ("acknowledge", "en_route", "on_scene", "complete")
ACTIONS = len(STEPS) + 2
"""Of each officer while cut: the steps of a task, and two violations. 300 in all."""
TO_EVERYONE_EACH = 20
HEALED_WITHIN_S, RECEIPTS_WITHIN_S = 5.0, 5.0
SHOWN_WITHIN_S = 60.0
NEVER_S = 90.0


@dataclass
class Tablet:
    """One officer's app behind the line that will be cut, with its store in a file."""

    person: Person
    unit: Tracked
    officer: Officer
    running: asyncio.Task[None]
    task_id: str = ""
    heard: list[int] = field(default_factory=list)
    """The number of each item as the officer is shown it."""
    actions: set[str] = field(default_factory=set)


class Tablets:
    """All of them, and the one HTTP client they share."""

    def __init__(self, stage: Stage, proxy: Proxy, session: aiohttp.ClientSession) -> None:
        self._stage, self._proxy, self._session = stage, proxy, session
        self.all: list[Tablet] = []

    def start(self, person: Person, unit: Tracked) -> None:
        """Give an officer a tablet and switch it on."""
        tablet = Tablet(person, unit, *self._app(person, heard := []), heard=heard)
        self.all.append(tablet)

    def _app(self, person: Person, heard: list[int]) -> tuple[Officer, asyncio.Task[None]]:
        wire = Wire(self._proxy.url, self._session)
        wire.token = person.token
        store = Store(self._stage.folder / f"{person.id}.sqlite")
        officer = Officer(wire, store, lambda item: heard.append(item["seq"]))
        return officer, asyncio.create_task(officer.run())

    async def kill(self, tablet: Tablet) -> None:
        """The app ends between two steps of its loop and is started again from its file."""
        tablet.running.cancel()
        await asyncio.gather(tablet.running, return_exceptions=True)
        tablet.officer.store.close()
        tablet.officer, tablet.running = self._app(tablet.person, tablet.heard)

    async def end(self) -> None:
        """Switch them off."""
        for tablet in self.all:
            tablet.running.cancel()
        await asyncio.gather(*(t.running for t in self.all), return_exceptions=True)
        for tablet in self.all:
            tablet.officer.store.close()


class Desk:
    """The dispatcher: sends, and sees on the live socket how many have what was sent."""

    def __init__(self, session: aiohttp.ClientSession, server: Server, person: Person) -> None:
        self._session, self._server, self._person = session, server, person
        self.sent_at: dict[str, float] = {}
        self.delivered: dict[str, int] = {}
        self.shown_at: dict[str, float] = {}

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer; raises Broken for anything but 2xx."""
        async with self._session.post(f"/api/v1{path}", json=body, headers=signed(self._person)) as answer:
            told = await answer.json()
            if answer.status // 100 != 2:
                raise Broken(f"{path} was answered with {answer.status}: {told}")
            return dict(told)

    async def notice(self, to: dict[str, Any]) -> str:
        """Send a notice; its id."""
        made = await self.post(
            "/notices", {"kind": "information", "priority": "P3", "headline": "A grey van", "to": to}
        )
        self.sent_at[made["id"]] = time.monotonic()
        return str(made["id"])

    async def task(self, unit: Tracked, priority: str = "P3") -> str:
        """Send a task; its id."""
        made = await self.post("/tasks", {
            "kind": "stop_vehicle", "priority": priority, "title": "Stop it", "reason_code": "indicator", "lon": 25.3,
            "lat": 54.7, "unit_id": str(unit.unit_id), "issue": True,
        })  # fmt: skip
        return str(made["id"])

    async def watch(self) -> None:
        """Keep what the live socket says of notices."""
        async with websockets.connect(f"{self._server.socket_url}/live", max_size=None) as socket:
            await socket.send(json.dumps({"kind": "hello", "token": self._person.token}))
            async for text in socket:
                message = json.loads(text)
                if message["kind"] == "notice":
                    notice = message["notice"]
                    self.delivered[notice["id"]] = notice["delivered"]
                    self.shown_at.setdefault(notice["id"], time.monotonic())


async def _act(tablet: Tablet) -> None:
    """What an officer does without coverage."""
    for verb in STEPS:
        tablet.officer.step(tablet.task_id, verb)
    for _ in range(ACTIONS - len(STEPS)):
        name = str(new_id())
        tablet.actions.add(name)
        tablet.officer.do(
            "/violations", id=name, note=name, category="tobacco", occurred_at=now_text(), lon=25.3, lat=54.7,
            coord_source="gps",
        )  # fmt: skip


async def _cut(stage: Stage, tablets: Tablets, desk: Desk, proxy: Proxy, seconds: float) -> dict[str, int]:
    """Everything that happens while the line is dead; how many have each notice by what the dispatcher is shown."""
    proxy.turn("blackhole")
    began, n = time.monotonic(), stage.n(NOTICES, NOTICES // 5)
    for number in range(n):
        if number % TO_EVERYONE_EACH == 0:
            await desk.notice({"everyone": True})
        else:
            units = stage.chance.sample(tablets.all, 3)
            await desk.notice({"units": [str(tablet.unit.unit_id) for tablet in units]})
        if number % (n // OFFICERS) == 0 and number // (n // OFFICERS) < len(tablets.all):
            tablet = tablets.all[number // (n // OFFICERS)]
            await _act(tablet)
            if stage.chance.random() < 0.2:
                await tablets.kill(tablet)
        await asyncio.sleep(max(0.0, began + number * seconds * 0.8 / n - time.monotonic()))
    await asyncio.sleep(max(2.0, began + seconds - time.monotonic()))
    return dict(desk.delivered)


async def _all_there(tablets: Tablets, heads: dict[Any, int]) -> float:
    """Seconds until every tablet has everything and has sent everything."""
    began = time.monotonic()
    while any(t.officer.store.head() < heads[t.person.id] or t.officer.store.outbox() for t in tablets.all):
        if time.monotonic() - began > NEVER_S:
            break
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def _heads(db: asyncpg.Connection) -> dict[Any, int]:
    return {row["user_id"]: row["seq"] for row in await db.fetch("SELECT user_id, seq FROM recipient")}


async def _receipts(db: asyncpg.Connection) -> float:
    """Seconds until everything counts as delivered, at most NEVER_S."""
    began = time.monotonic()
    while time.monotonic() - began < NEVER_S:
        if not await db.fetchval("SELECT count(*) FROM notice_recipient WHERE delivered_at IS NULL"):
            break
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def _found(tablets: Tablets, db: asyncpg.Connection) -> dict[str, list[str]]:
    """What is wrong at the end, by kind."""
    heads, found = await _heads(db), {name: [] for name in ("missing", "disordered", "twice", "lost", "doubled")}
    for tablet in tablets.all:
        who, head = str(tablet.person.id), heads[tablet.person.id]
        stored = [item["seq"] for item in tablet.officer.store.inbox()]
        found["missing"] += (
            [f"{who} lacks {head - len(stored)} of {head}"] if stored != list(range(1, head + 1)) else []
        )
        found["disordered"] += [who] if tablet.heard != sorted(tablet.heard) else []
        found["twice"] += [who] if len(set(tablet.heard)) != len(tablet.heard) else []
        rows = await db.fetch(
            "SELECT verb, count(*) AS n FROM task_event WHERE task_id = $1 GROUP BY 1", tablet.task_id
        )
        steps = {row["verb"]: row["n"] for row in rows}
        rows = await db.fetch("SELECT note, count(*) AS n FROM violation WHERE recorded_by = $1 GROUP BY 1",
                              tablet.person.id)  # fmt: skip
        steps |= {row["note"]: row["n"] for row in rows}
        wanted = tablet.actions | ({*STEPS} if tablet.actions else set())
        found["lost"] += [f"{what} of {who}" for what in wanted if what not in steps]
        found["doubled"] += [f"{what} of {who}" for what in wanted if steps.get(what, 0) > 1]
        found["lost"] += [f"refused: {entry.answer}" for entry in tablet.officer.store.outbox("refused")]
    return found


async def play(stage: Stage) -> list[Figure]:
    """Cut, work on, heal, count."""
    engine, db = stage.engine(), await stage.owner()
    dispatcher = (await scene.people(engine, Role.DISPATCHER, 1))[0]
    officers = await scene.people(engine, Role.OFFICER, OFFICERS)
    units = await scene.tracked(engine, OFFICERS)
    await scene.with_crews(engine, units, officers)
    await engine.dispose()
    server = await stage.serving()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(http(server))
        proxy = await stack.enter_async_context(Proxy(server.port).running())
        mobile = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        tablets, desk = Tablets(stage, proxy, mobile), Desk(session, server, dispatcher)
        stack.push_async_callback(tablets.end)
        watching = asyncio.create_task(desk.watch())
        stack.callback(watching.cancel)
        for officer, unit in zip(officers, units, strict=True):
            tablets.start(officer, unit)
        for tablet in tablets.all:
            tablet.task_id = await desk.task(tablet.unit)
        await _all_there(tablets, await _heads(db))
        await asyncio.sleep(2)
        shown = await _cut(stage, tablets, desk, proxy, stage.n(CUT_S, 15))
        heads, known = await _heads(db), dict(desk.shown_at)
        proxy.turn("pass")
        for tablet in tablets.all:
            tablet.officer.came_online()
        healed_s = await _all_there(tablets, heads)
        found, receipts_s = await _found(tablets, db), await _receipts(db)
    with contextlib.suppress(Exception):
        await db.close()
    return [
        *_while_cut(stage, tablets, desk, known, shown),
        Figure("everything delivered and sent, after the healing", healed_s, "s", most=HEALED_WITHIN_S),
        *(zero(f"items {name}" if name in {"missing", "disordered", "twice"} else f"actions {name}", listed, stage)
          for name, listed in found.items()),
        Figure("every receipt at the dispatcher's, after that", receipts_s, "s", most=RECEIPTS_WITHIN_S),
        zero("server errors", stage.errors(), stage),
    ]  # fmt: skip


def _while_cut(
    stage: Stage, tablets: Tablets, desk: Desk, known: dict[str, float], shown: dict[str, int]
) -> list[Figure]:
    """What was done meanwhile, and what the dispatcher was shown of it."""
    untold = [notice for notice in desk.sent_at if notice not in known]
    late = max((known[notice] - at for notice, at in desk.sent_at.items() if notice in known), default=0)
    return [
        Figure("notices sent while cut", len(desk.sent_at), least=stage.n(NOTICES, 200)),
        Figure("actions done while cut", sum(bool(t.actions) for t in tablets.all) * ACTIONS, least=stage.n(300, 60)),
        zero("notices shown as delivered while nobody had them", sum(n > 0 for n in shown.values()), stage),
        zero("notices not shown to the dispatcher as undelivered", untold, stage),
        Figure("shown as not delivered, at most after", late, "s", most=SHOWN_WITHIN_S),
    ]


F4 = Fault(
    "F4",
    "50 officers cut without a word; 1,000 notices and 300 offline actions meanwhile arrive once, in order",
    "a cut of 5 min for 10 and none of 4 h; a fifth of the apps killed meanwhile",
    on_a_loop(play),
    {
        "ack_on_send": Mutant(
            "an item counts as delivered once it is written to the socket",
            "notices shown as delivered while nobody had them",
        ),
        "memory_queue": Mutant("what is older than 5 s (for 10 min) is not kept for who was away", "items missing"),
    },
)
