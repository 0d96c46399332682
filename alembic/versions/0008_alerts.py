"""Alerts with who took them and how far they were escalated; conflicts of tasks that dispatchers settle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"

KEPT_OPEN = """
INSERT INTO alert (id, kind, task_id, unit_id, raised_at, reached, called, updated_at)
SELECT gen_random_uuid(), 'task_' || status, id, unit_id, updated_at, 'dispatchers', '{}', now()
FROM task WHERE status IN ('unacknowledged', 'declined')
"""


def upgrade() -> None:
    op.add_column("task", sa.Column("conflict", sa.String(), nullable=True))
    op.create_table(
        "alert",
        sa.Column("called", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reached", sa.String(), nullable=False),
        sa.Column("taken_by", sa.Uuid(), nullable=True),
        sa.Column("taken_by_name", sa.String(), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_alert_task_id_task"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_alert_unit_id_unit")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_alert_device_id_device")),
        sa.ForeignKeyConstraint(["taken_by"], ["user_account.id"], name=op.f("fk_alert_taken_by_user_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    op.create_index("ix_alert_updated", "alert", ["updated_at"], unique=False)
    op.create_index("ix_alert_task", "alert", ["task_id"], unique=False)
    op.create_index(
        "uq_alert_open", "alert", ["kind", "task_id", "unit_id", "device_id"], unique=True,
        postgresql_nulls_not_distinct=True, postgresql_where=sa.text("cleared_at IS NULL"),
    )  # fmt: skip
    op.execute(KEPT_OPEN)
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON alert TO outrider_app")
    op.execute("ALTER TABLE alert ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE alert FORCE ROW LEVEL SECURITY")
    rule = "(SELECT app_sees('tasks'))"
    op.execute(f"CREATE POLICY app ON alert TO outrider_app USING ({rule}) WITH CHECK ({rule})")
    op.execute(
        "CREATE POLICY erased ON alert AS RESTRICTIVE FOR DELETE TO outrider_app"
        " USING ((SELECT app_sees('*')) AND updated_at < now() - interval '30 days')"
    )


def downgrade() -> None:
    op.drop_table("alert")
    op.drop_column("task", "conflict")
