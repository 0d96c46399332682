"""What is owed for events of devices until somebody was told, and alerts that a person closes with a reason."""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0020"
down_revision = "0019"

ON_EARTH = "ST_X(point) BETWEEN -180 AND 180 AND ST_Y(point) BETWEEN -90 AND 90"


def _point() -> Geometry:
    return Geometry("POINT", srid=4326, spatial_index=False)


def upgrade() -> None:
    op.create_table(
        "device_event",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("fix_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("point", _point(), nullable=True),
        sa.Column("suspect", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("device_id", "fix_at", "event", name=op.f("pk_device_event")),
        sa.CheckConstraint(ON_EARTH, name=op.f("ck_device_event_on_earth")),
    )
    op.execute("ALTER TABLE device_event ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE device_event FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY app ON device_event TO outrider_app USING ((SELECT app_sees('device_events')))")
    op.execute("CREATE POLICY ingest ON device_event TO outrider_ingest USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, DELETE ON device_event TO outrider_app")
    op.execute("GRANT INSERT ON device_event TO outrider_ingest")
    op.execute("GRANT UPDATE (event) ON position TO outrider_ingest")
    for column in (
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("point", _point(), nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("closed_by_name", sa.String(), nullable=True),
        sa.Column("close_reason", sa.String(), nullable=True),
    ):
        op.add_column("alert", column)
    op.create_foreign_key(op.f("fk_alert_closed_by_user_account"), "alert", "user_account", ["closed_by"], ["id"])
    op.create_index("ix_alert_device", "alert", ["device_id", "kind"])


def downgrade() -> None:
    op.drop_index("ix_alert_device", "alert")
    op.drop_constraint(op.f("fk_alert_closed_by_user_account"), "alert", type_="foreignkey")
    for name in ("close_reason", "closed_by_name", "closed_by", "point", "withdrawn_at", "last_at"):
        op.drop_column("alert", name)
    op.execute("REVOKE UPDATE (event) ON position FROM outrider_ingest")
    op.drop_table("device_event")
