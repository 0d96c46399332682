-- Devices written since $1 by a transaction that was not finished at $3, or named in $2; each with its assignments
-- in order of time (NULL first: without begin).
SELECT d.id, d.protocol, d.identifier, d.speed_unit, d.forwards_for, d.key_digest,
  d.old_key_digest, d.old_key_until, d.revoked_at, d.payload_secret,
  ARRAY(SELECT a.unit_id FROM device_assignment a WHERE a.device_id = d.id ORDER BY a.valid_from NULLS FIRST) AS units,
  ARRAY(SELECT a.valid_from FROM device_assignment a WHERE a.device_id = d.id ORDER BY a.valid_from NULLS FIRST) AS since
FROM device d
WHERE (d.updated_at > $1 AND age(d.xmin) <= age($3::text::xid)) OR d.id = ANY ($2::uuid[])
