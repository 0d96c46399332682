-- How units written since $1 by a transaction that was not finished at $3, or named in $2, are tracked.
SELECT id, tracking FROM unit
WHERE (updated_at > $1 AND age(xmin) <= age($3::text::xid)) OR id = ANY ($2::uuid[])
