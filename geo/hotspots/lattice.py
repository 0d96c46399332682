"""A local grid of cells of equal width and height in metres, and what lies in them."""

from dataclasses import dataclass
from math import ceil, cos, floor, radians
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import OutriderError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MARGIN = 4
"""Cells around the outermost place."""
REACH_M = 500.0
"""A cell so near to a violation belongs to the study area."""
STRAY = 0.0005
"""The share of places at each edge of the map that do not widen the grid: a few are always wrong."""
MAX_CELLS = 2_500_000
ALIKE = 0.05
"""Of a cell: how far asked places may be from a grid's middles to be that grid's cells."""


class TooFine(OutriderError):
    """The cells are too small for the area."""

    code, title = "too_fine", "Too fine"


def metres_per_degree(lat: float) -> tuple[float, float]:
    """Of longitude and latitude on WGS 84 (the usual series of the meridian arc, right to a centimetre)."""
    a = radians(lat)
    return (
        111_412.84 * cos(a) - 93.5 * cos(3 * a) + 0.118 * cos(5 * a),
        111_132.92 - 559.82 * cos(2 * a) + 1.175 * cos(4 * a),
    )


@dataclass(frozen=True)
class Lattice:
    """Cells from `west` and `south` on, `step_lon` by `step_lat` degrees, numbered row by row from the south-west."""

    west: float
    south: float
    step_lon: float
    step_lat: float
    columns: int
    rows: int

    @classmethod
    def over(cls, lon: Floats, lat: Floats, cell_m: float) -> Self:
        """One over these places but for a few strays; raises TooFine."""
        east_m, north_m = metres_per_degree(float(np.median(lat)))
        step_lon, step_lat = cell_m / east_m, cell_m / north_m
        edges = [(*np.quantile(at, [STRAY, 1 - STRAY]), step) for at, step in ((lon, step_lon), (lat, step_lat))]
        (west, columns), (south, rows) = (
            ((floor(first / step) - MARGIN) * step, ceil((last - first) / step) + 2 * MARGIN + 1)
            for first, last, step in edges
        )
        return cls(west, south, step_lon, step_lat, columns, rows)._fitting()

    @classmethod
    def through(cls, lon: Floats, lat: Floats, cell_m: float) -> Self:
        """One whose cells have these places as middles if they are those of any grid, else one from the first on."""
        east_m, north_m = metres_per_degree(float(np.median(lat)))
        west, step_lon = _spaced(lon, cell_m / east_m)
        south, step_lat = _spaced(lat, cell_m / north_m)
        columns, rows = round((lon.max() - west) / step_lon), round((lat.max() - south) / step_lat)
        west, south = west - (MARGIN + 0.5) * step_lon, south - (MARGIN + 0.5) * step_lat
        return cls(west, south, step_lon, step_lat, columns + 2 * MARGIN + 1, rows + 2 * MARGIN + 1)._fitting()

    def _fitting(self) -> Self:
        if self.columns * self.rows > MAX_CELLS:
            raise TooFine
        return self

    @property
    def size(self) -> int:
        """How many cells there are."""
        return self.columns * self.rows

    def finer(self, by: int) -> "Lattice":
        """The same place in cells `by` times as narrow and low."""
        return Lattice(self.west, self.south, self.step_lon / by, self.step_lat / by, self.columns * by, self.rows * by)

    def holding(self, lon: Floats, lat: Floats) -> Ints:
        """The number of the cell that holds each place; -1 outside."""
        x, y = np.floor((lon - self.west) / self.step_lon), np.floor((lat - self.south) / self.step_lat)
        inside = (x >= 0) & (y >= 0) & (x < self.columns) & (y < self.rows)
        return np.where(inside, y * self.columns + x, -1).astype(np.int64)

    def counts(self, cells: Ints, weights: Floats | None = None) -> Floats:
        """How many, or what sum of weights, lies in each cell, as rows of columns."""
        return np.bincount(cells, weights, self.size).reshape(self.rows, self.columns).astype(float)

    def corner(self, cells: Ints) -> tuple[Floats, Floats]:
        """lon and lat of the south-western corners."""
        x, y = (cells % self.columns).astype(float), (cells // self.columns).astype(float)
        return self.west + x * self.step_lon, self.south + y * self.step_lat

    def middle(self, cells: Ints) -> tuple[Floats, Floats]:
        """lon and lat of the middles."""
        lon, lat = self.corner(cells)
        return lon + self.step_lon / 2, lat + self.step_lat / 2


def _spaced(at: Floats, step: float) -> tuple[float, float]:
    """The first of these numbers, and their common step near the given one, else the given one."""
    numbers = np.unique(np.round(at, 9))
    gaps = np.diff(numbers)
    gaps = gaps[gaps > step / 2]
    if not gaps.size:
        return float(numbers[0]), step
    found = (numbers[-1] - numbers[0]) / max(1, round((numbers[-1] - numbers[0]) / gaps.min()))
    off = (numbers - numbers[0]) / found
    is_grid = abs(found / step - 1) < ALIKE and np.abs(off - np.round(off)).max() < ALIKE
    return float(numbers[0]), float(found) if is_grid else step


def square(lon: float, lat: float, lattice: Lattice) -> dict[str, Any]:
    """A cell as a GeoJSON Polygon, by its south-western corner."""
    east, north = round(lon + lattice.step_lon, 7), round(lat + lattice.step_lat, 7)
    west, south = round(lon, 7), round(lat, 7)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}
