-- Note devices with whose name two senders speak.
INSERT INTO device_doubt AS b (device_id, reason, unit_id, since, seen_at)
SELECT v.device_id, 'two_senders', v.unit_id, v.since, v.seen_at
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[]) v (device_id, unit_id, since, seen_at)
JOIN device d ON d.id = v.device_id
ON CONFLICT (device_id, reason) DO UPDATE SET
  unit_id = excluded.unit_id, since = least(b.since, excluded.since), seen_at = greatest(b.seen_at, excluded.seen_at)
