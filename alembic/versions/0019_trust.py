"""In what state devices' fixes come, by day: clock, lateness, doubts, intervals; strangers that were put aside."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0019"
down_revision = "0018"

COUNTS = ("late", "jumps", "no_fix", "off_clock", "unreadable")


def upgrade() -> None:
    for name in COUNTS:
        op.add_column("ingest_count", sa.Column(name, sa.Integer(), server_default="0", nullable=False))
    op.add_column("ingest_count", sa.Column("skews", ARRAY(sa.Integer()), server_default="{}", nullable=False))
    op.add_column("ingest_count", sa.Column("skew_s", sa.REAL(), nullable=True))
    op.add_column("ingest_count", sa.Column("battery_pct", sa.REAL(), nullable=True))
    op.add_column("ingest_count", sa.Column("about", sa.String(), nullable=True))
    op.create_table(
        "fix_interval",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gaps", ARRAY(sa.Integer()), nullable=False),
        sa.Column("heard_s", sa.Float(), nullable=False),
        sa.Column("silent_s", sa.Float(), nullable=False),
        sa.Column("last_fix_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "day", name=op.f("pk_fix_interval")),
    )
    op.execute("ALTER TABLE fix_interval ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE fix_interval FORCE ROW LEVEL SECURITY")
    rule = "(SELECT app_sees('devices'))"
    op.execute(f"CREATE POLICY app ON fix_interval TO outrider_app USING ({rule}) WITH CHECK ({rule})")
    op.execute(
        "CREATE POLICY erased ON fix_interval AS RESTRICTIVE FOR DELETE TO outrider_app"
        " USING ((SELECT app_sees('*')) AND day < now() - interval '30 days')"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON fix_interval TO outrider_app")
    op.add_column("unknown_device", sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("unknown_device", sa.Column("ignored_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("unknown_device", "ignored_at")
    op.drop_column("unknown_device", "forgotten_at")
    op.drop_table("fix_interval")
    for name in ("about", "battery_pct", "skew_s", "skews", *reversed(COUNTS)):
        op.drop_column("ingest_count", name)
