"""Tables of stop forms and attachments."""

from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry
from sqlalchemy import REAL, BigInteger, CheckConstraint, Column, Identity, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.db import TZ, utcnow
from core.ids import new_id
from geo.models import Violation as Violation  # foreign keys of this file point at these tables
from tasks.models import Task as Task


class StopForm(SQLModel, table=True):
    """The record of a stop or control: `body` as it was sent, and what it is searched by beside it."""

    __tablename__ = "stop_form"
    __table_args__ = (
        Index("ix_stop_form_recorded_at", "recorded_at"),
        Index("ix_stop_form_task", "task_id"),
        Index("ix_stop_form_unit", "unit_id", "recorded_at"),
        Index("ix_stop_form_plate", "plate_key"),
        Index("ix_stop_form_recorded_by", "recorded_by"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    number: int = Field(default=None, sa_column=Column(BigInteger, Identity(), unique=True, nullable=False))
    task_id: UUID | None = None  # kept as sent: the task may be another unit's by then
    unit_id: UUID | None = Field(default=None, foreign_key="unit.id")
    recorded_by: UUID = Field(foreign_key="user_account.id")
    recorded_by_name: str
    recorded_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    first_stopped_at: datetime = Field(sa_type=TZ)
    point: Any = Field(sa_column=Column(Geometry("POINT", srid=4326, spatial_index=False), nullable=False))
    reason_code: str
    result: str
    exercise: bool = False
    plate_key: str | None = None
    attachments: int = 0
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    warnings: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    names_removed_at: datetime | None = Field(default=None, sa_type=TZ)


class Attachment(SQLModel, table=True):
    """A photo or file: what was announced, how much of it arrived, and, once complete, what it is."""

    __tablename__ = "attachment"
    __table_args__ = (
        Index("ix_attachment_task", "task_id"),
        Index("ix_attachment_violation", "violation_id"),
        Index("ix_attachment_stop_form", "stop_form_id"),
        Index("ix_attachment_sha256", "sha256"),
        CheckConstraint("num_nonnulls(task_id, violation_id, stop_form_id) = 1", name="of_one"),
        CheckConstraint("received BETWEEN 0 AND size", name="received"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
    )

    id: UUID = Field(primary_key=True)
    task_id: UUID | None = Field(default=None, foreign_key="task.id", ondelete="CASCADE")
    violation_id: UUID | None = Field(default=None, foreign_key="violation.id", ondelete="CASCADE")
    stop_form_id: UUID | None = Field(default=None, foreign_key="stop_form.id", ondelete="CASCADE")
    name: str
    media_type: str | None = None
    size: int = Field(sa_type=BigInteger)
    sha256: str
    status: str = "receiving"
    refused: str | None = None
    received: int = Field(default=0, sa_type=BigInteger)
    screen: bool = False
    width_px: int | None = None
    height_px: int | None = None
    captured_at: datetime | None = Field(default=None, sa_type=TZ)
    point: Any = Field(default=None, sa_column=Column(Geometry("POINT", srid=4326, spatial_index=False)))
    accuracy_m: float | None = Field(default=None, sa_type=REAL)
    created_by: UUID = Field(foreign_key="user_account.id", index=True)
    created_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    completed_at: datetime | None = Field(default=None, sa_type=TZ)
