"""How well forecasts foretell, on violations of the past (rolling origins), beside counts and the usual heatmap.

`python -m loadtests.hotspots FILE.csv.gz [--origins 24 --first 2016-06-01 --spacing 45 --horizons 7 30 90]`

The file has `occurred_at`, `lon`, `lat`. For each origin only what occurred before it is known, three years of it. All
methods choose the same number of the same cells, 1 % of those near an event before the first origin; free squares take
as much area. PAI is the share of events caught over the share of the area (Chainey, Tompson and Uhlig 2008). The exit
code is 1 when a bound is missed.
"""

import argparse
import csv
import gzip
import io
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from shapely.geometry import shape

from geo.hotspots.forecast import Asked, Forecast, Seen, Wanted, forecast
from geo.hotspots.lattice import Flags, Floats, Ints, Lattice
from loadtests.faults.fault import Figure, told

HISTORY_DAYS, CELL_M, SHARE, KERNEL_M = 1_095.0, 250.0, 0.01, 250.0
DAY = np.timedelta64(1, "D")
HEATMAP = "heatmap (KDE 250 m)"


@dataclass
class Tally:
    """What was caught, by method, and how often intervals held."""

    pai: dict[str, list[float]] = field(default_factory=dict)
    total_held: list[bool] = field(default_factory=list)
    cells_held: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, method: str, pai: float) -> None:
        """Note how one method did at one origin."""
        self.pai.setdefault(method, []).append(pai)

    def ratio(self, method: str, other: str) -> float:
        """The mean PAI of one method over another's."""
        return float(np.mean(self.pai[method]) / max(np.mean(self.pai[other]), 1e-9))


def read(path: Path) -> tuple[Floats, Floats, Floats]:
    """lon, lat, and the day since 1970 of each row."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    at = np.array([row["occurred_at"][:16] for row in rows], "datetime64[m]")
    lon, lat = (np.array([float(row[name]) for row in rows]) for name in ("lon", "lat"))
    return lon, lat, (at - np.datetime64("1970-01-01", "m")) / DAY


class City:
    """The events of a file and the cells they are judged by."""

    def __init__(self, lon: Floats, lat: Floats, day: Floats, first: float) -> None:
        self.lon, self.lat, self.day = lon, lat, day
        known = day < first
        found = forecast(Seen(lon[known], lat[known], first - day[known]), None, Wanted(HISTORY_DAYS, 30, CELL_M, 1.0))
        middles = [shape(feature["geometry"]).centroid for feature in found.features]
        self.asked = tuple(Asked(str(n), middle.x, middle.y) for n, middle in enumerate(middles))
        self.lattice = Lattice.through(*np.array([(each.lon, each.lat) for each in self.asked]).T, CELL_M)
        self.cells = self.lattice.holding(*np.array([(each.lon, each.lat) for each in self.asked]).T)
        self.k = max(1, round(SHARE * len(self.asked)))

    def seen(self, origin: float, horizon: float) -> tuple[Floats, Floats]:
        """The events of the window."""
        window = (self.day >= origin) & (self.day < origin + horizon)
        return self.lon[window], self.lat[window]

    def past(self, origin: float, days: float) -> Seen:
        """The events before the origin."""
        before = (self.day < origin) & (self.day >= origin - days)
        return Seen(self.lon[before], self.lat[before], origin - self.day[before])

    def counts(self, lon: Floats, lat: Floats) -> Floats:
        """Events by cell, as rows of columns."""
        held = self.lattice.holding(lon, lat)
        return self.lattice.counts(held[held >= 0])

    def judged(self, best: Ints, origin: float, horizon: float) -> float:
        """The PAI of these cells (numbers among those asked for)."""
        lon, lat = self.seen(origin, horizon)
        caught = self.counts(lon, lat).ravel()[self.cells[best]].sum()
        return float(caught / lon.size / (best.size / self.cells.size))


def baselines(city: City, origin: float) -> dict[str, Floats]:
    """What counts and the usual heatmap say of each cell."""
    year, whole = city.past(origin, 365), city.past(origin, HISTORY_DAYS)
    counts = {"count, 365 days": city.counts(year.lon, year.lat), "count, 3 years": city.counts(whole.lon, whole.lat)}
    fine = city.lattice.finer(5)
    held = fine.holding(year.lon, year.lat)
    smooth = gaussian_filter(fine.counts(held[held >= 0]), KERNEL_M / CELL_M * 5, mode="constant", truncate=3)
    kernel = smooth.reshape(city.lattice.rows, 5, city.lattice.columns, 5).sum(axis=(1, 3))
    return {name: each.ravel()[city.cells] for name, each in (counts | {HEATMAP: kernel}).items()}


def within(features: list[dict[str, Any]], lon: Floats, lat: Floats) -> Flags:
    """Which places lie in any of these squares."""
    inside = np.zeros(lon.size, bool)
    for feature in features:
        west, south, east, north = shape(feature["geometry"]).bounds
        inside |= (lon >= west) & (lon < east) & (lat >= south) & (lat < north)
    return inside


def squares(city: City, found: Forecast, origin: float, horizon: float) -> float:
    """The PAI of free squares."""
    inside = within(found.features, *city.seen(origin, horizon))
    return float(inside.mean() / (city.k / city.cells.size))


def origin_(city: City, origin: float, horizon: float, tally: Tally) -> None:
    """Every method at one origin."""
    past, wanted = city.past(origin, HISTORY_DAYS), Wanted(HISTORY_DAYS, horizon, CELL_M, SHARE, asked=city.asked)
    began = time.monotonic()
    found = forecast(past, None, wanted)
    tally.seconds.append(time.monotonic() - began)
    told_of = {name: np.array([f["properties"][name] for f in found.features]) for name in ("score", "lo", "hi")}
    chance = np.random.default_rng(int(origin))
    for method, score in (baselines(city, origin) | {"ours": told_of["score"]}).items():
        # Equal scores in an order of chance: else they would go by where the cell lies.
        best = np.lexsort((chance.random(score.size), -score))[: city.k]
        tally.add(method, city.judged(best, origin, horizon))
    best = np.argsort(-told_of["score"], kind="stable")[: city.k]
    seen = city.counts(*city.seen(origin, horizon)).ravel()[city.cells[best]]
    tally.total_held.append(bool(found.total[1] <= seen.sum() <= found.total[2]))
    tally.cells_held.append(float(((told_of["lo"][best] <= seen) & (seen <= told_of["hi"][best])).mean()))
    for side, name in ((CELL_M, "free squares"), (100.0, "free squares of 100 m")):
        placed = freely(past, wanted, side, city.k * (CELL_M / side) ** 2)
        tally.add(name, squares(city, placed, origin, horizon))


def freely(past: Seen, wanted: Wanted, side_m: float, n: float) -> Forecast:
    """So many free squares of this side, however large the study area is in cells of it."""
    every = replace(wanted, asked=(), cell_m=side_m, area_share=1.0)
    cells = forecast(past, None, every).cells
    return forecast(past, None, replace(every, free=True, area_share=n / cells))


def main() -> int:
    """Run and print; 1 when a bound was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--origins", type=int, default=24)
    parser.add_argument("--first", default="2016-06-01")
    parser.add_argument("--spacing", type=float, default=45)
    parser.add_argument("--horizons", type=float, nargs="+", default=[7, 30, 90])
    arguments = parser.parse_args()
    lon, lat, day = read(arguments.file)
    first = float((np.datetime64(arguments.first) - np.datetime64("1970-01-01")) / DAY)
    city, tally = City(lon, lat, day, first), Tally()
    for number in range(arguments.origins):
        for horizon in arguments.horizons:
            origin_(city, first + number * arguments.spacing, horizon, tally)
    best = max((m for m in tally.pai if m != "ours" and "squares" not in m), key=lambda m: float(np.mean(tally.pai[m])))
    return told([
        Figure("origins and horizons", len(tally.seconds)),
        *(Figure(f"PAI, {method}", float(np.mean(each))) for method, each in tally.pai.items()),
        Figure("ours to the usual heatmap", tally.ratio("ours", HEATMAP), "x", least=1.1),
        Figure(f"ours to the best of the others, {best}", tally.ratio("ours", best), "x", least=0.98),
        Figure("free squares of 100 m to the same", tally.ratio("free squares of 100 m", HEATMAP), "x", least=1.5),
        Figure("90 % intervals of the total that held", float(np.mean(tally.total_held)), "x", least=0.85),
        Figure("90 % intervals of chosen cells that held", float(np.mean(tally.cells_held)), "x", least=0.85),
        Figure("a forecast takes, median", float(np.median(tally.seconds)), "s", most=2),
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
