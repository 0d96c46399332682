-- A device's newest fixes that count for judging the next: plausible ones and jumps, between two moments.
SELECT fix_at, ST_X(point) AS lon, ST_Y(point) AS lat, accuracy_m, suspect IS NOT NULL AS was_jump
FROM position
WHERE device_id = $1 AND fix_at > $2 AND fix_at <= $3 AND point IS NOT NULL
  AND (suspect IS NULL OR suspect = 'jump')
ORDER BY fix_at DESC LIMIT $4
