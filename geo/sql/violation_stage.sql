-- Where COPY puts the rows of one chunk; gone with the transaction.
CREATE TEMP TABLE violation_staged (
  id uuid, external_id text, category text, occurred_at timestamptz, lon float8, lat float8, cell_x int, cell_y int,
  accuracy_m real, coord_source text, in_area boolean, method text, goods_category text, quantity float8,
  evaded_duties_eur float8, note text, task_id uuid
) ON COMMIT DROP
