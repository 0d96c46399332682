"""A generated unit on its way through the country."""

import math
import random
from datetime import UTC, datetime
from typing import NamedTuple

from geo.measures import DEGREE_M

TURN_DEG = 20
WEST, SOUTH, EAST, NORTH = 22.0, 54.4, 26.0, 56.2


class Reading(NamedTuple):
    """Where a unit was, and how it moved."""

    at_ms: int
    lon: float
    lat: float
    heading_deg: int
    speed_kmh: int

    @property
    def at(self) -> datetime:
        """When it was."""
        return datetime.fromtimestamp(self.at_ms / 1000, UTC)

    @property
    def iso(self) -> str:
        """The same as text."""
        return self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def speed_mps(self) -> float:
        """The speed in metres per second."""
        return round(self.speed_kmh / 3.6, 3)

    @property
    def speed_knots(self) -> float:
        """The speed in knots."""
        return round(self.speed_kmh / 1.852, 3)


class Vehicle:
    """Where a unit is and where it heads; it turns a little each second and stays in the country."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.lon, self.lat = self._random.uniform(WEST, EAST), self._random.uniform(SOUTH, NORTH)
        self.heading, self.kmh = self._random.randrange(360), self._random.randrange(30, 91)

    def drive(self, at_ms: int, seconds: float) -> Reading:
        """Where it is after driving on for so long."""
        self.heading = (self.heading + self._random.randint(-TURN_DEG, TURN_DEG)) % 360
        way = self.kmh / 3.6 * seconds / DEGREE_M
        self.lat += way * math.cos(math.radians(self.heading))
        self.lon += way * math.sin(math.radians(self.heading)) / math.cos(math.radians(self.lat))
        if not (WEST < self.lon < EAST and SOUTH < self.lat < NORTH):
            self.heading = (self.heading + 180) % 360
        return Reading(at_ms, self.lon, self.lat, self.heading, self.kmh)
