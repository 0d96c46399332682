-- Count the times between the fixes of devices that were heard since they were counted last, the longest waiting first:
-- each fix up to :until once, by the UTC day it was taken. Says how many devices were counted.
WITH heard AS (
  SELECT d.id AS device_id, i.last_fix_at
  FROM device d
  CROSS JOIN LATERAL (
    SELECT seen_at FROM ingest_count WHERE device_id = d.id AND day >= :since ORDER BY day DESC LIMIT 1
  ) c
  LEFT JOIN LATERAL (
    SELECT last_fix_at, counted_at FROM fix_interval WHERE device_id = d.id ORDER BY day DESC LIMIT 1
  ) i ON true
  WHERE i.counted_at IS NULL OR (i.counted_at < c.seen_at + interval '30 seconds' AND i.counted_at < :counted_before)
  ORDER BY i.counted_at NULLS FIRST, d.id LIMIT :devices
), step AS (
  SELECT h.device_id, h.last_fix_at, p.unit_id, p.fix_at,
    lag(p.fix_at, 1, h.last_fix_at) OVER (PARTITION BY h.device_id ORDER BY p.fix_at) AS before
  FROM heard h LEFT JOIN LATERAL (
    SELECT unit_id, fix_at FROM position
    WHERE device_id = h.device_id AND fix_at > :since AND fix_at <= :until
      AND (h.last_fix_at IS NULL OR fix_at > h.last_fix_at)
  ) p ON true
), gap AS (
  -- A long one counts only when the unit was on duty in its middle: between two shifts nobody is to be heard.
  SELECT device_id, last_fix_at, fix_at, CASE WHEN fix_at - before <= make_interval(secs => :lost_s) OR EXISTS (
    SELECT FROM unit u WHERE u.id = step.unit_id AND (u.tracking = 'always' OR EXISTS (
      SELECT FROM shift s WHERE s.unit_id = u.id AND s.on_at <= before + (fix_at - before) / 2
        AND coalesce(s.off_at, 'infinity') >= before + (fix_at - before) / 2))
  ) THEN extract(epoch FROM fix_at - before) END AS gap_s
  FROM step
), classed AS (
  SELECT *, width_bucket(gap_s, CAST(:bounds AS numeric[])) AS class FROM gap
), counted AS (
  INSERT INTO fix_interval AS k (device_id, day, gaps, heard_s, silent_s, last_fix_at, counted_at)
  SELECT device_id, date_trunc('day', coalesce(fix_at, :now), 'UTC'), ARRAY[{counts}],
    coalesce(sum(gap_s), 0), coalesce(sum(gap_s) FILTER (WHERE gap_s > :lost_s), 0), max(coalesce(fix_at, last_fix_at)), :now
  FROM classed GROUP BY 1, 2
  ON CONFLICT (device_id, day) DO UPDATE SET
    gaps = ARRAY(
      SELECT coalesce(a, 0) + coalesce(b, 0) FROM unnest(k.gaps, excluded.gaps) WITH ORDINALITY u (a, b, i) ORDER BY i
    ),
    heard_s = k.heard_s + excluded.heard_s, silent_s = k.silent_s + excluded.silent_s,
    last_fix_at = greatest(k.last_fix_at, excluded.last_fix_at), counted_at = excluded.counted_at
)
SELECT count(*) FROM heard
