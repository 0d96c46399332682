"""A forecast from events: the study area, the constants, the best places, how sure they are, and why they are there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation
from shapely import contains_xy
from shapely.geometry.base import BaseGeometry

from core.errors import OutriderError
from geo.hotspots import spread
from geo.hotspots.explain import explained
from geo.hotspots.lattice import REACH_M, Flags, Floats, Ints, Lattice, square
from geo.hotspots.model import Constants, Counted, History, tuned
from geo.hotspots.placement import STEPS, Chosen, Freely, OnGrid, Placement

FEWEST_EVENTS = 10
Told = Callable[[float], None]
"""Is told how far it is, from 0 to 1; what it raises ends the work."""


class TooFew(OutriderError):
    """There is too little to learn from."""

    code, title = "too_few", "Too few"


@dataclass(frozen=True)
class Asked:
    """A place whose score is wanted."""

    id: str
    lon: float
    lat: float


@dataclass(frozen=True)
class Wanted:
    """What is to be forecast: the next `horizon_days` in `area_share` of the study area, from `days` of history."""

    days: float
    horizon_days: float
    cell_m: float
    area_share: float
    free: bool = False
    per_hour: bool = False
    """By hour of patrol instead of by day."""
    area: BaseGeometry | None = None
    asked: tuple[Asked, ...] = ()


@dataclass(frozen=True)
class Seen:
    """Places and ages of events, and of hours of patrol (`hours` is how many)."""

    lon: Floats
    lat: Floats
    age_days: Floats
    hours: Floats | None = None


@dataclass(frozen=True)
class Forecast:
    """Places, the best first (those asked for in their order), as GeoJSON features; and what they have together."""

    features: list[dict[str, Any]]
    total: tuple[float, float, float]
    """mean, low and high."""
    cells: int
    """Of the study area."""
    events: int
    outside: int
    """Events that lie outside it."""
    constants: Constants
    past: spread.Past = field(default_factory=spread.Past)


def forecast(events: Seen, patrol: Seen | None, wanted: Wanted, told: Told = lambda _: None) -> Forecast:
    """The forecast; raises TooFew, and TooFine when the cells are too small for the area."""
    if events.lon.size < FEWEST_EVENTS:
        raise TooFew
    lattice = _lattice(events, wanted)
    history = _history(lattice, events, patrol, wanted)
    told(0.1)
    constants = tuned(history)
    told(0.5)
    k = spread.chosen_cells(history.inside.size, wanted.area_share)
    grid = OnGrid(history, constants, wanted.horizon_days, k)
    placement: Placement = grid
    if wanted.free and not wanted.asked:
        placement = Freely(history, constants, wanted.horizon_days, k, _counted(lattice.finer(STEPS), events))
    past = spread.learned(placement, wanted.horizon_days)
    told(0.8)
    best = placement.best(0.0)
    shown = grid.every(0.0) if wanted.asked else best
    features = _features(placement, shown, past, patrol, wanted)
    return Forecast(
        features, spread.total(best, past), history.inside.size, events.lon.size,
        events.lon.size - int(history.observed(-np.inf, np.inf).sum()), constants, past,
    )  # fmt: skip


def _lattice(events: Seen, wanted: Wanted) -> Lattice:
    if wanted.asked:
        return Lattice.through(*_places(wanted), wanted.cell_m)
    if wanted.area is None:
        return Lattice.over(events.lon, events.lat, wanted.cell_m)
    west, south, east, north = wanted.area.bounds
    return Lattice.over(np.array([west, east]), np.array([south, north]), wanted.cell_m)


def _counted(lattice: Lattice, seen: Seen) -> Counted:
    cells = lattice.holding(seen.lon, seen.lat)
    inside = cells >= 0
    hours = None if seen.hours is None else seen.hours[inside]
    return Counted(cells[inside], seen.age_days[inside], hours)


def _history(lattice: Lattice, events: Seen, patrol: Seen | None, wanted: Wanted) -> History:
    counted = _counted(lattice, events)
    area = _study_area(lattice, counted, wanted)
    if not area.any():
        raise TooFew
    hours = _counted(lattice, patrol) if wanted.per_hour and patrol else None
    # Before the oldest event nothing was recorded, rather than that nothing happened.
    days = min(wanted.days, float(events.age_days.max()))
    return History(lattice, area, wanted.cell_m, days, counted, hours)


def _study_area(lattice: Lattice, events: Counted, wanted: Wanted) -> Flags:
    """The cells asked for, else those near an event, as far as they lie in the area."""
    shape = lattice.rows, lattice.columns
    if wanted.asked:
        area = np.zeros(lattice.size, bool)
        area[_asked(lattice, wanted)] = True
        return area.reshape(shape)
    with_events = lattice.counts(events.cells) > 0
    steps = max(1, round(REACH_M / wanted.cell_m))
    area = binary_dilation(with_events, np.ones((2 * steps + 1, 2 * steps + 1)))
    if wanted.area is not None:
        lon, lat = lattice.middle(np.arange(lattice.size))
        area &= contains_xy(wanted.area, lon, lat).reshape(shape)
    return np.asarray(area, bool)


def _asked(lattice: Lattice, wanted: Wanted) -> Ints:
    return lattice.holding(*_places(wanted))


def _places(wanted: Wanted) -> tuple[Floats, Floats]:
    return np.array([place.lon for place in wanted.asked]), np.array([place.lat for place in wanted.asked])


def _features(
    placement: Placement, shown: Chosen, past: spread.Past, patrol: Seen | None, wanted: Wanted
) -> list[dict[str, Any]]:
    """The places shown, each with what the contract names."""
    history = placement.history
    mean, low, high = spread.counts(shown, past)
    gi, trend, kinds = explained(history, shown.cells)
    score = shown.rates.mean if wanted.per_hour else mean
    rank = np.argsort(np.argsort(-score, kind="stable"), kind="stable") + 1
    told = {
        "score": np.round(score, 6), "mean": np.round(mean, 6), "lo": low, "hi": high, "rank": rank,
        "n": placement.seen(shown, -np.inf, np.inf).astype(int), "trend": np.round(trend, 2), "gi_z": np.round(gi, 2),
    }  # fmt: skip
    columns: dict[str, list[Any]] = {name: values.tolist() for name, values in told.items()}
    columns |= {"class": kinds, "exposure_h": _hours(history, shown, patrol)}
    at: Ints = np.arange(score.size)
    if wanted.asked:
        at = np.searchsorted(history.inside, _asked(history.lattice, wanted))
    lattice = placement.fine if isinstance(placement, Freely) else history.lattice
    lon, lat = (each.tolist() for each in lattice.corner(shown.corners))
    return [
        {
            "type": "Feature",
            "geometry": square(lon[i], lat[i], history.lattice),
            "properties": {name: values[i] for name, values in columns.items()}
            | ({"id": wanted.asked[number].id} if wanted.asked else {}),
        }
        for number, i in enumerate(at.tolist())
    ]


def _hours(history: History, shown: Chosen, patrol: Seen | None) -> list[Any]:
    """Hours of patrol in each place, None where they are not to be told."""
    if patrol is None:
        return [None] * shown.cells.size
    walked = _counted(history.lattice, patrol)
    hours = history.lattice.counts(walked.cells, walked.weights).ravel()[history.inside][shown.cells]
    return list(np.round(hours, 1).tolist())
