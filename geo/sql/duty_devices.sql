-- Devices written since $1 by a transaction that was not finished at $3, or named in $2; each with its assignments
-- in order of time (NULL first: without begin). A person's phone is assigned by the person's shifts of the last month:
-- at each moment to the unit of the one that began last of those that run then, to none where none does.
-- And the doubt that counts most: two_senders, then apart, then interference.
SELECT d.id, d.protocol, d.identifier, d.speed_unit, d.forwards_for, d.key_digest,
  d.old_key_digest, d.old_key_until, d.revoked_at, d.payload_secret, t.units, t.since,
  (SELECT json_build_object('reason', b.reason, 'away', b.away) FROM device_doubt b
    WHERE b.device_id = d.id ORDER BY array_position('{two_senders,apart,interference}', b.reason) LIMIT 1) AS doubt
FROM device d CROSS JOIN LATERAL (
  SELECT coalesce(array_agg(a.unit_id ORDER BY a.since NULLS FIRST, a.unit_id NULLS FIRST), '{}') AS units,
    coalesce(array_agg(a.since ORDER BY a.since NULLS FIRST, a.unit_id NULLS FIRST), '{}') AS since
  FROM (
    WITH tours AS MATERIALIZED (
      SELECT s.unit_id, greatest(s.on_at, m.joined_at) AS began, s.off_at
      FROM shift_member m JOIN shift s ON s.id = m.shift_id
      WHERE m.user_id = d.user_id AND s.on_at IS NOT NULL
        AND (s.off_at IS NULL OR s.off_at > now() - interval '31 days')
    )
    SELECT unit_id, valid_from AS since FROM device_assignment WHERE device_id = d.id AND d.user_id IS NULL
    UNION ALL
    SELECT (SELECT tour.unit_id FROM tours tour WHERE tour.began <= turn.since
      AND (tour.off_at IS NULL OR tour.off_at > turn.since) ORDER BY tour.began DESC, tour.unit_id LIMIT 1), turn.since
    FROM (SELECT began AS since FROM tours UNION SELECT off_at FROM tours WHERE off_at IS NOT NULL) turn
  ) a
) t
WHERE (d.updated_at > $1 AND age(d.xmin) <= age($3::text::xid)) OR d.id = ANY ($2::uuid[])
