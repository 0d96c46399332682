"""What every click needs in one call each: the session, crews, an inbox; everybody has a counter from the start.

The functions carry their own `app.sees`, so that what the rules owe to others needs no setting before and after.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

# Its own setting shows it everybody's duty and units: nobody has signed in yet. plpgsql keeps the plan.
SESSION = """
CREATE FUNCTION live_session(by_digest bytea, by_id uuid, moment timestamptz, idle_since timestamptz)
RETURNS TABLE (id uuid, csrf_token text, expires_at timestamptz, used_at timestamptz, install_id uuid, user_id uuid,
  login text, name text, roles text[], office_id uuid, shift_id uuid, unit_id uuid, member_of uuid[])
LANGUAGE plpgsql STABLE SET app.sees = 'units,shifts' AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT s.id, s.csrf_token::text, s.expires_at, s.used_at, s.install_id, u.id, u.login::text, u.name::text,
    u.roles::text[], u.office_id, duty.shift_id, duty.unit_id,
    ARRAY(SELECT m.unit_id FROM unit_member m WHERE m.user_id = u.id)
  FROM sign_in s JOIN user_account u ON u.id = s.user_id
  LEFT JOIN install i ON i.id = s.install_id
  LEFT JOIN LATERAL (SELECT h.id AS shift_id, h.unit_id FROM shift h JOIN shift_member m ON m.shift_id = h.id
    WHERE m.user_id = u.id AND h.on_at IS NOT NULL AND h.off_at IS NULL LIMIT 1) duty ON true
  WHERE (s.token_digest = by_digest OR s.id = by_id) AND s.expires_at > moment AND u.disabled_at IS NULL
    AND i.revoked_at IS NULL AND (s.install_id IS NOT NULL OR s.used_at > idle_since);
END $$
"""
COUNTER = """
CREATE FUNCTION make_recipient() RETURNS trigger LANGUAGE plpgsql SET app.sees = 'inbox' AS $$
BEGIN INSERT INTO recipient (user_id, seq) VALUES (NEW.id, 0); RETURN NULL; END $$
"""
CREWS = """
CREATE FUNCTION crews_of(units uuid[]) RETURNS TABLE (unit_id uuid, user_id uuid)
LANGUAGE plpgsql STABLE SET app.sees = 'units,shifts' AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH active AS (SELECT s.unit_id, m.user_id FROM shift s JOIN shift_member m ON m.shift_id = s.id
    WHERE s.unit_id = ANY(units) AND s.on_at IS NOT NULL AND s.off_at IS NULL)
  SELECT a.unit_id, a.user_id FROM active a
  UNION ALL SELECT m.unit_id, m.user_id FROM unit_member m
  WHERE m.unit_id = ANY(units) AND NOT EXISTS (SELECT FROM active a WHERE a.unit_id = m.unit_id);
END $$
"""
HOLD = """
CREATE FUNCTION hold_inboxes(users uuid[]) RETURNS void LANGUAGE plpgsql SET app.sees = 'inbox' AS $$
BEGIN PERFORM FROM recipient r WHERE r.user_id = ANY(users) ORDER BY r.user_id FOR NO KEY UPDATE; END $$
"""
PUSH = """
CREATE FUNCTION push_inboxes(users uuid[], event_id uuid, kind text, object_id uuid, body jsonb, at timestamptz)
RETURNS void LANGUAGE plpgsql SET app.sees = 'inbox' AS $$
BEGIN
  WITH held AS (SELECT r.user_id FROM recipient r WHERE r.user_id = ANY(users) ORDER BY r.user_id FOR NO KEY UPDATE),
  raised AS (UPDATE recipient r SET seq = r.seq + 1 FROM held WHERE r.user_id = held.user_id RETURNING r.user_id, r.seq)
  INSERT INTO inbox (user_id, seq, event_id, kind, object_id, body, at) SELECT user_id, seq, $2, $3, $4, $5, $6 FROM raised;
END $$
"""
FUNCTIONS = {
    "live_session(bytea, uuid, timestamptz, timestamptz)": SESSION,
    "make_recipient()": COUNTER,
    "crews_of(uuid[])": CREWS,
    "hold_inboxes(uuid[])": HOLD,
    "push_inboxes(uuid[], uuid, text, uuid, jsonb, timestamptz)": PUSH,
}


def upgrade() -> None:
    for body in FUNCTIONS.values():
        op.execute(body)
    op.execute(
        "CREATE TRIGGER user_account_received AFTER INSERT ON user_account FOR EACH ROW EXECUTE FUNCTION make_recipient()"
    )
    op.execute("ALTER TABLE recipient NO FORCE ROW LEVEL SECURITY")  # an owner who is no superuser would see no row
    op.execute("INSERT INTO recipient (user_id, seq) SELECT id, 0 FROM user_account ON CONFLICT DO NOTHING")
    op.execute("ALTER TABLE recipient FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.execute("DROP TRIGGER user_account_received ON user_account")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}")
