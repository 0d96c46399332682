-- The days of positions whose patrol minutes are to be counted: over, not closed, and never counted, or changed since by
-- late fixes (the server's own count of rows ever inserted, which may only say so too often) or by a shift.
SELECT p.day, p.inserted FROM (
  SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day, pg_stat_get_tuples_inserted(c.oid) AS inserted
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'position'::regclass
) p LEFT JOIN patrol_day d ON d.day = p.day
WHERE p.day < CAST(:today AS date) AND d.closed_at IS NULL AND (
  d.day IS NULL OR d.inserted <> p.inserted OR EXISTS (
    SELECT FROM shift s WHERE s.updated_at > d.counted_at
      AND s.on_at < (p.day + 1)::timestamp AT TIME ZONE 'UTC'
      AND (s.off_at IS NULL OR s.off_at >= p.day::timestamp AT TIME ZONE 'UTC'))
) ORDER BY p.day
