"""The record of a stop or control (domain.md 2.5). Coded fields are plain text here: see `GET /code-lists`."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from mobile_contract.fields import AccuracyM, Body, Code, Edge, Lat, Line, Lon, Moment, MomentOut, Money, Out, Plate

Text = Annotated[Body, Field(max_length=2_000)]
CoordSource = Literal["gps", "map", "address", "office"]
BirthDate = Annotated[str, Field(pattern=r"^(19|20|21)\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
Ids = Annotated[list[UUID], Field(max_length=50)]
Codes = Annotated[list[Code], Field(max_length=20)]


class Vehicle(Edge):
    """The vehicle that was stopped; plates and containers as they were read, warnings come with the answer."""

    plate: Plate | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    vin: Annotated[Line, Field(max_length=30)] | None = None
    make: Annotated[Line, Field(max_length=60)] | None = None
    colour: Annotated[Line, Field(max_length=40)] | None = None
    trailer_plate: Plate | None = None
    containers: Annotated[list[Annotated[Line, Field(max_length=20)]], Field(max_length=10)] = []


class StoppedPerson(Edge):
    """A person of the stop, by name or described; what they are to it, and whether that is fact, must be said."""

    role: Literal["driver", "passenger", "owner", "pedestrian", "other"]
    category: Literal["suspect", "convicted", "victim", "witness", "other"]
    basis: Literal["fact", "assessment"]
    name: Line | None = None
    description: Text | None = None
    birth_date: Annotated[str, Field(pattern=r"^(18|19|20|21)\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")] | None = (
        None
    )
    nationality: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    document: Annotated[Line, Field(max_length=60)] | None = None

    @model_validator(mode="after")
    def _named_or_described(self) -> Self:
        if not (self.name or self.description):
            raise ValueError("give a name or a description")
        return self


class Company(Edge):
    """The company concerned."""

    name: Line
    number: Annotated[Line, Field(max_length=40)] | None = None


class Penalty(Edge):
    """A penalty imposed on the spot."""

    kind: Line
    amount_eur: Money


class StopFormIn(Edge):
    """A stop or control as the officer records it. The place is the first stop's; `searched_*` only when it differs.

    `task_id`, `officers` and `violation_ids` are kept as they are sent: what they name may arrive later, or be another
    unit's by now. A violation found without a seizure or detention says why in `no_seizure_reason`.
    """

    id: UUID | None = None
    task_id: UUID | None = None
    officers: Ids = []
    legal_base: Line | None = None
    reason_code: Code
    grounds: Text = ""
    search_object: Line | None = None
    first_stopped_at: Moment
    lon: Lon
    lat: Lat
    accuracy_m: AccuracyM | None = None
    coord_source: CoordSource
    place_text: Line | None = None
    searched_at: Moment | None = None
    searched_lon: Lon | None = None
    searched_lat: Lat | None = None
    ended_at: Moment | None = None
    vehicle: Vehicle | None = None
    persons: Annotated[list[StoppedPerson], Field(max_length=20)] = []
    company: Company | None = None
    declaration_ref: Annotated[Line, Field(max_length=60)] | None = None
    control_types: Codes = []
    findings: Body = ""
    result: Code
    violation_ids: Ids = []
    measures: Codes = []
    no_seizure_reason: Code | None = None
    other_measures: Text | None = None
    penalties: Annotated[list[Penalty], Field(max_length=20)] = []
    recommendation_followed: bool | None = None
    recommendation_why_not: Text | None = None
    injury_damage: Text | None = None
    copy_given: Literal["yes", "no", "refused", "electronic"] = "no"
    remarks: Text | None = None
    exercise: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.ended_at and self.ended_at < self.first_stopped_at:
            raise ValueError("ended_at must not come before first_stopped_at")
        if (self.searched_lon is None) != (self.searched_lat is None):
            raise ValueError("searched_lon and searched_lat go together")
        return self


class FieldWarning(Out):
    """Something that looks wrong; the form was taken as it is."""

    field: str
    code: Literal["plate_pattern", "plate_letters", "look_alike", "container_pattern", "check_digit", "vin", "future"]
    detail: str


class StopForm(StopFormIn):
    """A recorded stop. `plate_key` is the plate as it is compared: no spaces, Cyrillic look-alikes as Latin letters."""

    id: UUID
    number: int
    first_stopped_at: MomentOut
    searched_at: MomentOut | None = None
    ended_at: MomentOut | None = None
    unit_id: UUID | None
    recorded_by: UUID
    recorded_by_name: str
    recorded_at: MomentOut
    plate_key: str | None
    attachments: int
    warnings: list[FieldWarning]
