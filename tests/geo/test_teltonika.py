"""The Teltonika decoder: every vector, events, and whatever a socket may bring; it raises no error but its own."""

import contextlib
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geo.fix import Fix, NoFix
from geo.protocols import teltonika
from geo.protocols.checksum import LONGEST, crc16_ibm
from geo.protocols.receipts import Damaged, DecodeError, Lost
from geo.protocols.teltonika import Contradiction, Message, Unreadable
from tests.geo import vectors
from tests.geo.teltonika_frames import WIDTHS, Parameters, data, framed, record

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
VECTORS = vectors.everywhere("teltonika")
SESSIONS = vectors.load("teltonika_sessions")
FRAMES = [bytes.fromhex(v["payload"]) for v in VECTORS if v["transport"] == "tcp" and v.get("record_count")]


def read(raw: bytes, transport: str = "tcp") -> tuple[Message | str | None, bytes]:
    """What a message holds and what is answered; None when more bytes must come."""
    if transport == "udp":
        sent = teltonika.datagram(raw)
        found = teltonika.decode(sent.data, NOW)
        return found, teltonika.receipt(sent, found.records or 0)
    if raw[:2] == b"\x00\x0f":
        imei = teltonika.hello(raw)
        return imei, teltonika.ACCEPTED if imei else b""
    size = teltonika.frame_bytes(raw)
    if size is None or len(raw) < size:
        return None, b""
    found = teltonika.decode(teltonika.opened(raw[:size]), NOW)
    return found, b"" if found.records is None else teltonika.answer(found.records)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    raw, outcome = bytes.fromhex(vector["payload"]), vector["outcome"]
    try:
        found, answered = read(raw.lstrip(teltonika.PING), vector["transport"])
    except DecodeError:
        assert outcome in {"reject", "ambiguous"}
        return
    if outcome == "reject":
        assert isinstance(found, Message)
        assert found.fixes == []
        return
    if outcome == "incomplete" or found is None:
        assert (found, answered) == (None, b"")
        assert outcome != "positions"
        return
    if outcome == "ambiguous" and not vector["expected"]:
        assert isinstance(found, Message)
        assert found.fixes == []
        return
    assert answered.hex() == vector.get("reply_hex", "")
    if outcome == "login":
        assert found == vector["expected"][0]["device_id"]
        return
    assert isinstance(found, Message)
    assert found.rejected == []
    rows = [msgspec.structs.asdict(fix) for fix in found.fixes]
    vectors.check(vector, rows, NOW)
    assert [not fix.nowhere for fix in found.fixes] == [wanted["valid"] for wanted in vector["expected"]]


@pytest.mark.parametrize("session", SESSIONS, ids=lambda s: s["name"])
def test_conversations(session: dict[str, Any]) -> None:
    found = []
    for step in session["steps"]:
        raw, answered = b"".join(map(bytes.fromhex, step["send_hex"])), b""
        while raw:
            size = 17 if raw[:2] == b"\x00\x0f" else teltonika.frame_bytes(raw) or 0
            try:
                message, more = read(raw[:size])
            except Damaged:
                message, more = None, bytes(4)
            answered, raw = answered + more, raw[size:]
            found += message.fixes if isinstance(message, Message) else []
        assert answered.hex() == step["reply_hex"]
    rows = [msgspec.structs.asdict(fix) for fix in found]
    vectors.check(session | {"outcome": "positions"}, rows, NOW)


def one(**fields: Any) -> Any:
    """The one fix of a record, or the code of why it is rejected."""
    codec = fields.get("codec", 8)
    found = teltonika.decode(data(record(**{"at": NOW} | fields), codec=codec), NOW)
    assert found.records == 1
    return found.fixes[0] if found.fixes else found.rejected[0].code


def test_a_record_becomes_si_units() -> None:
    assert one(kmh=36, io={113: (85, 1), 16: (7, 4)}) == Fix(
        fix_at=NOW, lat=54.7, lon=25.3, altitude_m=100, speed_mps=10, heading_deg=90, satellites=9, battery_pct=85
    )
    fix = one(lon=-71.0633, lat=-33.9, altitude=-3)
    assert (fix.lon, fix.lat, fix.altitude_m) == (-71.0633, -33.9, -3)
    assert one(at=NOW + timedelta(milliseconds=7)).fix_at == NOW + timedelta(milliseconds=7)


def test_what_a_device_cannot_know_is_unknown() -> None:
    fix = one(kmh=0xFFFF, heading=361, altitude=-32768, io={113: (255, 1)})
    assert (fix.speed_mps, fix.heading_deg, fix.altitude_m, fix.battery_pct) == (None, None, None, None)


def test_without_satellites_the_last_place_is_telemetry() -> None:
    fix = one(satellites=0, io={113: (40, 1)})
    assert isinstance(fix, NoFix)
    assert (fix.nowhere, fix.lat, fix.battery_pct) == (True, 54.7, 40)
    assert one(lon=0, lat=0).nowhere


def test_no_time_and_no_place_are_told_apart_from_their_neighbours() -> None:
    good = record(at=NOW)
    found = teltonika.decode(
        data(good, record(at=NOW, lat=90.1), record(at=NOW, lon=-180.1), record(at=NOW.replace(year=2100))), NOW
    )
    assert (found.records, len(found.fixes)) == (4, 1), "the device is told of all, or it would send them for ever"
    assert [(each.index, each.code) for each in found.rejected] == [(1, "lat"), (2, "lat"), (3, "time")]
    assert one(at=datetime(1970, 1, 1, tzinfo=UTC)).fix_at.year == 1970


@pytest.mark.parametrize("codec", [0x08, 0x8E, 0x10])
@pytest.mark.parametrize(
    ("cause", "value", "event"),
    [
        (239, 1, "ignition_on"), (239, 0, "ignition_off"), (236, 1, "panic"), (236, 0, None), (246, 1, "tow"),
        (249, 1, "jamming"), (249, 0, None), (252, 1, "power_cut"), (252, 0, "power_restored"), (247, 3, "crash"),
        (253, 2, "harsh_braking"), (113, 15, "low_battery"), (113, 60, None), (255, 99, "overspeed"), (240, 1, None),
    ],
)  # fmt: skip
def test_events(codec: int, cause: int, value: int, event: str | None) -> None:
    others: Parameters = {21: (3, 1), 66: (12_000, 2), 16: (cause, 4), 78: (1, 8)}
    io = others | {cause: (value, 1)}
    assert one(codec=codec, cause=cause, io=io).event == event
    assert one(codec=codec, cause=0, io=io).event is None, "how things stand is not what happened"
    assert one(codec=codec, cause=cause, io=others).event is None, "the cause is named, but not there"


def test_what_its_owner_gave_the_highest_priority_is_a_panic() -> None:
    assert one(priority=2, cause=1, io={1: (1, 1)}).event == "panic"
    assert one(priority=2).event == "panic"
    assert one(priority=1, cause=1, io={1: (1, 1)}).event is None
    assert one(priority=2, cause=252, io={252: (1, 1)}).event == "power_cut"


def test_wide_ids_and_texts_of_extended_records() -> None:
    io: Parameters = {0x7100: (9, 1), 0x0171: (8, 1), 318: (2, 1), 113: (77, 1)}
    fix = one(codec=0x8E, cause=318, io=io, texts={256: b"WVWZZZ1JZXW000001", 281: b""})
    assert (fix.event, fix.battery_pct) == ("jamming", 77)
    assert one(codec=0x8E, io={0x0171: (8, 1)}).battery_pct is None


def test_commands_are_known_and_hold_no_records() -> None:
    for codec in (0x0C, 0x0D, 0x0E, 0x0F):
        assert teltonika.decode(bytes([codec, 1, 6]) + b"\x00\x00\x00\x02OK\x01", NOW) == Message(None, [], [])


def test_a_frame_that_cannot_be_decoded_says_how_many_records_it_claims() -> None:
    good = record()
    for content, kind in (
        (data(good, good)[:-1] + b"\x03", Contradiction),
        (data(good[:25] + b"\x09" + good[26:]), Contradiction),
        (data(good, good, codec=0x11), Unreadable),
        (data(good)[:20] + b"\x01", Unreadable),
        (data(good, good + b"\x00"), Unreadable),
        (b"\x08\x02\x02", Unreadable),
    ):
        with pytest.raises(Unreadable) as failure:
            teltonika.decode(content, NOW)
        assert type(failure.value) is kind, content.hex()
        assert failure.value.records == content[1]


def test_how_long_a_frame_is() -> None:
    assert teltonika.frame_bytes(b"") is None
    assert teltonika.frame_bytes(bytes(4) + b"\x00\x00\x00") is None
    assert teltonika.frame_bytes(struct.pack(">II", 0, LONGEST)) == LONGEST + 12
    for size in (0, 2, LONGEST + 1, 2**32 - 1):
        with pytest.raises(Lost):
            teltonika.frame_bytes(struct.pack(">II", 0, size))
    with pytest.raises(Lost):
        teltonika.frame_bytes(b"GET ")
    assert teltonika.decode(data(*[record(codec=0x8E)] * 255, codec=0x8E), NOW).records == 255
    assert len(data(*[record(codec=0x8E)] * 255, codec=0x8E)) <= LONGEST


@pytest.mark.parametrize("raw", [b"G", b"\x00\x10", b"\x00\x0f35630704244101x", b"\x00\x0f" + "١".encode() * 8])
def test_who_is_no_device(raw: bytes) -> None:
    with pytest.raises(Lost):
        teltonika.hello(raw)


def slow_crc(content: bytes) -> int:
    """The checksum bit by bit, as it is defined."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


@given(st.binary(max_size=200))
@example(b"123456789")
def test_checksum(content: bytes) -> None:
    assert crc16_ibm(content) == slow_crc(content)
    if content == b"123456789":
        assert crc16_ibm(content) == 0xBB3D


def test_checksum_of_the_longest() -> None:
    content = bytes(n * 37 % 251 for n in range(LONGEST))
    assert crc16_ibm(content) == slow_crc(content)


# Whatever comes

some_io = st.dictionaries(
    st.integers(1, 255), st.sampled_from(WIDTHS).flatmap(lambda w: st.tuples(st.integers(0, 256**w - 1), st.just(w)))
)
some_record = {
    "at": st.datetimes(datetime(1971, 1, 1), datetime(2026, 1, 1)).map(  # noqa: DTZ001 - made aware
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
    ),
    "lon": st.integers(-1_800_000_000, 1_800_000_000).map(lambda n: n / 1e7),
    "lat": st.integers(-900_000_000, 900_000_000).map(lambda n: n / 1e7),
    "satellites": st.integers(0, 255),
    "kmh": st.integers(0, 400),
    "heading": st.integers(0, 360),
    "priority": st.integers(0, 2),
    "cause": st.integers(0, 255),
    "io": some_io,
}


@given(st.sampled_from([0x08, 0x8E, 0x10]), st.lists(st.fixed_dictionaries(some_record), max_size=6))
def test_what_is_written_is_read(codec: int, sent: list[dict[str, Any]]) -> None:
    content = data(*(record(codec, **fields) for fields in sent), codec=codec)
    found = teltonika.decode(teltonika.opened(framed(content)), NOW)
    assert (found.records, found.rejected) == (len(sent), [])
    for fix, fields in zip(found.fixes, sent, strict=True):
        assert (fix.fix_at, fix.lat, fix.lon) == (fields["at"], fields["lat"], fields["lon"])
        assert (fix.satellites, fix.heading_deg) == (fields["satellites"], fields["heading"])
        assert fix.speed_mps == pytest.approx(fields["kmh"] / 3.6)
        charge, width = fields["io"].get(113, (None, 1))
        assert fix.battery_pct == (charge if width == 1 and charge is not None and charge <= 100 else None)


@given(st.binary(max_size=300))
@example(b"\x00\x00\x00\x00\xff\xff\xff\xff")
@example(b"\x8e\x01" + b"\xff" * 60 + b"\x01")
def test_random_bytes_raise_nothing_else(raw: bytes) -> None:
    for attempt in (
        lambda: teltonika.hello(raw),
        lambda: teltonika.frame_bytes(raw),
        lambda: teltonika.datagram(raw),
        lambda: teltonika.decode(raw.ljust(3, b"\0"), NOW),
        lambda: teltonika.decode(bytes([0x8E, 3]) + raw + b"\x03", NOW),
        lambda: teltonika.decode(b"\x08\x02" + raw + b"\x02", NOW),
        lambda: teltonika.opened(framed(raw)[:-1] + b"\x00"),
    ):
        with contextlib.suppress(DecodeError):
            attempt()


@given(st.sampled_from(FRAMES), st.data())
def test_changed_and_cut_frames(frame: bytes, drawn: st.DataObject) -> None:
    """A changed byte is noticed by the checksum; cut anywhere, a frame waits for the rest."""
    place, bit = drawn.draw(st.integers(8, len(frame) - 5)), drawn.draw(st.integers(0, 7))
    changed = bytearray(frame)
    changed[place] ^= 1 << bit
    with pytest.raises(Damaged):
        teltonika.opened(bytes(changed))
    with contextlib.suppress(DecodeError):
        teltonika.decode(bytes(changed[8:-4]), NOW)
    cut = drawn.draw(st.integers(0, len(frame) - 1))
    assert teltonika.frame_bytes(frame[:cut]) in {None, len(frame)}
    assert teltonika.frame_bytes(frame + frame[:cut]) == len(frame)
