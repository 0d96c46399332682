"""Jamming and spoofing of satellite navigation, told from what several units report. No clock, no database.

One receiver that fails is a receiver; several in one area within minutes are interference. *Lost*: the unit had a place
and says that it has none. *Jumped*: it suddenly is kilometres away, and stays or comes back there. Those belong
together that were close to each other before, and those that end up at the same false place.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import cos, radians
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import shapely
from shapely.affinity import scale

from geo.doubt import INTERFERENCE, Circle, Doubt
from geo.fix import Fix
from geo.measures import DEGREE_M, distance_m
from geo.motion import Motion

FAR_M = 5_000.0
"""Receivers in streets jump by hundreds of metres; a false place is further off."""
FAR_FIXES = 3
LOST_FOR = timedelta(seconds=20)
KNOWN_FOR = timedelta(minutes=10)
"""A place older than this says nothing about where a receiver failed."""
MARGIN_M = 5_000.0
"""The area is drawn so far around where units were, and a false place so far around where they are shown."""
FALSE_PLACE_M = 10_000.0
WIDEST_M = 50_000.0
LOST, JUMPED = "lost", "jumped"


class Reading(NamedTuple):
    """What a device sent: a place, or none."""

    fix_at: datetime
    lon: float | None
    lat: float | None
    suspect: str | None


class Sign(msgspec.Struct, frozen=True):
    """A receiver that failed: since when, where its unit was, and the false places it was shown at."""

    unit_id: UUID
    device_id: UUID
    kind: str
    since: datetime
    lon: float
    lat: float
    away: tuple[tuple[float, float], ...] = ()


def sign(unit_id: UUID, device_id: UUID, readings: Sequence[Reading]) -> Sign | None:
    """Whether a device shows interference, from what it sent last in order of time; `since` is its first bad fix."""
    motion, good = Motion(doubt=Doubt(INTERFERENCE)), None
    run: list[Reading] = []
    far: list[Reading] = []
    left = None
    for reading in readings:
        lost = reading.suspect == "no_fix" or reading.lon is None
        fix = Fix(fix_at=reading.fix_at, lon=reading.lon, lat=reading.lat)
        if not lost and reading.suspect != INTERFERENCE and motion.judge(fix) is None:
            good, run = fix, []
            continue
        if good is None or reading.fix_at - good.fix_at > KNOWN_FOR:
            continue
        run.append(reading)
        if not lost and _is_far(good, fix):
            far.append(reading)
            left = left or good
    if left and far and (len(far) >= FAR_FIXES or (run and run[-1] is far[-1] and len(far) > 1)):
        places = tuple((one.lon or 0.0, one.lat or 0.0) for one in far)
        return Sign(unit_id, device_id, JUMPED, far[0].fix_at, left.lon or 0.0, left.lat or 0.0, places)
    none = [one for one in run if one.lon is None or one.suspect == "no_fix"]
    if good and run and none[-1:] == run[-1:] and none[-1].fix_at - none[0].fix_at >= LOST_FOR:
        return Sign(unit_id, device_id, LOST, none[0].fix_at, good.lon or 0.0, good.lat or 0.0)
    return None


def _is_far(a: Fix, b: Fix) -> bool:
    return distance_m(a.lon or 0.0, a.lat or 0.0, b.lon or 0.0, b.lat or 0.0) >= FAR_M


def scenes(signs: Sequence[Sign], least: int, area_m: float) -> list[list[Sign]]:
    """Signs that belong together, of `least` units at least each; those of a sign are never in two."""
    found: list[list[Sign]] = []
    rest = list(signs)
    while rest:
        groups = [[other for other in rest if belong(one, other, area_m)] for one in rest]
        best = max(groups, key=lambda group: len(_units(group)))
        if len(_units(best)) < least:
            break
        found.append(best)
        rest = [one for one in rest if one not in best]
    return found


def _units(signs: Iterable[Sign]) -> set[UUID]:
    return {one.unit_id for one in signs}


def belong(a: Sign, b: Sign, area_m: float) -> bool:
    """Whether two signs are of one interference: close before, or at one false place after."""
    if distance_m(a.lon, a.lat, b.lon, b.lat) <= area_m:
        return True
    return any(distance_m(*here, *there) <= FALSE_PLACE_M for here in a.away[-1:] for there in b.away[-1:])


def area(signs: Sequence[Sign]) -> dict[str, Any]:
    """GeoJSON polygon around where the units were when their receivers failed."""
    places = shapely.MultiPoint([(one.lon, one.lat) for one in signs])
    narrow = max(0.01, cos(radians(places.centroid.y)))  # a degree of longitude in degrees of latitude
    flat = scale(places, narrow, 1, origin=(0, 0)).convex_hull.buffer(MARGIN_M / DEGREE_M, quad_segs=6)
    ring = [(round(lon / narrow, 5), round(lat, 5)) for lon, lat in flat.exterior.coords]
    return {"type": "Polygon", "coordinates": [ring]}


def false_place(signs: Iterable[Sign]) -> Circle | None:
    """Where receivers are made to believe they are; None when nobody jumped, or to places too far apart for one."""
    places = [place for one in signs for place in one.away]
    if not places:
        return None
    centre = shapely.MultiPoint(places).centroid
    reach = max(distance_m(centre.x, centre.y, *place) for place in places)
    return Circle(centre.x, centre.y, reach + MARGIN_M) if reach <= WIDEST_M else None


def doubt_of(one: Sign, place: Circle | None) -> Doubt:
    """What a receiver of the scene is judged by from now on; a false place where it really was is none for it."""
    return Doubt(INTERFERENCE, None if place is None or place.holds(one.lon, one.lat) else place)


def false_fixes(one: Sign, place: Circle | None, readings: Iterable[Reading]) -> list[datetime]:
    """Which plausible fixes of a device since the sign are none, in the light of the whole scene."""
    start = Fix(fix_at=one.since, lon=one.lon, lat=one.lat)
    motion = Motion([(start, False)], doubt_of(one, place))
    found = []
    for reading in readings:
        if reading.lon is None or reading.suspect is not None:
            continue
        fix = Fix(fix_at=reading.fix_at, lon=reading.lon, lat=reading.lat)
        if motion.judge(fix) is not None:
            found.append(reading.fix_at)
    return found
