"""Stop forms, and photos and files of tasks, violations and stop forms; how many a task has of them, and of messages."""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"

# Who sees what a file belongs to sees the file; its sender does in any case.
OWNERS = ("task", "violation", "stop_form")
RULES = {
    "stop_form": (
        "(SELECT app_sees('violations')) OR recorded_by = (SELECT app_user())"
        " OR unit_id = ANY((SELECT app_units())::uuid[])"
    ),
    "attachment": "created_by = (SELECT app_user()) OR "
    + " OR ".join(f"({o}_id IS NOT NULL AND EXISTS (SELECT FROM {o} o WHERE o.id = {o}_id))" for o in OWNERS),
}
ERASABLE = "(SELECT app_sees('*')) AND recorded_at < now() - interval '30 days'"


def _point(nullable: bool) -> sa.Column:
    kind = Geometry(
        "POINT", srid=4326, spatial_index=False, from_text="ST_GeomFromEWKT", name="geometry", nullable=nullable
    )
    return sa.Column("point", kind, nullable=nullable)


def upgrade() -> None:
    for column in ("messages", "attachments"):
        op.add_column("task", sa.Column(column, sa.Integer(), server_default="0", nullable=False))
    _stop_form()
    _attachment()
    for table, rule in RULES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY app ON {table} TO outrider_app USING ({rule}) WITH CHECK ({rule})")
    op.execute("GRANT SELECT, INSERT, DELETE ON stop_form TO outrider_app")
    op.execute("GRANT UPDATE (attachments, body, plate_key, warnings, names_removed_at) ON stop_form TO outrider_app")
    op.execute(f"CREATE POLICY erased ON stop_form AS RESTRICTIVE FOR DELETE TO outrider_app USING ({ERASABLE})")
    op.execute("GRANT SELECT, INSERT, UPDATE ON attachment TO outrider_app")
    op.execute(
        "CREATE POLICY ended ON attachment AS RESTRICTIVE FOR UPDATE TO outrider_app"
        " USING (status = 'receiving') WITH CHECK (true)"
    )


def _stop_form() -> None:
    op.create_geospatial_table(
        "stop_form",
        _point(nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("body", JSONB(), nullable=False),
        sa.Column("warnings", JSONB(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("recorded_by_name", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_stopped_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason_code", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("exercise", sa.Boolean(), nullable=False),
        sa.Column("plate_key", sa.String(), nullable=True),
        sa.Column("attachments", sa.Integer(), nullable=False),
        sa.Column("names_removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["recorded_by"], ["user_account.id"], name=op.f("fk_stop_form_recorded_by_user_account")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_stop_form_unit_id_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stop_form")),
        sa.UniqueConstraint("number", name=op.f("uq_stop_form_number")),
    )
    for name, columns in {
        "recorded_at": ["recorded_at"], "task": ["task_id"], "unit": ["unit_id", "recorded_at"],
        "plate": ["plate_key"], "recorded_by": ["recorded_by"],
    }.items():  # fmt: skip
        op.create_index(f"ix_stop_form_{name}", "stop_form", columns)


def _attachment() -> None:
    op.create_geospatial_table(
        "attachment",
        _point(nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        *(sa.Column(f"{owner}_id", sa.Uuid(), nullable=True) for owner in OWNERS),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("refused", sa.String(), nullable=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("screen", sa.Boolean(), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=True),
        sa.Column("height_px", sa.Integer(), nullable=True),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accuracy_m", sa.REAL(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("num_nonnulls(task_id, violation_id, stop_form_id) = 1", name=op.f("ck_attachment_of_one")),
        sa.CheckConstraint("received BETWEEN 0 AND size", name=op.f("ck_attachment_received")),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_attachment_sha256")),
        *(
            sa.ForeignKeyConstraint(
                [f"{owner}_id"], [f"{owner}.id"], name=op.f(f"fk_attachment_{owner}_id_{owner}"), ondelete="CASCADE"
            )
            for owner in OWNERS
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["user_account.id"], name=op.f("fk_attachment_created_by_user_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachment")),
    )
    for owner in OWNERS:
        op.create_index(f"ix_attachment_{owner}", "attachment", [f"{owner}_id"])
    op.create_index("ix_attachment_sha256", "attachment", ["sha256"])
    op.create_index(op.f("ix_attachment_created_by"), "attachment", ["created_by"])


def downgrade() -> None:
    op.drop_geospatial_table("attachment")
    op.drop_geospatial_table("stop_form")
    for column in ("attachments", "messages"):
        op.drop_column("task", column)
