-- Devices of a filter, with their unit, what was counted of them since :since, when they were heard last, and whether
-- their unit is on duty; in any order.
WITH chosen AS (
  SELECT d.id, d.protocol, d.identifier, d.interval_s, d.revoked_at, u.id AS unit_id, u.call_sign, u.office_id,
    o.name AS office, coalesce(u.tracking = 'always' OR u.status <> 'off_duty', false) AS on_duty
  FROM device d
  LEFT JOIN LATERAL (
    SELECT a.unit_id FROM device_assignment a WHERE a.device_id = d.id AND (a.valid_from IS NULL OR a.valid_from <= :now)
    ORDER BY a.valid_from DESC NULLS LAST LIMIT 1
  ) a ON true
  LEFT JOIN unit u ON u.id = a.unit_id LEFT JOIN office o ON o.id = u.office_id
  WHERE {chosen}
), day AS (
  -- Device by device along the primary keys: both tables hold years. OFFSET 0 keeps the planner to it.
  SELECT c.* FROM chosen CROSS JOIN LATERAL (
    SELECT * FROM ingest_count WHERE device_id = chosen.id AND day >= :since OFFSET 0) c
), interval AS (
  SELECT i.* FROM chosen CROSS JOIN LATERAL (
    SELECT * FROM fix_interval WHERE device_id = chosen.id AND day >= :since OFFSET 0) i
), sums AS (
  SELECT device_id, sum(accepted) AS accepted, sum(duplicates) AS duplicates, sum(off_duty) AS off_duty,
    sum(rejected) AS rejected, sum(late) AS late, sum(jumps) AS jumps, sum(no_fix) AS no_fix,
    sum(off_clock) AS off_clock, sum(frozen) AS frozen, sum(unreadable) AS unreadable,
    (array_agg(skew_s ORDER BY day DESC) FILTER (WHERE skew_s IS NOT NULL))[1] AS last_skew_s,
    (array_agg(battery_pct ORDER BY day DESC) FILTER (WHERE battery_pct IS NOT NULL))[1] AS battery_pct,
    (array_agg(about ORDER BY day DESC) FILTER (WHERE about IS NOT NULL))[1] AS about
  FROM day GROUP BY device_id
), skews AS (
  SELECT device_id, array_agg(n ORDER BY i) AS skews FROM (
    SELECT device_id, i, sum(n)::int AS n FROM day, unnest(skews) WITH ORDINALITY c (n, i) GROUP BY device_id, i
  ) classes GROUP BY device_id
), gaps AS (
  SELECT device_id, array_agg(n ORDER BY i) AS gaps FROM (
    SELECT device_id, i, sum(n)::int AS n FROM interval, unnest(gaps) WITH ORDINALITY c (n, i) GROUP BY device_id, i
  ) classes GROUP BY device_id
), heard AS (
  SELECT device_id, sum(heard_s) AS heard_s, sum(silent_s) AS silent_s FROM interval GROUP BY device_id
)
SELECT chosen.*, accepted, duplicates, off_duty, rejected, late, jumps, no_fix, off_clock, frozen, unreadable, last_skew_s,
  battery_pct, about, skews, gaps, heard_s, silent_s, seen_at,
  ARRAY(SELECT reason FROM device_doubt WHERE device_id = chosen.id ORDER BY reason) AS doubts
FROM chosen
LEFT JOIN sums ON sums.device_id = chosen.id
LEFT JOIN skews ON skews.device_id = chosen.id
LEFT JOIN gaps ON gaps.device_id = chosen.id
LEFT JOIN heard ON heard.device_id = chosen.id
LEFT JOIN LATERAL (SELECT seen_at FROM ingest_count WHERE device_id = chosen.id ORDER BY day DESC LIMIT 1) seen ON true
