-- Moves changes that wait into the pyramid, in the order of its key. Says how many, and whether some took away.
WITH taken AS (
  DELETE FROM heat_pending WHERE ctid = ANY (ARRAY(SELECT ctid FROM heat_pending LIMIT :batch)) RETURNING *
), merged AS (
  INSERT INTO heat_cell AS kept
  SELECT * FROM ({tiers}) AS tiers WHERE n <> 0 ORDER BY 1, 2, 3, 4, 5, 6, 7
  ON CONFLICT (shift, months, period, x, y, category, left_out) DO UPDATE SET n = kept.n + excluded.n
)
SELECT count(*) AS n, coalesce(bool_or(n < 0), false) AS fewer FROM taken
