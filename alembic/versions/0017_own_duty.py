"""What officers note of a shift, and phones that report for whoever carries them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("shift", sa.Column("equipment_check", postgresql.JSONB(), server_default="[]", nullable=False))
    op.add_column("shift", sa.Column("odometer_from_km", sa.Integer(), nullable=True))
    op.add_column("shift", sa.Column("odometer_to_km", sa.Integer(), nullable=True))
    op.add_column("shift", sa.Column("handover_note", sa.String(), nullable=True))
    op.add_column("shift_member", sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("device", sa.Column("user_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_device_user_id_user_account"), "device", "user_account", ["user_id"], ["id"])
    op.create_index(
        "uq_device_user", "device", ["user_id", "protocol"], unique=True, postgresql_where="revoked_at IS NULL"
    )
    op.execute("GRANT SELECT ON shift_member TO outrider_ingest")
    op.execute("CREATE POLICY ingest ON shift_member FOR SELECT TO outrider_ingest USING (true)")


def downgrade() -> None:
    op.execute("DROP POLICY ingest ON shift_member")
    op.execute("REVOKE SELECT ON shift_member FROM outrider_ingest")
    op.drop_index("uq_device_user", table_name="device")
    op.drop_constraint(op.f("fk_device_user_id_user_account"), "device")
    op.drop_column("device", "user_id")
    op.drop_column("shift_member", "joined_at")
    for column in ("handover_note", "odometer_to_km", "odometer_from_km", "equipment_check"):
        op.drop_column("shift", column)
