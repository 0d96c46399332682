"""Planned shifts can be changed and cancelled: who is not to come any more is taken off one that has not begun."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.add_column("shift", sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(op.f("ck_shift_cancelled"), "shift", "cancelled_at IS NULL OR on_at IS NULL")
    op.execute("GRANT DELETE ON shift_member TO outrider_app")
    op.execute(
        "CREATE POLICY leaves ON shift_member AS RESTRICTIVE FOR DELETE TO outrider_app USING ("
        "(SELECT app_sees('shifts')) AND EXISTS (SELECT FROM shift s WHERE s.id = shift_id AND s.on_at IS NULL))"
    )


def downgrade() -> None:
    op.execute("DROP POLICY leaves ON shift_member")
    op.execute("REVOKE DELETE ON shift_member FROM outrider_app")
    op.drop_constraint(op.f("ck_shift_cancelled"), "shift")
    op.drop_column("shift", "cancelled_at")
