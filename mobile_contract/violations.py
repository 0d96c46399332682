"""Violations as officers record and read them. Coded fields are plain text here: see `GET /code-lists`."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from mobile_contract.fields import (
    AccuracyM,
    Body,
    Code,
    Edge,
    Lat,
    Line,
    Lon,
    Moment,
    MomentOut,
    Money,
    Out,
    Plate,
    Quantity,
)


class ViolationIn(Edge):
    """A violation as its officer records it; unit and task are theirs."""

    id: UUID | None = None
    category: Line
    occurred_at: Moment
    lon: Lon
    lat: Lat
    accuracy_m: AccuracyM | None = None
    coord_source: Literal["gps", "map", "address", "office", "import"]
    method: Code | None = None
    goods_category: Code | None = None
    quantity: Quantity | None = None
    quantity_unit: Code | None = None
    evaded_duties_eur: Money | None = None
    note: Body | None = None
    place_text: Line | None = None
    plate: Plate | None = None
    task_id: UUID | None = None


class ViolationProperties(Out):
    """A violation without its place."""

    id: UUID
    category: str
    occurred_at: MomentOut
    recorded_at: MomentOut
    accuracy_m: float | None
    coord_source: str
    in_area: bool
    method: str | None
    goods_category: str | None
    quantity: float | None
    quantity_unit: str | None
    evaded_duties_eur: float | None
    note: str | None
    place_text: str | None
    plate: str | None
    task_id: UUID | None
    unit_id: UUID | None
    recorded_by: UUID | None
    source: str
    external_id: str | None
    version: int
    corrected_at: MomentOut | None


class Point(BaseModel):
    """A GeoJSON point: lon, lat."""

    type: Literal["Point"]
    coordinates: tuple[float, float]


class Violation(BaseModel):
    """A violation as a GeoJSON feature."""

    type: Literal["Feature"]
    id: UUID
    geometry: Point
    properties: ViolationProperties


class Violations(BaseModel):
    """A page of violations as GeoJSON; `next` is a foreign member."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[Violation]
    next: str | None
