-- Trackers of units that have several: where each was last within ten minutes, and where a minute before now. A phone is
-- one of the unit whose shift its person began last, as in duty_devices.sql.
WITH reporting AS (
  SELECT * FROM (
    SELECT DISTINCT ON (a.device_id) a.unit_id, a.device_id, d.protocol, a.valid_from AS since
    FROM device_assignment a JOIN device d ON d.id = a.device_id
    WHERE d.user_id IS NULL AND d.revoked_at IS NULL AND (a.valid_from IS NULL OR a.valid_from <= :now)
    ORDER BY a.device_id, a.valid_from DESC NULLS LAST
  ) tracker
  UNION ALL
  SELECT * FROM (
    SELECT DISTINCT ON (d.id) s.unit_id, d.id, d.protocol, greatest(s.on_at, m.joined_at) AS since
    FROM shift s JOIN shift_member m ON m.shift_id = s.id JOIN device d ON d.user_id = m.user_id
    WHERE s.on_at <= :now AND s.off_at IS NULL AND d.revoked_at IS NULL
    ORDER BY d.id, since DESC, s.unit_id
  ) phone
), several AS MATERIALIZED (
  SELECT r.* FROM reporting r
  JOIN (SELECT unit_id FROM reporting GROUP BY unit_id HAVING count(*) > 1) u ON u.unit_id = r.unit_id
)
SELECT r.unit_id, r.device_id, r.protocol, r.since, n.fix_at, n.lon, n.lat, b.fix_at AS before_at, b.lon AS before_lon,
  b.lat AS before_lat,
  EXISTS (SELECT FROM device_doubt v WHERE v.device_id = r.device_id AND v.reason = 'apart' AND v.unit_id = r.unit_id)
    AS is_doubted,
  (SELECT count(*) FROM position p WHERE p.device_id = r.device_id AND p.fix_at > :earliest AND p.fix_at <= :latest
    AND p.suspect = 'jump') AS jumps
FROM several r
CROSS JOIN LATERAL (
  SELECT fix_at, ST_X(point) AS lon, ST_Y(point) AS lat FROM position
  WHERE device_id = r.device_id AND unit_id = r.unit_id AND fix_at > :earliest AND fix_at <= :latest
    AND (suspect IS NULL OR suspect = 'apart') ORDER BY fix_at DESC LIMIT 1
) n
CROSS JOIN LATERAL (
  SELECT fix_at, ST_X(point) AS lon, ST_Y(point) AS lat FROM position
  WHERE device_id = r.device_id AND unit_id = r.unit_id AND fix_at > :earliest AND fix_at <= :settled
    AND (suspect IS NULL OR suspect = 'apart') ORDER BY fix_at DESC LIMIT 1
) b
