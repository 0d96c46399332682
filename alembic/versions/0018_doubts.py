"""Doubts about trackers: what stands against each, where suspect fixes are found, and markers that went back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_index("ix_position_suspect", "position", ["fix_at"], postgresql_where=sa.text("suspect IS NOT NULL"))
    op.execute("GRANT UPDATE (suspect) ON position TO outrider_app")
    op.execute(
        "CREATE POLICY judged ON position AS RESTRICTIVE FOR UPDATE TO outrider_app USING ((SELECT app_sees('*')))"
    )
    op.add_column("unit_latest", sa.Column("moved_back_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "device_doubt",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("away", postgresql.JSONB(), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_device_doubt_device_id_device"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("device_id", "reason", name=op.f("pk_device_doubt")),
    )
    op.execute("ALTER TABLE device_doubt ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE device_doubt FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY app ON device_doubt TO outrider_app USING ((SELECT app_sees('devices')))")
    op.execute("CREATE POLICY ingest ON device_doubt TO outrider_ingest USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON device_doubt TO outrider_app")
    op.execute("GRANT SELECT, INSERT, UPDATE ON device_doubt TO outrider_ingest")


def downgrade() -> None:
    op.drop_table("device_doubt")
    op.drop_column("unit_latest", "moved_back_at")
    op.execute("DROP POLICY judged ON position")
    op.execute("REVOKE UPDATE (suspect) ON position FROM outrider_app")
    op.drop_index("ix_position_suspect", table_name="position")
