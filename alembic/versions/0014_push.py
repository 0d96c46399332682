"""Pushes that are owed to installations: one each, made in the transaction of what they tell of."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

BEFORE = """
CREATE OR REPLACE FUNCTION push_inboxes(users uuid[], event_id uuid, kind text, object_id uuid, body jsonb, at timestamptz)
RETURNS void LANGUAGE plpgsql SET app.sees = 'inbox' AS $$
BEGIN
  WITH held AS (SELECT r.user_id FROM recipient r WHERE r.user_id = ANY(users) ORDER BY r.user_id FOR NO KEY UPDATE),
  raised AS (UPDATE recipient r SET seq = r.seq + 1 FROM held WHERE r.user_id = held.user_id RETURNING r.user_id, r.seq)
  INSERT INTO inbox (user_id, seq, event_id, kind, object_id, body, at) SELECT user_id, seq, $2, $3, $4, $5, $6 FROM raised;
END $$
"""
# Two seconds are what a tablet with a socket needs to say that it has it: then nothing is sent. One that waits for a
# later try stays where it is: the other side asked for that.
OWE = """
  INSERT INTO push_owed AS p (install_id, urgent, owed_at, due_at, tries)
  SELECT i.id, $3 = 'task', $6, $6 + interval '2 seconds', 0 FROM install i
  WHERE i.user_id = ANY(users) AND i.push IS NOT NULL AND i.revoked_at IS NULL ORDER BY i.id
  ON CONFLICT (install_id) DO UPDATE SET urgent = p.urgent OR EXCLUDED.urgent, owed_at = EXCLUDED.owed_at;
END $$
"""
AFTER = BEFORE.replace("END $$\n", OWE.lstrip("\n"))


def upgrade() -> None:
    op.create_table(
        "push_owed",
        sa.Column("install_id", sa.Uuid(), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("owed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["install_id"], ["install.id"], name=op.f("fk_push_owed_install_id_install"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("install_id", name=op.f("pk_push_owed")),
    )
    op.create_index(op.f("ix_push_owed_due_at"), "push_owed", ["due_at"])
    op.execute("ALTER TABLE push_owed ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE push_owed FORCE ROW LEVEL SECURITY")
    rule = "(SELECT app_sees('inbox'))"
    op.execute(f"CREATE POLICY app ON push_owed TO outrider_app USING ({rule}) WITH CHECK ({rule})")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON push_owed TO outrider_app")
    op.execute("UPDATE install SET push = NULL WHERE push = 'null'")
    op.execute(AFTER)


def downgrade() -> None:
    op.execute(BEFORE)
    op.drop_table("push_owed")
