"""Where the demonstration happens: towns and borders of the basemap, and ways between the towns.

No road data ships with Outrider, so a way follows the edges of the towns' Delaunay triangulation, slightly bent.
"""

import heapq
import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import shapely
from shapely import MultiLineString, MultiPoint, Point
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from geo.measures import distance_m

HOME = "440"  # Lithuania in ISO 3166-1 numeric, as world-atlas numbers countries
LONGEST_EDGE_M = 45_000
LEAST_POPULATION = 1_500
BEND = 0.08
PIECE_M = 400.0


@dataclass(frozen=True)
class Place:
    """A town, or a spot on the border named after the town nearest to it."""

    name: str
    lon: float
    lat: float
    population: int = 0

    @property
    def at(self) -> tuple[float, float]:
        """(lon, lat)."""
        return self.lon, self.lat


def _town(feature: Mapping[str, Any]) -> Place:
    lon, lat = feature["geometry"]["coordinates"]
    return Place(feature["properties"]["name"], lon, lat, feature["properties"]["population"])


class World:
    """Lithuania as the basemap draws it."""

    def __init__(self, basemap: Mapping[str, Any]) -> None:
        features = basemap["features"]
        self.home: BaseGeometry = next(shape(f["geometry"]) for f in features if f.get("id") == HOME)
        shapely.prepare(self.home)
        border = next(f["geometry"] for f in features if f["properties"]["kind"] == "border")
        self._border = MultiLineString(border["coordinates"])
        self.towns = [
            _town(f)
            for f in features
            if f["properties"]["kind"] == "town"
            and f["properties"]["population"] >= LEAST_POPULATION
            and self.home.contains(Point(f["geometry"]["coordinates"]))
        ]

    @classmethod
    def load(cls, file: Path) -> "World":
        """The world of a built basemap."""
        return cls(json.loads(file.read_text()))

    def town(self, name: str) -> Place:
        """The largest town of this name (names as GeoNames spells them)."""
        return max((t for t in self.towns if t.name == name), key=lambda t: t.population)

    def nearest_town(self, at: tuple[float, float]) -> Place:
        """The town nearest to a point."""
        return min(self.towns, key=lambda t: distance_m(*at, *t.at))

    @cached_property
    def crossings(self) -> list[Place]:
        """Spots just inside the land border near towns, one for each town within 15 km of it."""
        line = self._border.intersection(self.home.buffer(0.02))
        spots = []
        for town in self.towns:
            near = Point(shapely.shortest_line(line, Point(town.at)).coords[0])
            inside = (near.x + (town.lon - near.x) * 0.12, near.y + (town.lat - near.y) * 0.12)
            if distance_m(*town.at, near.x, near.y) <= 15_000 and self.home.contains(Point(inside)):
                spots.append(Place(f"border near {town.name}", *inside))
        return spots

    @cached_property
    def _edges(self) -> dict[int, list[tuple[int, float]]]:
        number = {t.at: i for i, t in enumerate(self.towns)}
        lines = shapely.delaunay_triangles(MultiPoint([t.at for t in self.towns]), only_edges=True)
        edges: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for line in shapely.get_parts(lines):
            a, b = (number[tuple(c)] for c in line.coords)
            length_m = distance_m(*self.towns[a].at, *self.towns[b].at)
            if length_m <= LONGEST_EDGE_M and self.home.contains(line):
                edges[a].append((b, length_m))
                edges[b].append((a, length_m))
        return edges

    def way(self, start: tuple[float, float], goal: tuple[float, float]) -> list[tuple[float, float]]:
        """Points about 400 m apart from `start` to `goal`, by the shortest way over the towns between."""
        a, b = (self.towns.index(self.nearest_town(at)) for at in (start, goal))
        stops = [start, *(self.towns[i].at for i in self._shortest(a, b)), goal]
        if len(stops) > 3 and distance_m(*start, *stops[2]) < distance_m(*stops[1], *stops[2]):
            del stops[1]  # the nearest town lies behind
        points = [start]
        for one, other in pairwise(stops):
            points += _bent(one, other)
        return points

    def _shortest(self, start: int, goal: int) -> list[int]:
        """Dijkstra over the towns; only the two ends when nothing joins them."""
        best, queue, before = {start: 0.0}, [(0.0, start)], {}
        while queue:
            length_m, at = heapq.heappop(queue)
            if at == goal:
                break
            for other, edge_m in self._edges[at]:
                if length_m + edge_m < best.get(other, math.inf):
                    best[other], before[other] = length_m + edge_m, at
                    heapq.heappush(queue, (length_m + edge_m, other))
        if start != goal and goal not in before:
            return [start, goal]
        path = [goal]
        while path[-1] != start:
            path.append(before[path[-1]])
        return path[::-1]


def _bent(a: tuple[float, float], b: tuple[float, float]) -> list[tuple[float, float]]:
    """A quadratic Bézier curve from `a` (left out) to `b`; the same pair bends the same way both ways."""
    length_m = distance_m(*a, *b)
    if length_m < 1:
        return []
    side = Random(f"{min(a, b)}{max(a, b)}").uniform(-BEND, BEND) * (1 if a < b else -1)
    middle = ((a[0] + b[0]) / 2 + side * (b[1] - a[1]), (a[1] + b[1]) / 2 - side * (b[0] - a[0]))
    pieces = max(1, round(length_m / PIECE_M))
    return [
        (
            (1 - t) ** 2 * a[0] + 2 * t * (1 - t) * middle[0] + t * t * b[0],
            (1 - t) ** 2 * a[1] + 2 * t * (1 - t) * middle[1] + t * t * b[1],
        )
        for t in (i / pieces for i in range(1, pieces + 1))
    ]
