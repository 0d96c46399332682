-- Add to how often each unknown device knocked.
INSERT INTO unknown_device AS u (protocol, identifier, first_seen, last_seen, n, address, forwarder_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::bigint[], $6::text[], $7::uuid[])
ON CONFLICT (protocol, identifier) DO UPDATE SET
  last_seen = greatest(u.last_seen, excluded.last_seen), n = u.n + excluded.n, address = excluded.address,
  forwarder_id = excluded.forwarder_id
