"""What a broker and encrypted messages need of an OwnTracks device's key, kept since the key itself is not."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("device", sa.Column("broker_hash", sa.String(), nullable=True))
    op.add_column("device", sa.Column("payload_secret", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("device", "payload_secret")
    op.drop_column("device", "broker_hash")
