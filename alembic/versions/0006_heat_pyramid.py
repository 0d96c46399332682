"""Counts by coarse cell beside the violations, told of every change by triggers; indexes that answer heat alone."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

LEFT_OUT = "CASE WHEN coord_source = 'office' THEN 'office' WHEN accuracy_m > 500 THEN 'accuracy' ELSE '' END"
COUNTED = ["category", "left_out", "recorded_by"]
CHANGE = "(cell_x, cell_y, occurred_at, category, left_out, n) SELECT cell_x, cell_y, occurred_at, category, left_out,"

# One narrow row for each violation that came or went, and no row that two writers would have to wait for.
QUEUE_HEAT = f"""
CREATE FUNCTION queue_heat() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN INSERT INTO heat_pending {CHANGE} -1 FROM gone; END IF;
  IF TG_OP <> 'DELETE' THEN INSERT INTO heat_pending {CHANGE} 1 FROM come; END IF;
  RETURN NULL;
END $$
"""
TABLES = {"INSERT": "NEW TABLE AS come", "UPDATE": "OLD TABLE AS gone NEW TABLE AS come", "DELETE": "OLD TABLE AS gone"}


def upgrade() -> None:
    op.execute(
        "ALTER TABLE violation ADD COLUMN cell_band int NOT NULL GENERATED ALWAYS AS (cell_y >> 6) STORED,"
        f" ADD COLUMN left_out text NOT NULL GENERATED ALWAYS AS ({LEFT_OUT}) STORED"
    )
    op.drop_index("ix_violation_cell", table_name="violation")
    op.drop_index("ix_violation_occurred", table_name="violation")
    op.create_index(
        "ix_violation_band", "violation", ["cell_band", "cell_x"],
        postgresql_include=["cell_y", "occurred_at", *COUNTED],
    )  # fmt: skip
    op.create_index(
        "ix_violation_occurred", "violation", ["occurred_at"], postgresql_include=["cell_x", "cell_y", *COUNTED]
    )
    op.create_table(
        "heat_cell",
        *(sa.Column(name, sa.SmallInteger(), nullable=False) for name in ("shift", "months")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("period", "x", "y")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("category", "left_out")),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("shift", "months", "period", "x", "y", "category", "left_out", name="pk_heat_cell"),
        postgresql_with={"fillfactor": 80},  # counts are changed in place
    )
    op.create_table(
        "heat_pending",
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("cell_x", "cell_y")),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("category", "left_out")),
        sa.Column("n", sa.SmallInteger(), nullable=False),
        # Every reader scans it, so it is kept short.
        postgresql_with={"autovacuum_vacuum_scale_factor": 0, "autovacuum_vacuum_threshold": 10_000},
    )
    for table in ("heat_cell", "heat_pending"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO outrider_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")  # not forced: the trigger writes for everybody
        rule = "(SELECT app_sees('violations'))"
        op.execute(f"CREATE POLICY app ON {table} TO outrider_app USING ({rule}) WITH CHECK ({rule})")
    op.execute(QUEUE_HEAT)
    for event, tables in TABLES.items():
        op.execute(
            f"CREATE TRIGGER violation_heat_{event.lower()} AFTER {event} ON violation REFERENCING {tables}"
            " FOR EACH STATEMENT EXECUTE FUNCTION queue_heat()"
        )
    # An owner who is no superuser would see, and count, no row.
    op.execute("ALTER TABLE violation NO FORCE ROW LEVEL SECURITY")
    op.execute(f"INSERT INTO heat_pending {CHANGE} 1 FROM violation")
    op.execute("ALTER TABLE violation FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    for event in TABLES:
        op.execute(f"DROP TRIGGER violation_heat_{event.lower()} ON violation")
    op.execute("DROP FUNCTION queue_heat()")
    op.drop_table("heat_pending")
    op.drop_table("heat_cell")
    for index in ("ix_violation_band", "ix_violation_occurred"):
        op.drop_index(index, table_name="violation")
    op.create_index("ix_violation_cell", "violation", ["cell_x", "cell_y"])
    op.create_index("ix_violation_occurred", "violation", ["occurred_at"])
    op.drop_column("violation", "left_out")
    op.drop_column("violation", "cell_band")
