-- How units changed since $1 or named in $2 are tracked.
SELECT id, tracking FROM unit WHERE updated_at > $1 OR id = ANY ($2::uuid[])
