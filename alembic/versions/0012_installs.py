"""Installations: the server's half of their key, wrong PINs, last use, and what a revoked one hands over once."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"

COLUMNS = (
    sa.Column("offline_key", sa.LargeBinary(), nullable=True),
    sa.Column("pin_wrong", sa.Integer(), server_default="0", nullable=False),
    sa.Column("used_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.Column("revoked_by", sa.Uuid(), nullable=True),
    sa.Column("recovery", sa.String(), server_default="none", nullable=False),
)


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("install", column)
    # Half of a key is no use to a tablet that has none yet; both halves are made together, from now on.
    op.execute(
        "UPDATE install SET offline_key = sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))"
        " WHERE revoked_at IS NULL"
    )
    op.create_foreign_key(op.f("fk_install_revoked_by_user_account"), "install", "user_account", ["revoked_by"], ["id"])
    op.create_table(
        "install_recovery",
        sa.Column("records", JSONB(), nullable=False),
        sa.Column("install_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["install_id"], ["install.id"], name=op.f("fk_install_recovery_install_id_install")),
        sa.PrimaryKeyConstraint("install_id", name=op.f("pk_install_recovery")),
    )
    op.execute("ALTER TABLE install_recovery ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE install_recovery FORCE ROW LEVEL SECURITY")
    rule = "(SELECT app_sees('recoveries'))"
    op.execute(f"CREATE POLICY app ON install_recovery TO outrider_app USING ({rule}) WITH CHECK ({rule})")
    op.execute("GRANT SELECT, INSERT, DELETE, UPDATE ON install_recovery TO outrider_app")


def downgrade() -> None:
    op.drop_table("install_recovery")
    for column in reversed(COLUMNS):
        op.drop_column("install", column.name)
