"""Patrol minutes by cell and day, and positions that go row by row of a day, only once its minutes stand."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# Only the rows that are past their time and not held go. What is left is written anew, which is quicker than deleting
# and leaves no dead rows; without any left the day goes. The minutes stand when they were counted from as many fixes as
# there are now, or when the day was closed before.
ERASE_DAY = """
CREATE FUNCTION erase_position_day(
  which date, before timestamptz, units uuid[], starts timestamptz[], ends timestamptz[],
  areas text[], area_starts timestamptz[], area_ends timestamptz[],
  OUT stands boolean, OUT erased bigint, OUT held bigint, OUT later bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE part text := 'position_' || to_char(which, 'YYYYMMDD'); found bigint; due bigint;
BEGIN
  IF before > now() - interval '1 day' THEN RAISE EXCEPTION 'positions are kept for a day at least'; END IF;
  stands := true; erased := 0; held := 0; later := 0;
  IF to_regclass('public.' || part) IS NULL THEN RETURN; END IF;
  EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', part);
  EXECUTE format('SELECT count(*), count(*) FILTER (WHERE received_at < $1) FROM %I', part) INTO found, due USING before;
  later := found - due;
  IF due = 0 AND found > 0 THEN RETURN; END IF;
  SELECT EXISTS (SELECT FROM patrol_day d WHERE d.day = which AND (d.closed_at IS NOT NULL OR d.fixes = found)) INTO stands;
  IF NOT stands THEN RETURN; END IF;
  IF cardinality(units) + cardinality(areas) > 0 AND due > 0 THEN
    EXECUTE format('CREATE TEMP TABLE position_held ON COMMIT DROP AS SELECT p.* FROM %I p WHERE received_at < $1 AND (
      EXISTS (SELECT FROM unnest($2, $3, $4) s (unit_id, since, until)
        WHERE s.unit_id = p.unit_id AND p.fix_at BETWEEN s.since AND s.until)
      OR EXISTS (SELECT FROM unnest($5, $6, $7) a (area, since, until)
        WHERE p.fix_at BETWEEN a.since AND a.until AND ST_Intersects(ST_GeomFromEWKT(a.area), p.point)))', part)
      USING before, units, starts, ends, areas, area_starts, area_ends;
    SELECT count(*) INTO held FROM position_held;
  END IF;
  erased := due - held;
  IF held + later = 0 THEN
    EXECUTE format('DROP TABLE %I', part);
  ELSIF erased > 0 THEN
    EXECUTE format('CREATE TEMP TABLE position_later ON COMMIT DROP AS SELECT * FROM %I WHERE received_at >= $1', part)
      USING before;
    EXECUTE format('TRUNCATE %I', part);
    EXECUTE format('INSERT INTO %I SELECT * FROM position_later', part);
    IF held > 0 THEN EXECUTE format('INSERT INTO %I SELECT * FROM position_held', part); END IF;
  END IF;
  IF erased > 0 THEN UPDATE patrol_day SET closed_at = coalesce(closed_at, now()) WHERE day = which; END IF;
END $$
"""
SIGNATURE = (
    "erase_position_day(date, timestamptz, uuid[], timestamptz[], timestamptz[], text[], timestamptz[], timestamptz[])"
)

DROP_DAYS = """
CREATE FUNCTION drop_position_days(before timestamptz) RETURNS TABLE (dropped text, n bigint) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE part regclass; wanted boolean;
BEGIN
  FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'position'::regclass ORDER BY 1 LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE received_at >= $1)', part) INTO wanted USING before;
    IF NOT wanted THEN
      EXECUTE format('SELECT count(*) FROM %s', part) INTO n;
      dropped := part::text;
      EXECUTE format('DROP TABLE %s', part);
      RETURN NEXT;
    END IF;
  END LOOP;
END $$
"""


def upgrade() -> None:
    op.create_table(
        "patrol_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("fixes", sa.BigInteger(), nullable=False),
        sa.Column("inserted", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_patrol_day")),
    )
    op.create_table(
        "patrol_minutes",
        sa.Column("part", sa.Date(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("cell_x", sa.Integer(), nullable=False),
        sa.Column("cell_y", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("part", "day", "cell_x", "cell_y", name=op.f("pk_patrol_minutes")),
    )
    op.create_index("ix_patrol_minutes_day", "patrol_minutes", ["day"])
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON patrol_minutes TO outrider_app")
    op.execute("GRANT SELECT, INSERT, UPDATE ON patrol_day TO outrider_app")
    op.execute("GRANT DELETE ON unit_latest TO outrider_app")
    op.execute(
        "CREATE POLICY erased ON unit_latest AS RESTRICTIVE FOR DELETE TO outrider_app"
        " USING ((SELECT app_sees('*')) AND received_at < now() - interval '1 day')"
    )
    op.execute("DROP FUNCTION drop_position_days(timestamptz)")
    op.execute(ERASE_DAY)
    op.execute(f"REVOKE ALL ON FUNCTION {SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO outrider_app")


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {SIGNATURE}")
    op.execute(DROP_DAYS)
    op.execute("REVOKE ALL ON FUNCTION drop_position_days(timestamptz) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION drop_position_days(timestamptz) TO outrider_app")
    op.execute("DROP POLICY erased ON unit_latest")
    op.execute("REVOKE DELETE ON unit_latest FROM outrider_app")
    op.drop_table("patrol_minutes")
    op.drop_table("patrol_day")
