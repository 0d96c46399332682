-- Owe what the events of these fixes call for.
-- Off duty a panic is the one thing taken, and its place the one place: none when the device left one within the hour.
-- A moment that was stored before by a message without this event gets it now.
WITH v AS (
  SELECT *, CASE WHEN suspect IS DISTINCT FROM 'off_duty_no_fix' THEN ST_Point(lon, lat, 4326) END AS point
  FROM unnest($1::fix_row[])
), off_duty AS (
  INSERT INTO position (
    device_id, fix_at, received_at, unit_id, point, accuracy_m, altitude_m,
    speed_mps, heading_deg, battery_pct, satellites, event, suspect
  )
  SELECT DISTINCT ON (device_id) device_id, fix_at, received_at, unit_id, point, accuracy_m, altitude_m,
    speed_mps, heading_deg, battery_pct, satellites, event, CASE WHEN point IS NULL THEN 'no_fix' END
  FROM v WHERE suspect LIKE 'off_duty%' AND unit_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM position p WHERE p.device_id = v.device_id AND p.event = v.event
    AND p.fix_at BETWEEN v.fix_at - interval '1 hour' AND v.fix_at + interval '1 hour')
  ORDER BY device_id, fix_at
  ON CONFLICT DO NOTHING
), said AS (
  UPDATE position p SET event = v.event FROM v
  WHERE p.device_id = v.device_id AND p.fix_at = v.fix_at AND (p.event IS NULL OR v.event = 'panic')
)
INSERT INTO device_event (device_id, fix_at, event, unit_id, received_at, point, suspect)
SELECT device_id, fix_at, event, unit_id, received_at, point, suspect FROM v
ON CONFLICT DO NOTHING
