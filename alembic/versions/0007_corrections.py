"""Corrections of violations as addenda; whatever a violation was is kept by the database."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

# Whoever changes a violation, and however: the database itself keeps what it was.
KEEP = """
CREATE FUNCTION keep_violation() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO violation_version (violation_id, version, record) VALUES (OLD.id, OLD.version, to_jsonb(OLD));
  NEW.version := OLD.version + 1;
  NEW.corrected_at := now();
  RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.add_column("violation", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("violation", sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "violation_addendum",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("violation_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason_code", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("changes", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["violation_id"],
            ["violation.id"],
            name=op.f("fk_violation_addendum_violation_id_violation"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["by"], ["user_account.id"], name=op.f("fk_violation_addendum_by_user_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_violation_addendum")),
        sa.UniqueConstraint("violation_id", "version", name=op.f("uq_violation_addendum_violation_id_version")),
    )
    op.create_table(
        "violation_version",
        sa.Column("violation_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("record", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["violation_id"],
            ["violation.id"],
            name=op.f("fk_violation_version_violation_id_violation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("violation_id", "version", name=op.f("pk_violation_version")),
    )
    op.execute("GRANT SELECT, INSERT ON violation_addendum TO outrider_app")
    op.execute("GRANT SELECT ON violation_version TO outrider_app")
    for table in ("violation_addendum", "violation_version"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")  # not forced: the trigger writes for everybody
        rule = "EXISTS (SELECT 1 FROM violation v WHERE v.id = violation_id)"
        op.execute(f"CREATE POLICY app ON {table} TO outrider_app USING ({rule}) WITH CHECK ({rule})")
    op.execute(KEEP)
    op.execute(
        "CREATE TRIGGER violation_kept BEFORE UPDATE ON violation FOR EACH ROW EXECUTE FUNCTION keep_violation()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER violation_kept ON violation")
    op.execute("DROP FUNCTION keep_violation()")
    op.drop_table("violation_version")
    op.drop_table("violation_addendum")
    op.drop_column("violation", "corrected_at")
    op.drop_column("violation", "version")
