"""The gateway on real sockets over real PostGIS: what trackers send, and exactly what they are answered."""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.settings import Settings
from dispatch_api.gateway import desk, line
from dispatch_api.gateway.line import READ_BYTES, WAITING_BYTES, Line, Lines
from dispatch_api.gateway.server import gateway
from dispatch_api.process import tls
from geo.fix import Fix
from tests import module_wide
from tests.dispatch_api.gateway_trackers import ACCEPTED, REFUSED, Tracker, datagram, registered
from tests.geo import vectors
from tests.geo.fleet import Fleet, now
from tests.geo.teltonika_frames import data, frame, framed, hello, record
from tests.helpers import Database, eventually, free_port

database = module_wide.database


@pytest.fixture(scope="module")
def settings(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        database_url=database.app_url, owner_database_url=database.owner_url, ingest_database_url=database.ingest_url,
        data_dir=tmp_path_factory.mktemp("gateway"), teltonika_port=free_port(),
    )  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lines(settings: Settings) -> AsyncIterator[Lines]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("geo.positions.COUNTS_EVERY_S", 0.2)
        async with gateway(settings) as running:
            yield running


@pytest_asyncio.fixture
async def tracker(lines: Lines, fleet: Fleet, settings: Settings) -> Tracker:
    return await registered(fleet, settings)


def in_order(vector: dict[str, Any]) -> dict[str, Any]:
    return vector | {"expected": sorted(vector["expected"], key=lambda wanted: wanted["time"])}


# Vectors


async def test_every_vector_over_tcp(lines: Lines, fleet: Fleet, settings: Settings) -> None:
    chosen = [v for v in vectors.load("teltonika") if v["transport"] == "tcp" and v["variant"] != "login"]
    trackers = [await registered(fleet, settings) for _ in chosen]
    for vector, tracker in zip(chosen, trackers, strict=True):
        reply = bytes.fromhex(vector.get("reply_hex", ""))
        async with tracker.known() as wire:
            assert await wire.say(bytes.fromhex(vector["payload"]), len(reply)) == reply, vector["name"]
            if vector["outcome"] in {"incomplete", "no_positions"}:
                assert await wire.is_silent(0.05), vector["name"]
        if vector["outcome"] == "incomplete":
            continue
        rows = await tracker.track()
        vectors.check(in_order(vector), rows, now())
        if rows:
            trusted = [wanted["valid"] for wanted in in_order(vector)["expected"]]
            assert [row["suspect"] != "no_fix" for row in rows] == trusted, vector["name"]


async def test_every_vector_over_udp(lines: Lines, fleet: Fleet, settings: Settings) -> None:
    chosen = [v for v in vectors.load("teltonika") if v["transport"] == "udp"]
    named = {v["name"]: v.get("imei") or v["expected"][0]["device_id"] for v in chosen if v["expected"]}
    trackers = {imei: await registered(fleet, settings, imei) for imei in set(named.values())}
    for vector in chosen:
        reply = bytes.fromhex(vector.get("reply_hex", ""))
        assert await datagram(settings, bytes.fromhex(vector["payload"]), wanted=bool(reply)) == reply, vector["name"]
        for wanted in vector["expected"]:
            rows = await trackers[named[vector["name"]]].track()
            same = [row for row in rows if row["fix_at"].isoformat()[:19] == wanted["time"][:19]]
            vectors.check(vector, same, now())
    assert sum([len(await tracker.track()) for tracker in trackers.values()]) == sum(len(v["expected"]) for v in chosen)


@pytest.mark.parametrize("session", vectors.load("teltonika_sessions"), ids=lambda s: s["name"])
async def test_every_conversation(lines: Lines, fleet: Fleet, settings: Settings, session: dict[str, Any]) -> None:
    tracker = await registered(fleet, settings, session["imei"])
    async with tracker.connected() as wire:
        for step in session["steps"]:
            reply = bytes.fromhex(step["reply_hex"])
            assert await wire.say(b"".join(map(bytes.fromhex, step["send_hex"])), len(reply)) == reply
    vectors.check(in_order(session | {"outcome": "positions"}), await tracker.track(), now())


@pytest.mark.parametrize("vector", [v for v in vectors.load("teltonika") if v["variant"] == "login"])
async def test_every_hello(lines: Lines, fleet: Fleet, settings: Settings, vector: dict[str, Any]) -> None:
    tracker = await registered(fleet, settings, vector["expected"][0]["device_id"] if vector["expected"] else None)
    async with tracker.connected() as wire:
        assert (await wire.say(bytes.fromhex(vector["payload"]), 1)).hex() == vector["reply_hex"]


# A conversation


async def test_bytes_may_come_one_by_one_or_all_at_once(tracker: Tracker) -> None:
    begin = now() - timedelta(minutes=10)
    frames = [frame(begin + timedelta(minutes=n), 3, codec=codec) for n, codec in enumerate((0x08, 0x8E, 0x10))]
    async with tracker.connected() as wire:
        for byte in hello(tracker.imei) + frames[0]:
            wire.writer.write(bytes([byte]))
            await wire.writer.drain()
            await asyncio.sleep(0)
        assert await wire.say(b"", 5) == ACCEPTED + b"\0\0\0\3"
    assert len(await tracker.track()) == 3
    async with tracker.connected() as wire:
        glued = hello(tracker.imei) + b"\xff".join([b"", *frames, frames[1][:20]])
        assert await wire.say(glued, 13) == ACCEPTED + b"\0\0\0\3" * 3
        assert await wire.say(frames[1][20:] + b"\xff") == b"\0\0\0\3"
    assert len(await tracker.track()) == 9
    latest = await tracker.fleet.latest(tracker.unit_id)
    assert latest is not None
    assert latest["fix_at"] == begin + timedelta(minutes=2, seconds=2)


async def test_what_is_answered_is_stored_already(tracker: Tracker) -> None:
    async with tracker.known() as wire:
        for n in range(5):
            assert await wire.say(frame(now() - timedelta(minutes=9 - n), 2)) == b"\0\0\0\2"
            assert len(await tracker.track()) == 2 * (n + 1)


async def test_a_damaged_frame_is_asked_for_again(tracker: Tracker) -> None:
    good = frame(now(), 2)
    async with tracker.known() as wire:
        assert await wire.say(good[:30] + bytes([good[30] ^ 4]) + good[31:]) == bytes(4)
        assert await tracker.track() == []
        assert await wire.say(good) == b"\0\0\0\2"
    assert (len(await tracker.track()), await tracker.raw()) == (2, [])


async def test_the_same_again_counts_once(tracker: Tracker) -> None:
    sent = frame(now(), 4)
    for _ in range(3):
        async with tracker.known() as wire:
            assert await wire.say(sent) == b"\0\0\0\4"
    assert len(await tracker.track()) == 4


async def test_off_duty_is_answered_and_not_kept(lines: Lines, fleet: Fleet, settings: Settings) -> None:
    tracker = await registered(fleet, settings, on_duty=False)
    async with tracker.known() as wire:
        assert await wire.say(frame(now(), 2)) == b"\0\0\0\2"
        assert await wire.say(framed(data(record(), codec=0x55))) == b"\0\0\0\1"
    assert (await tracker.track(), await tracker.raw()) == ([], [])


async def test_a_frame_nobody_can_decode_does_not_block_its_vehicle(tracker: Tracker) -> None:
    poison = framed(data(record(), record(), codec=0x55))
    async with tracker.known() as wire:
        for _ in range(2):
            assert await wire.say(poison) == b"\0\0\0\2"
        assert await wire.say(frame(now())) == b"\0\0\0\1"
    (kept,) = await tracker.raw()
    assert (kept["frame"], kept["unit_id"], kept["error"]) == (poison, tracker.unit_id, "Codec 85 is not known.")
    assert len(await tracker.track()) == 1

    async def rejected() -> bool:
        counted = "SELECT sum(rejected) FROM ingest_count WHERE device_id = $1"
        return bool(await tracker.fleet.db.fetchval(counted, tracker.device_id) == 2)

    await eventually(rejected)


async def test_a_frame_that_contradicts_itself_is_asked_for_once_more(tracker: Tracker) -> None:
    wrong = framed(data(record(), record())[:-1] + b"\x03")
    async with tracker.known() as wire:
        assert await wire.say(wrong) == bytes(4)
    async with tracker.known() as wire:
        assert await wire.say(wrong) == b"\0\0\0\2"
    assert len(await tracker.raw()) == 1


# Who may


async def test_a_revoked_device_is_cut(tracker: Tracker) -> None:
    async with tracker.known() as wire:
        assert await wire.say(frame(now())) == b"\0\0\0\1"
        await tracker.fleet.db.execute(
            "UPDATE device SET revoked_at = now(), updated_at = clock_timestamp() WHERE id = $1", tracker.device_id
        )
        await asyncio.sleep(1.2)
        assert await wire.say(frame(now())) == b""
    async with tracker.connected() as wire:
        assert await wire.say(hello(tracker.imei), 1) == REFUSED


async def test_of_three_connections_the_oldest_goes(tracker: Tracker) -> None:
    async with tracker.known() as oldest, tracker.known() as older, tracker.known() as newest:
        assert await oldest.say(b"", 1) == b""
        for wire in (older, newest):
            assert await wire.say(frame(now())) == b"\0\0\0\1"


# Foes and faults


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\x00\x00\x00\x00\x00\x00\x00\x36", b"\xff\xff",
        b"\x00\x0f" + b"9" * 14 + b"x",
    ],
)  # fmt: skip
async def test_who_does_not_begin_with_an_imei_is_cut(tracker: Tracker, sent: bytes) -> None:
    async with tracker.connected() as wire:
        assert await wire.say(sent, 2) == REFUSED


@pytest.mark.parametrize("size", [0, 2, 10_000, 2**32 - 1])
async def test_a_length_that_cannot_be_ends_the_connection(tracker: Tracker, size: int) -> None:
    async with tracker.known() as wire:
        assert await wire.say(struct.pack(">II", 0, size)) == b""


async def test_half_open_connections_hurt_nobody(tracker: Tracker, lines: Lines) -> None:
    async with contextlib.AsyncExitStack() as idle, tracker.known() as steady:
        for n in range(200):
            wire = await idle.enter_async_context(tracker.connected())
            wire.writer.write((b"", b"\x00", b"\x00\x0f350")[n % 3])
        assert len(lines) > 200
        for n in range(5):
            async with asyncio.timeout(2):
                assert await steady.say(frame(now() - timedelta(minutes=n))) == b"\0\0\0\1"


async def test_the_silent_and_the_slow_are_cut(tracker: Tracker, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "HELLO_S", 0.5)
    monkeypatch.setattr(line, "MESSAGE_S", 0.5)
    async with tracker.connected() as nameless, tracker.known() as slow, tracker.known() as steady:
        began = asyncio.get_running_loop().time()
        nameless.writer.write(b"\x00")
        with contextlib.suppress(ConnectionError):
            for byte in frame(now()):
                slow.writer.write(bytes([byte]))
                await slow.writer.drain()
                await asyncio.sleep(0.1)
        assert await nameless.say(b"", 1) == b""
        assert await slow.say(b"", 1) == b""
        assert asyncio.get_running_loop().time() - began < 8
        assert await steady.say(frame(now())) == b"\0\0\0\1"
    assert lines.cut >= 2


async def test_memory_is_bounded_while_the_database_stands_still(
    tracker: Tracker, lines: Lines, database: Database
) -> None:
    async with tracker.known() as warm:
        assert await warm.say(frame(now() - timedelta(minutes=1))) == b"\0\0\0\1"
    owner = await database.owner()
    async with tracker.known() as wire, owner.transaction():
        await owner.execute("LOCK TABLE position IN EXCLUSIVE MODE")
        many = [frame(now() - timedelta(hours=1, seconds=30 * n), 25) for n in range(400)]
        wire.writer.write(b"".join(many))

        def paused() -> list[Line]:
            return [each for each in lines._open if each.identifier == tracker.imei and each._is_paused]

        (held,) = await eventually(paused)
        await asyncio.sleep(0.3)
        assert WAITING_BYTES < len(held.pending) <= WAITING_BYTES + READ_BYTES
    async with tracker.known() as wire:
        assert await wire.say(frame(now())) == b"\0\0\0\1"
    await owner.close()


async def test_more_than_the_writer_takes_wait_for_their_turn(
    tracker: Tracker, lines: Lines, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "ROWS_AT_ONCE", 30)
    other = await registered(tracker.fleet, tracker.settings)
    begin = now() - timedelta(hours=1)
    owner = await database.owner()
    async with tracker.known() as one, tracker.known() as two, other.known() as three, other.known() as four:
        async with owner.transaction():
            await owner.execute("LOCK TABLE position IN EXCLUSIVE MODE")
            asked = [
                asyncio.create_task(wire.say(frame(begin + timedelta(minutes=n), 25) * 3, 12))
                for n, wire in enumerate((one, two, three, four))
            ]
            await asyncio.sleep(0.5)
            assert not any(task.done() for task in asked)
        assert await asyncio.gather(*asked) == [b"\0\0\0\x19" * 3] * 4
    await owner.close()
    assert len(await tracker.track()) == len(await other.track()) == 50


async def test_who_goes_as_its_turn_comes_takes_no_room_along(
    tracker: Tracker, lines: Lines, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "ROWS_AT_ONCE", 30)
    async with tracker.known() as wire:
        assert await wire.say(frame(now())) == b"\0\0\0\1"
        counter = next(line.desk for line in lines._open if line.identifier == tracker.imei)
    while counter._rows:  # what trackers of tests before had on its way
        await asyncio.sleep(0.05)
    device = await counter.duty.find_named("teltonika", tracker.imei)
    assert device is not None
    fixes = [Fix(fix_at=now() - timedelta(minutes=n), lon=25.3, lat=54.7) for n in range(1, 61)]
    owner = await database.owner()
    async with owner.transaction():
        await owner.execute("LOCK TABLE position IN EXCLUSIVE MODE")
        first, second = (counter.stored(device, half, [], 0) for half in (fixes[:30], fixes[30:]))
        first.add_done_callback(lambda _: second.cancel())  # after its turn was given to it, and before it knows
        await asyncio.sleep(0.1)
    await owner.close()
    await asyncio.wait([first, second])
    assert (second.cancelled(), counter._rows) == (True, 0)


async def test_a_lost_database_answers_nobody_and_loses_nothing(tracker: Tracker, database: Database) -> None:
    sent = frame(now(), 3)
    owner = await database.owner()
    async with tracker.known() as wire:
        assert await wire.say(frame(now() - timedelta(minutes=1))) == b"\0\0\0\1"
        async with owner.transaction():
            await owner.execute("LOCK TABLE position IN EXCLUSIVE MODE")
            asked = asyncio.ensure_future(wire.say(sent))
            await asyncio.sleep(0.3)
            assert not asked.done(), "nothing is answered before it is committed"
            await owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'outrider writer' AND datname = current_database()"
            )
            assert await asked == b""
    await owner.close()
    assert len(await tracker.track()) == 1
    async with tracker.known() as wire:
        assert await wire.say(sent) == b"\0\0\0\3"
    assert len(await tracker.track()) == 4


@pytest.fixture
def secured(tracker: Tracker, tmp_path: Path) -> Tracker:
    """The tracker, of a gateway with TLS and room for two."""
    folder = tmp_path / "tls"
    assert tls.init(Settings(data_dir=folder), ["localhost", "127.0.0.1"]) == 0
    (certificate,), (key,) = (list(folder.rglob(name)) for name in ("server.crt", "server.key"))
    settings = tracker.settings.model_copy(update={
        "teltonika_port": free_port(), "teltonika_tls": True, "tls_cert": certificate, "tls_key": key,
        "gateway_connections": 2,
    })  # fmt: skip
    return Tracker(tracker.fleet, settings, tracker.imei, tracker.unit_id, tracker.device_id)


@pytest.fixture
def trusting(secured: Tracker) -> ssl.SSLContext:
    assert secured.settings.tls_cert
    return ssl.create_default_context(cafile=secured.settings.tls_cert.with_name("ca.crt"))


async def test_over_tls(secured: Tracker, trusting: ssl.SSLContext) -> None:
    async with gateway(secured.settings), secured.connected(ssl=trusting) as wire:
        assert await wire.say(hello(secured.imei) + frame(now(), 2), 5) == ACCEPTED + b"\0\0\0\2"
    assert len(await secured.track()) == 2


async def test_handshakes_under_way_take_the_room_of_lines_and_give_it_back(
    secured: Tracker, trusting: ssl.SSLContext
) -> None:
    """Else connections that never say a word of TLS are bounded by the kernel alone."""
    address = "127.0.0.1", secured.settings.teltonika_port
    async with gateway(secured.settings) as lines:
        mute = [(await asyncio.open_connection(*address))[1] for _ in range(2)]
        await eventually(lambda: len(lines) == 2)
        with pytest.raises(ConnectionError):
            async with secured.connected(ssl=trusting):
                pass
        mute[0].write(b"GET / HTTP/1.1\r\n\r\n")
        await eventually(lambda: len(lines) == 1)
        async with secured.connected(ssl=trusting) as wire:
            assert await wire.say(hello(secured.imei) + frame(now(), 2), 5) == ACCEPTED + b"\0\0\0\2"
            assert len(lines) == 2
        mute[1].close()
        await eventually(lambda: len(lines) == 0)
        mute[0].close()
