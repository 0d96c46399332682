"""What is held about one person: the questions that find it, section by section. Each package adds its own.

Secrets are left out (they are only held as digests), and so are legal holds: to tell of one may warn the wrong person.
"""

from dataclasses import dataclass

from core.retention import SECRETS

_WITH_SECRETS = ", ".join(f"'{route}'" for route in SECRETS)


@dataclass(frozen=True)
class Section:
    """Rows about the person `:user_id`, and how a reader would call them."""

    name: str
    title: str
    query: str
    is_bulk: bool = False
    """So many rows that only the machine-readable form lists them; the other shows how many, by day of `fix_at`."""


SECTIONS = (
    Section(
        "person", "Person",
        "SELECT u.id, u.login, u.name, u.roles, o.code AS office, u.badge_no, u.email, u.phone, u.created_at,"
        " u.updated_at, u.disabled_at, c.changed_at AS password_changed_at, u.factor_at AS second_factor_since"
        " FROM user_account u"
        " LEFT JOIN office o ON o.id = u.office_id LEFT JOIN credential c ON c.user_id = u.id WHERE u.id = :user_id",
    ),
    Section(
        "role_grants", "Roles proposed for the person, or proposed or decided by them",
        "SELECT g.id, g.proposed_at, u.login, g.roles, g.proposed_by = :user_id AS is_proposed_by_them, g.outcome,"
        " g.decided_at, g.decided_by = :user_id AS is_decided_by_them FROM role_grant g"
        " JOIN user_account u ON u.id = g.user_id WHERE :user_id IN (g.user_id, g.proposed_by, g.decided_by)"
        " ORDER BY g.id",
    ),
    Section(
        "installs", "Installations of the app",
        "SELECT id, name, pin_hash IS NOT NULL AS has_pin, push ->> 'channel' AS push_channel, created_at, revoked_at"
        " FROM install WHERE user_id = :user_id ORDER BY created_at",
    ),
    Section(
        "sessions", "Sessions that have not ended",
        "SELECT created_at, used_at, expires_at, install_id FROM sign_in WHERE user_id = :user_id ORDER BY created_at",
    ),
    Section(
        "inbox", "Inbox",
        "SELECT seq, at, kind, object_id, body FROM inbox WHERE user_id = :user_id ORDER BY seq",
    ),
    Section(
        "requests", "Requests kept so that a repeat changes nothing",
        f"SELECT id, at, route, status, CASE WHEN route NOT IN ({_WITH_SECRETS}) THEN answer END AS answer"  # noqa: S608
        " FROM client_write WHERE user_id = :user_id ORDER BY at",
    ),
    Section(
        "jobs", "Background work asked for",
        "SELECT id, kind, status, created_at, finished_at, params - 'score_at' AS params FROM job"
        " WHERE created_by = :user_id ORDER BY id",
    ),
    Section(
        "audit_by", "Audit: what the person did",
        "SELECT at, action, object_kind, object_id, fields, roles, address FROM audit_event WHERE actor_id = :user_id"
        " ORDER BY at, id",
    ),
    Section(
        "audit_about", "Audit: what others did with the person's record",
        "SELECT at, actor_login, action, fields FROM audit_event WHERE object_kind = 'user'"
        " AND object_id = CAST(CAST(:user_id AS uuid) AS text)"
        " AND actor_id IS DISTINCT FROM CAST(:user_id AS uuid) ORDER BY at, id",
    ),
)  # fmt: skip
