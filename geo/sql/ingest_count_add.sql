-- Add to what devices sent on a day and what became of it.
INSERT INTO ingest_count AS c (device_id, day, accepted, duplicates, off_duty, suspect, rejected, seen_at)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::int[], $5::int[], $6::int[], $7::int[],
  $8::timestamptz[])
ON CONFLICT (device_id, day) DO UPDATE SET
  accepted = c.accepted + excluded.accepted, duplicates = c.duplicates + excluded.duplicates,
  off_duty = c.off_duty + excluded.off_duty, suspect = c.suspect + excluded.suspect,
  rejected = c.rejected + excluded.rejected, seen_at = greatest(c.seen_at, excluded.seen_at)
