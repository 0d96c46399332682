-- Begun shifts written since $1 by a transaction that was not finished at $3, or of the units in $2; those that
-- ended before $4 only when written since $5.
SELECT id, unit_id, on_at, off_at FROM shift
WHERE on_at IS NOT NULL AND ((updated_at > $1 AND age(xmin) <= age($3::text::xid)) OR unit_id = ANY ($2::uuid[]))
  AND (off_at IS NULL OR off_at >= $4 OR updated_at > $5)
