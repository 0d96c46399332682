-- Registers the staged rows' categories; names the new ones.
INSERT INTO violation_category (category, registered_at)
SELECT DISTINCT category, CAST(:now AS timestamptz) FROM violation_staged ORDER BY category
ON CONFLICT DO NOTHING
RETURNING category
