"""A task knows how many stop forms were recorded for it: some cannot be completed without one."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("task", sa.Column("stop_forms", sa.Integer(), server_default="0", nullable=False))
    for table in ("task", "stop_form"):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")  # an owner who is no superuser would see no row
    op.execute(
        "UPDATE task SET stop_forms = f.n FROM (SELECT task_id, count(*) AS n FROM stop_form"
        " WHERE task_id IS NOT NULL GROUP BY task_id) f WHERE f.task_id = task.id"
    )
    for table in ("task", "stop_form"):
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_column("task", "stop_forms")
