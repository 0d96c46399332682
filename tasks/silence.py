"""Units on shift whose position is not heard any more, and single trackers of units on duty that fell silent.

A unit counts by its newest plausible fix, as on the map; a tracker by anything it sent. Both are given twice the
tracker's interval if that is longer. A unit without a tracker has nothing to be silent, and a tracker is told of only
while its unit is heard by another, so that one failure is one alert.
"""

from datetime import timedelta

from sqlalchemy import text

from core.work import Work
from geo.where import ON_DUTY

# The tracker a unit has now is the one whose newest assignment names it.
_SILENT = f"""
tracker AS MATERIALIZED (
  SELECT d.id AS device_id, a.unit_id, s.on_at, greatest(:after, 2 * d.interval_s * interval '1 second') AS patience,
    greatest(d.created_at, a.valid_from, s.on_at,
      (SELECT c.seen_at FROM ingest_count c WHERE c.device_id = d.id ORDER BY c.day DESC LIMIT 1)) AS heard_at
  FROM device d CROSS JOIN LATERAL (
    SELECT unit_id, valid_from FROM device_assignment
    WHERE device_id = d.id AND (valid_from IS NULL OR valid_from <= :now) ORDER BY valid_from DESC NULLS LAST LIMIT 1) a
  JOIN unit u ON u.id = a.unit_id
  LEFT JOIN shift s ON s.unit_id = u.id AND s.on_at IS NOT NULL AND s.off_at IS NULL
  WHERE d.revoked_at IS NULL AND {ON_DUTY}),
quiet AS MATERIALIZED (
  SELECT t.unit_id, greatest(min(l.fix_at), min(t.on_at)) AS since FROM tracker t
  LEFT JOIN unit_latest l ON l.unit_id = t.unit_id WHERE t.on_at IS NOT NULL
  GROUP BY t.unit_id HAVING greatest(min(l.fix_at), min(t.on_at)) < :now - max(t.patience)),
silent AS MATERIALIZED (
  SELECT 'unit_silent' AS kind, unit_id, NULL::uuid AS device_id, since FROM quiet
  UNION ALL
  SELECT 'tracker_silent', t.unit_id, t.device_id, t.heard_at FROM tracker t
  WHERE t.heard_at < :now - t.patience AND NOT EXISTS (SELECT FROM quiet q WHERE q.unit_id = t.unit_id))
"""  # noqa: S608
_ROUND = text(f"""
WITH {_SILENT},
raised AS (
  INSERT INTO alert (id, kind, unit_id, device_id, since, raised_at, reached, called, updated_at)
  SELECT gen_random_uuid(), kind, unit_id, device_id, since, :now, 'dispatchers', '{{}}', :now FROM silent
  ON CONFLICT DO NOTHING RETURNING 1),
cleared AS (
  UPDATE alert a SET cleared_at = :now, updated_at = :now
  WHERE a.kind IN ('unit_silent', 'tracker_silent') AND a.cleared_at IS NULL AND NOT EXISTS (
    SELECT FROM silent s
    WHERE (s.kind, s.unit_id) = (a.kind, a.unit_id) AND s.device_id IS NOT DISTINCT FROM a.device_id)
  RETURNING 1)
SELECT (SELECT count(*) FROM raised) AS raised, (SELECT count(*) FROM cleared) AS cleared
""")  # noqa: S608


async def watch(work: Work, after: timedelta) -> tuple[int, int]:
    """Raise the alerts of what fell silent and clear those of what is heard again or off duty; how many of each."""
    row = (await work.session.execute(_ROUND, {"now": work.now, "after": after})).one()
    return row.raised, row.cleared
