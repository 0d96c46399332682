"""Why a place is a hotspot: Gi* of its neighbourhood, whether that rises or falls, and what kind of hotspot that makes.

Gi* (Ord and Getis 1995, Geographical Analysis 27(4)) over a cell and its eight neighbours, equal weights. Significant
are those that the false discovery rate of Benjamini and Hochberg (1995) leaves at 5 %, two-sided. The trend is
Mann-Kendall's (Kendall 1975) over the Gi* of successive spans of 30 days. The seventeen kinds are those of Esri's
Emerging Hot Spot Analysis.
"""

import numpy as np
from scipy.ndimage import convolve
from scipy.special import ndtr

from geo.hotspots.lattice import Flags, Floats, Ints
from geo.hotspots.model import History

SPAN_DAYS, MOST_SPANS, FEWEST_SPANS = 30.0, 12, 4
FALSE_SHARE = 0.05
MOSTLY = 0.9
TREND_Z = 1.96
NEIGHBOURS = np.ones((3, 3))


def gi_star(values: Floats, area: Flags) -> Floats:
    """Gi* of each cell of the area, in its order; 0 everywhere when all are alike. `values` are rows of columns."""
    inside = values[area]
    n, mean, deviation = inside.size, inside.mean(), inside.std()
    if n < 2 or deviation == 0:
        return np.zeros(n)
    near = convolve(values * area, NEIGHBOURS, mode="constant")[area]
    asked = convolve(area.astype(float), NEIGHBOURS, mode="constant")[area]
    spread = deviation * np.sqrt(np.maximum(n * asked - asked**2, 0) / (n - 1))
    z: Floats = np.divide(near - mean * asked, spread, out=np.zeros(n), where=spread > 0)
    return z


def significant(z: Floats) -> Flags:
    """Those the false discovery rate leaves at FALSE_SHARE."""
    p = 2 * ndtr(-np.abs(z))
    order = np.argsort(p)
    good = np.flatnonzero(p[order] <= FALSE_SHARE * np.arange(1, z.size + 1) / z.size)
    return p <= p[order[good[-1]]] if good.size else np.zeros(z.size, bool)


def mann_kendall(series: Floats) -> Floats:
    """Z of the trend of each column of a table of times by cells; 0 where nothing changes. Ties are corrected for."""
    n = len(series)
    s = np.zeros(series.shape[1])
    for first in range(n - 1):
        s += np.sign(series[first + 1 :] - series[first]).sum(axis=0)
    ordered = np.sort(series, axis=0)
    ties = np.zeros(series.shape[1])
    run = np.ones(series.shape[1])
    for at in range(1, n + 1):
        same = ordered[at] == ordered[at - 1] if at < n else np.zeros(series.shape[1], bool)
        ended = ~same
        ties += np.where(ended, run * (run - 1) * (2 * run + 5), 0)
        run = np.where(same, run + 1, 1)
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    return np.where(variance > 0, (s - np.sign(s)) / np.sqrt(np.maximum(variance, 1e-9)), 0.0)


def kind(hot: Flags, cold: Flags, trend: float) -> str:
    """The kind of one place by whether it was hot or cold in each span, the last one last."""
    if hot[-1] or (not cold[-1] and hot.mean() >= MOSTLY):
        return _of(hot, cold, trend, "hot")
    if cold[-1] or cold.mean() >= MOSTLY:
        return _of(cold, hot, -trend, "cold")
    return "none"


def _of(on: Flags, opposite: Flags, rising: float, name: str) -> str:
    if not on[-1]:
        return f"historical_{name}"
    before, often = on[:-1], on.mean() >= MOSTLY
    if not before.any():
        return f"oscillating_{name}" if opposite.any() else f"new_{name}"
    if often:
        return f"{'intensifying' if rising > TREND_Z else 'diminishing' if rising < -TREND_Z else 'persistent'}_{name}"
    if opposite.any():
        return f"oscillating_{name}"
    run = len(on) - 1 - int(np.flatnonzero(~on)[-1])
    return f"consecutive_{name}" if run == on.sum() and run > 1 else f"sporadic_{name}"


def explained(history: History, cells: Ints) -> tuple[Floats, Floats, list[str]]:
    """Gi* over the last year, trend and kind of these cells of the study area (numbers among its own)."""
    spans = min(MOST_SPANS, int(history.days // SPAN_DAYS))
    whole = np.zeros(history.area.shape)
    z = np.zeros((spans, history.inside.size))
    for at in range(spans):
        seen = history.observed((spans - 1 - at) * SPAN_DAYS, (spans - at) * SPAN_DAYS)
        one = np.zeros(history.area.size)
        one[history.inside] = seen
        z[at] = gi_star(one.reshape(history.area.shape), history.area)
        whole += one.reshape(history.area.shape)
    gi = gi_star(whole, history.area)[cells]
    if spans < FEWEST_SPANS:
        return gi, np.zeros(cells.size), ["none"] * cells.size
    trend = mann_kendall(z[:, cells])
    told = [significant(row) for row in z]
    hot = np.array([row & (of > 0) for row, of in zip(told, z, strict=True)])[:, cells]
    cold = np.array([row & (of < 0) for row, of in zip(told, z, strict=True)])[:, cells]
    return gi, trend, [kind(hot[:, i], cold[:, i], float(trend[i])) for i in range(cells.size)]
