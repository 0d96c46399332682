"""Units and shifts as officers see and begin them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from mobile_contract.fields import Edge, Moment, MomentOut, Out

Members = Annotated[list[UUID], Field(max_length=50)]


class StartIn(Edge):
    """When a shift began or ended; now, unless said."""

    id: UUID | None = None
    at: Moment | None = None


class OwnStartIn(StartIn):
    """An officer's start of a shift of an own unit, with the crew if not everyone starts for themselves."""

    unit_id: UUID
    members: Members = []


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
