"""Database roles, row-level security, audit queue and position partitions.

Three roles: the owner (migrations only, owns everything), `outrider_app` (serves people; sees rows by the
policies below) and `outrider_ingest` (serves trackers; writes positions, reads what the duty gate needs).
Policies read two values that core/work.py sets for each transaction: what the actor sees wholly
(`app.sees`), and who they are with their own units (`app.user_id`, `app.units`).
"""

from alembic import op

revision = "0002"
down_revision = "0001"

FUNCTIONS = """
CREATE FUNCTION app_sees(kind text) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT string_to_array(coalesce(current_setting('app.sees', true), ''), ',') && ARRAY[kind, '*'] $$;
CREATE FUNCTION app_user() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('app.user_id', true), '')::uuid $$;
CREATE FUNCTION app_units() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT string_to_array(nullif(current_setting('app.units', true), ''), ',')::uuid[] $$;

-- Trackers send old buffers and recordings are imported, so a day's partition is made when its first fix comes.
CREATE FUNCTION ensure_position_day(day date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE name text := 'position_' || to_char(day, 'YYYYMMDD');
BEGIN
  IF to_regclass('public.' || name) IS NOT NULL THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(hashtext('outrider.partition'));
  -- A query, because to_regclass would repeat its cached "no" after another made the table while this one waited.
  IF EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = 'public'::regnamespace) THEN RETURN; END IF;
  -- A table made apart and then attached holds the parent's lock only for the attaching.
  EXECUTE format('CREATE TABLE %I (LIKE position INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', name);
  EXECUTE format('ALTER TABLE position ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
    day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
END $$;

-- Retention counts from receipt: a day goes once everything in it was received before `before`.
CREATE FUNCTION drop_position_days(before timestamptz) RETURNS TABLE (dropped text, n bigint) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE part regclass; wanted boolean;
BEGIN
  FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'position'::regclass ORDER BY 1 LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE received_at >= $1)', part) INTO wanted USING before;
    IF NOT wanted THEN
      EXECUTE format('SELECT count(*) FROM %s', part) INTO n;
      dropped := part::text;
      EXECUTE format('DROP TABLE %s', part);
      RETURN NEXT;
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION queue_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS
$$ BEGIN INSERT INTO audit_pending VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER audit_event_queued AFTER INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION queue_audit();
REVOKE ALL ON FUNCTION ensure_position_day(date), drop_position_days(timestamptz) FROM PUBLIC;
"""

ROLES = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'outrider_app') THEN CREATE ROLE outrider_app LOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'outrider_ingest') THEN CREATE ROLE outrider_ingest LOGIN; END IF;
END $$;
"""

READ_WRITE = (
    "office, user_account, credential, install, sign_in, socket_ticket, login_try, client_write, recipient, inbox,"
    " inbox_cursor, job, unit, unit_member, device, device_assignment, shift, shift_member, unit_latest,"
    " ingest_count, violation_category, violation, task, task_support, notice, notice_recipient"
)
GRANTS = f"""
GRANT USAGE ON SCHEMA public TO outrider_app, outrider_ingest;
GRANT SELECT, INSERT, UPDATE ON {READ_WRITE} TO outrider_app;
GRANT DELETE ON sign_in, socket_ticket, login_try, unit_member, task_support TO outrider_app;
GRANT SELECT ON position, alembic_version TO outrider_app;
GRANT SELECT, INSERT ON audit_event, audit_chain, task_event TO outrider_app;
GRANT SELECT, UPDATE, DELETE ON audit_pending TO outrider_app;
GRANT EXECUTE ON FUNCTION drop_position_days(timestamptz) TO outrider_app;
GRANT SELECT, INSERT ON position TO outrider_ingest;
GRANT SELECT, INSERT, UPDATE ON unit_latest, ingest_count TO outrider_ingest;
GRANT SELECT ON unit, device, device_assignment, shift TO outrider_ingest;
GRANT EXECUTE ON FUNCTION ensure_position_day(date) TO outrider_ingest;
"""

OWN_UNIT = "unit_id = ANY((SELECT app_units())::uuid[])"
ME = "(SELECT app_user())"
POLICIES: dict[str, tuple[str, str]] = {
    "unit": ("units", "id = ANY((SELECT app_units())::uuid[])"),
    "unit_member": ("units", f"{OWN_UNIT} OR user_id = {ME}"),
    "device": ("devices", "false"),
    "device_assignment": ("devices", "false"),
    "shift": ("shifts", OWN_UNIT),
    "shift_member": ("shifts", f"user_id = {ME} OR EXISTS (SELECT 1 FROM shift s WHERE s.id = shift_id)"),
    "position": ("positions", OWN_UNIT),
    "unit_latest": ("positions", OWN_UNIT),
    "ingest_count": ("devices", "false"),
    "credential": ("credentials", "false"),
    "client_write": ("client_writes", f"user_id = {ME}"),
    "task": (
        "tasks",
        f"status NOT IN ('draft', 'discarded') AND ({OWN_UNIT} OR EXISTS (SELECT 1 FROM task_support s WHERE"
        " s.task_id = id AND s.unit_id = ANY((SELECT app_units())::uuid[])))",
    ),
    "task_support": ("tasks", OWN_UNIT),
    "task_event": ("tasks", "EXISTS (SELECT 1 FROM task t WHERE t.id = task_id)"),
    "notice": (
        "notices", f"EXISTS (SELECT 1 FROM notice_recipient r WHERE r.notice_id = id AND r.user_id = {ME})",
    ),
    "notice_recipient": ("notices", f"user_id = {ME}"),
    "recipient": ("inbox", f"user_id = {ME}"),
    "inbox": ("inbox", f"user_id = {ME}"),
    "inbox_cursor": ("inbox", f"user_id = {ME}"),
    "violation": ("violations", f"recorded_by = {ME}"),
    "job": ("jobs", f"created_by = {ME}"),
}  # fmt: skip


def upgrade() -> None:
    op.execute(ROLES)
    for statement in _statements(FUNCTIONS):
        op.execute(statement)
    for statement in GRANTS.strip().splitlines():
        op.execute(statement)
    for table, (kind, own) in POLICIES.items():
        rule = f"(SELECT app_sees('{kind}')) OR {own}"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY app ON {table} TO outrider_app USING ({rule}) WITH CHECK ({rule})")
    for table in ("position", "unit_latest", "ingest_count", "unit", "device", "device_assignment", "shift"):
        op.execute(f"CREATE POLICY ingest ON {table} TO outrider_ingest USING (true) WITH CHECK (true)")
    op.execute("ALTER TABLE audit_event ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE audit_event FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY written ON audit_event FOR INSERT TO outrider_app WITH CHECK (true)")
    op.execute("CREATE POLICY read ON audit_event FOR SELECT TO outrider_app USING ((SELECT app_sees('audit')))")


def _statements(script: str) -> list[str]:
    """Single statements of a script whose function bodies hold semicolons (asyncpg prepares one at a time)."""
    found, open_body, current = [], False, []
    for line in script.splitlines():
        current.append(line)
        if line.count("$$") % 2:
            open_body = not open_body
        if line.rstrip().endswith(";") and not open_body:
            found.append("\n".join(current))
            current = []
    return found


def downgrade() -> None:
    for table in POLICIES:
        op.execute(f"DROP POLICY app ON {table}")
    for table in ("position", "unit_latest", "ingest_count", "unit", "device", "device_assignment", "shift"):
        op.execute(f"DROP POLICY ingest ON {table}")
    for policy in ("written", "read"):
        op.execute(f"DROP POLICY {policy} ON audit_event")
    for table in (*POLICIES, "audit_event"):
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute("DROP TRIGGER audit_event_queued ON audit_event")
    for function in (
        "queue_audit()", "drop_position_days(timestamptz)", "ensure_position_day(date)",
        "app_units()", "app_user()", "app_sees(text)",
    ):  # fmt: skip
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP OWNED BY outrider_app, outrider_ingest")
