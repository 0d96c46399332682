"""Where units are: the newest place of those on duty, a unit's track, and the units nearest to a place.

A unit is on duty while a shift of it runs, or always when it is tracked always. The last place of a unit that is
not on duty is shown to nobody.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, text

from core.actor import May
from core.audit import Action
from core.codes import CONSULTATION_REASON
from core.errors import Invalid, NotFound
from core.work import Work
from geo import sql, units
from geo.models import Unit

MAX_RANGE = timedelta(days=31)
DEFAULT_RANGE = timedelta(days=1)
LIVE_VIEW = timedelta(days=1, minutes=10)
"""So far back dispatchers look without saying why: the last 24 hours (domain.md 3.1), and some for their clock."""
PAGE = 2_000
"""Fixes read in one transaction: a few megabytes of text, and no connection is held while a slow reader reads."""
DETOUR = 1.3
"""Roads over the straight line; an assumption, usual for European road networks."""
TRAVEL_MPS = 16.7
"""Mean speed of a unit that was sent, 60 km/h; an assumption."""

ON_SHIFT = "EXISTS (SELECT 1 FROM shift s WHERE s.unit_id = u.id AND s.on_at IS NOT NULL AND s.off_at IS NULL)"
ON_DUTY = f"(u.tracking = 'always' OR {ON_SHIFT})"
"""SQL that holds for a `unit u` that is on duty now."""

_LATEST = text(
    "SELECT u.id AS unit_id, u.call_sign, u.kind, u.status, l.fix_at, l.received_at, ST_X(l.point) AS lon,"  # noqa: S608
    " ST_Y(l.point) AS lat, l.accuracy_m, l.speed_mps, l.heading_deg"
    f" FROM unit_latest l JOIN unit u ON u.id = l.unit_id WHERE {ON_DUTY} AND ST_X(l.point) BETWEEN :west AND :east"
    " AND ST_Y(l.point) BETWEEN :south AND :north ORDER BY u.call_sign"
)
NEAREST = text(sql.load("units_nearest").format(on_shift=ON_SHIFT, on_duty=ON_DUTY))
_DEVICES = text(
    "SELECT device_id FROM device_assignment WHERE unit_id = :unit_id"
    " UNION SELECT d.id FROM shift s JOIN shift_member m ON m.shift_id = s.id JOIN device d ON d.user_id = m.user_id"
    " WHERE s.unit_id = :unit_id"
)
# Device by device, because only then the primary key gives a page in order without reading the whole period.
_TRACK = text(
    "SELECT f.* FROM unnest(CAST(:devices AS uuid[])) AS d(id) CROSS JOIN LATERAL ("
    " SELECT device_id, fix_at, received_at, ST_Y(point) AS lat, ST_X(point) AS lon, accuracy_m, altitude_m,"
    " speed_mps, heading_deg, suspect IS NOT NULL AS suspect FROM position"
    " WHERE device_id = d.id AND unit_id = :unit_id AND fix_at >= :since AND fix_at < :until"
    " AND (fix_at > :since OR device_id > :after) AND point IS NOT NULL AND (:include_suspect OR suspect IS NULL)"
    " ORDER BY fix_at LIMIT :limit) f ORDER BY f.fix_at, f.device_id LIMIT :limit"
)
_EVENTS = text(
    "SELECT f.* FROM unnest(CAST(:devices AS uuid[])) AS d(id) CROSS JOIN LATERAL ("
    " SELECT device_id, fix_at, received_at, event, ST_X(point) AS lon, ST_Y(point) AS lat,"
    " suspect IS NOT NULL AS suspect FROM position"
    " WHERE device_id = d.id AND unit_id = :unit_id AND fix_at >= :since AND fix_at < :until AND event IS NOT NULL"
    " ORDER BY fix_at DESC LIMIT :limit) f ORDER BY f.fix_at DESC, f.device_id LIMIT :limit"
)

Box = tuple[float, float, float, float]
"""min_lon, min_lat, max_lon, max_lat in degrees."""
WORLD: Box = (-180, -90, 180, 90)


def short(value: float | None) -> float | None:
    """A reading that the database keeps in single precision, without the digits that are none of it."""
    return None if value is None else float(f"{value:.6g}")


def _age_s(work: Work, fix_at: datetime) -> float:
    return max(0.0, round((work.now - fix_at).total_seconds(), 1))


async def latest(work: Work, box: Box | None) -> list[dict[str, Any]]:
    """GeoJSON features of the newest plausible fix of every unit on duty that the actor may see, by call sign."""
    west, south, east, north = box or WORLD
    rows = await work.session.execute(_LATEST, {"west": west, "south": south, "east": east, "north": north})
    features = [_feature(work, row) for row in rows]
    work.audit(Action.CONSULTATION, "position", "latest", bbox=box, units=len(features))
    return features


def _feature(work: Work, row: Any) -> dict[str, Any]:
    properties = {
        "unit_id": row.unit_id, "call_sign": row.call_sign, "kind": row.kind, "status": row.status,
        "fix_at": row.fix_at, "received_at": row.received_at, "age_s": _age_s(work, row.fix_at),
        "accuracy_m": short(row.accuracy_m), "speed_mps": short(row.speed_mps),
        "heading_deg": short(row.heading_deg), "suspect": False,
    }  # fmt: skip
    geometry = {"type": "Point", "coordinates": (row.lon, row.lat)}
    return {"type": "Feature", "id": row.unit_id, "geometry": geometry, "properties": properties}


@dataclass(frozen=True)
class Track:
    """Which fixes of a unit: of these devices, from `since` until before `until`."""

    unit: Unit
    devices: list[UUID]
    since: datetime
    until: datetime
    include_suspect: bool


class TrackFix(NamedTuple):
    """One fix of a track, in the order of time."""

    device_id: UUID
    fix_at: datetime
    received_at: datetime
    lat: float
    lon: float
    accuracy_m: float | None
    altitude_m: float | None
    speed_mps: float | None
    heading_deg: float | None
    suspect: bool


def period(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """The period of a track, of the last 24 hours unless said otherwise; raises Invalid when it is over 31 days."""
    until = until or (since + DEFAULT_RANGE if since else now)
    since = since or until - DEFAULT_RANGE
    if until <= since:
        raise Invalid.at("to", "order", "The period must end after it begins.")
    if until - since > MAX_RANGE:
        raise Invalid.at("from", "range", "The period may be 31 days long at most.")
    return since, until


@dataclass(frozen=True)
class Why:
    """Why somebody looks at the past: one of the reasons of core/codes.py, with words of their own."""

    code: str | None = None
    text: str | None = None

    def check(self) -> None:
        """Nothing, or Invalid when no reason is given, or a bare `other`."""
        if self.code is None:
            reasons = ", ".join(CONSULTATION_REASON)
            needed = f"A look further back than 24 hours needs reason_code, one of {reasons}; other also needs reason."
            raise Invalid.at("reason_code", "needed", needed)
        if self.code == "other" and not (self.text or "").strip():
            raise Invalid.at("reason", "needed", "Say in words what the other reason is.")


async def consult_track(
    work: Work,
    unit_id: UUID,
    since: datetime | None,
    until: datetime | None,
    include_suspect: bool,
    form: str,
    why: Why = Why(),
) -> Track:
    """The track to read with `track_page`, written to the audit; raises NotFound, Invalid.

    The past beyond LIVE_VIEW of a unit that is not the actor's own is shown only for a reason. A fix belongs to the
    unit its device reported for then: a device that went to another unit left its fixes behind.
    """
    first, end = period(since, until, work.now)
    if unit_id not in work.actor.unit_ids and not work.actor.may(May.READ_TRACK):
        raise NotFound
    unit = await units.get(work, unit_id)
    if unit_id not in work.actor.unit_ids and first < work.now - LIVE_VIEW:
        why.check()
    async with work.elevated():  # officers see no devices, but the fixes are found by device
        devices = list((await work.session.execute(_DEVICES, {"unit_id": unit_id})).scalars())
    work.audit(
        Action.CONSULTATION, "track", unit_id, **{"from": first, "to": end}, format=form,
        include_suspect=include_suspect, reason_code=why.code, reason=why.text,
    )  # fmt: skip
    return Track(unit, devices, first, end, include_suspect)


async def track_page(work: Work, track: Track, after: TrackFix | None = None) -> list[TrackFix]:
    """The fixes after one of them, or the first: at most PAGE. What has no point is telemetry and never among them."""
    values = {
        "devices": track.devices, "unit_id": track.unit.id, "until": track.until, "limit": PAGE,
        "include_suspect": track.include_suspect, "since": after.fix_at if after else track.since,
        "after": after.device_id if after else UUID(int=0),
    }  # fmt: skip
    rows = await work.session.execute(_TRACK, values)
    return [TrackFix._make((*row[:5], *map(short, row[5:9]), row.suspect)) for row in rows]


async def consult_events(
    work: Work, unit_id: UUID, since: datetime | None, until: datetime | None, limit: int, why: Why
) -> list[dict[str, Any]]:
    """What the unit's devices told beside where they were, the newest first, also without a place to be trusted.

    Asked for, refused and written to the audit as a track is.
    """
    asked = await consult_track(work, unit_id, since, until, True, "events", why)
    values = {
        "devices": asked.devices, "unit_id": unit_id, "since": asked.since, "until": asked.until, "limit": limit,
    }  # fmt: skip
    rows = (await work.session.execute(_EVENTS, values)).mappings()
    return [
        {**row, "point": None if row["lon"] is None else {"type": "Point", "coordinates": (row["lon"], row["lat"])}}
        for row in rows
    ]


@dataclass(frozen=True)
class _Rule:
    """What a unit must meet to be sent, in words for the one who sends."""

    code: str
    shortfall: str
    yes: str
    no: str


def _rules(capability: str | None) -> list[_Rule]:
    found = [
        _Rule("on_shift", "no_unit_on_duty", "On shift.", "Not on shift."),
        _Rule("available", "none_available", "Available.", "Not available."),
        _Rule("fresh", "none_fresh", "Place known to 10 minutes.", "Place older than 10 minutes."),
    ]
    if capability is not None:
        rule = _Rule("capability", "none_with_capability", f"Has {capability}.", f"No {capability}.")
        found.insert(2, rule)
    return found


async def nearest(
    work: Work, lon: float, lat: float, capability: str | None, limit: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """The nearest units on duty by geodesic distance, and why none of all on duty fits (empty when one does).

    Each says by rule whether it fits. `travel_s` is an estimate: DETOUR x the distance at TRAVEL_MPS.
    """
    rules = _rules(capability)
    fresh_from = work.now - timedelta(seconds=units.LOST_AFTER_S)
    asked = {"lon": lon, "lat": lat, "capability": capability, "limit": limit, "fresh_from": fresh_from}
    found = (await work.session.execute(NEAREST, asked)).mappings().all()
    work.audit(Action.CONSULTATION, "position", "nearest", lon=lon, lat=lat, capability=capability, units=len(found))
    standings = found[0]["standings"] if found else []
    return [_judged(work, unit, rules) for unit in found], _shortfalls(standings, rules)


def _judged(work: Work, unit: RowMapping, rules: list[_Rule]) -> dict[str, Any]:
    distance_m = round(unit["distance_m"], 1)
    return {
        **{name: unit[name] for name in ("unit_id", "call_sign", "status", "fix_at")},
        "age_s": _age_s(work, unit["fix_at"]), "distance_m": distance_m,
        "travel_s": round(distance_m * DETOUR / TRAVEL_MPS), "fits": all(unit[rule.code] for rule in rules),
        "reasons": [
            {"code": rule.code, "fits": unit[rule.code], "text": rule.yes if unit[rule.code] else rule.no}
            for rule in rules
        ],
    }  # fmt: skip


def _shortfalls(standings: list[dict[str, bool]], rules: list[_Rule]) -> list[str]:
    """The rules that none of the units meets which meet those before; one at least when no unit meets all."""
    if not standings:
        return [rules[0].shortfall]
    short_of = []
    for rule in rules:
        meeting = [standing for standing in standings if standing[rule.code]]
        if meeting:
            standings = meeting
        else:
            short_of.append(rule.shortfall)
    return short_of
