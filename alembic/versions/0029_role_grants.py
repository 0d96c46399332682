"""Roles that wait for a second administrator."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0029"
down_revision = "0028"

SYSTEM = "(SELECT app_sees('*'))"
READS = "(SELECT app_sees('role_grants'))"
ME = "(SELECT app_user())"
# The role as it is at this moment, not as it was when the session was looked up.
ADMINISTRATOR = (
    f"EXISTS (SELECT FROM user_account u WHERE u.id = {ME} AND 'administrator' = ANY(u.roles)"
    " AND u.disabled_at IS NULL)"
)
POLICIES = {
    "read": f"FOR SELECT TO outrider_app USING ({READS})",
    "proposed": f"FOR INSERT TO outrider_app WITH CHECK ({SYSTEM} OR"
    f" (proposed_by = {ME} AND outcome IS NULL AND {ADMINISTRATOR}))",
    "decided": f"FOR UPDATE TO outrider_app USING ({SYSTEM} OR {ADMINISTRATOR})"
    f" WITH CHECK ({SYSTEM} OR (decided_by = {ME} AND {ADMINISTRATOR}))",
    "erased": f"FOR DELETE TO outrider_app USING ({SYSTEM} AND decided_at < now() - interval '30 days')",
}


def upgrade() -> None:
    op.create_table(
        "role_grant",
        sa.Column("roles", ARRAY(sa.Text()), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.CheckConstraint("cardinality(roles) > 0", name=op.f("ck_role_grant_roles")),
        sa.CheckConstraint(
            "outcome IN ('granted', 'refused', 'withdrawn', 'replaced', 'lapsed')", name=op.f("ck_role_grant_outcome")
        ),
        sa.CheckConstraint("(outcome IS NULL) = (decided_at IS NULL)", name=op.f("ck_role_grant_decided")),
        sa.CheckConstraint(
            "outcome <> 'granted' OR (decided_by IS NOT NULL AND decided_by <> proposed_by AND decided_by <> user_id)",
            name=op.f("ck_role_grant_four_eyes"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_role_grant_user_id_user_account")),
        sa.ForeignKeyConstraint(["proposed_by"], ["user_account.id"], name=op.f("fk_role_grant_proposed_by_user_account")),
        sa.ForeignKeyConstraint(["decided_by"], ["user_account.id"], name=op.f("fk_role_grant_decided_by_user_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_grant")),
    )  # fmt: skip
    op.create_index(
        "uq_role_grant_open", "role_grant", ["user_id"], unique=True, postgresql_where=sa.text("decided_at IS NULL")
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON role_grant TO outrider_app")
    op.execute("ALTER TABLE role_grant ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE role_grant FORCE ROW LEVEL SECURITY")
    for name, rule in POLICIES.items():
        op.execute(f"CREATE POLICY {name} ON role_grant {rule}")


def downgrade() -> None:
    op.drop_table("role_grant")
