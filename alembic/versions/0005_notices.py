"""Notices to areas are watched, superseded and answered; their cancels are confirmed."""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_geospatial_column(
        "notice",
        sa.Column("area", Geometry("POLYGON", srid=4326, spatial_index=False, from_text="ST_GeomFromEWKT", name="geometry"), nullable=True),
    )  # fmt: skip
    op.add_column("notice", sa.Column("watched_to", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("notice", "cancelled_at", new_column_name="ended_at")
    op.add_column("notice", sa.Column("ended_by_name", sa.String(), nullable=True))
    op.add_column("notice", sa.Column("supersedes", sa.Uuid(), nullable=True))
    op.create_unique_constraint(op.f("uq_notice_supersedes"), "notice", ["supersedes"])
    op.create_foreign_key(
        op.f("fk_notice_supersedes_notice"), "notice", "notice", ["supersedes"], ["id"], ondelete="SET NULL"
    )
    # A notice to an area that was sent before is watched from now on.
    op.execute(
        "UPDATE notice SET area = ST_SetSRID(ST_GeomFromGeoJSON(addressed->'area'), 4326),"
        " watched_to = CASE WHEN state = 'sent' AND valid_to > now() THEN now() END WHERE addressed ? 'area'"
    )
    op.add_column("notice_recipient", sa.Column("cancel_confirmed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "notice_reply",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_notice_reply_notice_id_notice"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_notice_reply_unit_id_unit")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_notice_reply_user_id_user_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_reply")),
    )  # fmt: skip
    op.create_index("ix_notice_reply_notice", "notice_reply", ["notice_id", "received_at"], unique=False)
    op.execute("GRANT SELECT, INSERT ON notice_reply TO outrider_app")
    op.execute("ALTER TABLE notice_reply ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE notice_reply FORCE ROW LEVEL SECURITY")
    rule = "(SELECT app_sees('notices')) OR user_id = (SELECT app_user())"
    op.execute(f"CREATE POLICY app ON notice_reply TO outrider_app USING ({rule}) WITH CHECK ({rule})")


def downgrade() -> None:
    op.drop_table("notice_reply")
    op.drop_column("notice_recipient", "cancel_confirmed_at")
    op.drop_constraint(op.f("fk_notice_supersedes_notice"), "notice", type_="foreignkey")
    op.drop_constraint(op.f("uq_notice_supersedes"), "notice", type_="unique")
    op.drop_column("notice", "supersedes")
    op.drop_column("notice", "ended_by_name")
    op.alter_column("notice", "ended_at", new_column_name="cancelled_at")
    op.drop_column("notice", "watched_to")
    op.drop_geospatial_column("notice", "area")
