"""Cells: Web-Mercator tile numbers at zoom 20 (EPSG:3857), about 38 m at the equator, half of that at 60 degrees.

A coarser cell is the same number shifted right: `x >> 1` is the cell of twice the width that holds it.
Formulas: OGC Two Dimensional Tile Matrix Set (17-083r4), WebMercatorQuad.
"""

from math import asinh, atan, degrees, floor, pi, radians, sinh, tan

CELL_ZOOM = 20
SIDE = 1 << CELL_ZOOM
EQUATOR_M = 40_075_016.686
MAX_LAT = 85.0511287798066

Box = tuple[float, float, float, float]
"""min_lon, min_lat, max_lon, max_lat in degrees; a point on the edge is inside."""


Span = tuple[int, int, int, int]
"""First and last column, first and last row."""
WORLD: Span = (0, SIDE - 1, 0, SIDE - 1)


def _clamp(value: float) -> int:
    return min(max(floor(value), 0), SIDE - 1)


def column(lon: float) -> int:
    """The column of the cell that holds this longitude."""
    return _clamp((lon + 180) / 360 * SIDE)


def row(lat: float) -> int:
    """The row, counted from the north, of the cell that holds this latitude; beyond MAX_LAT the outermost."""
    inside = min(max(lat, -MAX_LAT), MAX_LAT)
    return _clamp((1 - asinh(tan(radians(inside))) / pi) / 2 * SIDE)


def centre(x: int, y: int, shift: int) -> tuple[float, float]:
    """lon, lat of the middle of a cell that was shifted right by `shift`."""
    width = (1 << shift) / SIDE
    return (x + 0.5) * width * 360 - 180, latitude((y + 0.5) * width)


def latitude(fraction: float) -> float:
    """The latitude at a fraction of the world's square, from 0 in the north to 1 in the south."""
    return degrees(atan(sinh(pi * (1 - 2 * fraction))))


def width_m(shift: int) -> float:
    """Width of a shifted cell in Web-Mercator metres; on the ground times the cosine of the latitude."""
    return EQUATOR_M / SIDE * (1 << shift)


def span(box: Box) -> Span:
    """The cells a box touches."""
    west, south, east, north = box
    return column(west), column(east), row(north), row(south)


def cell_span(x: int, y: int, shift: int) -> Span:
    """The cells within a shifted cell."""
    last = (1 << shift) - 1
    return x << shift, (x << shift) + last, y << shift, (y << shift) + last


def whole(span: Span, shift: int) -> Span | None:
    """The part of a span that shifted cells fill; None when not one of them fits."""
    first_x, first_y = (-(-first >> shift) << shift for first in (span[0], span[2]))
    last_x, last_y = (((last + 1) >> shift << shift) - 1 for last in (span[1], span[3]))
    return (first_x, last_x, first_y, last_y) if first_x <= last_x and first_y <= last_y else None


def frame(outer: Span, inner: Span | None) -> list[Span]:
    """What is left of a span without another inside it, in at most four spans."""
    if inner is None:
        return [outer]
    west, east, north, south = outer
    first_x, last_x, first_y, last_y = inner
    strips = [
        (west, first_x - 1, north, south),
        (last_x + 1, east, north, south),
        (first_x, last_x, north, first_y - 1),
        (first_x, last_x, last_y + 1, south),
    ]
    return [strip for strip in strips if strip[0] <= strip[1] and strip[2] <= strip[3]]
