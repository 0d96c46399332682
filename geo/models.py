"""Tables of units, their devices, shifts, positions, and violations."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry
from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Date,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from core.db import TZ, utcnow
from core.ids import new_id
from core.models import Office as Office  # foreign keys of this file point at core's tables


def _point(*, nullable: bool = False) -> Any:
    return Column(Geometry("POINT", srid=4326, spatial_index=False), nullable=nullable)


def on_earth(column: str = "point") -> str:
    """SQL that holds for a point within WGS-84's ranges; false for NaN."""
    return f"ST_X({column}) BETWEEN -180 AND 180 AND ST_Y({column}) BETWEEN -90 AND 90"


class Unit(SQLModel, table=True):
    """A mobile unit: who is sent, and what is followed on the map."""

    __tablename__ = "unit"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    call_sign: str = Field(unique=True)
    kind: str
    capabilities: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    tracking: str = "on_shift"
    office_id: UUID | None = Field(default=None, foreign_key="office.id")
    deputy_unit_id: UUID | None = Field(default=None, foreign_key="unit.id")
    status: str = "off_duty"
    status_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    version: int = 1
    created_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    updated_at: datetime = Field(default_factory=utcnow, sa_type=TZ, index=True)


class UnitMember(SQLModel, table=True):
    """A person who belongs to a unit."""

    __tablename__ = "unit_member"

    unit_id: UUID = Field(primary_key=True, foreign_key="unit.id")
    user_id: UUID = Field(primary_key=True, foreign_key="user_account.id", index=True)


class Device(SQLModel, table=True):
    """A tracker or phone that sends fixes; its key is known only as a digest."""

    __tablename__ = "device"
    __table_args__ = (
        Index(
            "uq_device_identifier",
            "protocol",
            "identifier",
            unique=True,
            postgresql_where="revoked_at IS NULL",
        ),
        Index("uq_device_user", "user_id", "protocol", unique=True, postgresql_where="revoked_at IS NULL"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    user_id: UUID | None = Field(default=None, foreign_key="user_account.id")  # whose phone: follows their shifts
    protocol: str
    identifier: str | None = None
    key_digest: bytes = Field(unique=True)
    old_key_digest: bytes | None = Field(default=None, unique=True)
    old_key_until: datetime | None = Field(default=None, sa_type=TZ)
    broker_hash: str | None = None
    payload_secret: str | None = None
    interval_s: int | None = None
    speed_unit: str = "knots"
    forwards_for: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    revoked_at: datetime | None = Field(default=None, sa_type=TZ)
    created_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    updated_at: datetime = Field(default_factory=utcnow, sa_type=TZ, index=True)


class DeviceAssignment(SQLModel, table=True):
    """From when a device reports for a unit; the first reaches back without end (`valid_from` NULL)."""

    __tablename__ = "device_assignment"
    __table_args__ = (
        Index(
            "uq_device_assignment_from",
            "device_id",
            "valid_from",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    device_id: UUID = Field(foreign_key="device.id")
    unit_id: UUID = Field(foreign_key="unit.id", index=True)
    valid_from: datetime | None = Field(default=None, sa_type=TZ)


class Shift(SQLModel, table=True):
    """A unit's tour of duty: planned, or cancelled; from `on_at` to `off_at` it opens the duty gate for positions."""

    __tablename__ = "shift"
    __table_args__ = (
        CheckConstraint("off_at IS NULL OR off_at >= on_at", name="order"),
        CheckConstraint("cancelled_at IS NULL OR on_at IS NULL", name="cancelled"),
        Index("ix_shift_unit_on", "unit_id", "on_at"),
        Index("uq_shift_active", "unit_id", unique=True, postgresql_where="on_at IS NOT NULL AND off_at IS NULL"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    unit_id: UUID = Field(foreign_key="unit.id")
    planned_from: datetime | None = Field(default=None, sa_type=TZ)
    planned_to: datetime | None = Field(default=None, sa_type=TZ)
    on_at: datetime | None = Field(default=None, sa_type=TZ)
    off_at: datetime | None = Field(default=None, sa_type=TZ)
    cancelled_at: datetime | None = Field(default=None, sa_type=TZ)
    equipment_check: list[dict[str, str]] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default="[]")
    )
    odometer_from_km: int | None = None
    odometer_to_km: int | None = None
    handover_note: str | None = None
    version: int = 1
    updated_at: datetime = Field(default_factory=utcnow, sa_type=TZ, index=True)


class ShiftMember(SQLModel, table=True):
    """A person on a shift; from its begin on, unless they joined later."""

    __tablename__ = "shift_member"

    shift_id: UUID = Field(primary_key=True, foreign_key="shift.id", ondelete="CASCADE")
    user_id: UUID = Field(primary_key=True, foreign_key="user_account.id", index=True)
    joined_at: datetime | None = Field(default=None, sa_type=TZ)


class Position(SQLModel, table=True):
    """One fix of one device, partitioned by UTC day of `fix_at`; no spatial index (3.1 x the CPU per row)."""

    __tablename__ = "position"
    __table_args__ = (
        CheckConstraint(on_earth(), name="on_earth"),
        Index("ix_position_fix_at", "fix_at", postgresql_using="brin"),
        # Most fixes are plausible and cost nothing here.
        Index("ix_position_suspect", "fix_at", postgresql_where="suspect IS NOT NULL"),
        {"postgresql_partition_by": "RANGE (fix_at)"},
    )

    device_id: UUID = Field(primary_key=True)
    fix_at: datetime = Field(primary_key=True, sa_type=TZ)
    received_at: datetime = Field(sa_type=TZ)
    unit_id: UUID
    point: Any = Field(sa_column=_point(nullable=True))
    accuracy_m: float | None = Field(default=None, sa_type=REAL)
    altitude_m: float | None = Field(default=None, sa_type=REAL)
    speed_mps: float | None = Field(default=None, sa_type=REAL)
    heading_deg: float | None = Field(default=None, sa_type=REAL)
    battery_pct: float | None = Field(default=None, sa_type=REAL)
    satellites: int | None = Field(default=None, sa_type=SmallInteger)
    event: str | None = None
    # Why it is not trusted: no_fix, future, old, jump, frozen, two_senders, apart, interference; None = plausible.
    suspect: str | None = None


class DeviceEvent(SQLModel, table=True):
    """An event of a device that somebody is owed to be told of; gone once they are (tasks/device_alarms.py)."""

    __tablename__ = "device_event"
    __table_args__ = (CheckConstraint(on_earth(), name="on_earth"),)

    device_id: UUID = Field(primary_key=True)
    fix_at: datetime = Field(primary_key=True, sa_type=TZ)
    event: str = Field(primary_key=True)
    unit_id: UUID | None = None  # none: of who was on no shift lately, or of a tracker without a unit
    received_at: datetime = Field(sa_type=TZ)
    point: Any = Field(sa_column=_point(nullable=True))
    suspect: str | None = None  # why the place is not trusted, or off_duty


class UnitLatest(SQLModel, table=True):
    """Each unit's newest plausible fix. Fillfactor 50 and no index on what moves keep updates HOT."""

    __tablename__ = "unit_latest"
    __table_args__ = (
        CheckConstraint(on_earth(), name="on_earth"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    unit_id: UUID = Field(primary_key=True)
    device_id: UUID
    fix_at: datetime = Field(sa_type=TZ)
    received_at: datetime = Field(sa_type=TZ)
    point: Any = Field(sa_column=_point())
    accuracy_m: float | None = Field(default=None, sa_type=REAL)
    speed_mps: float | None = Field(default=None, sa_type=REAL)
    heading_deg: float | None = Field(default=None, sa_type=REAL)
    battery_pct: float | None = Field(default=None, sa_type=REAL)
    moved_back_at: datetime | None = Field(default=None, sa_type=TZ)  # when what was newer turned out to be suspect


class DeviceDoubt(SQLModel, table=True):
    """What stands against a device (geo/doubt.py): `away` is where its receiver is made to believe it is."""

    __tablename__ = "device_doubt"

    device_id: UUID = Field(primary_key=True, foreign_key="device.id", ondelete="CASCADE")
    reason: str = Field(primary_key=True)
    unit_id: UUID
    since: datetime = Field(sa_type=TZ)
    seen_at: datetime = Field(sa_type=TZ)
    away: dict[str, Any] | None = Field(default=None, sa_type=JSONB)


class Interference(SQLModel, table=True):
    """Jamming or spoofing that several units showed (geo/interference.py): where, since when, until when."""

    __tablename__ = "interference"
    __table_args__ = (Index("ix_interference_seen", "seen_at"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    area: Any = Field(sa_column=Column(Geometry("POLYGON", srid=4326, spatial_index=False), nullable=False))
    begun_at: datetime = Field(sa_type=TZ)
    seen_at: datetime = Field(sa_type=TZ)  # when a receiver in it last failed
    ended_at: datetime | None = Field(default=None, sa_type=TZ)


class InterferenceSign(SQLModel, table=True):
    """A receiver that failed in an interference: how, since when, where its unit was, where it was shown."""

    __tablename__ = "interference_sign"

    interference_id: UUID = Field(primary_key=True, foreign_key="interference.id", ondelete="CASCADE")
    device_id: UUID = Field(primary_key=True)
    unit_id: UUID = Field(index=True)
    kind: str
    since: datetime = Field(sa_type=TZ)
    lon: float
    lat: float
    away: list[list[float]] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))


class PatrolDay(SQLModel, table=True):
    """A UTC day of positions whose patrol minutes stand; once some of its positions are deleted it is closed."""

    __tablename__ = "patrol_day"

    day: date = Field(primary_key=True, sa_type=Date)
    fixes: int = Field(sa_type=BigInteger)
    inserted: int = Field(sa_type=BigInteger)  # the server's count of rows ever stored for the day, as a hint
    counted_at: datetime = Field(sa_type=TZ)
    closed_at: datetime | None = Field(default=None, sa_type=TZ)


class PatrolMinutes(SQLModel, table=True):
    """How long units were in a cell on a local day, counted from one UTC day, `part` (see geo/patrol_minutes.py)."""

    __tablename__ = "patrol_minutes"
    __table_args__ = (Index("ix_patrol_minutes_day", "day"),)

    part: date = Field(primary_key=True, sa_type=Date)
    day: date = Field(primary_key=True, sa_type=Date)
    cell_x: int = Field(primary_key=True)
    cell_y: int = Field(primary_key=True)
    seconds: float
    units: int


class ViolationCategory(SQLModel, table=True):
    """A category in use; imports register what they bring as it is."""

    __tablename__ = "violation_category"

    category: str = Field(primary_key=True)
    registered_at: datetime = Field(default_factory=utcnow, sa_type=TZ)


BAND_SHIFT = 6
"""A band is 2^6 rows of cells: few enough for a view to name each, so that an index finds boxes."""
ACCURACY_LIMIT_M = 500
_LEFT_OUT = (
    f"CASE WHEN coord_source = 'office' THEN 'office' WHEN accuracy_m > {ACCURACY_LIMIT_M} THEN 'accuracy' ELSE '' END"
)
_COUNTED = ["category", "left_out", "recorded_by"]  # with these an index alone answers, row-level security included


class Violation(SQLModel, table=True):
    """An offence found, with its precise place. Cells are Web-Mercator tile numbers (see geo/cells.py)."""

    __tablename__ = "violation"
    __table_args__ = (
        CheckConstraint(on_earth(), name="on_earth"),
        Index("uq_violation_external", "source", "external_id", unique=True),
        Index("ix_violation_band", "cell_band", "cell_x", "cell_y", postgresql_include=["occurred_at", *_COUNTED]),
        Index("ix_violation_occurred", "occurred_at", postgresql_include=["cell_x", "cell_y", *_COUNTED]),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    external_id: str | None = None
    source: str = "officer"
    category: str = Field(foreign_key="violation_category.category", index=True)
    occurred_at: datetime = Field(sa_type=TZ)
    recorded_at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    point: Any = Field(sa_column=_point())
    cell_x: int
    cell_y: int
    accuracy_m: float | None = Field(default=None, sa_type=REAL)
    coord_source: str
    in_area: bool = True
    method: str | None = None
    goods_category: str | None = None
    quantity: Any = Field(default=None, sa_column=Column(Numeric(16, 3)))
    quantity_unit: str | None = None
    evaded_duties_eur: Any = Field(default=None, sa_column=Column(Numeric(14, 2)))
    note: str | None = None
    place_text: str | None = None
    plate: str | None = None
    task_id: UUID | None = None
    unit_id: UUID | None = None
    recorded_by: UUID | None = Field(default=None, foreign_key="user_account.id")
    version: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    corrected_at: datetime | None = Field(default=None, sa_type=TZ)
    # Computed columns rather than expressions, which row-level security would keep out of the indexes.
    cell_band: int = Field(default=None, sa_column=Column(Integer, Computed(f"cell_y >> {BAND_SHIFT}"), nullable=False))
    # Why heat leaves it out; '' when it is counted.
    left_out: str = Field(default=None, sa_column=Column(Text, Computed(_LEFT_OUT), nullable=False))


class ViolationAddendum(SQLModel, table=True):
    """Why a version of a violation was corrected; append-only."""

    __tablename__ = "violation_addendum"
    __table_args__ = (UniqueConstraint("violation_id", "version"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    violation_id: UUID = Field(foreign_key="violation.id", ondelete="CASCADE")
    version: int
    by: UUID = Field(foreign_key="user_account.id")
    at: datetime = Field(default_factory=utcnow, sa_type=TZ)
    reason_code: str
    reason: str
    changes: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class ViolationVersion(SQLModel, table=True):
    """A violation as it was before it was changed; written by the database alone."""

    __tablename__ = "violation_version"

    violation_id: UUID = Field(primary_key=True, foreign_key="violation.id", ondelete="CASCADE")
    version: int = Field(primary_key=True)
    record: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


heat_cell = Table(
    "heat_cell",
    SQLModel.metadata,
    *(Column(name, SmallInteger, primary_key=True, autoincrement=False) for name in ("shift", "months")),
    *(Column(name, Integer, primary_key=True, autoincrement=False) for name in ("period", "x", "y")),
    *(Column(name, Text, primary_key=True) for name in ("category", "left_out")),
    Column("n", Integer, nullable=False),
    postgresql_with={"fillfactor": 80},
)
"""How many violations a coarse cell holds in a period that is `months` long (see geo/pyramid.py)."""

heat_pending = Table(
    "heat_pending",
    SQLModel.metadata,
    *(Column(name, Integer, nullable=False) for name in ("cell_x", "cell_y")),
    Column("occurred_at", TZ, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("category", "left_out")),
    Column("n", SmallInteger, nullable=False),
)
"""What became of violations and is not in `heat_cell` yet: 1 for one that came, -1 for one that went."""
