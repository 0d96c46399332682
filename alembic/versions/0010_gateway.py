"""Devices that knocked at the gateway unregistered, and frames of devices on duty that could not be decoded."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "unknown_device",
        sa.Column("protocol", sa.String(), nullable=False),
        sa.Column("identifier", sa.String(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("protocol", "identifier", name=op.f("pk_unknown_device")),
    )
    op.create_table(
        "raw_frame",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_raw_frame")),
        sa.UniqueConstraint("device_id", "digest", name=op.f("uq_raw_frame_device_id_digest")),
    )
    op.create_index("ix_raw_frame_received", "raw_frame", ["received_at"], unique=False)
    for table, kind, age in (
        ("unknown_device", "devices", "last_seen < now() - interval '1 day'"),
        ("raw_frame", "raw_frames", "received_at < now() - interval '1 day'"),
    ):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY app ON {table} TO outrider_app USING ((SELECT app_sees('{kind}')))")
        op.execute(
            f"CREATE POLICY erased ON {table} AS RESTRICTIVE FOR DELETE TO outrider_app"
            f" USING ((SELECT app_sees('*')) AND {age})"
        )
        op.execute(f"CREATE POLICY ingest ON {table} TO outrider_ingest USING (true) WITH CHECK (true)")
        op.execute(f"GRANT SELECT, DELETE ON {table} TO outrider_app")
        # Deleting selects rows FOR UPDATE, which asks for the right to update one column at least.
        op.execute(f"GRANT UPDATE ON {table} TO outrider_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON unknown_device TO outrider_ingest")
    op.execute("GRANT SELECT, INSERT ON raw_frame TO outrider_ingest")


def downgrade() -> None:
    op.drop_table("raw_frame")
    op.drop_table("unknown_device")
