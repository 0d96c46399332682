"""What foreign trackers write: numbers in texts, fillers for what they do not know, clocks of every kind."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from core.errors import TooLarge
from geo.device_events import PANIC, code_of
from geo.fix import Decoded, Fix, NoFix, Rejected
from geo.measures import mps
from geo.protocols.fixes import EPOCH, MAX_AHEAD, check

MS_FROM = 2**31 - 1
"""A number from here on counts milliseconds since 1970, below seconds."""
MAX_READINGS = 5_000
"""More would keep everybody else waiting while they are read."""
NOTHING = {"", "null", "none", "nil", "undefined", "nan"}
Wrong = tuple[str, str]
"""Code and sentence of what makes a reading useless."""


def number(value: object) -> object:
    """The number of a field, also one written as text; None for a filler; else the value, for its type to refuse."""
    if isinstance(value, str):
        value = value.strip()
        if value.lower() in NOTHING:
            return None
        if "_" in value:  # Python's own way to write 1_000
            return value
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except ValueError:
        return value


def known(value: object) -> object:
    """The same for what cannot be negative: below zero it is not known."""
    found = number(value)
    return None if isinstance(found, float) and found < 0 else found


def whole(value: object) -> object:
    """The same for a count."""
    found = known(value)
    return int(found) if isinstance(found, float) and found.is_integer() else found


def speed(value: object, unit: str) -> object:
    """Metres per second of a speed in `mps`, `kmh` or `knots`; below zero it is not known."""
    found = known(value)
    return mps(found, unit) if isinstance(found, float) else found


def percent(value: object) -> object:
    """Per cent of a fraction; below zero it is not known."""
    found = known(value)
    return found * 100 if isinstance(found, float) else found


def moment(value: object) -> datetime | None:
    """Seconds or milliseconds since 1970, ISO 8601 with an offset, or `yyyy-MM-dd HH:mm:ss` in UTC; None for others.

    The offset's plus may have become a space on its way through a query.
    """
    found = number(value)
    try:
        if isinstance(found, float):
            return EPOCH + timedelta(seconds=found / 1000 if found >= MS_FROM else found)
        if not isinstance(found, str) or ":" not in found:
            return None
        has_t = "T" in found
        at = datetime.fromisoformat(found.replace(" ", "+") if has_t else found)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        return None if has_t else at.replace(tzinfo=UTC)
    return at


def reading(now: datetime, **sent: object) -> Fix | Wrong:
    """The fix of normalised fields; of the optional ones, those that make no sense count as unknown.

    A panic counts though its place is none, and as of now when its time is none.
    """
    found = check(sent, now, lenient=True)
    if isinstance(found, Fix) or code_of(sent.get("event")) != PANIC:
        return found
    at = sent.get("fix_at")
    has_time = isinstance(at, datetime) and at.tzinfo is not None and EPOCH <= at <= now + MAX_AHEAD
    return NoFix(fix_at=at if has_time else now, event=PANIC)  # type: ignore[arg-type]


def unfixed(found: Fix) -> NoFix:
    """The same reading of a device that says it had no fix."""
    return NoFix(**msgspec.structs.asdict(found))


def gathered(outcomes: Iterable[Fix | Wrong]) -> Decoded:
    """Readings apart from those that are wrong, which keep their place; raises TooLarge for more than 5,000."""
    usable: list[Fix] = []
    rejected: list[Rejected] = []
    for index, outcome in enumerate(outcomes):
        if index == MAX_READINGS:
            raise TooLarge(f"A message holds at most {MAX_READINGS} fixes.")
        if isinstance(outcome, Fix):
            usable.append(outcome)
        else:
            rejected.append(Rejected(index, *outcome))
    return usable, rejected
