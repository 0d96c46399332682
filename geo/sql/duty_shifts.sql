-- Begun shifts changed since $1 or of the units in $2; those that ended before $3 only when changed since $4.
SELECT id, unit_id, on_at, off_at FROM shift
WHERE on_at IS NOT NULL AND (updated_at > $1 OR unit_id = ANY ($2::uuid[]))
  AND (off_at IS NULL OR off_at >= $3 OR updated_at > $4)
