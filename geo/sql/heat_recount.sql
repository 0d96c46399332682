-- Every violation as a change that waits, and nothing else: one statement, hence one moment, whoever writes meanwhile.
WITH kept AS (DELETE FROM heat_cell), waiting AS (DELETE FROM heat_pending)
INSERT INTO heat_pending (cell_x, cell_y, occurred_at, category, left_out, n)
SELECT cell_x, cell_y, occurred_at, category, left_out, 1 FROM violation
