"""How many fixes of a device and day stood still while it said that it moved."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("ingest_count", sa.Column("frozen", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("ingest_count", "frozen")
