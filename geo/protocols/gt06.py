"""GT06, the protocol of Concox, Jimi, WanWay and hundreds of others: bytes in, fixes and the answer waited for out.

A frame is `78 78` and a length of one byte, or `79 79` and one of two, then kind, content, serial number, checksum and
CR LF. The device is known by its first frame alone. What only some models write is told by the length of their frames.

Sources: Concox' "GPS Tracker Communication Protocol" (GT06N, GT06E, CRX, LL301), Traccar's Gt06ProtocolDecoder.
"""

import re
import struct
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from geo.fix import Fix, NoFix
from geo.measures import MPS_PER
from geo.protocols.checksum import LONGEST, crc16_x25
from geo.protocols.foreign import Wrong, gathered, reading, unfixed
from geo.protocols.gt06_status import event_and_battery
from geo.protocols.receipts import Damaged, Lost, Message, Unreadable

SHORT, LONG = b"\x78\x78", b"\x79\x79"
TAIL = b"\r\n"
_HEAD = re.compile(SHORT + b"|" + LONG)
LOGIN, TIME, MODULES, TEXT = 0x01, 0x8A, 0x70, 0x21
ALARM, LBS_ALARM, LBS_ALARM_4G = 0x95, 0x19, 0xA5
COMMANDS = {0x80, 0x81, 0x82}
"""What the server sends, and some devices send back."""
UTC_ONLY = timedelta()
FARTHEST = timedelta(hours=14)
"""A zone that is farther from UTC is none."""
_IMEI_AT = {0x12: (0, 8), 0x22: (0, 15), 0x34: (4,), 0x61: (8,)}
_PLAIN = dict.fromkeys(
    (0x10, 0x11, 0x16, 0x1A, 0x1E, 0x26, 0x27, 0x2D, 0x31, 0x32, 0x37, 0x38, 0xA0, 0xA3, 0xA4), (0,)
)  # fmt: skip
PLACE_AT: dict[int, tuple[int, ...]] = _PLAIN | _IMEI_AT
"""Where the place stands in the content: behind the IMEI in some models, which the second try finds."""
PLACE_IF: dict[tuple[int, int], tuple[int, ...]] = {(0x17, 35): (0,), (0x24, 41): (0,), (0xA2, 59): (0,)}
"""The same for kinds that hold a place in contents of one size alone; in others they list cells and access points."""
NO_PLACE_IF = {(0x34, 50), (0xA3, 7)}
BOXED = {0x32, 0x33}
"""Kinds of long frames whose place has a length before it, and no place for 0 (AZ735)."""
LISTS = {
    0x13, 0x14, 0x15, 0x17, 0x18, LBS_ALARM, 0x1B, 0x23, 0x24, 0x28, 0x2A, 0x2C, 0x2E, 0x33, 0x34, 0x35, 0x36, 0x40,
    0x69, *COMMANDS, TIME, 0x94, ALARM, 0xA1, 0xA2, 0xA3, LBS_ALARM_4G, 0xA7, 0xF3,
}  # fmt: skip
"""Short frames without a place: heartbeats, cells, access points, texts, photos."""
LONG_LISTS = {TEXT, 0x36, 0x41, 0x65, 0x66, MODULES, 0x8C, 0x94, 0x98, 0x9B, 0xF2, *BOXED}
LONG_ANSWERED, ANSWERED_SHORT = {*_PLAIN, 0x12, 0x22, 0x41, *BOXED}, {MODULES, 0xF2}
"""Of long frames, those that wait for an answer, and those that wait for a short one."""
_PLACE = struct.Struct(">6BBIIBH")
_ALARM, _ALARM_JC400 = struct.Struct(">6BIIH"), struct.Struct(">3x6BBIIHH")
_BOXED = struct.Struct(">6BBBIIBH")
_MODULE_PLACE = struct.Struct(">IBhIIBH")
_TEXT_PLACE = re.compile(
    r"Current position!Lat:([NS])([\d.]+),Lon:([EW])([\d.]+),Course:([\d.]+),Speed:([\d.]+),"
    r"DateTime:(\d{4}-\d\d-\d\d) +(\d\d:\d\d:\d\d)",
    re.ASCII,
)
_DEGREE = 1_800_000
_NORTH, _WEST, _FIX, _COURSE = 1 << 10, 1 << 11, 1 << 12, (1 << 10) - 1
_Read = Fix | Wrong | None


class Frame(NamedTuple):
    """The parts of an undamaged frame."""

    kind: int
    content: bytes
    serial: int
    is_long: bool = False


class Login(NamedTuple):
    """Who a connection is of, and how far the clock of its device is ahead of UTC."""

    imei: str
    ahead: timedelta


def garbage_bytes(buffer: bytes | bytearray) -> int:
    """How many bytes at the beginning are of no frame."""
    found = _HEAD.search(buffer)
    return found.start() if found else len(buffer) - buffer.endswith((b"x", b"y"))


def frame_bytes(buffer: bytes | bytearray) -> int | None:
    """How long the frame at the beginning is; None when its end is not there yet. Raises Lost.

    Some models' lengths are two too small; of a length that leads nowhere, the frame ends with the first CR LF.
    """
    head = bytes(buffer[:2])
    if head not in {SHORT, LONG}:
        if head in {b"", b"x", b"y"}:
            return None
        raise Lost("A frame begins with 78 78 or 79 79.")
    begin = 3 if head == SHORT else 4
    if len(buffer) < begin:
        return None
    end = begin + int.from_bytes(buffer[2:begin]) + 2
    for size in (end, end + 2):
        if size <= LONGEST:
            if len(buffer) < size:
                return None
            if buffer[size - 2 : size] == TAIL:
                return size
    found = buffer.find(TAIL, begin, LONGEST)
    if found < 0 and len(buffer) >= LONGEST:
        raise Lost(f"A frame has {LONGEST} bytes at most.")
    return found + 2 if found >= 0 else None


def opened(frame: bytes) -> Frame:
    """The parts of a whole frame; raises Damaged."""
    is_long = frame[:2] == LONG
    begin = 4 if is_long else 3
    if len(frame) < begin + 7 or crc16_x25(frame[2:-4]) != int.from_bytes(frame[-4:-2]):
        raise Damaged
    return Frame(frame[begin], frame[begin + 1 : -6], int.from_bytes(frame[-6:-4]), is_long)


def login(frame: Frame) -> Login:
    """What a login says; raises Lost for an IMEI that is none."""
    imei = frame.content[:8].hex()[1:]
    if len(imei) != 15 or not imei.isdecimal():
        raise Lost("The IMEI is not 15 digits.")
    zone = int.from_bytes(frame.content[10:12]) if len(frame.content) >= 12 else 0
    hours, minutes = divmod(zone >> 4, 100)
    ahead = timedelta(hours=hours, minutes=minutes)
    return Login(imei, UTC_ONLY if ahead > FARTHEST else -ahead if zone & 8 else ahead)


def answer(frame: Frame, now: datetime) -> bytes:
    """What a device is told of a frame, the login too; empty for one that waits for nothing."""
    is_long, content = frame.is_long, b""
    if is_long:
        if frame.kind not in LONG_ANSWERED | ANSWERED_SHORT:
            return b""
        is_long = frame.kind in LONG_ANSWERED
    elif frame.kind in COMMANDS or frame.kind == 0x2A:  # an address to be told by SMS: there is none
        return b""
    elif frame.kind == TIME:
        content = bytes((now.year - 2000, now.month, now.day, now.hour, now.minute, now.second))
    size = (len(content) + 5).to_bytes(2 if is_long else 1)
    summed = size + bytes([frame.kind]) + content + frame.serial.to_bytes(2)
    return (LONG if is_long else SHORT) + summed + crc16_x25(summed).to_bytes(2) + TAIL


def decode(frame: Frame, now: datetime, ahead: timedelta = UTC_ONLY) -> Message:
    """The fix of a frame, if it holds one, given how far the device's clock is ahead of UTC. Raises Unreadable."""
    told = answer(frame, now)
    try:
        found = _read(frame, now, ahead)
    except (IndexError, struct.error) as error:
        raise Unreadable(f"The content of kind {frame.kind:#04x} is shorter than its parts.", told) from error
    except LookupError as error:
        raise Unreadable(f"Kind {frame.kind:#04x} is not known.", told) from error
    return Message(told, *gathered([] if found is None else [found]))


def _read(frame: Frame, now: datetime, ahead: timedelta) -> _Read:
    kind, size = frame.kind, len(frame.content)
    if not size:
        return None
    if frame.is_long and kind in LONG_LISTS:
        return _read_long(frame, now, ahead)
    if kind == ALARM:
        return _alarm(frame, now, ahead)
    if (kind, size) in PLACE_IF:
        return _place(frame, PLACE_IF[kind, size], now, ahead)
    if kind in PLACE_AT and (kind, size) not in NO_PLACE_IF:
        return _place(frame, PLACE_AT[kind], now, ahead)
    if kind not in LISTS or frame.is_long:
        raise LookupError(kind)
    event, battery = event_and_battery(frame.kind, frame.content)
    return NoFix(fix_at=now, battery_pct=battery, event=event) if event == "panic" else None


def _read_long(frame: Frame, now: datetime, ahead: timedelta) -> _Read:
    if frame.kind in BOXED:
        return _boxed(frame, now, ahead)
    if frame.kind == MODULES:
        return _modules(frame.content, now)
    return _text(frame.content, now) if frame.kind == TEXT else None


def _place(frame: Frame, offsets: tuple[int, ...], now: datetime, ahead: timedelta) -> _Read:
    """The fix of the ordinary eighteen bytes, at the first offset where the date is one."""
    content = frame.content
    at = next((at for at in offsets if _moment(content[at : at + 6], ahead)), offsets[0])
    *date, satellites, lat, lon, kmh, flags = _PLACE.unpack_from(content, at)
    event, battery = event_and_battery(frame.kind, content[at:] if at == offsets[0] else b"")
    return _fix(
        _moment(bytes(date), ahead), lat, lon, flags, now, kmh=kmh, satellites=satellites & 0xF, battery_pct=battery,
        event=event,
    )  # fmt: skip


def _alarm(frame: Frame, now: datetime, ahead: timedelta) -> _Read:
    """An alarm of a dashcam, with a place or without."""
    content, satellites, kmh = frame.content, None, None
    if len(content) <= 9:
        return None
    if content[:2] == b"\xff\xff":
        *date, satellites, lat, lon, flags, kmh = _ALARM_JC400.unpack_from(content)
    else:
        *date, lat, lon, flags = _ALARM.unpack_from(content)
    event, _ = event_and_battery(frame.kind, content)
    return _fix(
        _moment(bytes(date), ahead), lat, lon, flags, now, kmh=kmh, event=event,
        satellites=None if satellites is None else satellites & 0xF,
    )  # fmt: skip


def _boxed(frame: Frame, now: datetime, ahead: timedelta) -> _Read:
    content = frame.content
    if content[6] == 0:
        return None
    *date, _, satellites, lat, lon, kmh, flags = _BOXED.unpack_from(content)
    event, _ = event_and_battery(frame.kind, content, is_boxed=True)
    return _fix(
        _moment(bytes(date), ahead), lat, lon, flags, now, kmh=kmh, satellites=satellites & 0xF, event=event
    )  # fmt: skip


def _modules(content: bytes, now: datetime) -> _Read:
    """The fix among a list of parts, each of which says how long it is."""
    parts, at = {}, 0
    while at < len(content):
        part, size = struct.unpack_from(">HH", content, at)
        if at + 4 + size > len(content):
            raise IndexError(part)
        parts[part] = content[at + 4 : at + 4 + size]
        at += 4 + size
    if 0x33 not in parts:
        return None
    seconds, satellites, altitude, lat, lon, kmh, flags = _MODULE_PLACE.unpack_from(parts[0x33])
    event, _ = event_and_battery(MODULES, parts.get(0x34, b""))
    return _fix(
        datetime.fromtimestamp(seconds, UTC), lat, lon, flags, now, kmh=kmh, satellites=satellites,
        altitude_m=altitude, event=event,
    )  # fmt: skip


def _text(content: bytes, now: datetime) -> _Read:
    """A place that is told in words."""
    found = _TEXT_PLACE.match(content[5:].decode("ascii" if content[4] == 1 else "utf-16-be", "replace"))
    if found is None:
        return None
    north, lat, east, lon, course, kmh, day, time = found.groups()
    try:
        return reading(
            now, fix_at=datetime.fromisoformat(f"{day}T{time}Z"),
            lat=float(lat) * (1 if north == "N" else -1), lon=float(lon) * (1 if east == "E" else -1),
            heading_deg=float(course), speed_mps=float(kmh) * MPS_PER["kmh"],
        )  # fmt: skip
    except ValueError:
        return "field", "The place that is told in words is none."


def _moment(date: bytes, ahead: timedelta) -> datetime | None:
    """The time of six bytes; None when they are none."""
    if len(date) < 6:
        return None
    year, month, day, hour, minute, second = date
    try:
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC) - ahead
    except (ValueError, OverflowError):
        return None


def _fix(
    at: datetime | None, lat: int, lon: int, flags: int, now: datetime, *, kmh: int | None, event: str | None,
    **more: object,
) -> Fix | Wrong:  # fmt: skip
    """The fix of what a frame says; when that is none its event is kept as of now: a device may have no clock yet."""
    found: Fix | Wrong = ("time", "The date is none.") if at is None else reading(
        now, fix_at=at, lat=lat / _DEGREE * (1 if flags & _NORTH else -1),
        lon=lon / _DEGREE * (-1 if flags & _WEST else 1), heading_deg=flags & _COURSE,
        speed_mps=None if kmh is None else kmh * MPS_PER["kmh"], event=event, **more,
    )  # fmt: skip
    if not isinstance(found, Fix):
        return NoFix(fix_at=now, event=event) if event else found
    return found if flags & _FIX else unfixed(found)
