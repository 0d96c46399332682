"""Of several shifts at once the one that began last counts, and all their units are seen; steps by clocks that are off."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

SESSION = """
CREATE OR REPLACE FUNCTION live_session(by_digest bytea, by_id uuid, moment timestamptz, idle_since timestamptz)
RETURNS TABLE (id uuid, csrf_token text, expires_at timestamptz, used_at timestamptz, install_id uuid, user_id uuid,
  login text, name text, roles text[], office_id uuid, shift_id uuid, unit_id uuid, member_of uuid[])
LANGUAGE plpgsql STABLE SET app.sees = 'units,shifts' AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT s.id, s.csrf_token::text, s.expires_at, s.used_at, s.install_id, u.id, u.login::text, u.name::text,
    u.roles::text[], u.office_id, duty.shift_id, duty.unit_id,
    ARRAY(SELECT m.unit_id FROM unit_member m WHERE m.user_id = u.id{others})
  FROM sign_in s JOIN user_account u ON u.id = s.user_id
  LEFT JOIN install i ON i.id = s.install_id
  LEFT JOIN LATERAL (SELECT h.id AS shift_id, h.unit_id FROM shift h JOIN shift_member m ON m.shift_id = h.id
    WHERE m.user_id = u.id AND h.on_at IS NOT NULL AND h.off_at IS NULL{order} LIMIT 1) duty ON true
  WHERE (s.token_digest = by_digest OR s.id = by_id) AND s.expires_at > moment AND u.disabled_at IS NULL
    AND i.revoked_at IS NULL AND (s.install_id IS NOT NULL OR s.used_at > idle_since);
END $$
"""
OTHERS = (
    " UNION SELECT h.unit_id FROM shift h JOIN shift_member m ON m.shift_id = h.id"
    " WHERE m.user_id = u.id AND h.on_at IS NOT NULL AND h.off_at IS NULL"
)
ORDER = " ORDER BY greatest(h.on_at, m.joined_at) DESC, h.unit_id"


def upgrade() -> None:
    op.add_column("task_event", sa.Column("clock_off_s", sa.Integer(), nullable=True))
    op.execute(SESSION.format(others=OTHERS, order=ORDER))


def downgrade() -> None:
    op.execute(SESSION.format(others="", order=""))
    op.drop_column("task_event", "clock_off_s")
