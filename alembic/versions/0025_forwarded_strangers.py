"""Who forwards for an unknown device."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.add_column("unknown_device", sa.Column("forwarder_id", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.execute("ALTER TABLE unknown_device NO FORCE ROW LEVEL SECURITY")  # else only a superuser would see a row
    op.execute("DELETE FROM unknown_device WHERE forwarder_id IS NOT NULL")
    op.execute("ALTER TABLE unknown_device FORCE ROW LEVEL SECURITY")
    op.drop_column("unknown_device", "forwarder_id")
