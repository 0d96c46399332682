"""Legal holds, and what the worker needs to delete records past their time.

Deleting is for the system's actor alone and for rows older than any period may be set to; the audit, which the serving
role can neither change nor delete, goes through a function that keeps to the end of the year after the rows' own.
"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0003"
down_revision = "0002"

MONTH = "< now() - interval '30 days'"
ERASABLE = {
    "task": f"updated_at {MONTH}",
    "notice": f"updated_at {MONTH}",
    "shift": f"updated_at {MONTH}",
    "violation": f"recorded_at {MONTH}",
    "inbox": f"at {MONTH}",
    "client_write": f"at {MONTH}",
    "job": f"finished_at {MONTH}",
    "ingest_count": f"day {MONTH}",
}
"""Tables the worker deletes from, and which of their rows nobody else may."""

GO_TOGETHER = [
    ("task_event", "task_id", "task"),
    ("task_support", "task_id", "task"),
    ("notice_recipient", "notice_id", "notice"),
    ("shift_member", "shift_id", "shift"),
]

ACTIVE_HOLD = """
CREATE VIEW active_hold WITH (security_invoker) AS
SELECT id, kind, object_id, coalesce(since, '-infinity') AS since, coalesce(until, 'infinity') AS until, area
FROM legal_hold WHERE released_at IS NULL AND (ends_at IS NULL OR ends_at > now())
"""
# The times in which a unit is held: by a hold of its own, in the shifts of a held person, while it had a held task,
# and in the shift in which it found a held violation.
HELD_SPAN = """
CREATE VIEW held_span WITH (security_invoker) AS
SELECT h.id AS hold_id, h.object_id AS unit_id, h.since, h.until FROM active_hold h WHERE h.kind = 'unit'
UNION ALL
SELECT h.id, s.unit_id, greatest(s.on_at, h.since), least(coalesce(s.off_at, 'infinity'), h.until)
FROM active_hold h JOIN shift_member m ON m.user_id = h.object_id JOIN shift s ON s.id = m.shift_id
WHERE h.kind = 'person' AND s.on_at <= h.until AND coalesce(s.off_at, 'infinity') >= h.since
UNION ALL
SELECT h.id, u.unit_id, coalesce(t.issued_at, t.created_at),
  CASE WHEN t.status IN ('closed', 'cancelled', 'expired', 'discarded') THEN t.updated_at ELSE 'infinity' END
FROM active_hold h JOIN task t ON t.id = h.object_id CROSS JOIN LATERAL (
  SELECT t.unit_id UNION SELECT s.unit_id FROM task_support s WHERE s.task_id = t.id
  UNION SELECT e.unit_id FROM task_event e WHERE e.task_id = t.id) u
WHERE h.kind = 'task' AND u.unit_id IS NOT NULL
UNION ALL
SELECT h.id, s.unit_id, s.on_at, coalesce(s.off_at, 'infinity')
FROM active_hold h JOIN violation v ON v.id = h.object_id JOIN shift s ON s.unit_id = v.unit_id
WHERE h.kind = 'violation' AND v.occurred_at BETWEEN s.on_at AND coalesce(s.off_at, 'infinity')
"""

ERASE_AUDIT = """
CREATE FUNCTION erase_audit(before timestamptz, objects uuid[], people uuid[], n int) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE gone bigint;
BEGIN
  IF before AT TIME ZONE 'UTC' > date_trunc('year', now() AT TIME ZONE 'UTC') - interval '1 year' THEN
    RAISE EXCEPTION 'audit rows are kept to the end of the year after they were written';
  END IF;
  DELETE FROM audit_event WHERE id IN (
    SELECT e.id FROM audit_event e JOIN audit_chain c ON c.event_id = e.id
    WHERE e.at < before AND NOT coalesce(e.object_id = ANY(objects::text[]) OR e.actor_id = ANY(people), false)
    LIMIT n);
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$
"""


def _foreign_keys(rule: str) -> None:
    for table, column, parent in GO_TOGETHER:
        name = f"fk_{table}_{column}_{parent}"
        op.execute(
            f"ALTER TABLE {table} DROP CONSTRAINT {name},"
            f" ADD CONSTRAINT {name} FOREIGN KEY ({column}) REFERENCES {parent} (id) {rule}"
        )


def upgrade() -> None:
    op.create_geospatial_table(
        "legal_hold",
        sa.Column("area", Geometry("POLYGON", srid=4326, spatial_index=False, from_text="ST_GeomFromEWKT", name="geometry"), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("placed_by", sa.Uuid(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.Uuid(), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("release_reason", sa.String(), nullable=True),
        sa.CheckConstraint("kind IN ('unit', 'person', 'task', 'violation', 'area')", name=op.f("ck_legal_hold_kind")),
        sa.CheckConstraint("(kind = 'area') = (area IS NOT NULL)", name=op.f("ck_legal_hold_area")),
        sa.CheckConstraint("area IS NULL OR (since IS NOT NULL AND until IS NOT NULL)", name=op.f("ck_legal_hold_time")),
        sa.CheckConstraint("(kind = 'area') = (object_id IS NULL)", name=op.f("ck_legal_hold_object")),
        sa.CheckConstraint("until > since", name=op.f("ck_legal_hold_order")),
        sa.ForeignKeyConstraint(["placed_by"], ["user_account.id"], name=op.f("fk_legal_hold_placed_by_user_account")),
        sa.ForeignKeyConstraint(["released_by"], ["user_account.id"], name=op.f("fk_legal_hold_released_by_user_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_hold")),
    )  # fmt: skip
    op.execute("GRANT SELECT, INSERT, UPDATE ON legal_hold TO outrider_app")
    op.execute("ALTER TABLE legal_hold ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE legal_hold FORCE ROW LEVEL SECURITY")
    rule = "(SELECT app_sees('holds')) OR placed_by = (SELECT app_user())"
    op.execute(f"CREATE POLICY app ON legal_hold TO outrider_app USING ({rule}) WITH CHECK ({rule})")
    for view, statement in (("active_hold", ACTIVE_HOLD), ("held_span", HELD_SPAN)):
        op.execute(statement)
        op.execute(f"GRANT SELECT ON {view} TO outrider_app")
    _foreign_keys("ON DELETE CASCADE")
    for table, age in ERASABLE.items():
        op.execute(f"GRANT DELETE ON {table} TO outrider_app")
        op.execute(
            f"CREATE POLICY erased ON {table} AS RESTRICTIVE FOR DELETE TO outrider_app"
            f" USING ((SELECT app_sees('*')) AND {age})"
        )
    op.execute("CREATE POLICY erased ON audit_event TO CURRENT_USER USING (true)")
    op.execute(ERASE_AUDIT)
    op.execute("REVOKE ALL ON FUNCTION erase_audit(timestamptz, uuid[], uuid[], int) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION erase_audit(timestamptz, uuid[], uuid[], int) TO outrider_app")


def downgrade() -> None:
    op.execute("DROP FUNCTION erase_audit(timestamptz, uuid[], uuid[], int)")
    op.execute("DROP POLICY erased ON audit_event")
    for table in ERASABLE:
        op.execute(f"DROP POLICY erased ON {table}")
        op.execute(f"REVOKE DELETE ON {table} FROM outrider_app")
    _foreign_keys("")
    op.execute("DROP VIEW held_span, active_hold")
    op.drop_geospatial_table("legal_hold")
