"""Jamming and spoofing that several units showed, and the alert about it."""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"

OPEN = ["kind", "task_id", "unit_id", "device_id"]


def upgrade() -> None:
    op.create_table(
        "interference",
        sa.Column("area", Geometry("POLYGON", srid=4326, spatial_index=False), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interference")),
    )
    op.create_index("ix_interference_seen", "interference", ["seen_at"])
    op.create_table(
        "interference_sign",
        sa.Column("away", postgresql.JSONB(), nullable=False),
        sa.Column("interference_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lon", sa.Float(), nullable=False),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["interference_id"], ["interference.id"], ondelete="CASCADE",
            name=op.f("fk_interference_sign_interference_id_interference"),
        ),
        sa.PrimaryKeyConstraint("interference_id", "device_id", name=op.f("pk_interference_sign")),
    )  # fmt: skip
    op.create_index(op.f("ix_interference_sign_unit_id"), "interference_sign", ["unit_id"])
    for table in ("interference", "interference_sign"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY app ON {table} TO outrider_app USING ((SELECT app_sees('tasks')))")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO outrider_app")
    op.execute(
        "CREATE POLICY erased ON interference AS RESTRICTIVE FOR DELETE TO outrider_app"
        " USING ((SELECT app_sees('*')) AND seen_at < now() - interval '30 days')"
    )
    op.execute(
        "CREATE POLICY erased ON interference_sign AS RESTRICTIVE FOR DELETE TO outrider_app"
        " USING ((SELECT app_sees('*')) AND since < now() - interval '30 days')"
    )
    op.add_column("alert", sa.Column("interference_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_alert_interference_id_interference"), "alert", "interference", ["interference_id"], ["id"],
        ondelete="CASCADE",
    )  # fmt: skip
    op.drop_index("uq_alert_open", table_name="alert")
    _unique([*OPEN, "interference_id"])


def downgrade() -> None:
    op.execute("ALTER TABLE alert NO FORCE ROW LEVEL SECURITY")  # an owner who is no superuser would see no row
    op.execute("DELETE FROM alert WHERE interference_id IS NOT NULL")
    op.execute("ALTER TABLE alert FORCE ROW LEVEL SECURITY")
    op.drop_index("uq_alert_open", table_name="alert")
    _unique(OPEN)
    op.drop_column("alert", "interference_id")
    op.drop_table("interference_sign")
    op.drop_table("interference")


def _unique(columns: list[str]) -> None:
    op.create_index(
        "uq_alert_open", "alert", columns, unique=True,
        postgresql_nulls_not_distinct=True, postgresql_where=sa.text("cleared_at IS NULL"),
    )  # fmt: skip
