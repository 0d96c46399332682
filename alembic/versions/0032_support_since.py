"""Since when a supporting unit stands as it does."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.add_column("task_support", sa.Column("since", sa.DateTime(timezone=True), nullable=True))
    op.execute("ALTER TABLE task_support NO FORCE ROW LEVEL SECURITY")  # an owner who is no superuser would see no row
    op.execute("UPDATE task_support SET since = added_at")
    op.execute("ALTER TABLE task_support FORCE ROW LEVEL SECURITY")
    op.alter_column("task_support", "since", nullable=False)


def downgrade() -> None:
    op.drop_column("task_support", "since")
