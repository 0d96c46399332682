-- Changes of violations (cell_x, cell_y, occurred_at, category, left_out, n) summed by the cells of every tier.
SELECT
  tier.shift, tier.months, coalesce(month / nullif(tier.months, 0), 0) AS period, cell_x >> tier.shift AS x,
  cell_y >> tier.shift AS y, category, left_out, sum(n)::int AS n
FROM (
  SELECT
    *, (date_part('year', occurred_at AT TIME ZONE 'UTC') * 12 + date_part('month', occurred_at AT TIME ZONE 'UTC') - 1
  )::int AS month
  FROM {changes} AS change
) AS dated
CROSS JOIN unnest(CAST(:shifts AS int[]), CAST(:months AS int[])) AS tier (shift, months)
GROUP BY 1, 2, 3, 4, 5, 6, 7
