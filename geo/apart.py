"""Which of a unit's trackers to believe when they are at two places. No clock, no database.

A unit is where most of its trackers are. Of two that are apart the first by `_standing` is believed, and whoever is far
from that one is not: one marker that stays with one of them is of more use than one that flies between both.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from geo.measures import distance_m
from geo.motion import MAX_SPEED_MPS

FAR_M = 20_000.0
"""Crews leave their vehicle for a while; a tracker this far from the others is in another one."""
NEAR_M = 10_000.0
"""Closer than this it is back."""
NO_SECRET = frozenset({"teltonika", "gt06", "h02", "nmea"})
"""Protocols whose devices are known by a number that others may know as well."""


class Place(NamedTuple):
    """Where a tracker says it was."""

    at: datetime
    lon: float
    lat: float


class Report(NamedTuple):
    """A tracker of a unit: its newest place, the one a minute before, and what speaks for it."""

    device_id: UUID
    protocol: str
    since: datetime | None
    """From when on it reports for the unit; None: from the beginning."""
    jumps: int
    """Of its fixes in the last minutes, those that were not believed."""
    is_doubted: bool
    newest: Place
    before: Place


def apart(reports: Iterable[Report]) -> list[Report]:
    """Those of one unit's trackers that are not where the unit is."""
    seen = sorted(reports, key=lambda one: str(one.device_id))
    if len(seen) < 2:
        return []
    believed = min(seen, key=lambda one: _standing(one, seen))
    return [one for one in seen if one is not believed and _is_apart(one, believed)]


def _standing(one: Report, all_: Sequence[Report]) -> tuple[int, bool, int, bool, bool, float]:
    """The smaller, the more it is believed: company, its own past, whether it knows a secret, how long it is known."""
    company = sum(_metres(one.newest, other.newest) <= FAR_M for other in all_)
    since_s = one.since.timestamp() if one.since else 0.0
    return -company, one.is_doubted, one.jumps, one.protocol in NO_SECRET, one.since is not None, since_s


def _is_apart(one: Report, believed: Report) -> bool:
    """Whether it is far from the other now and was so a minute ago; once it is doubted, until it is back."""
    if one.is_doubted:
        return _metres(one.newest, believed.newest) > NEAR_M
    return min(_metres(one.newest, believed.newest), _metres(one.before, believed.before)) > FAR_M


def _metres(a: Place, b: Place) -> float:
    """How far two trackers are apart at least, whatever way either went between the two moments."""
    way_m = abs((a.at - b.at).total_seconds()) * MAX_SPEED_MPS
    return max(0.0, distance_m(a.lon, a.lat, b.lon, b.lat) - way_m)
