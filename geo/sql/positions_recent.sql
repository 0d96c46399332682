-- Devices' newest fixes that count for judging the next, in order of time: plausible ones and jumps, between two
-- moments, at most $4 each.
SELECT d.device_id, p.fix_at, ST_X(p.point) AS lon, ST_Y(p.point) AS lat, p.accuracy_m,
  p.speed_mps, p.was_jump
FROM unnest($1::uuid[]) d (device_id)
CROSS JOIN LATERAL (
  SELECT fix_at, point, accuracy_m, speed_mps, suspect IS NOT NULL AS was_jump
  FROM position
  WHERE device_id = d.device_id AND fix_at > $2 AND fix_at <= $3 AND point IS NOT NULL
    AND (suspect IS NULL OR suspect = 'jump')
  ORDER BY fix_at DESC LIMIT $4
) p
ORDER BY d.device_id, p.fix_at
