"""The rows of cells that an edge of a view runs through are found by an index alone."""

from alembic import op

revision = "0021"
down_revision = "0020"

BAND = "ix_violation_band"
COUNTED = ["category", "left_out", "recorded_by"]


def upgrade() -> None:
    op.drop_index(BAND, table_name="violation")
    op.create_index(
        BAND, "violation", ["cell_band", "cell_x", "cell_y"], postgresql_include=["occurred_at", *COUNTED]
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index(BAND, table_name="violation")
    op.create_index(
        BAND, "violation", ["cell_band", "cell_x"], postgresql_include=["cell_y", "occurred_at", *COUNTED]
    )  # fmt: skip
