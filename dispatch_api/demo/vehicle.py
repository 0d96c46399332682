"""A vehicle of the demonstration: drives ways, stands at places, and says where it is."""

import math
from dataclasses import dataclass, field
from random import Random
from typing import Any

from dispatch_api.demo.world import World
from geo.measures import distance_m

NOISE_M = 6.0
METRES_PER_DEGREE = 111_320.0


@dataclass
class Vehicle:
    """Moves in steps of real time; `go` sends it somewhere, otherwise it patrols around its base."""

    world: World
    base: tuple[float, float]
    random: Random
    at: tuple[float, float]
    cruise_mps: float = 19.0
    path: list[tuple[float, float]] = field(default_factory=list)
    stands_s: float = 0.0
    speed_mps: float = 0.0
    heading_deg: float = 0.0
    busy: bool = False

    def go(self, goal: tuple[float, float]) -> None:
        """Drive there now and stay until `free`."""
        self.path, self.stands_s, self.busy = self.world.way(self.at, goal)[1:], 0.0, True

    def free(self) -> None:
        """Patrol again."""
        self.busy = False

    @property
    def arrived(self) -> bool:
        """Whether the vehicle is where it was sent."""
        return self.busy and not self.path

    def step(self, seconds: float) -> None:
        """Move on by this much time."""
        if not self.path:
            self.speed_mps = 0.0
            if self.busy:
                return
            self.stands_s -= seconds
            if self.stands_s > 0:
                return
            self._next_leg()
        left_m = self.cruise_mps * self.random.uniform(0.75, 1.15) * seconds
        self.speed_mps = left_m / seconds
        while self.path and left_m > 0:
            gap_m = distance_m(*self.at, *self.path[0])
            self.heading_deg = bearing_deg(self.at, self.path[0]) if gap_m > 1 else self.heading_deg
            if gap_m <= left_m:
                self.at = self.path.pop(0)
                left_m -= gap_m
            else:
                part = left_m / gap_m
                self.at = tuple(a + (b - a) * part for a, b in zip(self.at, self.path[0], strict=True))  # type: ignore[assignment]
                left_m = 0
        if not self.path:
            self.stands_s = self.random.uniform(120, 900)

    def _next_leg(self) -> None:
        places = [*self.world.towns, *self.world.crossings]
        near = [p for p in places if 4_000 < distance_m(*self.base, *p.at) < 70_000]
        self.path = self.world.way(self.at, self.random.choice(near).at)[1:]

    def fix(self, fix_at: str) -> dict[str, Any]:
        """What the tracker reports, with the noise of a real receiver."""
        wobble = NOISE_M / METRES_PER_DEGREE
        lon, lat = self.at
        return {
            "fix_at": fix_at,
            "lat": round(lat + self.random.gauss(0, wobble / 2), 6),
            "lon": round(lon + self.random.gauss(0, wobble / 2) / math.cos(math.radians(lat)), 6),
            "accuracy_m": round(self.random.uniform(3, 12), 1),
            "speed_mps": round(self.speed_mps, 1),
            "heading_deg": round(self.heading_deg, 1),
            "satellites": self.random.randint(7, 14),
            "battery_pct": 100,
        }


def bearing_deg(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The initial great-circle bearing from a to b in degrees from north, 0 to 360 (both lon, lat)."""
    (lon1, lat1), (lon2, lat2) = (tuple(map(math.radians, p)) for p in (a, b))
    east = math.sin(lon2 - lon1) * math.cos(lat2)
    north = math.cos(lat1) * math.sin(lat2) - math.sin(lat1) * math.cos(lat2) * math.cos(lon2 - lon1)
    return math.degrees(math.atan2(east, north)) % 360
