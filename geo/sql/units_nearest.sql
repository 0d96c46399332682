-- The :limit units on duty nearest to a place by geodesic distance, each with what it meets, and in `standings` what
-- those on duty meet altogether. The spheroid is asked only about units that may be among them: the distance on a
-- sphere differs from it by 0.57 % at most, so whoever is farther by 1.2 % than the last one is out.
WITH on_duty AS MATERIALIZED (
  SELECT
    u.id AS unit_id, u.call_sign, u.status, u.capabilities, l.fix_at, l.point, {on_shift} AS on_shift,
    u.status = 'available' AS available, coalesce(CAST(:capability AS text) = ANY (u.capabilities), true) AS capability,
    l.fix_at >= :fresh_from AS fresh,
    ST_Distance(l.point::geography, ST_Point(:lon, :lat, 4326)::geography, false) AS sphere_m
  FROM unit_latest l JOIN unit u ON u.id = l.unit_id
  WHERE {on_duty}
), reach AS (
  SELECT max(sphere_m) * 1.012 + 1 AS most_m FROM (SELECT sphere_m FROM on_duty ORDER BY sphere_m LIMIT :limit) AS first
)
SELECT
  unit_id, call_sign, status, capabilities, fix_at, on_shift, available, capability, fresh,
  ST_Distance(point::geography, ST_Point(:lon, :lat, 4326)::geography) AS distance_m,
  (SELECT json_agg(s) FROM (SELECT DISTINCT on_shift, available, capability, fresh FROM on_duty) AS s) AS standings
FROM on_duty
WHERE sphere_m <= (SELECT most_m FROM reach)
ORDER BY distance_m, call_sign LIMIT :limit
