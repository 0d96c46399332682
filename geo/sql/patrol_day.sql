-- The patrol minutes of one UTC day, as geo/patrol_minutes.py defines them, and how many fixes they were counted from:
-- one statement, so that both are of the same moment.
WITH fix AS (
  SELECT p.unit_id, s.id AS shift_id, p.fix_at, p.device_id, ST_X(p.point) AS lon, ST_Y(p.point) AS lat
  FROM position p CROSS JOIN LATERAL (
    SELECT s.id FROM shift s
    WHERE s.unit_id = p.unit_id AND s.on_at <= p.fix_at AND (s.off_at IS NULL OR p.fix_at < s.off_at)
    ORDER BY s.on_at DESC LIMIT 1
  ) s
  WHERE p.fix_at >= :since AND p.fix_at < :until AND p.suspect IS NULL AND p.point IS NOT NULL
    AND (p.accuracy_m IS NULL OR p.accuracy_m <= :accuracy_m)
), step AS (
  SELECT unit_id, fix_at, lon, least(greatest(lat, -CAST(:max_lat AS float8)), :max_lat) AS lat,
    extract(epoch FROM fix_at - lag(fix_at) OVER w) AS before_s,
    extract(epoch FROM lead(fix_at) OVER w - fix_at) AS after_s
  FROM fix WINDOW w AS (PARTITION BY shift_id ORDER BY fix_at, device_id)
), owned AS (
  SELECT unit_id, (fix_at AT TIME ZONE :zone)::date AS day,
    least(floor((lon + 180) / 360 * CAST(:side AS int)), :side - 1)::int AS x,
    least(floor((1 - asinh(tan(radians(lat))) / pi()) / 2 * CAST(:side AS int)), :side - 1)::int AS y,
    (CASE WHEN before_s <= CAST(:lost_s AS int) THEN before_s ELSE 0 END + CASE WHEN after_s <= :lost_s THEN after_s ELSE 0 END) / 2
      AS seconds
  FROM step
), cell AS (
  SELECT unit_id, x, y, day, sum(seconds) AS seconds, day = min(day) OVER (PARTITION BY unit_id, x, y) AS is_first
  FROM owned WHERE seconds > 0 GROUP BY unit_id, x, y, day
), stored AS (
  INSERT INTO patrol_minutes (part, day, cell_x, cell_y, seconds, units)
  SELECT CAST(:part AS date), day, x, y, sum(seconds), count(*) FILTER (WHERE is_first) FROM cell GROUP BY day, x, y
)
INSERT INTO patrol_day AS d (day, fixes, inserted, counted_at)
SELECT CAST(:part AS date), count(*), CAST(:inserted AS bigint), CAST(:now AS timestamptz)
FROM position WHERE fix_at >= :since AND fix_at < :until
ON CONFLICT (day) DO UPDATE SET fixes = excluded.fixes, inserted = excluded.inserted, counted_at = excluded.counted_at
