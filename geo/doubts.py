"""Doubts about devices in the database: what is stored of them becomes suspect, and markers go back.

`device_doubt` says what stands; ingest reads it with the devices, so a change touches them. Only the worker calls this.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from core.work import Work
from geo import sql
from geo.apart import Place, Report, apart
from geo.doubt import APART

LOOKED_BACK = timedelta(minutes=15)
"""A doubt reaches this far back at most into what was stored before it was found."""
_TOUCH = text("UPDATE device SET updated_at = clock_timestamp() WHERE id = ANY(:ids)")
_END = text("DELETE FROM device_doubt WHERE reason = :reason AND device_id = ANY(:ids)")
_MARK = text("""
UPDATE position p SET suspect = :reason
FROM unnest(CAST(:devices AS uuid[]), CAST(:since AS timestamptz[])) AS v (device_id, since)
WHERE p.device_id = v.device_id AND p.fix_at >= v.since AND p.fix_at > :earliest AND p.fix_at <= :latest
  AND p.suspect IS NULL
RETURNING p.unit_id
""")
_MARK_FIXES = text("""
UPDATE position p SET suspect = :reason
FROM unnest(CAST(:devices AS uuid[]), CAST(:moments AS timestamptz[])) AS v (device_id, fix_at)
WHERE p.device_id = v.device_id AND p.fix_at = v.fix_at AND p.suspect IS NULL RETURNING p.unit_id
""")
# Ingest may move a unit meanwhile: then what it moved to is looked at in the next round.
_BACK = text("""
UPDATE unit_latest l SET
  device_id = g.device_id, fix_at = g.fix_at, received_at = g.received_at, point = g.point, accuracy_m = g.accuracy_m,
  speed_mps = g.speed_mps, heading_deg = g.heading_deg, battery_pct = g.battery_pct, moved_back_at = :now
FROM (
  SELECT DISTINCT ON (u.id) u.id, p.* FROM unnest(CAST(:units AS uuid[])) AS u (id)
  CROSS JOIN LATERAL (
    SELECT device_id AS id FROM device_assignment WHERE unit_id = u.id
    UNION SELECT v.id FROM shift s JOIN shift_member m ON m.shift_id = s.id JOIN device v ON v.user_id = m.user_id
    WHERE s.unit_id = u.id AND s.on_at <= :latest AND coalesce(s.off_at, 'infinity') > :oldest
  ) d
  CROSS JOIN LATERAL (
    SELECT device_id, fix_at, received_at, point, accuracy_m, speed_mps, heading_deg, battery_pct FROM position
    WHERE device_id = d.id AND unit_id = u.id AND fix_at > :oldest AND fix_at <= :latest
      AND suspect IS NULL AND point IS NOT NULL ORDER BY fix_at DESC LIMIT 1
  ) p ORDER BY u.id, p.fix_at DESC, p.device_id
) g
WHERE g.id = l.unit_id AND EXISTS (
  SELECT FROM position p WHERE p.device_id = l.device_id AND p.fix_at = l.fix_at AND p.suspect IS NOT NULL
)
""")
_REPORTS = text(sql.load("unit_reports"))
_NOTE = text("""
INSERT INTO device_doubt (device_id, reason, unit_id, since, seen_at)
SELECT *, :now FROM unnest(CAST(:devices AS uuid[]), CAST(:reasons AS text[]), CAST(:units AS uuid[]),
  CAST(:since AS timestamptz[]))
ON CONFLICT (device_id, reason) DO UPDATE SET unit_id = excluded.unit_id, seen_at = excluded.seen_at,
  since = CASE WHEN device_doubt.unit_id = excluded.unit_id THEN device_doubt.since ELSE excluded.since END
""")
_DOUBTED = text("SELECT device_id, since FROM device_doubt WHERE reason = :reason")
AHEAD = timedelta(minutes=2)
HEARD_FOR = timedelta(minutes=10)
"""A tracker that was not heard for so long says nothing of where its unit is."""
SETTLED = timedelta(minutes=1)
"""So long must trackers be apart: the first fix after a start is often an old one."""
KNOWN_FOR = timedelta(days=30)


async def touch(work: Work, device_ids: Collection[UUID]) -> None:
    """Let ingest read these devices again: within a second it judges by what stands now."""
    if device_ids:
        await work.session.execute(_TOUCH, {"ids": list(device_ids)})


async def end(work: Work, reason: str, device_ids: Collection[UUID]) -> None:
    """These devices are not doubted for this reason any more."""
    if device_ids:
        await work.session.execute(_END, {"reason": reason, "ids": list(device_ids)})
        await touch(work, device_ids)


async def standing(work: Work, reason: str) -> dict[UUID, datetime]:
    """The devices that are doubted for this reason, and since when."""
    found = await work.session.execute(_DOUBTED, {"reason": reason})
    return {row.device_id: row.since for row in found}


async def part(work: Work) -> None:
    """Doubt the trackers that are far from their unit's others, and no longer those that are back or alone."""
    found = [(unit_id, one) for unit_id, reports in (await _reports(work)).items() for one in apart(reports)]
    before = await standing(work, APART)
    await end(work, APART, before.keys() - {one.device_id for _, one in found})
    if found:
        values = {
            "devices": [one.device_id for _, one in found], "reasons": [APART] * len(found),
            "units": [unit_id for unit_id, _ in found], "since": [one.before.at for _, one in found], "now": work.now,
        }  # fmt: skip
        await work.session.execute(_NOTE, values)
        await touch(work, {one.device_id for _, one in found} - before.keys())


async def _reports(work: Work) -> dict[UUID, list[Report]]:
    """What the trackers of each unit that has several say."""
    values = {
        "now": work.now, "earliest": work.now - HEARD_FOR, "settled": work.now - SETTLED, "latest": work.now + AHEAD,
    }  # fmt: skip
    found: dict[UUID, list[Report]] = defaultdict(list)
    for row in await work.session.execute(_REPORTS, values):
        newest = Place(row.fix_at, row.lon, row.lat)
        before = Place(row.before_at, row.before_lon, row.before_lat)
        found[row.unit_id].append(
            Report(row.device_id, row.protocol, row.since, row.jumps, row.is_doubted, newest, before)
        )
    return found


async def mark(work: Work, reason: str, since: dict[UUID, datetime]) -> None:
    """Make what is stored of these devices since then suspect, and bring the markers back that it had moved."""
    if not since:
        return
    values = {
        "reason": reason, "devices": list(since), "since": list(since.values()), "earliest": work.now - LOOKED_BACK,
        "latest": work.now + AHEAD,
    }  # fmt: skip
    await bring_back(work, set((await work.session.execute(_MARK, values)).scalars()))


async def mark_fixes(work: Work, reason: str, fixes: Sequence[tuple[UUID, datetime]]) -> None:
    """Make these fixes of devices suspect, and bring the markers back that they had moved."""
    if fixes:
        devices, moments = zip(*fixes, strict=True)
        values = {"reason": reason, "devices": list(devices), "moments": list(moments)}
        await bring_back(work, set((await work.session.execute(_MARK_FIXES, values)).scalars()))


async def bring_back(work: Work, unit_ids: Iterable[UUID]) -> None:
    """Show these units, where they are shown at a suspect fix, at their newest plausible one again."""
    if units := sorted(unit_ids):
        values = {
            "units": units, "now": work.now, "latest": work.now + AHEAD, "oldest": work.now - KNOWN_FOR,
        }  # fmt: skip
        await work.session.execute(_BACK, values)
