"""Tablets with ATAK on real sockets over real PostGIS: what they say is stored, and what they are shown."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree.ElementTree import Element, fromstring

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.db import make_engine
from core.ids import new_id
from core.settings import Settings
from core.work import open_work
from dispatch_api.gateway import cot_view
from dispatch_api.gateway.server import gateway
from dispatch_api.process import tls, tls_client
from dispatch_api.process.console import CannotStart
from geo.protocols.cot import MAX_EVENT
from tasks.models import Notice, NoticeRecipient, Task, TaskSupport
from tests import module_wide
from tests.geo.fleet import Fleet, now
from tests.helpers import Database, eventually, free_port, person

database = module_wide.database


@pytest.fixture(scope="module")
def settings(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        database_url=database.app_url, ingest_database_url=database.ingest_url,
        data_dir=tmp_path_factory.mktemp("cot"), teltonika_port=0, cot_port=free_port(),
    )  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(settings: Settings) -> AsyncIterator[None]:
    cot_view.EVERY_S, before = 0.1, cot_view.EVERY_S
    async with gateway(settings):
        yield
    cot_view.EVERY_S = before


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    made = make_engine(database.app_url)
    yield made
    await made.dispose()


def event(uid: str, at: datetime, kind: str = "a-f-G-U-C", *, lat: float = 54.7, speed: float = 5) -> bytes:
    time = at.isoformat().replace("+00:00", "Z")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><event version="2.0" uid="{uid}" type="{kind}" how="m-g" time="{time}"'
        f' start="{time}" stale="{time}"><point lat="{lat}" lon="25.3" hae="1" ce="5" le="9"/><detail><contact'
        f' callsign="V"/><track speed="{speed}" course="90"/></detail></event>'
    ).encode()


PING = event("x-ping", now(), "t-x-c-t")


@dataclass
class Tablet:
    """A registered tablet of a unit on duty."""

    fleet: Fleet
    port: int
    name: str
    unit_id: UUID
    device_id: UUID

    @contextlib.asynccontextmanager
    async def connected(self, **options: Any) -> AsyncIterator["Wire"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        try:
            yield Wire(reader, writer)
        finally:
            writer.close()

    async def track(self) -> list[Any]:
        return await self.fleet.track(self.device_id)


@dataclass
class Wire:
    """The tablet's end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *events: bytes) -> None:
        self.writer.writelines(events)

    async def read(self, uid: str) -> Element:
        """The next event whose name ends so."""
        async with asyncio.timeout(10):
            while True:
                found = fromstring(await self.reader.readuntil(b"</event>\n"))
                if found.get("uid", "").endswith(uid):
                    return found

    async def pong(self) -> None:
        """Wait until all that was sent is committed."""
        self.send(PING)
        await self.read("takPong")

    async def is_cut(self) -> bool:
        async with asyncio.timeout(10):
            try:
                while await self.reader.read(2**16):
                    pass
            except ConnectionError:
                return True
            return True


async def registered(fleet: Fleet, port: int, name: str | None = None, *, on_duty: bool = True) -> Tablet:
    name = name or f"ANDROID-{new_id().hex[-12:]}"
    unit_id = await fleet.unit()
    if on_duty:
        await fleet.shift(unit_id, now() - timedelta(days=1))
    device_id, _ = await fleet.device(unit_id)
    await fleet.db.execute(
        "UPDATE device SET protocol = 'cot', identifier = $2, updated_at = clock_timestamp() WHERE id = $1",
        device_id,
        name,
    )
    return Tablet(fleet, port, name, unit_id, device_id)


@pytest_asyncio.fixture
async def tablet(running: None, fleet: Fleet, settings: Settings) -> Tablet:
    return await registered(fleet, settings.cot_port)


# In


async def test_what_a_tablet_says_of_itself_is_stored_before_its_ping_is_answered(tablet: Tablet) -> None:
    at = now() - timedelta(minutes=5)
    async with tablet.connected() as wire:
        wire.send(PING, event(tablet.name, at, speed=12.5))
        wire.send(event("a-hostile", at, "a-h-G", lat=55), event("GeoChat.1", at, "b-t-f"))
        wire.send(b"\n\n", event(f"{tablet.name}-9-1-1", at + timedelta(minutes=1), "b-a-o-tbl"))
        wire.send(event(tablet.name, at + timedelta(minutes=2), lat=0).replace(b"25.3", b"0"))
        await wire.pong()
        rows = await tablet.track()
    told = [(row["fix_at"] - at, row["lat"], row["speed_mps"], row["event"], row["suspect"]) for row in rows]
    assert told == [
        (timedelta(0), 54.7, 12.5, None, None), (timedelta(minutes=1), 54.7, 5, "panic", None),
        (timedelta(minutes=2), 0, 5, None, "no_fix"),
    ]  # fmt: skip


async def test_a_marker_that_comes_first_names_nobody_and_a_cancelled_alarm_links_to_nobody(tablet: Tablet) -> None:
    at = now() - timedelta(minutes=5)
    link = f'<link uid="{tablet.name}" type="a-f-G-U-C" parent_callsign="V" relation="p-p"/></detail>'.encode()
    async with tablet.connected() as wire:
        wire.send(event("marker-1", at, "a-h-G", lat=55).replace(b"</detail>", link), event(tablet.name, at))
        called = event("37060000000-9-1-1", at + timedelta(seconds=9), "b-a-o-tbl").replace(b"</detail>", link)
        wire.send(called, event("37060000000-9-1-1", at + timedelta(seconds=19), "b-a-o-can"))
        await wire.pong()
    told = [(row["fix_at"] - at, row["lat"], row["event"]) for row in await tablet.track()]
    assert told == [
        (timedelta(0), 54.7, None), (timedelta(seconds=9), 54.7, "panic"),
        (timedelta(seconds=19), 54.7, "panic_cancelled"),
    ]  # fmt: skip


async def test_events_split_by_byte_and_glued(tablet: Tablet) -> None:
    at = now() - timedelta(minutes=5)
    async with tablet.connected() as wire:
        for byte in event(tablet.name, at):
            wire.send(bytes([byte]))
            await asyncio.sleep(0)
        wire.send(b"".join(event(tablet.name, at + timedelta(seconds=n)) for n in range(50)))
        await wire.pong()
    assert len(await tablet.track()) == 50


async def test_a_broken_event_is_kept_and_costs_no_other(tablet: Tablet) -> None:
    at = now() - timedelta(minutes=5)
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha">]><event uid="x" type="a-f">&a;</event>'
    async with tablet.connected() as wire:
        wire.send(event(tablet.name, at), laughs, b"<event></event>", event(tablet.name, at + timedelta(seconds=9)))
        await wire.pong()
    assert len(await tablet.track()) == 2
    kept = await tablet.fleet.db.fetch("SELECT frame FROM raw_frame WHERE device_id = $1", tablet.device_id)
    assert {row["frame"] for row in kept} == {laughs, b"<event></event>"}


async def test_strangers_and_endless_events_are_cut(tablet: Tablet) -> None:
    stranger = Tablet(tablet.fleet, tablet.port, f"STRANGER-{new_id().hex}", tablet.unit_id, tablet.device_id)
    async with stranger.connected() as wire:
        wire.send(event(stranger.name, now()))
        assert await wire.is_cut()
    async with tablet.connected() as wire:
        wire.send(event(tablet.name, now()))
        await wire.pong()
        wire.send(b"<event>" + b"x" * (2 * MAX_EVENT))
        assert await wire.is_cut()
    async with tablet.connected() as wire:
        wire.send(b"hello</event>")
        assert await wire.is_cut()
    seen = "SELECT n FROM unknown_device WHERE protocol = 'cot' AND identifier = $1"
    await eventually(lambda: tablet.fleet.db.fetchval(seen, stranger.name))


async def test_off_duty_nothing_is_stored_and_nothing_shown(
    running: None, fleet: Fleet, engine: AsyncEngine, settings: Settings
) -> None:
    tablet = await registered(fleet, settings.cot_port, on_duty=False)
    await given_task(engine, tablet.unit_id)
    async with tablet.connected() as wire:
        wire.send(event(tablet.name, now()))
        await wire.pong()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.reader.read(1), 0.5)
    assert await tablet.track() == []


# Out


async def given_task(engine: AsyncEngine, unit_id: UUID, *supports: UUID, **fields: Any) -> UUID:
    made = {
        "kind": "stop_vehicle",
        "priority": "P2",
        "title": "Grey van",
        "instruction": "Stop it",
        "reason_code": "other",
    }
    async with open_work(engine, system("test")) as work:
        task = Task(**made | {"status": "issued", "unit_id": unit_id} | fields)
        work.session.add(task)
        await work.session.flush()
        work.session.add_all(TaskSupport(task_id=task.id, unit_id=each) for each in supports)
    return task.id


async def test_a_tablet_is_shown_its_units_tasks_and_notices_and_with_whom_it_works(
    tablet: Tablet, engine: AsyncEngine, fleet: Fleet
) -> None:
    other, third = await registered(fleet, tablet.port), await registered(fleet, tablet.port)
    for each in (other, third):
        async with each.connected() as wire:
            wire.send(event(each.name, now(), lat=54.9))
            await wire.pong()
    task_id = await given_task(engine, other.unit_id, tablet.unit_id, point="SRID=4326;POINT(25.3 54.8)")
    hidden = await given_task(engine, third.unit_id)
    reader = await person(engine, "officer")
    async with open_work(engine, system("test")) as work:
        notice = Notice(kind="information", priority="P3", headline="Fog", valid_to=now() + timedelta(hours=1))
        work.session.add(notice)
        await work.session.flush()
        work.session.add(NoticeRecipient(notice_id=notice.id, user_id=reader.id, unit_id=tablet.unit_id))
    async with tablet.connected() as wire:
        wire.send(event(tablet.name, now()))
        found = {}
        for _ in range(3):
            shown = await wire.read("")
            found[shown.get("uid", "").split(".")[-2 if "notice" in shown.get("uid", "") else -1]] = shown
        assert found.keys() == {str(task_id), str(other.unit_id), str(notice.id)}, hidden
        assert found[str(task_id)].get("type") == "b-m-p-s-m"
        place = found[str(other.unit_id)].find("point")
        assert place is not None
        assert place.get("lat") == "54.9000000"
        async with open_work(engine, system("test")) as work:
            task = await work.session.get_one(Task, task_id)
            task.status, task.version = "completed", 2
        gone = {(await wire.read("")).get("uid") for _ in range(2)}
        assert gone == {f"outrider.deletion.outrider.{what}" for what in (f"task.{task_id}", f"unit.{other.unit_id}")}
        await fleet.db.execute(
            "UPDATE device SET revoked_at = now(), updated_at = clock_timestamp() WHERE id = $1", tablet.device_id
        )
        await asyncio.sleep(1)
        wire.send(event(tablet.name, now()))
        assert await wire.is_cut()
    audited = "SELECT count(*) FROM audit_event WHERE object_id = 'cot' AND fields->>'device' = $1"
    assert await fleet.db.fetchval(audited, str(tablet.device_id)) == 1


# Mutual TLS


async def test_with_mutual_tls_the_certificate_names_the_tablet(
    database: Database, fleet: Fleet, settings: Settings, tmp_path: Path
) -> None:
    made = Settings(data_dir=tmp_path)
    assert tls.init(made, ["localhost", "127.0.0.1"]) == 0
    folder = tmp_path / "tls"
    assert tls_client.init(made, "../x") == 1
    assert tls_client.init(made, "tablet-7") == 0
    secure = settings.model_copy(
        update={"cot_port": free_port(), "tls_cert": folder / "server.crt", "tls_key": folder / "server.key",
                "cot_client_ca": folder / "ca.crt"}
    )  # fmt: skip
    tablet = await registered(fleet, secure.cot_port, "tablet-7")
    anonymous = ssl.create_default_context(cafile=folder / "ca.crt")
    known = ssl.create_default_context(cafile=folder / "ca.crt")
    key, certificate, others = pkcs12.load_key_and_certificates(
        (folder / "tablet-7.p12").read_bytes(), tls_client.PASSWORD
    )
    assert key is not None
    assert certificate is not None
    assert len(others) == 1
    pem = certificate.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "client.pem").write_bytes(pem)
    known.load_cert_chain(tmp_path / "client.pem")
    at = now() - timedelta(minutes=1)
    async with gateway(secure):
        async with tablet.connected(ssl=known) as wire:
            wire.send(event("ANDROID-own", at), event("a-marker", at + timedelta(seconds=1)))
            await wire.pong()
        with contextlib.suppress(ssl.SSLError):
            async with tablet.connected(ssl=anonymous) as wire:
                wire.send(event("tablet-7", at + timedelta(seconds=2)))
                assert await wire.is_cut()
    assert [row["fix_at"] for row in await tablet.track()] == [at]


@pytest.mark.parametrize("update", [{"cot_client_ca": Path("/nowhere")}, {"database_url": None}])
async def test_settings_that_cannot_hold(settings: Settings, update: dict[str, Any]) -> None:
    with pytest.raises(CannotStart):
        async with gateway(settings.model_copy(update={"cot_port": free_port()} | update)):
            pass
