"""A violation's quantity has a unit, its place words, and it may name a plate."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

COLUMNS = ("quantity_unit", "place_text", "plate")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("violation", sa.Column(name, sa.String(), nullable=True))


def downgrade() -> None:
    for name in reversed(COLUMNS):
        op.drop_column("violation", name)
