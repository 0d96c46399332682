-- Add to what devices sent on a day and what became of it; $14 is the class of a clock's skew, counted from 0.
INSERT INTO ingest_count AS c (
  device_id, day, accepted, duplicates, off_duty, suspect, rejected, late, jumps, no_fix, off_clock, frozen, unreadable,
  skews, skew_s, battery_pct, about, seen_at
)
SELECT
  device_id, day, accepted, duplicates, off_duty, suspect, rejected, late, jumps, no_fix, off_clock, frozen, unreadable,
  CASE WHEN skew IS NULL THEN '{}' ELSE array_fill(0, ARRAY[skew]) || 1 END, skew_s, battery_pct, about, seen_at
FROM unnest(
  $1::uuid[], $2::timestamptz[], $3::int[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[], $9::int[],
  $10::int[], $11::int[], $12::int[], $13::int[], $14::int[], $15::real[], $16::real[], $17::text[], $18::timestamptz[]
) v (
  device_id, day, accepted, duplicates, off_duty, suspect, rejected, late, jumps, no_fix, off_clock, frozen, unreadable,
  skew, skew_s, battery_pct, about, seen_at
)
ON CONFLICT (device_id, day) DO UPDATE SET
  accepted = c.accepted + excluded.accepted, duplicates = c.duplicates + excluded.duplicates,
  off_duty = c.off_duty + excluded.off_duty, suspect = c.suspect + excluded.suspect,
  rejected = c.rejected + excluded.rejected, late = c.late + excluded.late, jumps = c.jumps + excluded.jumps,
  no_fix = c.no_fix + excluded.no_fix, off_clock = c.off_clock + excluded.off_clock,
  frozen = c.frozen + excluded.frozen, unreadable = c.unreadable + excluded.unreadable,
  skews = ARRAY(
    SELECT coalesce(a, 0) + coalesce(b, 0) FROM unnest(c.skews, excluded.skews) WITH ORDINALITY u (a, b, i) ORDER BY i
  ),
  skew_s = coalesce(excluded.skew_s, c.skew_s), battery_pct = coalesce(excluded.battery_pct, c.battery_pct),
  about = coalesce(excluded.about, c.about), seen_at = greatest(c.seen_at, excluded.seen_at)
