"""The GT06 decoder: every vector, the variants of its models, events, and whatever a socket may bring."""

import contextlib
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geo.fix import Fix, NoFix
from geo.protocols import gt06
from geo.protocols.checksum import LONGEST, crc16_x25
from geo.protocols.gt06 import Frame, Login
from geo.protocols.receipts import Damaged, DecodeError, Lost, Message, Unreadable
from tests.geo import vectors
from tests.geo.gt06_frames import BOXED_CELL, CELL, CELL_4G, crc, date, framed, login, place

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
AT = NOW - timedelta(minutes=5)
VECTORS = vectors.everywhere("gt06")
FRAMES = [bytes.fromhex(v["payload"]) for v in VECTORS if v.get("crc_ok")]
WHOLE = Fix(fix_at=AT, lat=54.7, lon=25.3, speed_mps=10, heading_deg=90, satellites=9)


def read(raw: bytes) -> tuple[Message | Login | None, bytes]:
    """What a frame holds, None for nothing that could be read, and what is answered."""
    try:
        frame = gt06.opened(raw[: gt06.frame_bytes(raw)])
        if frame.kind == gt06.LOGIN:
            return gt06.login(frame), gt06.answer(frame, NOW)
        found = gt06.decode(frame, NOW)
        return found, found.answer
    except Unreadable as error:
        return Message(error.answer, [], []), error.answer
    except DecodeError:
        return None, b""


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["payload"])
    found, answered = read(raw)
    assert answered.hex() == vector.get("reply_hex", answered.hex())
    assert found is None or vector.get("crc_ok") is not False
    if vector["outcome"] == "login":
        assert isinstance(found, Login)
        assert found.imei == vector["expected"][0]["device_id"]
        return
    fixes = found.fixes if isinstance(found, Message) else []
    vectors.check(vector, [msgspec.structs.asdict(fix) for fix in fixes], NOW)
    for fix, wanted in zip(fixes, vector["expected"], strict=vector["outcome"] == "positions"):
        assert fix.nowhere is not (wanted["valid"] and (wanted["lat"] or wanted["lon"]) != 0)


def one(kind: int, content: bytes, *, is_long: bool = False, ahead: timedelta = timedelta()) -> Any:
    """The one fix of a frame, the code of why it is rejected, or None."""
    found = gt06.decode(gt06.opened(framed(kind, content, is_long=is_long)), NOW, ahead)
    if found.rejected:
        return found.rejected[0].code
    return found.fixes[0] if found.fixes else None


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (0x10, place(AT)), (0x11, place(AT) + bytes(10)), (0x12, place(AT) + CELL), (0x12, place(AT) + CELL + bytes(9)),
        (0x12, bytes.fromhex("0864717003283581") + place(AT) + CELL), (0x1A, place(AT) + bytes(23)),
        (0x1E, place(AT)), (0x22, place(AT) + CELL + b"\x01\x00\x00"), (0x2D, place(AT) + CELL + b"\x01\x00\x00"),
        (0x22, b"\x00" + bytes.fromhex("0864717003283581") + date(AT) + place(AT) + BOXED_CELL + bytes(12)),
        (0x31, place(AT) + bytes(19)), (0x37, place(AT) + CELL + b"\x01\x00\x00\x00\x27\x02\x04\x00"),
        (0x38, place(AT)), (0xA0, place(AT) + CELL_4G + b"\x01\x00\x00"), (0xA3, place(AT) + CELL_4G),
        (0x34, bytes(4) + place(AT) + bytes(40)), (0x61, bytes(8) + place(AT) + bytes(15)),
        (0x17, place(AT) + CELL + bytes(9)), (0x24, place(AT) + CELL + bytes(15)), (0x16, place(AT)), (0x27, place(AT)),
    ],
)  # fmt: skip
def test_a_place_is_found_in_every_kind_that_holds_one(kind: int, content: bytes) -> None:
    assert one(kind, content) == WHOLE
    if kind not in {0x1A, 0x1E, 0x34, 0x61, 0x17, 0x24, 0x11}:
        assert one(kind, content, is_long=True) == WHOLE


def test_hemispheres_and_no_fix() -> None:
    fix = one(0x12, place(AT, lon=-71.0633, lat=-33.9, heading=359))
    assert (fix.lon, fix.lat, fix.heading_deg) == (pytest.approx(-71.0633), -33.9, 359)
    fix = one(0x12, place(AT, is_fixed=False, satellites=0))
    assert (fix.nowhere, fix.lat, fix.satellites) == (True, 54.7, 0)
    assert one(0x12, place(AT, lon=0, lat=0)).nowhere
    assert one(0x12, place(AT, heading=700)).heading_deg is None


def test_what_is_no_time_or_no_place_is_rejected() -> None:
    assert one(0x12, bytes(6) + place(AT)[6:]) == "time"
    assert one(0x12, bytes((99, 1, 1, 0, 0, 0)) + place(AT)[6:]) == "time"
    assert one(0x12, bytes((26, 2, 30, 0, 0, 0)) + place(AT)[6:]) == "time"
    assert one(0x12, place(AT, lat=90.1)) == "lat"
    assert one(0x12, place(AT, lon=180.1)) == "lon"


@pytest.mark.parametrize(
    ("zone", "ahead"),
    [(None, 0), (0, 0), (800 << 4, 480), (800 << 4 | 8, -480), (530 << 4 | 2, 330), (1500 << 4, 0), (0xFFF8, 0)],
)
def test_a_login_says_how_far_its_clock_is_ahead(zone: int | None, ahead: int) -> None:
    found = gt06.login(gt06.opened(login("350000000000006", zone)))
    assert found == Login("350000000000006", timedelta(minutes=ahead))
    assert one(0x12, place(AT + found.ahead), ahead=found.ahead) == WHOLE


def test_an_imei_that_is_none_is_refused() -> None:
    for name in (b"\x0a\xbc\xde\xf0\x12\x34\x56\x78", b"\x03\x50"):
        with pytest.raises(Lost):
            gt06.login(gt06.opened(framed(1, name)))


STATUS = b"\x44\x03\x04%c\x02"


@pytest.mark.parametrize(
    ("kind", "before"),
    [
        (0x16, BOXED_CELL), (0x26, BOXED_CELL), (0x27, BOXED_CELL), (0x16, BOXED_CELL + b"\0"), (0x32, BOXED_CELL),
        (0x16, bytes(46)), (0xA4, b"\x10" + CELL_4G), (0x26, b"\x0a" + b"\x81\x36\x00\x01" + CELL[3:]),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("code", "event"),
    [
        (1, "panic"), (2, "power_cut"), (3, "vibration"), (6, "overspeed"), (9, "tow"), (0xE, "low_battery"),
        (0x13, "tamper"), (0x29, "harsh_acceleration"), (0x2A, "harsh_cornering"), (0x2C, "crash"),
        (0x30, "harsh_braking"), (0xFE, "ignition_on"), (0xFF, "ignition_off"), (0, None), (0x77, None),
    ],
)  # fmt: skip
def test_alarms_and_battery(kind: int, before: bytes, code: int, event: str | None) -> None:
    fix = one(kind, place(AT) + before + STATUS % code)
    assert (fix.event, fix.battery_pct) == (event, 50)
    assert (fix.fix_at, fix.lat) == (AT, 54.7)


@pytest.mark.parametrize(
    ("status", "event"), [(0x64, "panic"), (0x54, "power_cut"), (0x4C, "vibration"), (0x5C, "low_battery"), (4, None)]
)
def test_alarms_of_the_status_byte(status: int, event: str | None) -> None:
    behind = bytes((status, 80, 4, 0, 2))
    assert one(0x26, place(AT) + BOXED_CELL + behind).event == event
    assert one(0x26, place(AT) + BOXED_CELL + behind).battery_pct == 80
    assert one(0x16, place(AT) + CELL + behind).event == event, "a model that writes no length before the cell"
    assert one(0x12, place(AT) + CELL + behind).event == event
    assert one(0x12, place(AT) + CELL + bytes((status, 12, 80, 4, 0)) + bytes(7)).event == event


def test_the_ignition_is_an_event_when_it_is_why_the_frame_was_sent() -> None:
    for kind, cell in ((0x22, CELL), (0x2D, CELL), (0xA0, CELL_4G)):
        assert one(kind, place(AT) + cell + b"\x01\x03\x00").event == "ignition_on"
        assert one(kind, place(AT) + cell + b"\x00\x03\x00").event == "ignition_off"
        assert one(kind, place(AT) + cell + b"\x01\x00\x00").event is None, "how things stand is not what happened"


def test_a_panic_is_not_lost_for_want_of_a_place_or_a_clock() -> None:
    lost = NoFix(fix_at=NOW, event="panic")
    assert one(0x26, bytes(18) + BOXED_CELL + STATUS % 1) == lost
    assert one(0x16, place(AT, lat=91) + BOXED_CELL + STATUS % 1) == msgspec.structs.replace(lost, fix_at=AT)
    lost.battery_pct = 50
    assert one(0x19, CELL + STATUS % 1) == lost
    assert one(0xA5, CELL_4G + STATUS % 1) == lost
    assert one(0x19, CELL + STATUS % 2) is None
    assert one(0x13, b"\x64\x06\x04\x00\x02") is None, "a heartbeat repeats how things stand"


def test_dashcams() -> None:
    angles = place(AT)[7:15]
    assert one(0x95, date(AT) + angles + b"\x14\x5a\x91\x00\x00") == Fix(
        fix_at=AT, lat=54.7, lon=25.3, heading_deg=90, event="harsh_braking"
    )
    content = b"\xff\xff\x01" + place(AT)[:15] + b"\x14\x5a\x00\x24\x00\x7b\x93\x00\x00a.jpg"
    assert one(0x95, content) == msgspec.structs.replace(WHOLE, event="crash")
    assert one(0x95, date(AT) + b"\x80") is None


def test_a_place_with_a_length_before_it() -> None:
    content = date(AT) + b"\x0c" + place(AT)[6:] + BOXED_CELL + b"\x40" + b"\x02\0\0" + b"\x00" + b"\xa2\x00"
    assert one(0x32, content, is_long=True) == WHOLE
    assert one(0x33, content, is_long=True).event == "low_battery"
    assert one(0x33, content[:20], is_long=True) == WHOLE
    assert one(0x32, date(AT) + b"\x00\x00\x00\x00\x00\x00", is_long=True) is None


def module(kind: int, content: bytes) -> bytes:
    return struct.pack(">HH", kind, len(content)) + content


def test_lists_of_modules() -> None:
    where = struct.pack(">IBh", int(AT.timestamp()), 9, 101) + place(AT)[7:]
    content = module(0x03, bytes(10)) + module(0x33, where) + module(0x34, b"\x21\0\0\0\0\0")
    assert one(0x70, content, is_long=True) == msgspec.structs.replace(WHOLE, altitude_m=101, event="power_cut")
    assert one(0x70, module(0x03, bytes(10)), is_long=True) is None
    for wrong in (content[:-1], module(0x33, where[:-1]), b"\0"):
        with pytest.raises(Unreadable):
            one(0x70, wrong, is_long=True)


def test_a_place_in_words() -> None:
    words = "Current position!Lat:N54.700000,Lon:W25.300000,Course:90.00,Speed:36.00,DateTime:2026-05-01  11:55:00"
    fix = msgspec.structs.replace(WHOLE, satellites=None, lon=-25.3)
    assert one(0x21, bytes(4) + b"\x01" + words.encode(), is_long=True) == fix
    assert one(0x21, bytes(4) + b"\x02" + words.encode("utf-16-be"), is_long=True) == fix
    assert one(0x21, bytes(4) + b"\x01" + words.replace("05-01", "02-30").encode(), is_long=True) == "field"
    assert one(0x21, bytes(4) + b"\x01Battery: 4.1 V", is_long=True) is None


@pytest.mark.parametrize("kind", sorted({0x12, 0x5A, *gt06.PLACE_AT, *gt06.LONG_LISTS}))
def test_a_frame_without_content_says_nothing(kind: int) -> None:
    assert one(kind, b"") is None
    assert one(kind, b"", is_long=True) is None


@pytest.mark.parametrize("kind", [0x13, 0x15, 0x17, 0x19, 0x23, 0x24, 0x28, 0x2A, 0x2C, 0x36, 0x80, 0x94, 0xA1, 0xA5])
def test_kinds_without_a_place(kind: int) -> None:
    assert one(kind, bytes(13)) is None
    assert one(0x34, bytes(50)) is None
    assert one(0xA3, bytes(7)) is None


def test_answers() -> None:
    def answered(kind: int, *, is_long: bool = False) -> bytes:
        return gt06.answer(Frame(kind, b"", 0x1234, is_long), NOW)

    assert answered(0x26) == framed(0x26, serial=0x1234)
    assert answered(0x8A) == framed(0x8A, bytes((26, 5, 1, 12, 0, 0)), serial=0x1234)
    assert answered(0x80) == answered(0x2A) == answered(0x21, is_long=True) == answered(0x94, is_long=True) == b""
    assert answered(0x32, is_long=True) == framed(0x32, serial=0x1234, is_long=True)
    assert answered(0x70, is_long=True) == framed(0x70, serial=0x1234)


@pytest.mark.parametrize(
    ("kind", "content", "is_long"),
    [(0x12, place(AT)[:-1], False), (0x95, bytes(12), False), (0x5A, bytes(30), False), (0x5A, bytes(30), True),
     (0x32, bytes(3), True), (0x32, b"\1" * 12, True)],
)  # fmt: skip
def test_what_cannot_be_decoded_is_answered_all_the_same(kind: int, content: bytes, *, is_long: bool) -> None:
    with pytest.raises(Unreadable) as failure:
        one(kind, content, is_long=is_long)
    assert failure.value.answer == (framed(kind, is_long=is_long) if kind != 0x5A or not is_long else b"")


# Framing


def test_how_long_a_frame_is() -> None:
    good = framed(0x12, place(AT) + CELL)
    assert [gt06.frame_bytes(good[:n]) for n in range(len(good))] == [None] * len(good)
    assert gt06.frame_bytes(good + b"xx") == len(good)
    short = bytes([*good[:2], good[2] - 2, *good[3:]])
    assert gt06.frame_bytes(short) == len(short), "a length that is two too small"
    wrong = bytes([*good[:2], 7, *good[3:]])
    assert gt06.frame_bytes(wrong + good) == len(good)
    assert gt06.frame_bytes(b"yy\xff\xff" + bytes(100)) is None
    assert gt06.frame_bytes(b"yy\xff\xff" + bytes(100) + b"\r\n") == 106
    for lost in (b"GE", b"*HQ,", b"xy", b"\x00", b"yy\xff\xff" + bytes(LONGEST)):
        with pytest.raises(Lost):
            gt06.frame_bytes(lost)


def test_what_is_no_frame_is_passed_over() -> None:
    good = framed(0x13, bytes(5))
    assert gt06.garbage_bytes(b"") == gt06.garbage_bytes(good) == gt06.garbage_bytes(b"x") == 0
    assert gt06.garbage_bytes(b"\r\n" + good) == 2
    assert gt06.garbage_bytes(b"abc") == 3
    assert gt06.garbage_bytes(b"abcy") == 3


def all_of(stream: bytes, sizes: list[int]) -> list[Frame]:
    """The undamaged frames of a stream that comes in parts."""
    found, pending, at = [], bytearray(), 0
    for size in [*sizes, len(stream)]:
        pending += stream[at : at + size]
        at += size
        while True:
            del pending[: gt06.garbage_bytes(pending)]
            try:
                whole = gt06.frame_bytes(pending)
            except Lost:
                return found
            if whole is None:
                break
            with contextlib.suppress(Damaged):
                found.append(gt06.opened(bytes(pending[:whole])))
            del pending[:whole]
    return found


some_frames = st.lists(st.one_of(st.sampled_from(FRAMES), st.binary(max_size=12)), max_size=6).map(b"".join)


@given(some_frames, st.lists(st.integers(1, 40), max_size=40))
@example(b"".join(FRAMES), [1] * 400)
def test_however_a_stream_is_split_it_is_the_same(stream: bytes, sizes: list[int]) -> None:
    assert all_of(stream, sizes) == all_of(stream, [])
    if sizes == [1] * 400:
        assert len(all_of(stream, sizes)) == len(FRAMES)


@given(st.binary(max_size=200))
@example(b"123456789")
def test_checksum(content: bytes) -> None:
    assert crc16_x25(content) == crc(content)


@given(st.sampled_from(FRAMES), st.data())
def test_a_changed_byte_is_noticed(frame: bytes, drawn: st.DataObject) -> None:
    changed = bytearray(frame)
    changed[drawn.draw(st.integers(2, len(frame) - 3))] ^= 1 << drawn.draw(st.integers(0, 7))
    with pytest.raises(Damaged):
        gt06.opened(bytes(changed))


KINDS = sorted({*gt06.PLACE_AT, *gt06.LISTS, *gt06.LONG_LISTS, 0x5A})


@given(st.sampled_from(KINDS), st.binary(max_size=120), st.booleans(), st.integers(-840, 840))
@example(0x70, b"\x00\x33\xff\xff" + b"\xff" * 60, True, 0)
@example(0x12, b"\x00\x01\x01" + b"\x00" * 40, False, 840)
def test_nothing_else_is_raised(kind: int, content: bytes, is_long: bool, minutes: int) -> None:
    with contextlib.suppress(DecodeError):
        gt06.decode(Frame(kind, content, 1, is_long), NOW, timedelta(minutes=minutes))
    with contextlib.suppress(DecodeError):
        gt06.login(Frame(1, content, 1))
    for raw in (content, b"xx" + content, b"yy" + content):
        gt06.garbage_bytes(raw)
        with contextlib.suppress(DecodeError):
            gt06.frame_bytes(raw)
        with contextlib.suppress(DecodeError):
            gt06.opened(raw)
