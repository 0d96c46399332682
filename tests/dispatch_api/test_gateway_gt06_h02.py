"""GT06 and H02 trackers on real sockets over real PostGIS: every vector, conversations, and who is not answered."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from core.settings import Settings
from dispatch_api.gateway.line import READ_BYTES, WAITING_BYTES, Lines
from dispatch_api.gateway.server import gateway
from geo.protocols import gt06 as gt06_frame
from geo.protocols import h02
from tests import module_wide
from tests.dispatch_api.gateway_trackers import Tracker, Udp, Wire, imeis, registered
from tests.geo import vectors
from tests.geo.fleet import Fleet, now
from tests.geo.gt06_frames import BOXED_CELL, CELL, framed, login, place
from tests.helpers import Database, eventually, free_port

HEARTBEAT = framed(0x13, bytes(5), 9)
ALIVE = framed(0x13, serial=9)
POISON = framed(0x5A, b"what is this", 7)
Register = Callable[..., Any]

database = module_wide.database


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lines(settings: Settings) -> AsyncIterator[Lines]:
    async with gateway(settings) as running:
        yield running


@pytest.fixture(scope="module")
def settings(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        ingest_database_url=database.ingest_url, data_dir=tmp_path_factory.mktemp("gateway"), teltonika_port=0,
        gt06_port=free_port(), h02_port=free_port(),
    )  # fmt: skip


@pytest_asyncio.fixture
async def fleet(database: Database, lines: Lines) -> AsyncIterator[Fleet]:
    db = await database.owner()
    yield Fleet(db)
    await db.close()


@pytest_asyncio.fixture
async def gt06(fleet: Fleet, settings: Settings) -> Tracker:
    return await registered(fleet, settings, protocol="gt06")


@pytest_asyncio.fixture
async def h02_tracker(fleet: Fleet, settings: Settings) -> Tracker:
    return await registered(fleet, settings, protocol="h02")


async def check(tracker: Tracker, vector: dict[str, Any]) -> None:
    rows = await tracker.track()
    vectors.check(vector, rows, now())
    if vector["outcome"] == "positions":
        assert [row["suspect"] != "no_fix" for row in rows] == [each["valid"] for each in vector["expected"]]


def spot(at: datetime, serial: int = 1) -> bytes:
    return framed(0x12, place(at) + CELL, serial)


def v1(name: str, at: datetime, status: int = 0xFFFFFFFF) -> bytes:
    return f"*HQ,{name},V1,{at:%H%M%S},A,5441.1,N,02516.2,E,10.00,90,{at:%d%m%y},{status:08X}#".encode()


async def until(wire: Wire, end: bytes) -> bytes:
    async with asyncio.timeout(10):
        return await wire.reader.readuntil(end)


def some(minutes: int = 10) -> datetime:
    return now().replace(microsecond=0) - timedelta(minutes=minutes)


def renamed(vector: dict[str, Any]) -> tuple[bytes, str]:
    """The message of a vector in the name of another device: several are of the same."""
    is_hex = vector["payload_encoding"] == "hex"
    raw = bytes.fromhex(vector["payload"]) if is_hex else vector["payload"].encode()
    known = h02.identifier(raw[: h02.frame_bytes(raw)], now())
    name = next(imeis)[-len(known or "0123456789") :]
    renamed = vector["payload"].replace(known or "*HQ,", name if known else f"*HQ,{name}", 1)
    return bytes.fromhex(renamed) if is_hex else renamed.encode(), name


# Vectors


@pytest.mark.parametrize("vector", vectors.load("gt06"), ids=lambda v: v["name"])
async def test_gt06_vectors(vector: dict[str, Any], fleet: Fleet, settings: Settings) -> None:
    raw, reply = bytes.fromhex(vector["payload"]), bytes.fromhex(vector.get("reply_hex", ""))
    named = vector["expected"][0]["device_id"] if vector["outcome"] == "login" else next(imeis)
    tracker = await registered(fleet, settings, named, protocol="gt06")
    async with tracker.connected() as wire:
        if vector["outcome"] != "login":
            assert await wire.say(login(named), 10) == framed(1)
        wire.writer.write(raw + HEARTBEAT)
        answered = (await until(wire, ALIVE)).removesuffix(ALIVE)
    assert answered == (reply or gt06_frame.answer(gt06_frame.opened(raw), now()) if vector["crc_ok"] else b"")
    if vector["outcome"] != "login":
        await check(tracker, vector)


@pytest.mark.parametrize("vector", vectors.load("h02"), ids=lambda v: v["name"])
async def test_h02_vectors(vector: dict[str, Any], fleet: Fleet, settings: Settings) -> None:
    raw, name = renamed(vector)
    tracker = await registered(fleet, settings, name, protocol="h02")
    async with tracker.connected() as wire:
        wire.writer.write(raw + f"*HQ,{name},HTBT#".encode())
        answered = await until(wire, b"HTBT#")
    kind = raw.split(b",")[2] if raw.startswith(b"*") else b""
    assert (b",V4," in answered) is (kind in {b"V1", b"NBR"})
    await check(tracker, vector)


async def test_vectors_over_udp(fleet: Fleet, settings: Settings) -> None:
    for vector in vectors.load("gt06"):
        if vector["outcome"] == "positions":
            tracker = await registered(fleet, settings, protocol="gt06")
            with Udp(settings.gt06_port) as udp:
                assert await udp.say(login(tracker.imei)) == framed(1)
                assert (await udp.say(bytes.fromhex(vector["payload"]) + HEARTBEAT)).endswith(ALIVE)
            await check(tracker, vector)
    for vector in vectors.load("h02"):
        if vector["outcome"] == "positions":
            raw, name = renamed(vector)
            tracker = await registered(fleet, settings, name, protocol="h02")
            with Udp(settings.h02_port) as udp:
                assert (await udp.say(raw + f"*HQ,{name},HTBT#".encode())).endswith(b"HTBT#")
            await check(tracker, vector)


# Conversations


async def test_gt06_bytes_may_come_one_by_one_or_all_at_once(gt06: Tracker) -> None:
    at = some()
    talk = [login(gt06.imei), spot(at, 2), HEARTBEAT, framed(0x22, place(at + timedelta(seconds=1)) + CELL, 3)]
    answers = framed(1) + framed(0x12, serial=2) + ALIVE + framed(0x22, serial=3)
    async with gt06.connected() as wire:
        for byte in b"".join(talk):
            wire.writer.write(bytes([byte]))
            await wire.writer.drain()
            await asyncio.sleep(0)
        assert await wire.say(b"", len(answers)) == answers
    async with gt06.connected() as wire:
        assert await wire.say(b"".join(talk), len(answers)) == answers
        assert await wire.say(b"\r\n?" + spot(at + timedelta(seconds=2), 5)[:20], 0) == b""
        rest = spot(at + timedelta(seconds=2), 5)[20:]
        assert await wire.say(rest, 10) == framed(0x12, serial=5)
    rows = await gt06.track()
    assert [row["fix_at"] for row in rows] == [at + timedelta(seconds=n) for n in range(3)]
    assert rows[0]["speed_mps"] == pytest.approx(10)


async def test_h02_bytes_may_come_one_by_one_or_all_at_once(h02_tracker: Tracker) -> None:
    name, at = h02_tracker.imei, some()
    digits = f"24{name}0{at:%H%M%S%d%m%y}54411000000251620{'00'}e010090ffffffff"
    talk = [v1(name, at), bytes.fromhex(digits.replace(f"{at:%H%M%S}", f"{at + timedelta(seconds=1):%H%M%S}", 1))]
    talk += [b"\x24\xe2\x2a\x99\x00", b"\r\n", f"*HQ,{name},HTBT,90#".encode()]
    for send in (lambda whole: [bytes([byte]) for byte in whole], lambda whole: [whole]):
        async with h02_tracker.connected() as wire:
            for part in send(b"".join(talk)):
                wire.writer.write(part)
                await wire.writer.drain()
                await asyncio.sleep(0)
            answered = await until(wire, f"*HQ,{name},HTBT#".encode())
            assert answered.startswith(f"*HQ,{name},V4,V1,".encode())
    rows = await h02_tracker.track()
    assert [row["fix_at"] for row in rows] == [at, at + timedelta(seconds=1)]
    assert {(row["lat"], row["heading_deg"]) for row in rows} == {(54.685, 90)}


async def test_what_is_answered_is_stored_already(gt06: Tracker, h02_tracker: Tracker) -> None:
    async with gt06.connected() as wire:
        await wire.say(login(gt06.imei), 10)
        for n in range(3):
            assert await wire.say(spot(some(9 - n), n), 10) == framed(0x12, serial=n)
            assert len(await gt06.track()) == n + 1
    async with h02_tracker.connected() as wire:
        for n in range(3):
            wire.writer.write(v1(h02_tracker.imei, some(9 - n)))
            await until(wire, b"#")
            assert len(await h02_tracker.track()) == n + 1


async def test_a_login_tells_the_zone_of_the_times(gt06: Tracker) -> None:
    at = some()
    async with gt06.connected() as wire:
        assert await wire.say(login(gt06.imei, 300 << 4) + spot(at + timedelta(hours=3)), 20)
    with Udp(gt06.settings.gt06_port) as udp:
        await udp.say(login(gt06.imei, 200 << 4 | 8))
        await udp.say(spot(at - timedelta(hours=2, seconds=-1)))
    assert [row["fix_at"] for row in await gt06.track()] == [at, at + timedelta(seconds=1)]


async def test_a_damaged_frame_is_not_answered(gt06: Tracker) -> None:
    good = spot(some(), 4)
    async with gt06.connected() as wire:
        wire.writer.write(login(gt06.imei) + good[:12] + bytes([good[12] ^ 4]) + good[13:] + HEARTBEAT)
        assert await until(wire, ALIVE) == framed(1) + ALIVE
        assert await gt06.track() == []
        assert await wire.say(good, 10) == framed(0x12, serial=4)
    assert (len(await gt06.track()), await gt06.raw()) == (1, [])


async def test_a_frame_nobody_can_decode_is_kept_and_answered(gt06: Tracker, h02_tracker: Tracker) -> None:
    async with gt06.connected() as wire:
        assert await wire.say(login(gt06.imei) + POISON * 2, 30) == framed(1) + framed(0x5A, serial=7) * 2
        assert await wire.say(spot(some()), 10) == framed(0x12)
    (kept,) = await gt06.raw()
    assert (kept["frame"], kept["error"]) == (POISON, "Kind 0x5a is not known.")
    wrong = v1(h02_tracker.imei, some()).replace(b"5441.1", b"54x1.1")
    async with h02_tracker.connected() as wire:
        wire.writer.write(wrong)
        assert b",V4,V1," in await until(wire, b"#")
    (kept,) = await h02_tracker.raw()
    assert (kept["frame"], kept["error"]) == (wrong, "'54x1.1' is no angle.")


async def test_events_are_stored_with_the_fix(gt06: Tracker, h02_tracker: Tracker) -> None:
    alarm = framed(0x26, place(some()) + BOXED_CELL + b"\x44\x06\x04\x01\x02", 2)
    async with gt06.connected() as wire:
        assert await wire.say(login(gt06.imei) + alarm, 20) == framed(1) + framed(0x26, serial=2)
    assert [(row["event"], row["suspect"]) for row in await gt06.track()] == [("panic", None)]
    on, off = 0xFFFFFFFF, 0xFFFFFFFF & ~(1 << 19)
    for n, status in enumerate((on, off, off, on, on & ~2, on & ~2)):
        async with h02_tracker.connected() as wire:  # what was before is known to the gateway, not to a connection
            wire.writer.write(v1(h02_tracker.imei, some(9 - n), status))
            await until(wire, b"#")
    events = [row["event"] for row in await h02_tracker.track()]
    assert events == [None, "power_cut", None, None, "panic", None]


async def test_off_duty_is_answered_and_not_kept(fleet: Fleet, settings: Settings) -> None:
    tracker = await registered(fleet, settings, on_duty=False, protocol="gt06")
    async with tracker.connected() as wire:
        assert len(await wire.say(login(tracker.imei) + spot(some()) + POISON, 30)) == 30
    assert (await tracker.track(), await tracker.raw()) == ([], [])


async def test_one_connection_may_speak_for_several_h02_devices(fleet: Fleet, settings: Settings) -> None:
    trackers, at = [await registered(fleet, settings, protocol="h02") for _ in range(2)], some()
    async with trackers[0].connected() as wire:
        for tracker in trackers * 2:
            wire.writer.write(v1(tracker.imei, at))
            assert tracker.imei.encode() in await until(wire, b"#")
    assert [len(await tracker.track()) for tracker in trackers] == [1, 1]


# Who may


async def test_an_unknown_device_is_not_answered_and_listed(fleet: Fleet, settings: Settings) -> None:
    for protocol, sent in (("gt06", login), ("h02", lambda name: v1(name, some()))):
        name = next(imeis)
        nobody = Tracker(fleet, settings, name, UUID(int=0), UUID(int=0), protocol)
        async with nobody.connected() as wire:
            assert await wire.say(sent(name), 1) == b""
        with Udp(getattr(settings, f"{protocol}_port")) as udp:
            assert await udp.say(sent(name), wanted=False) == b""

        async def both(name: str = name, protocol: str = protocol) -> bool:
            listed = "SELECT n FROM unknown_device WHERE protocol = $1 AND identifier = $2"
            return bool(await fleet.db.fetchval(listed, protocol, name) == 2)

        await eventually(both, 8)


async def test_without_a_login_nothing_is_answered(gt06: Tracker) -> None:
    with Udp(gt06.settings.gt06_port) as udp:
        assert await udp.say(spot(some()), wanted=False) == b""
    async with gt06.connected() as wire:
        wire.writer.write(spot(some()) + login(gt06.imei))
        assert await wire.say(b"", 10) == framed(1)
        assert await wire.say(login(next(imeis)), 1) == b"", "nor is another device on the same connection"
    assert await gt06.track() == []


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02", b"yy\xff\xff" + bytes(9_800)])
async def test_who_speaks_otherwise_is_cut(gt06: Tracker, h02_tracker: Tracker, sent: bytes) -> None:
    for tracker in (gt06, h02_tracker):
        async with tracker.connected() as wire:
            assert await wire.say(sent, 1) == b""


async def test_an_endless_message_is_cut(gt06: Tracker, h02_tracker: Tracker) -> None:
    async with gt06.connected() as wire:
        assert await wire.say(login(gt06.imei), 10) == framed(1)
        assert await wire.say(b"yy" + struct.pack(">H", 65_535) + bytes(9_800), 1) == b""
    async with h02_tracker.connected() as wire:
        wire.writer.write(v1(h02_tracker.imei, some()))
        await until(wire, b"#")
        assert await wire.say(b"*HQ," + b"1" * 2_100, 1) == b""


async def test_the_hostile_hurt_nobody_beside_them(gt06: Tracker, h02_tracker: Tracker, lines: Lines) -> None:
    """Half-open connections, messages without end, and one that comes byte by byte."""
    beginnings = (b"", b"x", b"yy\xff\xff", b"*", b"*HQ,12", login(gt06.imei)[:5], b"yy\xff\xff" + bytes(9_000))
    async with contextlib.AsyncExitStack() as open_:
        steady, other = [await open_.enter_async_context(each.connected()) for each in (gt06, h02_tracker)]
        assert await steady.say(login(gt06.imei), 10) == framed(1)
        enemies = [await open_.enter_async_context((gt06, h02_tracker)[n % 2].connected()) for n in range(200)]
        for n, wire in enumerate(enemies):
            wire.writer.write(beginnings[n % len(beginnings)])
        for serial in range(1, 6):
            for wire in enemies[:14]:
                wire.writer.write(b"\0")
            async with asyncio.timeout(2):
                assert await steady.say(spot(some(serial), serial), 10) == framed(0x12, serial=serial)
                other.writer.write(v1(h02_tracker.imei, some(serial)))
                assert (await until(other, b"#")).startswith(b"*HQ,")
        assert max(len(line.pending) for line in lines._open) <= WAITING_BYTES + READ_BYTES
    assert (len(await gt06.track()), len(await h02_tracker.track())) == (5, 5)


async def test_a_revoked_device_is_cut(gt06: Tracker, h02_tracker: Tracker) -> None:
    async with gt06.connected() as one, h02_tracker.connected() as other:
        await one.say(login(gt06.imei), 10)
        other.writer.write(v1(h02_tracker.imei, some()))
        await until(other, b"#")
        await gt06.fleet.db.execute(
            "UPDATE device SET revoked_at = now(), updated_at = clock_timestamp() WHERE id = ANY($1)",
            [gt06.device_id, h02_tracker.device_id],
        )
        await asyncio.sleep(1.2)
        assert await one.say(spot(some()), 1) == b""
        assert await other.say(v1(h02_tracker.imei, some(1)), 1) == b""
