"""Places as they come from outside: GeoJSON, or two numbers."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mobile_contract.fields import Edge, Lat, Lon

MAX_VERTICES = 1_000


class GeoPoint(Edge):
    """A GeoJSON point in WGS-84 degrees: `[lon, lat]`."""

    type: Literal["Point"] = "Point"
    coordinates: tuple[Lon, Lat]


class GeoPolygon(Edge):
    """A GeoJSON polygon in WGS-84 degrees: closed rings, at most 1,000 vertices in all."""

    type: Literal["Polygon"] = "Polygon"
    coordinates: Annotated[
        list[Annotated[list[tuple[Lon, Lat]], Field(min_length=4, max_length=MAX_VERTICES)]],
        Field(min_length=1, max_length=100),
    ]

    @model_validator(mode="after")
    def _rings(self) -> Self:
        if sum(map(len, self.coordinates)) > MAX_VERTICES:
            raise ValueError(f"must have at most {MAX_VERTICES} vertices")
        if any(ring[0] != ring[-1] for ring in self.coordinates):
            raise ValueError("each ring must end where it began")
        return self


class Placed(Edge):
    """A place as two numbers, both or neither."""

    lon: Lon | None = None
    lat: Lat | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.lon is None) != (self.lat is None):
            raise ValueError("lon and lat go together")
        return self
