"""Tables of people, access, audit, inboxes and jobs. Rules are in the feature files; the edge validates."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from core import db as db  # sets the naming convention before any table is declared
from core.db import TZ, utcnow
from core.ids import new_id


class Office(SQLModel, table=True):
    """A customs office with its area of duty."""

    __tablename__ = "office"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    code: str = Field(unique=True)
    name: str
    boundary: Any = Field(default=None, sa_column=Column(Geometry("MULTIPOLYGON", srid=4326, spatial_index=False)))
    created_at: datetime = Field(default_factory=utcnow, sa_type=TZ)


class UserAccount(SQLModel, table=True):
    """A person who may sign in. Passwords are in `Credential`, where no list query reaches them."""

    __tablename__ = "user_account"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    login: str = Field(unique=True)
    name: str
    roles: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    office_id: UUID | None = Field(default=None, foreign_key="office.id")
    badge_no: str | None = None
    email: str | None = None
    phone: str | None = None
    factor_at: datetime | None = Field(default=None, sa_type=TZ)  # since when they have a second factor
    disabled_at: datetime | None = Field(default=None, sa_type=TZ)
    version: int = 1
    created_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    updated_at: datetime = Field(default_factory=utcnow, sa_type=TZ)

    @property
    def has_factor(self) -> bool:
        """Whether they are asked for the code of a second factor."""
        return self.factor_at is not None


class Credential(SQLModel, table=True):
    """What a person signs in with: an argon2id hash, and the secret of a second factor. Seen only by sign-in itself."""

    __tablename__ = "credential"

    user_id: UUID = Field(primary_key=True, foreign_key="user_account.id")
    password_hash: str
    must_change: bool = False
    changed_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    factor_secret: str | None = None  # pending until the person has a `factor_at`
    factor_step: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})  # last one used


class RoleGrant(SQLModel, table=True):
    """Roles proposed for a person by one administrator, for another to grant or refuse."""

    __tablename__ = "role_grant"
    __table_args__ = (
        CheckConstraint("cardinality(roles) > 0", name="roles"),
        CheckConstraint("outcome IN ('granted', 'refused', 'withdrawn', 'replaced', 'lapsed')", name="outcome"),
        CheckConstraint("(outcome IS NULL) = (decided_at IS NULL)", name="decided"),
        CheckConstraint(
            "outcome <> 'granted' OR (decided_by IS NOT NULL AND decided_by <> proposed_by AND decided_by <> user_id)",
            name="four_eyes",
        ),
        Index("uq_role_grant_open", "user_id", unique=True, postgresql_where=text("decided_at IS NULL")),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    user_id: UUID = Field(foreign_key="user_account.id")
    roles: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    proposed_by: UUID = Field(foreign_key="user_account.id")
    proposed_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    decided_by: UUID | None = Field(default=None, foreign_key="user_account.id")
    decided_at: datetime | None = Field(default=None, sa_type=TZ)
    outcome: str | None = None


class Install(SQLModel, table=True):
    """An installation of the officers' app: a long-lived, revocable credential and a PIN."""

    __tablename__ = "install"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    user_id: UUID = Field(foreign_key="user_account.id", index=True)
    name: str
    credential_digest: bytes = Field(sa_type=LargeBinary)
    pin_hash: str | None = None
    push: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    offline_key: bytes | None = Field(default=None, sa_type=LargeBinary)  # the server's half
    pin_wrong: int = Field(default=0, sa_column_kwargs={"server_default": "0"})  # in a row
    created_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    used_at: datetime = Field(default_factory=utcnow, sa_type=TZ, sa_column_kwargs={"server_default": text("now()")})
    revoked_at: datetime | None = Field(default=None, sa_type=TZ)
    revoked_by: UUID | None = Field(default=None, foreign_key="user_account.id")
    recovery: str = Field(default="none", sa_column_kwargs={"server_default": "none"})  # none, allowed, received


class InstallRecovery(SQLModel, table=True):
    """What a revoked installation had not sent: kept apart, read by people, never applied."""

    __tablename__ = "install_recovery"

    install_id: UUID = Field(primary_key=True, foreign_key="install.id")
    received_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    records: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))


class PushOwed(SQLModel, table=True):
    """An installation is to be told to look into its inbox; whatever came meanwhile, once."""

    __tablename__ = "push_owed"

    install_id: UUID = Field(primary_key=True, foreign_key="install.id", ondelete="CASCADE")
    urgent: bool
    owed_at: datetime = Field(sa_type=TZ)
    due_at: datetime = Field(sa_type=TZ, index=True)
    tries: int = 0


class SignIn(SQLModel, table=True):
    """A session: its token is known only as a digest; deleting the row ends it."""

    __tablename__ = "sign_in"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    token_digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    csrf_token: str
    user_id: UUID = Field(foreign_key="user_account.id", index=True)
    install_id: UUID | None = Field(default=None, foreign_key="install.id")
    created_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    used_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    expires_at: datetime = Field(sa_type=TZ)


class SocketTicket(SQLModel, table=True):
    """A single-use ticket that opens one socket within 30 s."""

    __tablename__ = "socket_ticket"

    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    sign_in_id: UUID = Field(sa_column=Column(ForeignKey("sign_in.id", ondelete="CASCADE"), nullable=False))
    expires_at: datetime = Field(sa_type=TZ)


class LoginTry(SQLModel, table=True):
    """A wrong log-in, counted per account and per address for ten minutes."""

    __tablename__ = "login_try"
    __table_args__ = (
        Index("ix_login_try_login_at", "login", "at"),
        Index("ix_login_try_address_at", "address", "at"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    login: str
    address: str
    at: datetime = Field(default_factory=utcnow, sa_type=TZ)


class ClientWrite(SQLModel, table=True):
    """The first answer to a write that carried a client-made id, kept as long as what it made."""

    __tablename__ = "client_write"

    id: UUID = Field(primary_key=True)
    user_id: UUID
    route: str
    body_digest: bytes = Field(sa_type=LargeBinary)
    status: int = 200
    answer: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    at: datetime = Field(default_factory=utcnow, sa_type=TZ)


class AuditEvent(SQLModel, table=True):
    """One audit row; the serving role may only insert."""

    __tablename__ = "audit_event"
    __table_args__ = (Index("ix_audit_event_object", "object_kind", "object_id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    at: datetime = Field(sa_type=TZ, index=True)
    actor_id: UUID | None = None
    actor_login: str
    roles: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    action: str
    object_kind: str
    object_id: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    request_id: str = ""
    address: str = ""


class AuditPending(SQLModel, table=True):
    """Events the sealer has not chained yet; filled by a trigger."""

    __tablename__ = "audit_pending"

    event_id: UUID = Field(primary_key=True)


class AuditLink(SQLModel, table=True):
    """One link of the chain: hash of the link before and of the event's row."""

    __tablename__ = "audit_chain"

    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    event_id: UUID = Field(unique=True)
    day: date = Field(sa_type=Date, index=True)
    hash: bytes = Field(sa_type=LargeBinary)


class Recipient(SQLModel, table=True):
    """The counter of one user's inbox; raised in the transaction that fills it, so `seq` has no gap."""

    __tablename__ = "recipient"

    user_id: UUID = Field(primary_key=True, foreign_key="user_account.id")
    seq: int = Field(default=0, sa_type=BigInteger)


class InboxItem(SQLModel, table=True):
    """One thing owed to one user."""

    __tablename__ = "inbox"
    __table_args__ = (UniqueConstraint("user_id", "event_id"), Index("ix_inbox_object", "kind", "object_id"))

    user_id: UUID = Field(primary_key=True, foreign_key="user_account.id")
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    event_id: UUID
    kind: str
    object_id: UUID
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    at: datetime = Field(default_factory=utcnow, sa_type=TZ)


class InboxCursor(SQLModel, table=True):
    """How far one installation of a user has stored the inbox."""

    __tablename__ = "inbox_cursor"

    user_id: UUID = Field(primary_key=True, foreign_key="user_account.id")
    install_id: UUID = Field(primary_key=True)
    upto: int = Field(default=0, sa_type=BigInteger)
    at: datetime = Field(default_factory=utcnow, sa_type=TZ)


class Job(SQLModel, table=True):
    """Background work somebody waits for."""

    __tablename__ = "job"
    __table_args__ = (CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    kind: str
    status: str = Field(default="queued", index=True)
    progress: float = 0.0
    params: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    created_by: UUID = Field(foreign_key="user_account.id")
    created_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    heartbeat_at: datetime | None = Field(default=None, sa_type=TZ)
    finished_at: datetime | None = Field(default=None, sa_type=TZ)


class LegalHold(SQLModel, table=True):
    """What retention leaves alone until it is released or its end has come: one object, or a place in a time."""

    __tablename__ = "legal_hold"
    __table_args__ = (
        CheckConstraint("kind IN ('unit', 'person', 'task', 'violation', 'area')", name="kind"),
        CheckConstraint(
            "(kind = 'area') = (area IS NOT NULL AND since IS NOT NULL AND until IS NOT NULL)", name="area"
        ),
        CheckConstraint("(kind = 'area') = (object_id IS NULL)", name="object"),
        CheckConstraint("until > since", name="order"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    kind: str
    object_id: UUID | None = None
    since: datetime | None = Field(default=None, sa_type=TZ)
    until: datetime | None = Field(default=None, sa_type=TZ)
    area: Any = Field(default=None, sa_column=Column(Geometry("POLYGON", srid=4326, spatial_index=False)))
    reason: str
    reference: str | None = None
    placed_by: UUID = Field(foreign_key="user_account.id")
    placed_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    ends_at: datetime | None = Field(default=None, sa_type=TZ)
    released_by: UUID | None = Field(default=None, foreign_key="user_account.id")
    released_at: datetime | None = Field(default=None, sa_type=TZ)
    release_reason: str | None = None
