"""Tables of what is known of devices beside their fixes: counts by day, intervals, strangers, unreadable frames."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import REAL, BigInteger, Column, Index, Integer, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from core.db import TZ, utcnow
from core.ids import new_id

_ZERO = {"server_default": "0"}


def _counts(**options: Any) -> Any:
    return Column(ARRAY(Integer), nullable=False, **options)


class IngestCount(SQLModel, table=True):
    """What a device sent on a day, what became of it and in what state it came; of fixes off duty the only trace."""

    __tablename__ = "ingest_count"

    device_id: UUID = Field(primary_key=True)
    day: datetime = Field(primary_key=True, sa_type=TZ)
    accepted: int = 0
    duplicates: int = 0
    off_duty: int = 0
    suspect: int = 0
    rejected: int = 0
    seen_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    late: int = Field(default=0, sa_column_kwargs=_ZERO)
    jumps: int = Field(default=0, sa_column_kwargs=_ZERO)
    no_fix: int = Field(default=0, sa_column_kwargs=_ZERO)
    off_clock: int = Field(default=0, sa_column_kwargs=_ZERO)
    unreadable: int = Field(default=0, sa_column_kwargs=_ZERO)
    frozen: int = Field(default=0, sa_column_kwargs=_ZERO)
    skews: list[int] = Field(default_factory=list, sa_column=_counts(server_default="{}"))
    skew_s: float | None = Field(default=None, sa_type=REAL)
    battery_pct: float | None = Field(default=None, sa_type=REAL)
    about: str | None = None


class FixInterval(SQLModel, table=True):
    """How long it was between the fixes a device took on a UTC day, in the classes of geo/intervals.py."""

    __tablename__ = "fix_interval"

    device_id: UUID = Field(primary_key=True)
    day: datetime = Field(primary_key=True, sa_type=TZ)
    gaps: list[int] = Field(sa_column=_counts())
    heard_s: float
    silent_s: float
    last_fix_at: datetime | None = Field(default=None, sa_type=TZ)
    counted_at: datetime = Field(sa_type=TZ)


class UnknownDevice(SQLModel, table=True):
    """Who knocked at the gateway, or is forwarded, and is not registered; the newest of them, and those put aside."""

    __tablename__ = "unknown_device"

    protocol: str = Field(primary_key=True)
    identifier: str = Field(primary_key=True)
    first_seen: datetime = Field(sa_type=TZ)
    last_seen: datetime = Field(sa_type=TZ)
    n: int = Field(sa_type=BigInteger)
    address: str
    forwarder_id: UUID | None = None  # of a Traccar server's: the device whose key it forwards with
    forgotten_at: datetime | None = Field(default=None, sa_type=TZ)
    ignored_at: datetime | None = Field(default=None, sa_type=TZ)


class RawFrame(SQLModel, table=True):
    """An undamaged frame of a device on duty that could not be decoded, once, for somebody to look at."""

    __tablename__ = "raw_frame"
    __table_args__ = (UniqueConstraint("device_id", "digest"), Index("ix_raw_frame_received", "received_at"))

    id: UUID = Field(default_factory=new_id, primary_key=True)
    device_id: UUID
    unit_id: UUID
    received_at: datetime = Field(sa_type=TZ)
    digest: bytes
    frame: bytes
    error: str
