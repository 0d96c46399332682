"""The H02 decoder: every vector, the ways its models write, events, and whatever a socket may bring."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geo.fix import Fix
from geo.protocols import h02
from geo.protocols.receipts import DecodeError, Lost, Unreadable
from tests.geo import vectors

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
AT = NOW - timedelta(minutes=5)
KNOT = 1852 / 3600
WHOLE = Fix(fix_at=AT, lat=54.685, lon=25.27, speed_mps=10 * KNOT, heading_deg=90)
VECTORS = vectors.everywhere("h02")


def raw(vector: dict[str, Any]) -> bytes:
    payload = vector["payload"]
    return bytes.fromhex(payload) if vector["payload_encoding"] == "hex" else payload.encode()


MESSAGES = [raw(vector) for vector in VECTORS]


def text(
    kind: str = "V1", *, time: str = "115500", valid: str = "A", place: str = "5441.1000,N,02516.2000,E",
    moving: str = "10.00,90", date: str = "010526", rest: str = ",FFFFFFFF",
) -> bytes:  # fmt: skip
    return f"*HQ,4210051415,{kind},{time},{valid},{place},{moving},{date}{rest}#".encode()


def binary(
    identifier: str = "4210051415", *, time: str = "115500", date: str = "010526", battery: int = 0, flags: int = 0xE,
    status: int = 0xFFFFFFFF, tail: bytes = bytes(3),
) -> bytes:  # fmt: skip
    digits = f"24{identifier}{time}{date}54411000{battery:02x}025162000{flags:x}010090{status:08x}"
    return bytes.fromhex(digits) + tail


def one(message: bytes, before: int | None = None) -> Any:
    """The one fix of a message, the code of why it is rejected, or None."""
    assert h02.frame_bytes(message)
    found = h02.decode(message, NOW, before)
    if found.rejected:
        return found.rejected[0].code
    return found.fixes[0] if found.fixes else None


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    message = raw(vector)
    size = h02.frame_bytes(message)
    assert size is not None
    assert h02.garbage_bytes(message[size:]) == len(message) - size
    found = h02.decode(message[:size], NOW)
    vectors.check(vector, [msgspec.structs.asdict(fix) for fix in found.fixes], NOW)
    for fix, wanted in zip(found.fixes, vector["expected"], strict=bool(found.fixes)):
        assert h02.identifier(message[:size], NOW) == wanted.get("device_id")
        assert fix.nowhere is not wanted["valid"]


@pytest.mark.parametrize(
    "message",
    [
        text(), text("V5"), text("V6", rest=",FFFFFFFF,310,260,32936,13641,8944501311217563382F,"), text("V2", rest=""),
        text("V19", rest=",,5492932630888,8954315265044716555?,FFFFFFFF"), text(moving="10.00,90,100"),
        text("V4,S17,115400"), text("V4,V1,20260501115400"), text(place="54411000,N,025162000,E"), text(valid="1"),
        text(place="-54-41.1000,N,-25-16.2000,E"), text(place=" 5441.1 ,N,2516.2,E"), text(moving=" 10,90.0"),
        text().replace(b"*HQ", b"*TH"), text().replace(b"*HQ", b"*hq"), text(rest=",FFFFFFFF,0,25,0.00,120,11a0,c0c6"),
        binary(), binary(tail=bytes(16)), binary("3524830841932930", tail=bytes(10)),
    ],
)  # fmt: skip
def test_a_fix_is_the_same_however_it_is_written(message: bytes) -> None:
    assert one(message) == WHOLE


def test_hemispheres_and_no_fix() -> None:
    assert (one(text(place="5441.1,S,02516.2,W")).lat, one(text(place="5441.1,S,02516.2,W")).lon) == (-54.685, -25.27)
    assert (one(binary(flags=2)).lat, one(binary(flags=2)).lon) == (-54.685, -25.27)
    for message in (text(valid="V"), text(valid=""), text(valid="B"), binary(flags=0xC), text(place="00.0,N,0.0,E")):
        assert one(message).nowhere
    assert one(text(place="41.1000,N,16.2000,E")).lat == 0.685


def test_what_is_not_known() -> None:
    fix = one(text(moving=","))
    assert (fix.speed_mps, fix.heading_deg) == (None, None)
    assert one(text(moving="10.00,361")).heading_deg is None
    assert one(binary().replace(b"\x01\x00\x90", b"\x01\x0f\xff")).heading_deg is None


@pytest.mark.parametrize(
    ("level", "percent"), [(0, None), (1, 0), (3, 20), (6, 100), (7, 7), (0x60, 96), (101, None), (0xF3, None)]
)
def test_battery(level: int, percent: int | None) -> None:
    assert one(binary(battery=level)).battery_pct == percent


def test_times_and_dates() -> None:
    assert one(text(date="")).fix_at == NOW, "without a date it is of now"
    assert one(text(time="")).fix_at == NOW, "of today without a time it is of now"
    assert one(text(time="", date="300426")).fix_at == datetime(2026, 4, 30, tzinfo=UTC)
    assert one(b"*hq,356327081001239,VP1,A,5441.1,N,02516.2,E,10.00,90.0,150910,x#").fix_at.year == 2010
    assert one(text(time="", rest=",FFFFFFFF,310260")).fix_at == NOW
    for wrong in (text(date="310226"), text(time="246000"), text(date="000000"), binary(date="000000")):
        assert one(wrong) == "time"
    assert one(text(date="010199")) == "time"
    assert one(text(place="9141.1,N,02516.2,E")) == "lat"
    assert one(text(place="5441.1,N,18116.2,E")) == "lon"


@pytest.mark.parametrize(
    "message",
    [
        "V1,,V,,N,,E,0.00,0,,FFFFF7FF,f0,a", "XT,1,100", "HTBT", "HTBT,80", "V0", "V3,044855,28403,01,1,2,X,030817",
        "NBR,210249,260,6,0,1,1014,50675,37,281216,FFFFFBFF,2", "LINK,073351,100,0,86,0,0,020815,FFFFFFFF", "",
        "SMS,5441.1,N,02516.2,E", "VP1,V,470,002,92,3565,0Y92,1,1", "V4,S2,000000", "V1,115500,A", "BS,,2d4,a,1b63,1",
        "I1,115500,A,5441.1,N,02516.2,E,0,0,010526,FFFFFFFF",
    ],
)  # fmt: skip
def test_messages_without_a_fix_are_no_fault(message: str) -> None:
    assert one(f"*HQ,4210051415,{message}#".encode()) is None


@pytest.mark.parametrize("place", ["5x41.1,N,02516.2,E", "5441.1,N,2,E", f"{'9' * 500}.1,N,02516.2,E"])
def test_what_cannot_be_decoded_is_answered_all_the_same(place: str) -> None:
    with pytest.raises(Unreadable) as failure:
        one(text(place=place))
    assert failure.value.answer == b"*HQ,4210051415,V4,V1,20260501120000#"


def test_answers_and_names() -> None:
    def answered(message: bytes) -> bytes:
        return h02.decode(message, NOW).answer

    assert answered(text()) == b"*HQ,4210051415,V4,V1,20260501120000#"
    assert answered(b"*HQ,42,NBR,1#") == b"*HQ,42,V4,NBR,20260501120000#"
    assert answered(b"*hq,42,HTBT,100#") == b"*hq,42,HTBT#"
    assert answered(b"*HQ,42,V0#") == b"*HQ,42,V0#"
    assert answered(text("V6")) == answered(binary()) == answered(b"*HQ,,V1,x#") == b""
    assert h02.identifier(text(), NOW) == h02.identifier(binary(), NOW) == "4210051415"
    assert h02.identifier(binary("352483084193293f"), NOW) == "352483084193293"
    assert h02.identifier(binary("350000000000123f"), NOW) == "350000000000123", (
        "whose digits would do for a time as well"
    )
    assert (
        h02.identifier(b"*HQ,,V1,x#", NOW)
        is h02.identifier(b"*HQ,#", NOW)
        is h02.identifier(b"*HQ,a b,V1#", NOW)
        is None
    )


@pytest.mark.parametrize(
    "name", ["4210051415", "0502105923", "3500000000000600", "862205059210023f", "862205010203045f"]
)
def test_a_binary_message_names_its_device_at_any_time_of_any_day(name: str) -> None:
    for minute in range(0, 400 * 24 * 60, 7 * 60 + 1):
        at = NOW - timedelta(minutes=minute)
        message = binary(name, time=f"{at:%H%M%S}", date=f"{at:%d%m%y}")
        assert h02.identifier(message, NOW) == (name if len(name) == 10 else name[:15]), at


ALL = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("before", "status", "event"),
    [
        (ALL, ALL & ~2, "panic"), (None, ALL & ~2, "panic"), (ALL & ~2, ALL & ~2, None),
        (ALL, ALL & ~(1 << 19), "power_cut"),
        (None, ALL & ~(1 << 19), None), (ALL, ALL & ~1, "vibration"), (ALL, ALL & ~4, "overspeed"), (ALL, ALL, None),
        (ALL, ALL & ~(1 << 18), None), (ALL, ALL & ~(1 << 10), "ignition_off"), (ALL & ~(1 << 10), ALL, "ignition_on"),
        (None, ALL, None), (None, 0, "panic"), (0, 0, None), (0, ALL, "ignition_on"),
    ],
)  # fmt: skip
def test_what_is_so_now_and_was_not_before_is_what_happened(before: int | None, status: int, event: str | None) -> None:
    assert one(text(rest=f",{status:08X}"), before).event == event
    assert one(text(rest=f",{status:08x},1,2"), before).event == event
    assert one(binary(status=status), before).event == event
    assert (
        h02.decode(text(rest=f",{status:08X}"), NOW).status == h02.decode(binary(status=status), NOW).status == status
    )


# Framing


def test_how_long_a_message_is() -> None:
    for message in (text(), binary()):
        size = len(message)
        assert [h02.frame_bytes(message[:n]) for n in range(size)] == [None] * size
        assert h02.frame_bytes(message + b"$") == h02.frame_bytes(message) == size
    for lost in (b"GET / ", b"xx", b"\r", b"*H,", b"*HQ;", b"$\xff", b"$" * 32, b"*HQ," + bytes(h02.MAX_TEXT)):
        with pytest.raises(Lost):
            h02.frame_bytes(lost)


def test_what_is_no_message_is_passed_over() -> None:
    assert h02.garbage_bytes(b"") == h02.garbage_bytes(b"*") == h02.garbage_bytes(b"$\x42") == 0
    assert h02.garbage_bytes(b"\r\n*HQ,") == 2
    assert h02.garbage_bytes(b"*x*HQ") == 2
    assert h02.garbage_bytes(b"\x24\xe2\x24\x99\x2a" + binary()) == 5


def all_of(stream: bytes, sizes: list[int]) -> list[bytes]:
    """The messages of a stream that comes in parts."""
    found, pending, at = [], bytearray(), 0
    for size in [*sizes, len(stream)]:
        pending += stream[at : at + size]
        at += size
        while True:
            del pending[: h02.garbage_bytes(pending)]
            whole = h02.frame_bytes(pending)
            if whole is None:
                break
            found.append(bytes(pending[:whole]))
            del pending[:whole]
    return found


@given(
    st.lists(st.one_of(st.sampled_from(MESSAGES), st.binary(max_size=12)), max_size=6).map(b"".join),
    st.lists(st.integers(1, 40), max_size=40),
)
@example(b"".join(MESSAGES), [1] * 2_500)
def test_however_a_stream_is_split_it_is_the_same(stream: bytes, sizes: list[int]) -> None:
    assert all_of(stream, sizes) == all_of(stream, [])
    if len(sizes) == 2_500:
        assert len(all_of(stream, sizes)) == len(MESSAGES)


@given(st.sampled_from(MESSAGES), st.data())
def test_changed_messages(message: bytes, drawn: st.DataObject) -> None:
    changed = bytearray(message)
    for _ in range(drawn.draw(st.integers(1, 4))):
        changed[drawn.draw(st.integers(1, len(message) - 1))] = drawn.draw(st.integers(0, 255))
    for found in all_of(bytes(changed), []):
        with contextlib.suppress(DecodeError):
            h02.decode(found, NOW, None)
        h02.identifier(found, NOW)


SHARDS = st.sampled_from(
    ["V1", "V4", "", "N", "S", "E", "W", "A", "5441.1", "-1-2.3", "115500", "010526", "²", "9" * 400]
)


@given(st.lists(SHARDS, max_size=20))
def test_nothing_else_is_raised(words: list[str]) -> None:
    message = f"*HQ,1,{','.join(words)}#".encode()
    with contextlib.suppress(DecodeError):
        h02.decode(message, NOW)
    h02.identifier(message, NOW)


@given(st.binary(max_size=100))
def test_random_bytes(noise: bytes) -> None:
    for begin in (b"", b"*HQ,", b"$"):
        assert 0 <= h02.garbage_bytes(begin + noise) <= len(begin + noise)
        with contextlib.suppress(DecodeError):
            h02.frame_bytes(begin + noise)
