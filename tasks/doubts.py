"""Trackers that cannot be believed: each kind one alert, raised once and cleared when it is over.

Frozen ones say that they move and stay on one spot; doubled ones are two that send with one name; apart are those far
from their unit's others. Beside the alert nothing happens but that their fixes are suspect.
"""

from datetime import timedelta

from sqlalchemy import text

from core.work import Work
from geo import doubts
from geo.doubt import APART, TWO_SENDERS

FROZEN_FOR = timedelta(minutes=5)
"""A tracker counts as frozen so long after its last frozen fix, unless it has sent a plausible one since."""
DOUBLED_FOR = timedelta(minutes=10)
"""Two senders are told of so long after they last took turns."""
_QUIET = text("SELECT device_id FROM device_doubt WHERE reason = :reason AND seen_at < :before")
_ROUND = text("""
WITH frozen AS (
  SELECT unit_id, device_id, min(fix_at) AS since, max(fix_at) AS last_at FROM position
  WHERE fix_at > :frozen_from AND fix_at <= :latest AND suspect = 'frozen' GROUP BY unit_id, device_id),
doubted AS MATERIALIZED (
  SELECT 'tracker_frozen' AS kind, unit_id, device_id, since FROM frozen f WHERE NOT EXISTS (
    SELECT FROM position p WHERE p.device_id = f.device_id AND p.fix_at > f.last_at AND p.fix_at <= :latest
      AND p.suspect IS NULL)
  UNION ALL
  SELECT CASE reason WHEN 'apart' THEN 'tracker_apart' ELSE 'tracker_doubled' END, unit_id, device_id, since
  FROM device_doubt WHERE reason IN ('two_senders', 'apart')),
raised AS (
  INSERT INTO alert (id, kind, unit_id, device_id, since, raised_at, reached, called, updated_at)
  SELECT gen_random_uuid(), kind, unit_id, device_id, since, :now, 'dispatchers', '{}', :now FROM doubted
  ON CONFLICT DO NOTHING RETURNING kind, device_id),
cleared AS (
  UPDATE alert a SET cleared_at = :now, updated_at = :now
  WHERE a.kind IN ('tracker_frozen', 'tracker_doubled', 'tracker_apart') AND a.cleared_at IS NULL AND NOT EXISTS (
    SELECT FROM doubted d WHERE (d.kind, d.unit_id, d.device_id) = (a.kind, a.unit_id, a.device_id))
  RETURNING 1)
SELECT
  ARRAY(SELECT device_id FROM raised WHERE kind = 'tracker_doubled') AS doubled,
  (SELECT count(*) FROM raised) AS raised, (SELECT count(*) FROM cleared) AS cleared
""")


async def watch(work: Work) -> tuple[int, int]:
    """Raise the alerts of what cannot be believed and clear those of what can again; how many of each."""
    quiet = await work.session.execute(_QUIET, {"reason": TWO_SENDERS, "before": work.now - DOUBLED_FOR})
    await doubts.end(work, TWO_SENDERS, list(quiet.scalars()))
    await doubts.part(work)
    values = {"now": work.now, "latest": work.now + doubts.AHEAD, "frozen_from": work.now - FROZEN_FOR}
    row = (await work.session.execute(_ROUND, values)).one()
    await doubts.touch(work, row.doubled)
    for reason in (TWO_SENDERS, APART):
        await doubts.mark(work, reason, await doubts.standing(work, reason))
    return row.raised, row.cleared
