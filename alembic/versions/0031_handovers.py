"""Hand-overs: what was open when a dispatcher left, their note, and which other dispatcher confirmed it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0031"
down_revision = "0030"

SYSTEM = "(SELECT app_sees('*'))"
ME = "(SELECT app_user())"
# The role as it is at this moment, not as it was when the session was looked up.
DISPATCHER = (
    f"EXISTS (SELECT FROM user_account u WHERE u.id = {ME} AND 'dispatcher' = ANY(u.roles) AND u.disabled_at IS NULL)"
)
POLICIES = {
    "read": "FOR SELECT TO outrider_app USING ((SELECT app_sees('handovers')))",
    "given": f"FOR INSERT TO outrider_app WITH CHECK ({SYSTEM} OR"
    f" (given_by = {ME} AND confirmed_by IS NULL AND {DISPATCHER}))",
    "confirmed": f"FOR UPDATE TO outrider_app USING ({SYSTEM} OR (confirmed_by IS NULL AND {DISPATCHER}))"
    f" WITH CHECK ({SYSTEM} OR (confirmed_by = {ME} AND {DISPATCHER}))",
    "erased": f"FOR DELETE TO outrider_app USING ({SYSTEM} AND given_at < now() - interval '30 days')",
}


def upgrade() -> None:
    op.create_table(
        "handover",
        sa.Column("listed", JSONB(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("given_by", sa.Uuid(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("n_tasks", sa.Integer(), nullable=False),
        sa.Column("n_notices", sa.Integer(), nullable=False),
        sa.Column("n_silent", sa.Integer(), nullable=False),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(confirmed_by IS NULL) = (confirmed_at IS NULL)", name=op.f("ck_handover_confirmed")),
        sa.CheckConstraint("confirmed_by <> given_by", name=op.f("ck_handover_another")),
        sa.ForeignKeyConstraint(["given_by"], ["user_account.id"], name=op.f("fk_handover_given_by_user_account")),
        sa.ForeignKeyConstraint(["confirmed_by"], ["user_account.id"], name=op.f("fk_handover_confirmed_by_user_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover")),
    )  # fmt: skip
    op.create_index("ix_handover_given", "handover", ["given_at", "id"], unique=False)
    op.execute("GRANT SELECT, INSERT, DELETE ON handover TO outrider_app")
    op.execute("GRANT UPDATE (confirmed_by, confirmed_at) ON handover TO outrider_app")
    op.execute("ALTER TABLE handover ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE handover FORCE ROW LEVEL SECURITY")
    for name, rule in POLICIES.items():
        op.execute(f"CREATE POLICY {name} ON handover {rule}")


def downgrade() -> None:
    op.drop_table("handover")
