"""H02, the protocol of SinoTrack, LKGPS, TKSTAR and many others: bytes in, fixes and the answer waited for out.

A message is text, `*HQ,id,kind,…#`, or 32 bytes and more from a `$` on, in decimal digits of four bits. Each names its
device. There is no checksum and nothing says how long a binary message is: what cannot begin one is passed over.

Sources: "Protocol" of the LK and ST series (`*XX,YYYYYYYYYY,V1,…`), Traccar's H02ProtocolDecoder and its issue 2920 on
the bits of the status.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from geo.fix import Fix, Rejected
from geo.protocols.foreign import Wrong, gathered, known, reading, speed, unfixed
from geo.protocols.receipts import Lost, Unreadable

MAX_TEXT = 2_048
BINARY_BYTES = 32
"""What is read of a binary message; some models write more, which is passed over."""
ECHOED, CONFIRMED = {"HTBT", "V0"}, {"V1", "NBR"}
"""Kinds that are answered by themselves, and by a confirmation with the time."""
PANIC, POWER_CUT, THEFT, OVERSPEED, IGNITION = 1, 19, 0, 2, 10
"""Bits of the status; they are 0 while it is so. Bit 18 is a panic for some models and 0 all day long for others."""
HAPPENED = {
    PANIC: "panic",
    POWER_CUT: "power_cut",
    THEFT: "vibration",
    OVERSPEED: "overspeed",
    IGNITION: "ignition_off",
}
BATTERY_LEVELS = {1: 0, 2: 10, 3: 20, 4: 60, 5: 80, 6: 100}
_FULL = 100
_VALID, _NORTH, _EAST = 2, 4, 8
_HEAD = re.compile(rb"\*[0-9A-Za-z]{2},")
_MARK = re.compile(rb"[*$]")
_TEXT, _BINARY_MARK, _WHOLE_HEAD = ord("*"), ord("$"), b"*HQ,"
_REST = (
    r"((?:[01]\d|2[0-3])[0-5]\d[0-5]\d)([0-3]\d[01]\d\d\d)"  # time, date
    r"([0-8]\d|90)([0-5]\d{5})(..)(0\d\d|1[0-8]\d)([0-5]\d{5})(.)"  # latitude, battery, longitude, flags
    r"(.{3})(.{3})(.{8})"  # speed, course, status
)
_BINARY = tuple(re.compile(f"24{identifier}{_REST}", re.ASCII) for identifier in (r"(\d{10})", r"(\d{15})."))
_IDENTIFIER = re.compile(r"[0-9A-Za-z]{1,32}\Z")
_SIX = re.compile(r"(\d\d)(\d\d)(\d\d)\Z", re.ASCII)
_STATUS = re.compile(r"[0-9A-Fa-f]{8}\Z")
_ANGLES = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        r"-(\d{1,3})-(\d\d?\.\d+)\Z",
        r"-?(\d{0,3}?)(\d\d?\.\d+)\Z",
        r"(\d{1,3})(\d\d)(\d{4})\Z",
    )
)


class Message(NamedTuple):
    """What a message holds, what is answered once that is stored, and the status for the next one to differ from."""

    answer: bytes
    fixes: list[Fix]
    rejected: list[Rejected]
    status: int | None


def garbage_bytes(buffer: bytes | bytearray) -> int:
    """How many bytes at the beginning are of no message."""
    return next((found.start() for found in _MARK.finditer(buffer) if _may_begin(buffer, found.start())), len(buffer))


def _may_begin(buffer: bytes | bytearray, at: int) -> bool:
    """Whether what is there of a message is one when zeros, or the letters that are meant, complete it."""
    if buffer[at] == _TEXT:
        there = bytes(buffer[at : at + len(_WHOLE_HEAD)])
        return _HEAD.match(there + _WHOLE_HEAD[len(there) :]) is not None
    return buffer[at] == _BINARY_MARK and bool(_readings(buffer[at : at + BINARY_BYTES]))


def _readings(message: bytes | bytearray) -> list[re.Match[str]]:
    """The parts of a binary message, whose device is written in five bytes or in eight: some digits allow both."""
    text = message.hex().ljust(2 * BINARY_BYTES, "0")
    return [found for pattern in _BINARY if (found := pattern.match(text))]


def _digits(message: bytes | bytearray, now: datetime) -> re.Match[str] | None:
    """Of the readings the one whose moment is nearest: what is no date is often one of another year."""

    def far(found: re.Match[str]) -> timedelta:
        at = _moment(found[2], found[3], now)
        return timedelta.max if at is None else abs(at - now)

    return min(_readings(message), key=far, default=None)


def frame_bytes(buffer: bytes | bytearray) -> int | None:
    """How long the message at the beginning is; None when its end is not there yet. Raises Lost.

    Of a binary message these are the bytes that are read; what follows is garbage, or the next one.
    """
    if not buffer:
        return None
    if not _may_begin(buffer, 0):
        raise Lost("A message begins with * or $.")
    if buffer[0] != _TEXT:
        return BINARY_BYTES if len(buffer) >= BINARY_BYTES else None
    end = buffer.find(b"#", 0, MAX_TEXT)
    if end < 0 and len(buffer) >= MAX_TEXT:
        raise Lost(f"A message has {MAX_TEXT} characters at most.")
    return end + 1 if end >= 0 else None


def identifier(message: bytes, now: datetime) -> str | None:
    """The device a whole message names; None for one that names none."""
    if message[0] != _TEXT:
        found = _digits(message, now)
        return found[1] if found else None
    name = _words(message)[1]
    return name if _IDENTIFIER.match(name) else None


def _words(message: bytes) -> list[str]:
    words = [word.strip() for word in message[1:-1].decode("ascii", "replace").split(",")]
    return words + [""] * (3 - len(words))


def decode(message: bytes, now: datetime, before: int | None = None) -> Message:
    """What a whole message holds, given the status of the one before; raises Unreadable."""
    if message[0] != _TEXT:
        return _binary(message, now, before)
    words = _words(message)
    told = _answer(words, now)
    try:
        found, status = _text(words, now, before) if words[2].startswith("V") else (None, None)
    except ValueError as error:
        raise Unreadable(str(error), told) from error
    return Message(told, *gathered([] if found is None else [found]), status)


def _answer(words: Sequence[str], now: datetime) -> bytes:
    maker, name, kind = words[:3]
    if kind in ECHOED:
        return f"*{maker},{name},{kind}#".encode()
    if kind in CONFIRMED and name:
        return f"*{maker},{name},V4,{kind},{now:%Y%m%d%H%M%S}#".encode()
    return b""


def _binary(message: bytes, now: datetime, before: int | None) -> Message:
    found = _digits(message, now)
    if found is None:
        raise Unreadable("The digits are none.", b"")
    _, time, date, lat, lat_minutes, battery, lon, lon_minutes, flags, knots, course, status = found.groups()
    sure, now_status = int(flags, 16), int(status, 16)
    fix = _fix(
        now, _moment(time, date, now), is_valid=bool(sure & _VALID),
        lat=_degrees(lat, lat_minutes, "N" if sure & _NORTH else "S"),
        lon=_degrees(lon, lon_minutes, "E" if sure & _EAST else "W"),
        knots=knots, course=course, battery=_battery(int(battery, 16)), event=event(now_status, before),
    )  # fmt: skip
    return Message(b"", *gathered([fix]), now_status)


def _text(words: list[str], now: datetime, before: int | None) -> tuple[Fix | Wrong | None, int | None]:
    """The fix of a message's words, found by its hemispheres: some kinds say more before them. Raises ValueError."""
    north = next((n for n in range(5, len(words) - 2) if words[n] in {"N", "S"} and words[n + 2] in {"E", "W"}), None)
    if north is None:
        return None, None
    time, validity, lat, _, lon, east = words[max(north - 3, 0) : north + 3]
    behind = [*words[north + 3 :], "", "", ""]
    date = next((word for word in behind[2:4] if _SIX.match(word)), "") if behind[2].isdecimal() else ""
    status = next((int(word, 16) for word in behind[2:] if _STATUS.match(word)), None)
    if not lat or not lon:
        return None, status
    fix = _fix(
        now, _moment(time if north > 5 else "", date, now), is_valid=validity == "A" or validity.isdecimal(),
        lat=_angle(lat, words[north]), lon=_angle(lon, east), knots=behind[0], course=behind[1], battery=None,
        event=None if status is None else event(status, before),
    )  # fmt: skip
    return fix, status


def _fix(
    now: datetime, at: datetime | None, *, is_valid: bool, lat: float, lon: float, knots: str, course: str,
    battery: int | None, event: str | None,
) -> Fix | Wrong:  # fmt: skip
    if at is None:
        return "time", "The time or the date is none."
    found = reading(
        now, fix_at=at, lat=lat, lon=lon, speed_mps=speed(knots, "knots"), heading_deg=known(course),
        battery_pct=battery, event=event,
    )  # fmt: skip
    return found if is_valid or not isinstance(found, Fix) else unfixed(found)


def event(status: int, before: int | None) -> str | None:
    """What happened: what is so by a status and was not by the one before. A panic needs none before."""
    earlier = before if before is not None else 1 << PANIC | status
    for bit, name in HAPPENED.items():
        if earlier & ~status & 1 << bit:
            return name
    return "ignition_on" if status & ~earlier & 1 << IGNITION else None


def _battery(level: int) -> int | None:
    """Per cent of a level from 1 to 6, or of per cent."""
    return BATTERY_LEVELS.get(level, level if _FULL >= level > len(BATTERY_LEVELS) else None)


def _degrees(degrees: str, minutes: str, hemisphere: str) -> float:
    """Degrees of degrees and ten-thousandths of minutes."""
    found = int(degrees) + int(minutes) / 600_000
    return -found if hemisphere in "SW" else found


def _angle(text: str, hemisphere: str) -> float:
    """The same of one of the ways to write them as text; raises ValueError."""
    found = next((found for pattern in _ANGLES if (found := pattern.match(text))), None)
    if found is None:
        raise ValueError(f"{text!r} is no angle.")
    degrees, minutes, *part = found.groups()
    angle = int(degrees or 0) + float(".".join((minutes, *part))) / 60
    return -angle if hemisphere in "SW" else angle


def _moment(time: str, date: str, now: datetime) -> datetime | None:
    """When it was: now when no date is said, and when only today's is; None when they are none."""
    if not date:
        return now
    day, month, year = (int(part) for part in _SIX.match(date).groups())  # type: ignore[union-attr]
    clock = _SIX.match(time)
    try:
        at = datetime(2000 + year, month, day, tzinfo=UTC)
        hours, minutes, seconds = (int(part) for part in clock.groups()) if clock else (0, 0, 0)
        at = at.replace(hour=hours, minute=minutes, second=seconds)
    except ValueError:
        return None
    return now if not time and at.date() == now.date() else at
