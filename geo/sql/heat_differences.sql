-- How many counts of the pyramid, with the changes that wait, are not those of the violations.
WITH change AS (
  SELECT cell_x, cell_y, occurred_at, category, left_out, 1 AS n FROM violation
  UNION ALL SELECT cell_x, cell_y, occurred_at, category, left_out, -n FROM heat_pending
)
SELECT count(*) FROM (
  SELECT FROM (
    SELECT * FROM ({tiers}) AS tiers
    UNION ALL SELECT shift, months, period, x, y, category, left_out, -n FROM heat_cell
  ) AS both_sides
  GROUP BY shift, months, period, x, y, category, left_out HAVING sum(n) <> 0
) AS wrong
