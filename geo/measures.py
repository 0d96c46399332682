"""Measures: what trackers send, in SI units; and distances on the globe."""

from math import asin, cos, radians, sin, sqrt

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the Earth (IUGG R1)."""

DEGREE_M = EARTH_RADIUS_M * radians(1)
"""Metres of one degree along a great circle."""

MPS_PER: dict[str, float] = {"mps": 1.0, "kmh": 1 / 3.6, "knots": 1852 / 3600}
"""Metres per second of one of each speed unit (an international nautical mile is 1852 m)."""


def mps(speed: float, unit: str) -> float:
    """A speed given in `mps`, `kmh` or `knots`, in metres per second."""
    return speed * MPS_PER[unit]


def distance_m(lon_a: float, lat_a: float, lon_b: float, lat_b: float) -> float:
    """Metres between two points on a sphere (haversine formula); within 0.6 % of the ellipsoid."""
    half_lat, half_lon = radians(lat_b - lat_a) / 2, radians(lon_b - lon_a) / 2
    chord = sin(half_lat) ** 2 + cos(radians(lat_a)) * cos(radians(lat_b)) * sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(chord)))
