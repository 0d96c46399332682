"""A session is found in one call, and everybody has an inbox counter from the start."""

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


def upgrade() -> None:
    op.execute(SESSION)
    op.execute(COUNTER)
    op.execute(
        "CREATE TRIGGER user_account_received AFTER INSERT ON user_account FOR EACH ROW EXECUTE FUNCTION make_recipient()"
    )
    op.execute("ALTER TABLE recipient NO FORCE ROW LEVEL SECURITY")  # an owner who is no superuser would see no row
    op.execute("INSERT INTO recipient (user_id, seq) SELECT id, 0 FROM user_account ON CONFLICT DO NOTHING")
    op.execute("ALTER TABLE recipient FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.execute("DROP TRIGGER user_account_received ON user_account")
    op.execute("DROP FUNCTION make_recipient()")
    op.execute("DROP FUNCTION live_session(bytea, uuid, timestamptz, timestamptz)")
