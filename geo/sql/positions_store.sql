-- Store fixes, move the units' latest position where one of them is newer and plausible, and tell what happened:
-- `duplicates` is NULL when every fix was new, else the places of those whose device and moment were there before
-- (twins within one batch are not among them); `devices` and `moments` name the fixes that moved a unit, and are NULL
-- in the usual case that all fixes were new and all $2 units with a plausible one moved to their newest.
WITH v AS (
  SELECT * FROM unnest($1::fix_row[]) WITH ORDINALITY
), stored AS (
  INSERT INTO position (
    device_id, fix_at, received_at, unit_id, point, accuracy_m, altitude_m,
    speed_mps, heading_deg, battery_pct, satellites, event, suspect
  )
  SELECT device_id, fix_at, received_at, unit_id, ST_Point(lon, lat, 4326), accuracy_m, altitude_m,
    speed_mps, heading_deg, battery_pct, satellites, event, suspect
  FROM v ORDER BY device_id, fix_at, ordinality
  ON CONFLICT DO NOTHING
  RETURNING device_id, fix_at, received_at, unit_id, point, accuracy_m, speed_mps, heading_deg, battery_pct, suspect
), moved AS (
  INSERT INTO unit_latest AS l (
    unit_id, device_id, fix_at, received_at, point, accuracy_m, speed_mps, heading_deg, battery_pct
  )
  SELECT DISTINCT ON (unit_id)
    unit_id, device_id, fix_at, received_at, point, accuracy_m, speed_mps, heading_deg, battery_pct
  FROM stored WHERE suspect IS NULL
  ORDER BY unit_id, fix_at DESC, device_id
  ON CONFLICT (unit_id) DO UPDATE SET
    device_id = excluded.device_id, fix_at = excluded.fix_at, received_at = excluded.received_at,
    point = excluded.point, accuracy_m = excluded.accuracy_m, speed_mps = excluded.speed_mps,
    heading_deg = excluded.heading_deg, battery_pct = excluded.battery_pct
  WHERE l.fix_at < excluded.fix_at
  RETURNING device_id, fix_at
), sums AS (
  SELECT (SELECT count(*) FROM stored) = cardinality($1) AS all_new, (SELECT count(*) FROM moved) = $2::int AS all_moved
)
SELECT
  CASE WHEN NOT all_new THEN ARRAY(
    SELECT ordinality - 1 FROM v WHERE (device_id, fix_at) NOT IN (SELECT device_id, fix_at FROM stored)
  ) END AS duplicates,
  CASE WHEN NOT (all_new AND all_moved) THEN ARRAY(SELECT device_id FROM moved) END AS devices,
  CASE WHEN NOT (all_new AND all_moved) THEN ARRAY(SELECT fix_at FROM moved) END AS moments
FROM sums
