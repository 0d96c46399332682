"""Empirical-Bayes Gamma-Poisson rates: what a cell had, the newer the more, beside what its neighbours let expect.

n events of a cell, each with the weight 2^(-age / half-life), over the exposure E (days, or hours of patrol, weighted
alike) and a prior of mean m, the rate of the neighbours (Gaussian, the cell itself left out): posterior
Gamma(a + n, a/m + E). Half-life, bandwidth and a are those that foretell three past windows best (negative-binomial
likelihood). After Clayton and Kaldor 1987, Biometrics 43(3), with Marshall's local prior (1991, Appl. Stat. 40(2)).
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import log

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import gammaln

from geo.hotspots.lattice import Flags, Floats, Ints, Lattice

HALF_LIVES_DAYS = (120.0, 270.0, 540.0, 1e5)
BANDWIDTHS_M = (250.0, 400.0, 700.0)
STRENGTHS = (0.2, 0.4, 0.8, 1.6, 3.2)
WINDOWS, WINDOW_DAYS = 3, 30.0
FEWEST = 20
"""Events in the past windows; fewer say nothing about the constants."""
WHOLE_AREA = 0.03
"""The share of the whole area's rate in a cell's prior: no place is impossible."""
TRUNCATED_AT = 3.0
LEAST_RATE = 1e-9


@dataclass(frozen=True)
class Constants:
    """How quickly the past fades, how far neighbours are asked, and how many events they count as."""

    half_life_days: float = 270.0
    bandwidth_m: float = 400.0
    strength: float = 0.8


@dataclass(frozen=True)
class Counted:
    """Things by the cell they lie in and by their age; `weights` when each is not one."""

    cells: Ints
    age_days: Floats
    weights: Floats | None = None

    def faded(self, since_days: float, half_life_days: float) -> tuple[Ints, Floats]:
        """Those older than `since_days`, and what is left of each at that time."""
        older = self.age_days > since_days
        left = np.exp2((since_days - self.age_days[older]) / half_life_days)
        return self.cells[older], left if self.weights is None else left * self.weights[older]


@dataclass(frozen=True)
class History:
    """What is known: events in the cells of a study area over some days, and hours of patrol if those are asked for."""

    lattice: Lattice
    area: Flags
    """Of each cell, whether it belongs to the study area, as rows of columns."""
    cell_m: float
    days: float
    events: Counted
    patrol: Counted | None = None

    @cached_property
    def inside(self) -> Ints:
        """The numbers of the study area's cells."""
        return np.flatnonzero(self.area)

    def observed(self, older_than: float, up_to: float) -> Floats:
        """Events of an age, by cell of the study area."""
        of_age = (self.events.age_days > older_than) & (self.events.age_days <= up_to)
        return self.lattice.counts(self.events.cells[of_age]).ravel()[self.inside]

    def weighted(self, since_days: float, half_life_days: float) -> tuple[Floats, Floats]:
        """Events and exposure of each cell as they counted `since_days` ago, as rows of columns."""
        n = self.lattice.counts(*self.events.faded(since_days, half_life_days))
        if self.patrol is not None:
            return n, self.lattice.counts(*self.patrol.faded(since_days, half_life_days)) * self.area
        days = half_life_days / log(2) * -np.expm1(-log(2) * (self.days - since_days) / half_life_days)
        return n, self.area * days

    def ahead(self, since_days: float, horizon_days: float) -> Floats:
        """The exposure of each cell of the study area in the time to come, if it goes on as in the last 90 days."""
        if self.patrol is None:
            return np.full(self.inside.size, horizon_days)
        recent = (self.patrol.age_days > since_days) & (self.patrol.age_days <= since_days + 90)
        weights = None if self.patrol.weights is None else self.patrol.weights[recent]
        hours = self.lattice.counts(self.patrol.cells[recent], weights).ravel()[self.inside]
        return hours / 90 * horizon_days


@dataclass(frozen=True)
class Rates:
    """Gamma posteriors of places, as their shapes and rates."""

    shape: Floats
    rate: Floats

    @property
    def mean(self) -> Floats:
        """Events a day, or an hour of patrol."""
        return self.shape / self.rate


@dataclass(frozen=True)
class Evidence:
    """What speaks for each cell of the study area: its own events and exposure, and its neighbours' rate."""

    n: Floats
    exposure: Floats
    prior: Floats

    def posterior(self, strength: float) -> Rates:
        """The rates when the neighbours count as much as `strength` events."""
        return Rates(strength + self.n, strength / self.prior + self.exposure)


def _around(values: Floats, history: History, bandwidth_m: float) -> Floats:
    """Each cell's neighbours, itself left out."""
    sigma = bandwidth_m / history.cell_m
    reach = int(TRUNCATED_AT * sigma + 0.5)
    own = (1 / np.exp(-(np.arange(-reach, reach + 1) ** 2) / 2 / sigma**2).sum()) ** 2
    inside = values * history.area
    smooth = gaussian_filter(inside, sigma, mode="constant", truncate=TRUNCATED_AT) - own * inside
    near: Floats = np.clip(smooth.ravel()[history.inside], 0, None)
    return near


def evidence(history: History, since_days: float, half_life_days: float, bandwidth_m: float) -> Evidence:
    """What was known `since_days` ago."""
    events, exposure = history.weighted(since_days, half_life_days)
    near, far = _around(events, history, bandwidth_m), _around(exposure, history, bandwidth_m)
    n, own = events.ravel()[history.inside], exposure.ravel()[history.inside]
    everywhere = n.sum() / max(float(own.sum()), LEAST_RATE)
    asked = np.maximum(far, 1e-3 * max(float(own.mean()), LEAST_RATE))
    prior = (1 - WHOLE_AREA) * near / asked + WHOLE_AREA * everywhere
    return Evidence(n, own, np.maximum(prior, LEAST_RATE))


def rates(history: History, since_days: float, constants: Constants) -> Rates:
    """The posteriors from what was known `since_days` ago."""
    known = evidence(history, since_days, constants.half_life_days, constants.bandwidth_m)
    return known.posterior(constants.strength)


def likelihood(found: Rates, ahead: Floats, observed: Floats) -> float:
    """The log-likelihood of counts under the negative binomial that the posteriors foretell, but for a constant."""
    seen = observed > 0
    p = found.rate / (found.rate + ahead)
    s, y = found.shape[seen], observed[seen]
    told = gammaln(s + y) - gammaln(s) + y * np.log1p(-np.minimum(p[seen], 1 - 1e-12))
    return float((found.shape * np.log(p)).sum() + told.sum())


def tuned(history: History) -> Constants:
    """The constants that would have foretold the last windows best; the usual ones when there was too little."""
    windows = [n * WINDOW_DAYS for n in range(WINDOWS) if (n + 2) * WINDOW_DAYS <= history.days]
    seen = {since: history.observed(since, since + WINDOW_DAYS) for since in windows}
    if sum(float(y.sum()) for y in seen.values()) < FEWEST:
        return Constants()
    best: tuple[float, Constants] | None = None
    for half_life, bandwidth in product(HALF_LIVES_DAYS, BANDWIDTHS_M):
        told = dict.fromkeys(STRENGTHS, 0.0)
        for since, observed in seen.items():
            known = evidence(history, since + WINDOW_DAYS, half_life, bandwidth)
            ahead = history.ahead(since + WINDOW_DAYS, WINDOW_DAYS)
            for strength in STRENGTHS:
                told[strength] += likelihood(known.posterior(strength), ahead, observed)
        strength, value = max(told.items(), key=lambda one: one[1])
        if best is None or value > best[0]:
            best = value, Constants(half_life, bandwidth, strength)
    return best[1] if best else Constants()
