-- Keep a frame, unless it is kept already or its device filled its share; true when either was so before.
WITH share AS (
  SELECT count(*) >= 1000 AS is_full FROM raw_frame WHERE device_id = $2
), kept AS (
  INSERT INTO raw_frame (id, device_id, unit_id, received_at, digest, frame, error)
  SELECT $1, $2, $3, $4, $5, $6, $7 FROM share WHERE NOT is_full
  ON CONFLICT DO NOTHING
)
SELECT is_full OR EXISTS (SELECT FROM raw_frame WHERE device_id = $2 AND digest = $5) FROM share
