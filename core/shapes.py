"""Areas that come from outside, as the database holds them."""

from geoalchemy2.elements import WKBElement
from geoalchemy2.shape import from_shape
from shapely.geometry import shape

from core.errors import Invalid
from mobile_contract.resources import GeoPolygon


def polygon_of(area: GeoPolygon) -> WKBElement:
    """The database's polygon; raises Invalid for one that crosses itself."""
    polygon = shape(area.model_dump())
    if not polygon.is_valid or polygon.area == 0:
        raise Invalid.at("area", "geometry", "The area must be a polygon that does not cross itself.")
    return from_shape(polygon, srid=4326)
