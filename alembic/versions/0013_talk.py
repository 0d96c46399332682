"""Messages about a task between its crews and the centre."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

RULE = "(SELECT app_sees('tasks')) OR \"by\" = (SELECT app_user()) OR EXISTS (SELECT FROM task t WHERE t.id = task_id)"


def upgrade() -> None:
    op.create_table(
        "task_message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=True),
        sa.Column("by_name", sa.String(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column("from_centre", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["by"], ["user_account.id"], name=op.f("fk_task_message_by_user_account")),
        sa.ForeignKeyConstraint(
            ["task_id"], ["task.id"], name=op.f("fk_task_message_task_id_task"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_task_message_unit_id_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_message")),
    )
    op.create_index("ix_task_message_task", "task_message", ["task_id", "id"])
    op.execute("ALTER TABLE task_message ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE task_message FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY app ON task_message TO outrider_app USING ({RULE}) WITH CHECK ({RULE})")
    op.execute("GRANT SELECT, INSERT ON task_message TO outrider_app")
    op.execute("GRANT UPDATE (delivered_at) ON task_message TO outrider_app")


def downgrade() -> None:
    op.drop_table("task_message")
