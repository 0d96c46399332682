"""Tables of tasks, alerts, notices and hand-overs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry
from sqlalchemy import REAL, BigInteger, CheckConstraint, Column, Identity, Index, Text, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from core.db import TZ, utcnow
from core.ids import new_id
from geo.models import Unit as Unit  # foreign keys of this file point at geo's tables


class Task(SQLModel, table=True):
    """Work for a unit, with the lifecycle of tasks/states.py."""

    __tablename__ = "task"
    __table_args__ = (
        Index("ix_task_status", "status", "priority"),
        Index("ix_task_unit", "unit_id", "status"),
        Index("ix_task_updated", "updated_at"),
        CheckConstraint("window_to > window_from", name="window"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    number: int = Field(default=None, sa_column=Column(BigInteger, Identity(), unique=True, nullable=False))
    kind: str
    priority: str
    status: str = "draft"
    version: int = 1
    title: str
    instruction: str = ""
    reason_code: str
    reason: str | None = None
    point: Any = Field(default=None, sa_column=Column(Geometry("POINT", srid=4326, spatial_index=False)))
    area: Any = Field(default=None, sa_column=Column(Geometry("POLYGON", srid=4326, spatial_index=False)))
    address: str | None = None
    window_from: datetime | None = Field(default=None, sa_type=TZ)
    window_to: datetime | None = Field(default=None, sa_type=TZ)
    unit_id: UUID | None = Field(default=None, foreign_key="unit.id")
    required_capabilities: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    exercise: bool = False
    late: bool = False  # acknowledged only after it had been reported unacknowledged
    ack_due_at: datetime | None = Field(default=None, sa_type=TZ)
    created_by: UUID | None = Field(default=None, foreign_key="user_account.id")
    created_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    updated_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    issued_at: datetime | None = Field(default=None, sa_type=TZ)
    delivered_at: datetime | None = Field(default=None, sa_type=TZ)
    seen_at: datetime | None = Field(default=None, sa_type=TZ)
    acknowledged_at: datetime | None = Field(default=None, sa_type=TZ)
    en_route_at: datetime | None = Field(default=None, sa_type=TZ)
    on_scene_at: datetime | None = Field(default=None, sa_type=TZ)
    completed_at: datetime | None = Field(default=None, sa_type=TZ)
    cancel_confirmed_at: datetime | None = Field(default=None, sa_type=TZ)
    result: str | None = None
    messages: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    attachments: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    stop_forms: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    conflict: str | None = None  # open, or how it was resolved: the crew went on with what had been cancelled


class TaskSupport(SQLModel, table=True):
    """A unit that supports a task beside its lead unit: it takes the same steps without moving the task."""

    __tablename__ = "task_support"

    task_id: UUID = Field(primary_key=True, foreign_key="task.id", ondelete="CASCADE")
    unit_id: UUID = Field(primary_key=True, foreign_key="unit.id", index=True)
    status: str = "issued"
    added_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    since: datetime = Field(default_factory=utcnow, sa_type=TZ)  # when it came to stand so


class TaskEvent(SQLModel, table=True):
    """One step of a task's history, append-only; also steps that came too late (superseded, conflict)."""

    __tablename__ = "task_event"
    __table_args__ = (Index("ix_task_event_task", "task_id", "received_at"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    task_id: UUID = Field(foreign_key="task.id", ondelete="CASCADE")
    verb: str
    from_status: str | None = None
    to_status: str
    result: str = "applied"
    version: int
    by: UUID | None = Field(default=None, foreign_key="user_account.id")
    by_name: str = ""
    unit_id: UUID | None = Field(default=None, foreign_key="unit.id")
    at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    received_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    point: Any = Field(default=None, sa_column=Column(Geometry("POINT", srid=4326, spatial_index=False)))
    accuracy_m: float | None = Field(default=None, sa_type=REAL)
    reason_code: str | None = None
    reason: str | None = None
    clock_off_s: int | None = None


class TaskMessage(SQLModel, table=True):
    """A message about a task between its crews and the centre, append-only."""

    __tablename__ = "task_message"
    __table_args__ = (Index("ix_task_message_task", "task_id", "id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    task_id: UUID = Field(foreign_key="task.id", ondelete="CASCADE")
    kind: str = "message"
    text: str
    by: UUID | None = Field(default=None, foreign_key="user_account.id")
    by_name: str
    unit_id: UUID | None = Field(default=None, foreign_key="unit.id")
    from_centre: bool
    at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    received_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    delivered_at: datetime | None = Field(default=None, sa_type=TZ)  # the first tablet stored it


class Alert(SQLModel, table=True):
    """What a dispatcher must look at: raised once, taken by one of them, cleared when it is over."""

    __tablename__ = "alert"
    __table_args__ = (
        Index("ix_alert_updated", "updated_at"),
        Index("ix_alert_task", "task_id"),
        Index("ix_alert_device", "device_id", "kind"),
        Index(
            "uq_alert_open", "kind", "task_id", "unit_id", "device_id", "interference_id", unique=True,
            postgresql_nulls_not_distinct=True, postgresql_where="cleared_at IS NULL",
        ),
    )  # fmt: skip

    id: UUID = Field(default_factory=new_id, primary_key=True)
    kind: str
    task_id: UUID | None = Field(default=None, foreign_key="task.id", ondelete="CASCADE")
    unit_id: UUID | None = Field(default=None, foreign_key="unit.id")
    device_id: UUID | None = Field(default=None, foreign_key="device.id")
    interference_id: UUID | None = Field(default=None, foreign_key="interference.id", ondelete="CASCADE")
    since: datetime | None = Field(default=None, sa_type=TZ)  # when a silent one was last heard, or an event first told
    last_at: datetime | None = Field(default=None, sa_type=TZ)  # when the device's event was last told
    withdrawn_at: datetime | None = Field(default=None, sa_type=TZ)  # the device took its panic back
    point: Any = Field(default=None, sa_column=Column(Geometry("POINT", srid=4326, spatial_index=False)))
    raised_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    reached: str = "dispatchers"  # how far it was escalated: deputy, supervisors, then messages or no_address
    called: list[UUID] = Field(default_factory=list, sa_column=Column(ARRAY(Uuid), nullable=False))
    taken_by: UUID | None = Field(default=None, foreign_key="user_account.id")
    taken_by_name: str | None = None
    taken_at: datetime | None = Field(default=None, sa_type=TZ)
    cleared_at: datetime | None = Field(default=None, sa_type=TZ)
    closed_by: UUID | None = Field(default=None, foreign_key="user_account.id")
    closed_by_name: str | None = None
    close_reason: str | None = None
    updated_at: datetime = Field(default_factory=utcnow, sa_type=TZ)


class AlertMessage(SQLModel, table=True):
    """An e-mail or SMS about an alarm that nobody took, owed to one person; it holds no content."""

    __tablename__ = "alert_message"
    __table_args__ = (
        UniqueConstraint("alert_id", "channel", "user_id"),
        Index("ix_alert_message_owed", "channel", "owed_at", postgresql_where="done_at IS NULL"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    alert_id: UUID = Field(foreign_key="alert.id", ondelete="CASCADE")
    channel: str
    user_id: UUID = Field(foreign_key="user_account.id", index=True)
    owed_at: datetime = Field(sa_type=TZ)
    due_at: datetime = Field(sa_type=TZ)
    tries: int = 0
    done_at: datetime | None = Field(default=None, sa_type=TZ)
    outcome: str | None = None  # sent, refused, late, no_address


class Notice(SQLModel, table=True):
    """Information pushed to people, to be acknowledged; it has no work lifecycle."""

    __tablename__ = "notice"
    __table_args__ = (Index("ix_notice_updated", "updated_at"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    number: int = Field(default=None, sa_column=Column(BigInteger, Identity(), unique=True, nullable=False))
    kind: str
    priority: str
    headline: str
    body: str = ""
    instruction: str | None = None
    addressed: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    area: Any = Field(default=None, sa_column=Column(Geometry("POLYGON", srid=4326, spatial_index=False)))
    watched_to: datetime | None = Field(default=None, sa_type=TZ)  # fixes received until then were looked at
    state: str = "sent"
    valid_to: datetime | None = Field(default=None, sa_type=TZ)
    created_by: UUID | None = Field(default=None, foreign_key="user_account.id")
    created_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    updated_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    ended_at: datetime | None = Field(default=None, sa_type=TZ)  # cancelled or superseded
    ended_by_name: str | None = None
    supersedes: UUID | None = Field(default=None, foreign_key="notice.id", ondelete="SET NULL", unique=True)


class NoticeRecipient(SQLModel, table=True):
    """One person a notice was sent to, by which channel, and when it was delivered, seen and acknowledged."""

    __tablename__ = "notice_recipient"

    notice_id: UUID = Field(primary_key=True, foreign_key="notice.id", ondelete="CASCADE")
    user_id: UUID = Field(primary_key=True, foreign_key="user_account.id", index=True)
    unit_id: UUID | None = Field(default=None, foreign_key="unit.id")
    channel: str = "inbox"
    queued_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    delivered_at: datetime | None = Field(default=None, sa_type=TZ)
    seen_at: datetime | None = Field(default=None, sa_type=TZ)
    acknowledged_at: datetime | None = Field(default=None, sa_type=TZ)
    cancel_confirmed_at: datetime | None = Field(default=None, sa_type=TZ)


class NoticeReply(SQLModel, table=True):
    """What a recipient answered to a notice, append-only."""

    __tablename__ = "notice_reply"
    __table_args__ = (Index("ix_notice_reply_notice", "notice_id", "received_at"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    notice_id: UUID = Field(foreign_key="notice.id", ondelete="CASCADE")
    user_id: UUID = Field(foreign_key="user_account.id")
    name: str
    unit_id: UUID | None = Field(default=None, foreign_key="unit.id")
    text: str
    at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    received_at: datetime = Field(default_factory=utcnow, sa_type=TZ)


class Handover(SQLModel, table=True):
    """What was open when a dispatcher left, and their note; confirmed by another dispatcher."""

    __tablename__ = "handover"
    __table_args__ = (
        CheckConstraint("(confirmed_by IS NULL) = (confirmed_at IS NULL)", name="confirmed"),
        CheckConstraint("confirmed_by <> given_by", name="another"),
        Index("ix_handover_given", "given_at", "id"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    given_by: UUID = Field(foreign_key="user_account.id")
    given_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    note: str
    n_tasks: int
    n_notices: int
    n_silent: int
    listed: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))  # mobile_contract's Left
    confirmed_by: UUID | None = Field(default=None, foreign_key="user_account.id")
    confirmed_at: datetime | None = Field(default=None, sa_type=TZ)
