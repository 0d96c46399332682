-- Stores what is staged and not there yet, by (source, external_id) or by id; equal ones of one file count once.
INSERT INTO violation (
  id, external_id, source, category, occurred_at, recorded_at, point, cell_x, cell_y, accuracy_m, coord_source,
  in_area, method, goods_category, quantity, evaded_duties_eur, note, task_id, recorded_by
)
SELECT
  id, external_id, :source, category, occurred_at, :now, ST_SetSRID(ST_MakePoint(lon, lat), 4326), cell_x, cell_y,
  accuracy_m, coord_source, in_area, method, goods_category, quantity, evaded_duties_eur, note, task_id, :recorded_by
FROM violation_staged
ON CONFLICT DO NOTHING
