"""Units and shifts as officers see and begin them, and the own position."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from mobile_contract.fields import Body, Code, Edge, Lat, Lon, Moment, MomentOut, Out

Members = Annotated[list[UUID], Field(max_length=50)]
Kilometres = Annotated[int, Field(ge=0, le=9_999_999)]
MAX_FIXES = 1_000


class StartIn(Edge):
    """When a shift began or ended; now, unless said."""

    id: UUID | None = None
    at: Moment | None = None


class Checked(Edge):
    """A piece of equipment (list `equipment` of the code lists) and how it was found."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    item: Code
    state: Literal["ok", "missing", "faulty"]


class OwnStartIn(StartIn):
    """An officer's start of a shift of an own unit, with the crew if not everyone starts for themselves.

    Of what several of a crew note about the vehicle, the first counts.
    """

    unit_id: UUID
    members: Members = []
    equipment_check: Annotated[list[Checked], Field(max_length=50)] = []
    odometer_from_km: Kilometres | None = None


class EndIn(StartIn):
    """When a shift ended, and what the next crew must know."""

    odometer_to_km: Kilometres | None = None
    handover_note: Body | None = None


class Shift(Out):
    """A shift: planned window, and when it really began and ended."""

    model_config = ConfigDict(from_attributes=True, populate_by_name=True)

    id: UUID
    unit_id: UUID
    members: list[UUID]
    planned_from: Annotated[MomentOut | None, Field(alias="from")]
    planned_to: Annotated[MomentOut | None, Field(alias="to")]
    on_at: MomentOut | None
    off_at: MomentOut | None
    equipment_check: list[Checked]
    odometer_from_km: int | None
    odometer_to_km: int | None
    handover_note: str | None
    version: int


class ActiveShift(Out):
    """The shift a unit is on."""

    id: UUID
    on_at: MomentOut
    members: list[UUID]


class Unit(Out):
    """A unit; its position counts as stale from an age of `stale_after_s`."""

    id: UUID
    call_sign: str
    kind: str
    capabilities: list[str]
    tracking: Literal["on_shift", "always"]
    office_id: UUID | None
    members: list[UUID]
    deputy_unit_id: UUID | None
    status: str
    version: int
    stale_after_s: float
    shift: ActiveShift | None


class Colleague(Out):
    """Somebody who belongs to an own unit."""

    id: UUID
    name: str


class UnitSheet(Out):
    """What is needed to begin a shift of an own unit: its people, and whether it has a tracker of its own."""

    unit_id: UUID
    people: list[Colleague]
    has_tracker: bool
    tracker_seen_at: MomentOut | None


class Phone(Out):
    """A phone with a tracker app that is paired with the officer."""

    id: UUID
    protocol: str
    created_at: MomentOut
    seen_at: MomentOut | None


class DutySheet(Out):
    """The officer's units, and the phones that report for them while on shift."""

    units: list[UnitSheet]
    phones: list[Phone]


class PhoneIn(Edge):
    """A tracker app to pair with."""

    id: UUID | None = None
    app: Literal["traccar", "owntracks"]


class PhoneOut(Out):
    """How to set the app up: by the code (an SVG) or by hand. The key is answered this once."""

    id: UUID
    app: Literal["traccar", "owntracks"]
    server_url: str
    key: str
    code: str
    code_svg: str


class OwnFix(Edge):
    """A reading of the device's own position."""

    fix_at: Moment
    lat: Lat
    lon: Lon
    accuracy_m: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None
    altitude_m: Annotated[float, Field(ge=-12_000, le=100_000, allow_inf_nan=False)] | None = None
    speed_mps: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)] | None = None
    heading_deg: Annotated[float, Field(ge=0, le=360, allow_inf_nan=False)] | None = None
    battery_pct: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None


class OwnPositionsIn(Edge):
    """Own positions during a shift, also of hours ago; sent again they change nothing."""

    fixes: Annotated[list[OwnFix], Field(min_length=1, max_length=MAX_FIXES)]


class OwnPositionsOut(Out):
    """What became of them; `off_duty` ones were dropped, `suspect` ones are among the accepted."""

    accepted: int
    duplicates: int
    off_duty: int
    suspect: int
