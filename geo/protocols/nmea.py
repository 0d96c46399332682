"""NMEA 0183: the sentences of a receiver, from a tracker that passes them on or from a file.

One moment is told by several sentences (RMC the speed, GGA the height); those that follow each other and name the same
time of day are one fix. pynmea2 takes a sentence apart and names its fields; finding it in what a tracker puts around
it, and what its fields mean, is ours (docs/decisions/0022).

Sources: gpsd's "NMEA Revealed", Traccar's T55ProtocolDecoder for what trackers put around a sentence.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import xor
from typing import NamedTuple

import msgspec
import pynmea2

from geo.fix import Decoded, Fix
from geo.protocols.fixes import EPOCH, check
from geo.protocols.foreign import Wrong, gathered, known, moment, number, reading, speed, unfixed, whole

KINDS = ("RMC", "GGA", "GNS", "GLL", "VTG", "ZDA")
"""The sentences that say a place, a speed or a day."""
ALIASES = {"spd_over_grnd_kts": "spd_over_grnd", "true_track": "true_course"}
"""pynmea2's names for what one kind of sentence says under another name."""
FIELDS = ("gprmc", "rmc", "gpgga", "nmea")
"""What a query or form calls the sentence: OpenGTS' clients (GPSLogger, `gprmc`), Sanav's trackers (`rmc`)."""
KEY_NAMES = ("key", "id", "dev", "imei")
ANDROID_UNKNOWN = ",0.000000,0.000000,"
"""How GPSLogger writes a speed and a course that the phone does not know."""
MAX_LINE = 1_024
"""The standard's sentences have 82 characters."""
LIVE = timedelta(minutes=10)
"""A time of day without a date is of today when it is this near to now."""
_SENTENCE = re.compile(r"(?:\\([^\\$]*)\\)?\$([^$\\]*)")
_ADDRESS = re.compile(rf"[A-OQ-Z][A-Z0-9](?:{'|'.join(KINDS)}),")
"""How a sentence for pynmea2 begins; behind a P stand manufacturers' own, some of which it breaks on."""
_SUM = re.compile(r"\s*([0-9A-Fa-f]{2})(?:[,;\s]|\Z)")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(?:\.(\d*))?\Z", re.ASCII)
_ANGLE = re.compile(r"(\d{0,3}?)(\d{1,2}(?:\.\d*)?)\Z", re.ASCII)
_TAG_TIME = re.compile(r"(?:^|,)c:(\d+)")
_NAMES = (
    re.compile(r"\$?IMEI[ :,=]*([0-9A-Za-z]+)"),
    re.compile(r"\$(?:PGID|DEVID|PCPTI|GPFID),([^,*]+)"),
    re.compile(r"QZE,(\d{15}),"),
    re.compile(r"([0-9A-Za-z_.-]{4,64})\Z"),
    re.compile(r"(?:[^$\\]*/)?([^$\\/,]+)[,/]?(?=[$\\])"),
    re.compile(r".*\*[0-9A-Fa-f]{2},\d+,(\d{15})(?:,|\Z)"),
)


class Heard(NamedTuple):
    """What became of a moment: the number of its first line, and the fix or what is wrong with it."""

    line: int
    outcome: Fix | Wrong


class Clock:
    """The dates of a stream of sentences, of which most say only the time of day."""

    def __init__(self, *, live: bool = False) -> None:
        """Live sentences may be of today when nothing says their day; without any time they are of now."""
        self.is_live = live
        self._last: datetime | None = None

    def moment(self, time: timedelta, day: datetime | None, tagged: datetime | None, now: datetime) -> datetime | None:
        """When it was, given the day if it was said; None when nothing tells the day."""
        self._last = day + time if day else self._near(time, tagged or self._last, now)
        return self._last

    def _near(self, time: timedelta, reference: datetime | None, now: datetime) -> datetime | None:
        """The moment of this time of day next to another, or next to now if that is near enough."""
        around = reference or now
        if reference is None and not self.is_live:
            return None
        midnight = around.replace(hour=0, minute=0, second=0, microsecond=0)
        nearest = min((midnight + timedelta(days) + time for days in (-1, 0, 1)), key=lambda at: abs(at - around))
        return nearest if reference or abs(nearest - around) <= LIVE else None


@dataclass
class _Moment:
    """What the sentences of one moment say, as they wrote it."""

    line: int
    time: timedelta | None
    said: dict[str, str] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    tagged: datetime | None = None
    is_unfixed: bool = False


def identifier(line: str) -> str | None:
    """The name of the device that a line gives, alone or around a sentence."""
    line = line.strip()[:MAX_LINE]
    return next((found[1] for pattern in _NAMES if (found := pattern.match(line))), None)


def decode(body: bytes, now: datetime, clock: Clock | None = None) -> Decoded:
    """The fixes of a message that was just sent; raises TooLarge. `clock` knows the day from earlier ones."""
    lines = re.split(r"[\r\n]+", body.decode("ascii", "replace"))
    return gathered(each.outcome for each in heard(enumerate(lines, 1), now, clock or Clock(live=True)))


def from_fields(fields: Mapping[str, str], now: datetime) -> Decoded:
    """The fixes of what a phone's app says, whose own height and battery count where its sentences say none."""
    text = "\n".join(fields[name] for name in FIELDS if name in fields)
    fixes, rejected = decode(text.encode(), now)
    if ANDROID_UNKNOWN in text:
        for fix in fixes:
            if fix.speed_mps == fix.heading_deg == 0:
                fix.speed_mps = fix.heading_deg = None
    beside = {"altitude_m": number(fields.get("alt")), "battery_pct": known(fields.get("batt"))}
    return [_completed(fix, beside) for fix in fixes], rejected


def _completed(fix: Fix, beside: Mapping[str, object]) -> Fix:
    unknown = {name: value for name, value in beside.items() if getattr(fix, name) is None}
    more = check(msgspec.structs.asdict(fix) | unknown, fix.fix_at, lenient=True)
    return fix if fix.nowhere or not isinstance(more, Fix) else more


def heard(lines: Iterable[tuple[int, str]], now: datetime, clock: Clock) -> Iterator[Heard]:
    """What numbered lines say, moment by moment; lines that only name a device or satellites say nothing."""
    for each in _moments(lines):
        if isinstance(each, Heard):
            yield each
        else:
            yield from _told(each, now, clock)


def settled(body: bytes) -> int:
    """How many bytes of whole lines come before the last moment, to which a further sentence may still add."""
    lines = body.splitlines(keepends=True)
    last = None
    for each in _moments(enumerate(line.decode("ascii", "replace") for line in lines)):
        last = each if isinstance(each, _Moment) else last
    if last is None or _WHOLE.keys() & last.kinds:
        return len(body)
    return sum(map(len, lines[: last.line]))


def _moments(lines: Iterable[tuple[int, str]]) -> Iterator[Heard | _Moment]:
    """The moments that sentences are of, and what is wrong with others."""
    open_ = _Moment(0, None)
    for n, line in lines:
        for found in _sentences(line):
            if not isinstance(found, _Sentence):
                yield Heard(n, found)
                continue
            if _ends(open_, found):
                if open_.kinds:
                    yield open_
                open_ = _Moment(n, found.time)
            open_.time = found.time if open_.time is None else open_.time
            open_.tagged = open_.tagged or found.tagged
            open_.is_unfixed |= found.is_unfixed
            open_.kinds.add(found.kind)
            open_.said = found.said | open_.said
    if open_.kinds:
        yield open_


class _Sentence(NamedTuple):
    kind: str
    time: timedelta | None
    said: dict[str, str]
    tagged: datetime | None
    is_unfixed: bool


def _ends(open_: _Moment, found: _Sentence) -> bool:
    """Whether a sentence is of another moment than those before it; the first one always is."""
    if not open_.kinds or found.kind in open_.kinds or _WHOLE.keys() & {found.kind, *open_.kinds}:
        return True
    return found.time is not None and open_.time is not None and found.time != open_.time


def _sentences(line: str) -> Iterator[_Sentence | Wrong]:
    """The sentences of a line that matter here, and what is wrong with others."""
    line = line.strip()
    if len(line) > MAX_LINE:
        yield "field", f"The line has more than {MAX_LINE} characters."
        return
    if line.startswith("QZE,") or _ADDRESS.match(line):
        line = f"${line}"
    found = None
    for found in _SENTENCE.finditer(line):
        parsed = _parsed(found[2], found[1])
        if parsed is not None:
            yield parsed
    if line and found is None and identifier(line) is None:
        yield "field", "This is no NMEA sentence."


def _parsed(sentence: str, tags: str | None) -> _Sentence | Wrong | None:
    text, star, after = sentence.partition("*")
    if star:
        stated = _SUM.match(after)
        if stated is None or reduce(xor, text.rstrip().encode(errors="replace"), 0) != int(stated[1], 16):
            return "field", "The checksum does not match."
    named = _named(text)
    if named is None:
        return None
    kind, said = named
    time = _time(said.get("timestamp"))
    if time is None and said.get("timestamp"):
        return "time", "The time of day is none."
    tag_time = _TAG_TIME.search(tags) if tags else None
    is_unfixed = kind != "VTG" and _is_unfixed(said)  # a speed that is none is no word on the place
    return _Sentence(kind, time, said, moment(tag_time[1]) if tag_time else None, is_unfixed)


def _named(text: str) -> tuple[str, dict[str, str]] | None:
    """The kind of a sentence that matters here and what its fields say, by pynmea2's names for them."""
    name, _, rest = (part.strip() for part in text.partition(","))
    if name in _WHOLE:
        return name, dict(zip(_WHOLE[name], map(str.strip, text.split(",")[1:]), strict=False))
    if not _ADDRESS.match(text := f"{name},{rest}"):
        return None
    found = pynmea2.parse(text)
    fields = zip(found.fields, map(str.strip, found.data), strict=False)
    said = {ALIASES.get(label, label): word for (_, label, *_), word in fields if word}
    for angle in ("lat", "lon"):
        if angle in said:
            said[angle] += said.get(f"{angle}_dir", "")
    return found.sentence_type, said


_WHOLE = {
    "TRCCR": ("stamp", "status", "latitude", "longitude", "spd_over_grnd", "true_course", "altitude"),
    "QZE": ("imei", "cause", "date8", "timestamp", "latitude", "longitude", "kmh", "true_course", "status"),
}
"""Sentences of trackers' own, with degrees as decimals, that say a moment alone."""


def _time(text: str | None) -> timedelta | None:
    """The time of day; 60 seconds are a leap second."""
    found = _TIME.match(text or "")
    if found is None:
        return None
    hours, minutes, seconds, part = found.groups()
    return timedelta(
        hours=int(hours), minutes=int(minutes), seconds=int(seconds), microseconds=int((part or "")[:6].ljust(6, "0"))
    )


def _told(open_: _Moment, now: datetime, clock: Clock) -> Iterator[Heard]:
    """What the sentences of a moment amount to; nothing without a place.

    Live, a place without any time is of now; one with a time of an unknown day is telemetry of now, and shown nowhere.
    """
    try:
        at = _when(open_, clock, now)
        lat, lon = _place(open_.said)
    except ValueError as error:
        yield Heard(open_.line, (error.args[0], error.args[1]))
        return
    said = open_.said
    if lat is None or lon is None:
        return
    if at is None and not clock.is_live:
        yield Heard(open_.line, ("time", "Nothing says the date."))
        return
    kmh = speed(said.get("kmh"), "kmh")
    found = reading(
        now, fix_at=at or now, lat=lat, lon=lon,
        altitude_m=number(said.get("altitude")),
        speed_mps=speed(said.get("spd_over_grnd"), "knots") if kmh is None else kmh,
        heading_deg=known(said.get("true_course")),
        satellites=whole(said.get("num_sats")),
    )  # fmt: skip
    is_unfixed = open_.is_unfixed or (at is None and open_.time is not None)
    yield Heard(open_.line, unfixed(found) if isinstance(found, Fix) and is_unfixed else found)


def _is_unfixed(said: dict[str, str]) -> bool:
    """Whether a sentence says that the receiver does not know where it is."""
    modes = said.get("mode_indicator", said.get("faa_mode", "A"))
    return said.get("status", "A") != "A" or said.get("gps_qual") == "0" or set(modes) == {"N"}


def _when(open_: _Moment, clock: Clock, now: datetime) -> datetime | None:
    """The moment; raises ValueError (code, sentence) for a date that is none."""
    said = open_.said
    try:
        if "stamp" in said:
            whole, _, part = said["stamp"].partition(".")
            return datetime.strptime(f"{whole}.{part[:6] or 0}", "%Y%m%d%H%M%S.%f").replace(tzinfo=UTC)
        day = None
        if date := said.get("datestamp"):
            day = _day(date[4:6], date[2:4], date[:2], date[6:])
        elif "date8" in said:
            day = _day(said["date8"][4:], said["date8"][2:4], said["date8"][:2])
        elif "year" in said:
            day = _day(said["year"], said.get("month", ""), said.get("day", ""))
    except (ValueError, OverflowError) as error:
        raise ValueError("time", "The date is none.") from error
    return clock.moment(open_.time, day, open_.tagged, now) if open_.time is not None else None


def _day(year: str, month: str, day: str, beyond: str = "") -> datetime:
    """Midnight in UTC; of two digits, a year from 80 on is of the last century."""
    if beyond or not (year + month + day).isascii():
        raise ValueError
    n = int(year)
    if len(year) == 2:
        n += 1900 if n >= EPOCH.year % 100 + 10 else 2000
    return datetime(n, int(month), int(day), tzinfo=UTC)


def _place(said: dict[str, str]) -> tuple[float | None, float | None]:
    """Latitude and longitude in degrees, None for what is not said; raises ValueError (code, sentence)."""
    if "latitude" in said:
        return _decimal(said, "latitude"), _decimal(said, "longitude")
    return _degrees(said, "lat", "N", "S"), _degrees(said, "lon", "E", "W")


def _decimal(said: dict[str, str], name: str) -> float | None:
    found = number(said.get(name))
    if found is None or isinstance(found, float):
        return found
    raise ValueError(name[:3], f"The {name} is no number.")


def _degrees(said: dict[str, str], name: str, positive: str, negative: str) -> float | None:
    """`ddmm.mmm` and the hemisphere; the minutes are the two digits before the point, however many there are."""
    text = said.get(name)
    if text is None:
        return None
    found = _ANGLE.match(text[:-1])
    if found is None or text[-1] not in {positive, negative} or float(found[2]) >= 60:
        raise ValueError(name, "The angle is not written as degrees, minutes and hemisphere.")
    degrees = int(found[1] or 0) + float(found[2]) / 60
    return degrees if text[-1] == positive else -degrees
