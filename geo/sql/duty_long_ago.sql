-- For each pair of unit and moment, whether a shift of the unit was on then.
SELECT EXISTS (
  SELECT FROM shift s WHERE s.unit_id = v.unit_id AND s.on_at <= v.at AND coalesce(s.off_at, 'infinity') >= v.at
) AS on_duty
FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY v (unit_id, at, n) ORDER BY n
