"""Interferences in the database: what shows them, which run, and what they do to the fixes of their units.

Only the worker calls this, one at a time.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from geoalchemy2.shape import from_shape
from shapely.geometry import shape
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import col, select

from core.work import Work
from geo import doubts
from geo.doubt import INTERFERENCE, Circle
from geo.interference import Reading, Sign, area, doubt_of, false_fixes, false_place, sign
from geo.models import Interference, InterferenceSign

LOOKED_BACK = timedelta(minutes=15)
_BAD = "suspect IN ('no_fix', 'jump', 'interference')"
_READINGS = text(f"""
WITH bad AS MATERIALIZED (
  SELECT device_id FROM position WHERE fix_at > :lately AND fix_at <= :latest AND {_BAD}
  GROUP BY device_id HAVING count(*) > 1)
SELECT p.unit_id, p.device_id, p.fix_at, ST_X(p.point) AS lon, ST_Y(p.point) AS lat, p.suspect
FROM bad JOIN position p USING (device_id)
WHERE p.fix_at > :earliest AND p.fix_at <= :latest ORDER BY p.device_id, p.fix_at
""")  # noqa: S608
_LAST_BAD = text(f"""
SELECT max(fix_at) FROM position
WHERE fix_at > :earliest AND fix_at <= :latest AND {_BAD} AND device_id = ANY(:devices)
""")  # noqa: S608
_SINCE = text("""
SELECT p.device_id, p.fix_at, ST_X(p.point) AS lon, ST_Y(p.point) AS lat, p.suspect
FROM unnest(CAST(:devices AS uuid[]), CAST(:since AS timestamptz[])) AS v (device_id, since)
JOIN position p ON p.device_id = v.device_id AND p.fix_at >= v.since
WHERE p.fix_at > :earliest AND p.fix_at <= :latest AND p.suspect IS NULL ORDER BY p.device_id, p.fix_at
""")
_DOUBT = text("""
INSERT INTO device_doubt AS b (device_id, reason, unit_id, since, seen_at, away)
VALUES (:device_id, 'interference', :unit_id, :since, :now, :away)
ON CONFLICT (device_id, reason) DO UPDATE SET away = excluded.away, seen_at = excluded.seen_at
WHERE b.away IS DISTINCT FROM excluded.away RETURNING device_id
""").bindparams(bindparam("away", type_=JSONB(none_as_null=True)))


@dataclass
class Scene:
    """An interference that runs, with its signs by device."""

    row: Interference
    signs: dict[UUID, Sign]

    @property
    def place(self) -> Circle | None:
        """Where its receivers are made to believe they are."""
        return false_place(self.signs.values())


async def signs(work: Work, within: timedelta) -> list[Sign]:
    """The receivers that began to fail within this time."""
    latest = work.now + doubts.AHEAD
    values = {"lately": work.now - within, "earliest": work.now - LOOKED_BACK, "latest": latest}
    readings: dict[UUID, list[Reading]] = defaultdict(list)
    units: dict[UUID, UUID] = {}
    for row in await work.session.execute(_READINGS, values):
        readings[row.device_id].append(Reading(row.fix_at, row.lon, row.lat, row.suspect))
        units[row.device_id] = row.unit_id
    found = (sign(units[device_id], device_id, rows) for device_id, rows in readings.items())
    return [one for one in found if one is not None and one.since > work.now - within]


async def running(work: Work) -> list[Scene]:
    """The interferences that have not ended."""
    rows = await work.all(select(Interference).where(col(Interference.ended_at).is_(None)))
    return [Scene(row, await _signs_of(work, row.id)) for row in rows]


async def over(work: Work, within: timedelta) -> dict[UUID, datetime]:
    """Devices of interferences that ended within this time, and when."""
    query = (
        select(InterferenceSign.device_id, Interference.ended_at)
        .join(Interference, col(Interference.id) == InterferenceSign.interference_id)
        .where(col(Interference.ended_at) > work.now - within)
    )
    return {row.device_id: row.ended_at for row in await work.session.execute(query)}


async def _signs_of(work: Work, interference_id: UUID) -> dict[UUID, Sign]:
    rows = await work.all(select(InterferenceSign).where(InterferenceSign.interference_id == interference_id))
    return {
        row.device_id: Sign(
            row.unit_id, row.device_id, row.kind, row.since, row.lon, row.lat, tuple((x, y) for x, y in row.away)
        )
        for row in rows
    }


async def begin(work: Work, found: list[Sign]) -> Scene:
    """A new interference of these signs."""
    row = Interference(area=None, begun_at=min(one.since for one in found), seen_at=work.now - LOOKED_BACK)
    scene = Scene(row, {})
    await join(work, scene, found)
    return scene


async def join(work: Work, scene: Scene, found: Iterable[Sign]) -> bool:
    """Take signs into an interference; whether a receiver is new in it."""
    before = set(scene.signs)
    for one in found:
        known = scene.signs.get(one.device_id)
        if known is None or (known.kind != one.kind and one.away):
            scene.signs[one.device_id] = one
        elif one.away:
            away = (*known.away, *(place for place in one.away if place not in known.away))[-20:]
            scene.signs[one.device_id] = msgspec.structs.replace(known, away=away)
    scene.row.area = from_shape(shape(area(list(scene.signs.values()))), srid=4326)
    work.session.add(scene.row)
    await work.session.flush()
    values = [
        {"interference_id": scene.row.id, "away": [list(place) for place in one.away]}
        | {name: getattr(one, name) for name in ("device_id", "unit_id", "kind", "since", "lon", "lat")}
        for one in scene.signs.values()
    ]
    query = insert(InterferenceSign).values(values)
    change = {"kind": query.excluded.kind, "away": query.excluded.away}
    await work.session.execute(query.on_conflict_do_update(constraint="pk_interference_sign", set_=change))
    return set(scene.signs) != before


async def follow(work: Work, scene: Scene) -> None:
    """Note when a receiver last failed, let ingest doubt what is to come, and mark what came already."""
    place, values = scene.place, {"earliest": work.now - LOOKED_BACK, "latest": work.now + doubts.AHEAD}
    devices = list(scene.signs)
    last_bad = (await work.session.execute(_LAST_BAD, values | {"devices": devices})).scalar()
    scene.row.seen_at = max(scene.row.seen_at, min(last_bad or scene.row.seen_at, work.now))
    changed: list[UUID] = []
    for one in scene.signs.values():
        away = doubt_of(one, place).away
        doubted = await work.session.execute(_DOUBT, {
            "device_id": one.device_id, "unit_id": one.unit_id, "since": one.since, "now": work.now,
            "away": msgspec.to_builtins(away),
        })  # fmt: skip
        changed += doubted.scalars()
    await doubts.touch(work, changed)
    since = [one.since for one in scene.signs.values()]
    rows: dict[UUID, list[Reading]] = defaultdict(list)
    for row in await work.session.execute(_SINCE, values | {"devices": devices, "since": since}):
        rows[row.device_id].append(Reading(row.fix_at, row.lon, row.lat, row.suspect))
    wrong = [
        (device_id, at) for device_id, found in rows.items() for at in false_fixes(scene.signs[device_id], place, found)
    ]
    await doubts.mark_fixes(work, INTERFERENCE, wrong)


async def end(work: Work, scene: Scene) -> None:
    """It is over: by itself, or since somebody says so. Its devices are judged as all others again."""
    scene.row.ended_at = work.now
    work.session.add(scene.row)
    await doubts.end(work, INTERFERENCE, list(scene.signs))
