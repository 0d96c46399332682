"""E-mails and SMS that are owed about alarms nobody took."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "alert_message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("owed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alert.id"], name=op.f("fk_alert_message_alert_id_alert"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_alert_message_user_id_user_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_message")),
        sa.UniqueConstraint("alert_id", "channel", "user_id", name=op.f("uq_alert_message_alert_id_channel_user_id")),
    )  # fmt: skip
    op.create_index(op.f("ix_alert_message_user_id"), "alert_message", ["user_id"])
    op.create_index(
        "ix_alert_message_owed", "alert_message", ["channel", "owed_at"], postgresql_where=sa.text("done_at IS NULL")
    )
    op.execute("ALTER TABLE alert_message ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE alert_message FORCE ROW LEVEL SECURITY")
    rule = "(SELECT app_sees('*'))"
    op.execute(f"CREATE POLICY app ON alert_message TO outrider_app USING ({rule}) WITH CHECK ({rule})")
    op.execute("GRANT SELECT, INSERT ON alert_message TO outrider_app")
    op.execute("GRANT UPDATE (due_at, tries, done_at, outcome) ON alert_message TO outrider_app")


def downgrade() -> None:
    op.drop_table("alert_message")
    # An older version knows no further step than this one.
    op.execute("ALTER TABLE alert NO FORCE ROW LEVEL SECURITY")  # an owner who is no superuser would see no row
    op.execute("UPDATE alert SET reached = 'supervisors' WHERE reached IN ('messages', 'no_address')")
    op.execute("ALTER TABLE alert FORCE ROW LEVEL SECURITY")
