"""From a tracker's button to every dispatcher's screen: through each way in, and through the death of the server."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
import websockets
from sqlalchemy.ext.asyncio import AsyncEngine

from core import sign_in
from core.actor import Role, system
from core.relay import EVERY_S
from core.settings import Settings
from core.work import open_work
from dispatch_api.gateway.line import Lines
from dispatch_api.gateway.server import gateway
from dispatch_api.workers import deadlines
from mobile_contract.messages import parse_to_client
from tests import module_wide
from tests.dispatch_api.broker import Broker, Phone
from tests.dispatch_api.gateway_trackers import ACCEPTED, Tracker, datagram, registered
from tests.dispatch_api.test_gateway_mqtt import known_to
from tests.dispatch_api.test_gateway_mqtt import registered as phones
from tests.geo.fleet import Fleet, now
from tests.geo.gt06_frames import BOXED_CELL, login, place
from tests.geo.gt06_frames import framed as gt06_framed
from tests.geo.teltonika_frames import data, framed, hello, packet, record
from tests.helpers import Crew, Database, Server, crew, eventually, free_port, person

database, server, broker = module_wide.database, module_wide.server, module_wide.broker


@pytest.fixture(scope="module")
def settings(database: Database, broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        database_url=database.app_url, ingest_database_url=database.ingest_url,
        data_dir=tmp_path_factory.mktemp("gateway"), teltonika_port=free_port(), gt06_port=free_port(),
        h02_port=free_port(), mqtt_host="127.0.0.1", mqtt_port=broker.port,
        mqtt_password_file=broker.folder / "password",
    )  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lines(settings: Settings, broker: Broker) -> AsyncIterator[Lines]:
    await known_to(broker, settings)
    async with gateway(settings) as running:
        await eventually(broker.joins, 20)
        yield running


@pytest_asyncio.fixture
async def fleet(database: Database, lines: Lines) -> AsyncIterator[Fleet]:
    db = await database.owner()
    yield Fleet(db)
    await db.close()


class Screen:
    """A dispatcher's live socket."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket

    async def next(self, kind: str) -> dict[str, Any]:
        """The next message of this kind, each on the way as the contract has it."""
        async with asyncio.timeout(20):
            while True:
                text = await self._socket.recv()
                parse_to_client(text)
                message: dict[str, Any] = json.loads(text)
                if message["kind"] == kind:
                    return message

    async def alarm(self, device_id: UUID) -> dict[str, Any]:
        """What this device is told of."""
        while True:
            alert: dict[str, Any] = (await self.next("alert"))["alert"]
            if alert["device_id"] == str(device_id):
                return alert


@contextlib.asynccontextmanager
async def watching(server: Server, engine: AsyncEngine) -> AsyncIterator[Screen]:
    """A dispatcher's screen, connected; the alerts of its snapshot were told."""
    dispatcher = await person(engine, Role.DISPATCHER)
    async with open_work(engine, system("test")) as work:
        token = (await sign_in.open_session(work, dispatcher)).token
    async with websockets.connect(f"{server.ws}/api/v1/live") as socket:
        await socket.send(json.dumps({"kind": "hello", "token": token}))
        yield Screen(socket)


def pressed(**more: Any) -> bytes:
    """A Teltonika record of its alarm button."""
    return data(record(8, cause=236, io={236: (1, 1)}, **more))


async def over_teltonika(tracker: Tracker) -> None:
    async with tracker.connected() as wire:
        assert await wire.say(hello(tracker.imei), 1) == ACCEPTED
        assert await wire.say(framed(pressed())) == b"\0\0\0\1"


async def over_udp(tracker: Tracker) -> None:
    assert await datagram(tracker.settings, packet(tracker.imei, pressed()))


async def over_gt06(tracker: Tracker) -> None:
    alarm = gt06_framed(0x26, place(now()) + BOXED_CELL + b"\x44\x06\x04\x01\x02", 2)
    async with tracker.connected() as wire:
        assert len(await wire.say(login(tracker.imei) + alarm, 20)) == 20


async def over_h02(tracker: Tracker) -> None:
    at = now()
    panic = f"*HQ,{tracker.imei},V1,{at:%H%M%S},A,5442.0,N,02518.0,E,10.00,90,{at:%d%m%y},FFFFFFFD#"
    async with tracker.connected() as wire:
        assert (await wire.say(panic.encode(), 30)).startswith(f"*HQ,{tracker.imei},V4,V1,".encode())


WAYS = {"teltonika": over_teltonika, "udp": over_udp, "gt06": over_gt06, "h02": over_h02}


@pytest.mark.parametrize("way", WAYS)
async def test_a_button_on_a_tracker_reaches_a_dispatcher_who_must_close_it(
    server: Server, engine: AsyncEngine, fleet: Fleet, settings: Settings, way: str
) -> None:
    tracker = await registered(fleet, settings, protocol=way if way in {"gt06", "h02"} else "teltonika")
    async with watching(server, engine) as screen:
        await screen.next("snapshot")
        await WAYS[way](tracker)
        alert = await screen.alarm(tracker.device_id)
        assert alert["unit_id"] == str(tracker.unit_id)
        task = await told_of(fleet, alert, [25.3, 54.7])
        assert tracker.imei in task["title"]
        await closes(server, engine, screen, alert)


async def told_of(fleet: Fleet, alert: dict[str, Any], place: list[float]) -> Any:
    """The draft with which a panic with the last good point begins."""
    assert (alert["kind"], alert["point"]["coordinates"]) == ("panic", pytest.approx(place))
    (task,) = await fleet.db.fetch("SELECT *, ST_X(point) lon, ST_Y(point) lat FROM task WHERE id = $1",
                                   UUID(alert["task_id"]))  # fmt: skip
    assert (task["priority"], task["status"]) == ("P1", "draft")
    assert [task["lon"], task["lat"]] == pytest.approx(place)
    return task


async def closes(server: Server, engine: AsyncEngine, screen: Screen, alert: dict[str, Any]) -> None:
    """Nothing but a dispatcher's reason ends it; every screen is told."""
    await deadlines.alarms_round(engine)
    async with open_work(engine, system("test")) as work:
        token = (await sign_in.open_session(work, await person(engine, Role.DISPATCHER))).token
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {token}"}) as http:
        stands = (await http.get("/api/v1/alerts", params={"open": True})).json()["items"]
        assert alert["id"] in [each["id"] for each in stands]
        path = f"/api/v1/alerts/{alert['id']}/close"
        assert (await http.post(path, json={"reason": " "})).status_code == 422
        answer = await http.post(path, json={"reason": "Called back: pressed by mistake"})
        assert answer.status_code == 200, answer.text
    closed = await screen.alarm(UUID(alert["device_id"]))
    assert (closed["id"], closed["close_reason"]) == (alert["id"], "Called back: pressed by mistake")
    assert closed["cleared_at"] is not None


async def test_a_panic_through_the_broker_reaches_a_dispatcher_who_must_close_it(
    server: Server, engine: AsyncEngine, fleet: Fleet, settings: Settings, broker: Broker
) -> None:
    ((name, key),) = await phones(engine, fleet)
    await known_to(broker, settings)
    at = int(now().timestamp())
    good = {"_type": "location", "tst": at - 60, "lat": 54.7, "lon": 25.3}
    async with watching(server, engine) as screen:
        await screen.next("snapshot")
        with Phone(broker, name, key) as phone:
            await phone.said(json.dumps(good))
            await phone.said(json.dumps(good | {"tst": at, "lat": 0, "lon": 0, "alarm": "sos"}))
            alert = await screen.alarm(UUID(name))
        await told_of(fleet, alert, [25.3, 54.7])
        await closes(server, engine, screen, alert)


async def post(server: Server, path: str, made: Crew, **options: Any) -> httpx.Response:
    await asyncio.sleep(EVERY_S)  # of two events closer than this only the first rings; no worker here looks
    async with httpx.AsyncClient(base_url=server.url) as http:
        return await http.request(
            "POST", path, headers={"Authorization": f"Bearer {made.device_key}"}, **options
        )  # fmt: skip


async def test_an_apps_sos_reaches_a_dispatcher_and_its_repetitions_nobody(
    server: Server, engine: AsyncEngine, fleet: Fleet
) -> None:
    first, second, off = [await crew(engine, on_shift=on) for on in (True, True, False)]
    body = {"fix_at": now().isoformat(), "lat": 54.7, "lon": 25.3, "event": "sos"}
    async with watching(server, engine) as screen:
        await screen.next("snapshot")
        for _ in range(3):
            answer = await post(server, "/api/v1/positions", first, json={"fixes": [body]})
        assert answer.json()["duplicates"] == 1
        assert (await screen.alarm(first.device.id))["kind"] == "panic"
        location = {"timestamp": now().isoformat(), "extras": {"alarm": "sos"}}
        client = {"device_id": second.device_key, "location": location}
        assert (await post(server, "/ingest/osmand", second, json=client)).status_code == 200
        assert (await screen.alarm(second.device.id))["point"] is None
        answer = await post(server, "/api/v1/positions", off, json={"fixes": [body, body | {"event": None}]})
        assert answer.json() == {"accepted": 1, "duplicates": 0, "off_duty": 1, "suspect": 1, "rejected": []}
        assert (await screen.alarm(off.device.id))["kind"] == "panic"
        cut = body | {"event": "powerCut", "fix_at": now().isoformat()}
        await post(server, "/api/v1/positions", first, json={"fixes": [cut]})
        alert = await screen.alarm(first.device.id)
        assert (alert["kind"], alert["task_id"], alert["reached"]) == ("power_cut", None, "dispatchers")
    told = "SELECT kind FROM alert WHERE device_id = ANY($1::uuid[]) ORDER BY raised_at"
    rows = await fleet.db.fetch(told, [made.device.id for made in (first, second, off)])
    assert [row["kind"] for row in rows] == ["panic", "panic", "panic", "power_cut"]


async def test_a_server_killed_between_the_fix_and_the_alarm_loses_none(
    server: Server, engine: AsyncEngine, fleet: Fleet, settings: Settings
) -> None:
    tracker = await registered(fleet, settings)
    server.kill()
    await over_teltonika(tracker)
    assert await fleet.db.fetchval("SELECT count(*) FROM alert WHERE device_id = $1", tracker.device_id) == 0
    server.start()
    await deadlines.alarms_round(engine)
    await deadlines.alarms_round(engine)
    async with watching(server, engine) as screen:
        shown = (await screen.next("snapshot"))["alerts"]
        found = [alert for alert in shown if alert["device_id"] == str(tracker.device_id)]
        if not found:  # the hub reads its mirror once a second
            found = [await screen.alarm(tracker.device_id)]
        assert [alert["kind"] for alert in found] == ["panic"]
    assert await fleet.db.fetchval("SELECT count(*) FROM device_event") == 0
