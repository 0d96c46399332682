"""Second factors: since when a person has one, its secret, and the last step of time whose code was taken."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.add_column("user_account", sa.Column("factor_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("credential", sa.Column("factor_secret", sa.String(), nullable=True))
    op.add_column("credential", sa.Column("factor_step", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("credential", "factor_step")
    op.drop_column("credential", "factor_secret")
    op.drop_column("user_account", "factor_at")
