"""How sure a forecast is: intervals of counts, widened by what past forecasts of the same length missed.

The posterior alone promises too much: of its 90 % intervals for the chosen cells together a third to a half held
(hotspots measured on nine series, docs/hotspots.md). So the same forecast is made for past windows: the posteriors are
thinned until their intervals hold there, and the total moves by the level those windows were off.
"""

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from scipy.special import betainc, nbdtrik, ndtri, stdtrit

from geo.hotspots.lattice import Floats
from geo.hotspots.placement import Chosen, Placement

LOW, HIGH = 0.05, 0.95
"""The edges of the central 90 % interval."""
WINDOWS = 6
FEWEST_WINDOWS = 3
THINNED = (1.0, 0.5, 0.25, 0.12, 0.06, 0.03)
HELD = HIGH - LOW
UNKNOWN_SPREAD = 0.25
"""The standard deviation of the log of a total when the past is too short to tell."""
SHARES_OF_LEVEL = 41


@dataclass(frozen=True)
class Past:
    """What past windows of the same length teach: how much to thin, how far totals were off, and how unsteadily."""

    thinned: float = 0.5
    level: float = 1.0
    unsteady: float = UNKNOWN_SPREAD
    windows: int = 0


def counts(places: Chosen, past: Past) -> tuple[Floats, Floats, Floats]:
    """mean, low and high of the count of each place over the time to come."""
    mean = places.mean * past.level
    return mean, *_interval(places.rates.shape * past.thinned, mean)


def _interval(shape: Floats, mean: Floats) -> tuple[Floats, Floats]:
    """The central 90 % of negative binomials of these shapes and means."""
    p = shape / (shape + mean)
    return _quantile(LOW, shape, p), _quantile(HIGH, shape, p)


def _quantile(share: float, shape: Floats, p: Floats) -> Floats:
    """The least count k with P(count <= k) >= share."""
    with np.errstate(invalid="ignore"):
        near = np.nan_to_num(nbdtrik(share, shape, p), nan=0.0, posinf=0.0)
    k: Floats = np.maximum(np.floor(near) - 1, 0.0)
    for _ in range(4):
        k = np.where(betainc(shape, k + 1, p) < share, k + 1, k)
    return k


def total(places: Chosen, past: Past) -> tuple[float, float, float]:
    """mean, low and high of the count in these places together."""
    mean_of_each = places.mean * past.level
    mean = float(mean_of_each.sum())
    if mean <= 0:
        return 0.0, 0.0, 0.0
    extra = float((mean_of_each**2 / (places.rates.shape * past.thinned)).sum())
    shape = mean**2 / max(extra, 1e-9)
    freedom = max(past.windows - 1, 1) if past.windows >= FEWEST_WINDOWS else 5
    widened = past.unsteady * sqrt(1 + 1 / max(past.windows, 1)) * float(stdtrit(freedom, HIGH)) / float(ndtri(HIGH))
    shares = (np.arange(SHARES_OF_LEVEL) + 0.5) / SHARES_OF_LEVEL
    p = shape / (shape + mean * np.exp(widened * ndtri(shares)))
    low, high = (_mixed(share, shape, p) for share in (LOW, HIGH))
    return mean, low, high


def _mixed(share: float, shape: float, p: Floats) -> float:
    """The least count that a mixture of negative binomials does not pass with this probability."""
    low, high = 0, 1
    while float(betainc(shape, high + 1, p).mean()) < share:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if float(betainc(shape, middle + 1, p).mean()) < share:
            low = middle + 1
        else:
            high = middle
    return float(low)


def learned(placement: Placement, horizon_days: float) -> Past:
    """What forecasts of the best places for the last windows would have missed."""
    room = int((placement.history.days / 2) // horizon_days)
    held: dict[float, list[float]] = {thin: [] for thin in THINNED}
    off: list[float] = []
    for window in range(min(WINDOWS, room)):
        since = window * horizon_days
        best = placement.best(since + horizon_days)
        seen = placement.seen(best, since, since + horizon_days)
        off.append(log((seen.sum() + 0.5) / (best.mean.sum() + 0.5)))
        for thin, shares in held.items():
            low, high = _interval(best.rates.shape * thin, best.mean)
            shares.append(float(((low <= seen) & (seen <= high)).mean()))
    if len(off) < FEWEST_WINDOWS:
        return Past(windows=len(off))
    thinned = next((thin for thin, shares in held.items() if np.mean(shares) >= HELD), THINNED[-1])
    return Past(thinned, exp(float(np.mean(off))), max(float(np.std(off, ddof=1)), 0.02), len(off))


def chosen_cells(cells: int, share: float) -> int:
    """How many cells are a share of the study area: at least one."""
    return max(1, min(cells, round(cells * share)))
