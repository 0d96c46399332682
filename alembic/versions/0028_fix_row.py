"""The rows the writer of positions hands over in one array."""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.execute(
        "CREATE TYPE fix_row AS (device_id uuid, fix_at timestamptz, received_at timestamptz, unit_id uuid,"
        " lon float8, lat float8, accuracy_m real, altitude_m real, speed_mps real, heading_deg real,"
        " battery_pct real, satellites smallint, event text, suspect text)"
    )


def downgrade() -> None:
    op.execute("DROP TYPE fix_row")
