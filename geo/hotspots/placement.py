"""The best places of a study area: cells of its grid, or squares placed freely, none over another.

A cell's border often runs through the middle of a hotspot: at one total area free squares catch more
(docs/hotspots.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.ndimage import binary_dilation

from geo.hotspots.lattice import Floats, Ints, Lattice
from geo.hotspots.model import Constants, Counted, History, Rates, evidence, rates

STEPS = 5
"""Positions of a free square for each side of it."""
LOOKED_AT, LEAST_LOOKED_AT = 5, 200
"""Free squares are looked for around so many times as many cells as are to be chosen, the best ones."""


@dataclass(frozen=True)
class Chosen:
    """The best places, the best first: `cells` of the study area (numbers among its own) that hold their middles."""

    cells: Ints
    corners: Ints
    """Their south-western cells of the lattice they lie on."""
    rates: Rates
    ahead: Floats
    """The exposure to come."""

    @property
    def mean(self) -> Floats:
        """Events to be expected."""
        return self.rates.mean * self.ahead


@dataclass(frozen=True)
class OnGrid:
    """The `k` cells with most to be expected."""

    history: History
    constants: Constants
    horizon_days: float
    k: int

    def best(self, since_days: float) -> Chosen:
        """The places to choose by what was known `since_days` ago."""
        every = self.every(since_days)
        best = np.argsort(-every.rates.mean, kind="stable")[: self.k]
        rates_of = Rates(every.rates.shape[best], every.rates.rate[best])
        return Chosen(best, every.corners[best], rates_of, every.ahead[best])

    def every(self, since_days: float) -> Chosen:
        """Every cell of the study area, in its order."""
        found, ahead = (
            rates(self.history, since_days, self.constants),
            self.history.ahead(since_days, self.horizon_days),
        )
        return Chosen(np.arange(ahead.size), self.history.inside, found, ahead)

    def seen(self, chosen: Chosen, older_than: float, up_to: float) -> Floats:
        """Events of an age in each of the chosen places."""
        return self.history.observed(older_than, up_to)[chosen.cells]


@dataclass(frozen=True)
class Freely:
    """The `k` squares with most to be expected, as large as cells, in steps of a fifth of their side."""

    history: History
    constants: Constants
    horizon_days: float
    k: int
    places: Counted
    """The events by the cells of the fine lattice."""

    @cached_property
    def fine(self) -> Lattice:
        """The lattice the squares' corners lie on."""
        return self.history.lattice.finer(STEPS)

    def best(self, since_days: float) -> Chosen:
        """The places to choose by what was known `since_days` ago."""
        known = evidence(self.history, since_days, self.constants.half_life_days, self.constants.bandwidth_m)
        strength, ahead = self.constants.strength, self.history.ahead(since_days, self.horizon_days)
        cells, weights = self._near(known.posterior(strength)).faded(since_days, self.constants.half_life_days)
        corners, n = self._sums(cells, weights)
        holding = self._holding(corners)
        inside = holding >= 0
        corners, n, holding = corners[inside], n[inside], holding[inside]
        shape, rate = strength + n, strength / known.prior[holding] + known.exposure[holding]
        order = np.argsort(-shape / rate, kind="stable")
        best = order[list(self._apart(corners[order]))]
        return Chosen(holding[best], corners[best], Rates(shape[best], rate[best]), ahead[holding[best]])

    def seen(self, chosen: Chosen, older_than: float, up_to: float) -> Floats:
        """Events of an age in each of the chosen places."""
        of_age = (self.places.age_days > older_than) & (self.places.age_days <= up_to)
        corners, n = self._sums(self.places.cells[of_age], np.ones(int(of_age.sum())))
        if not corners.size:
            return np.zeros(chosen.corners.size)
        at = np.minimum(np.searchsorted(corners, chosen.corners), corners.size - 1)
        return np.where(corners[at] == chosen.corners, n[at], 0.0)

    def _near(self, found: Rates) -> Counted:
        """The events in and next to the best cells."""
        most = max(LOOKED_AT * self.k, LEAST_LOOKED_AT)
        best = np.argsort(-found.mean, kind="stable")[:most]
        near = np.zeros(self.history.area.size, bool)
        near[self.history.inside[best]] = True
        near = binary_dilation(near.reshape(self.history.area.shape), np.ones((3, 3))).ravel()
        x, y = self.places.cells % self.fine.columns, self.places.cells // self.fine.columns
        kept = near[y // STEPS * self.history.lattice.columns + x // STEPS]
        return replace(self.places, cells=self.places.cells[kept], age_days=self.places.age_days[kept])

    def _sums(self, cells: Ints, weights: Floats) -> tuple[Ints, Floats]:
        """Every corner whose square holds any of these, in order, and their sum."""
        once, at = np.unique(cells, return_inverse=True)
        each = np.bincount(at, weights, once.size)
        offsets = (np.arange(STEPS)[:, None] * self.fine.columns + np.arange(STEPS)).ravel()
        corners, at = np.unique(once[:, None] - offsets, return_inverse=True)
        return corners, np.bincount(at.ravel(), np.repeat(each, offsets.size), corners.size).astype(float)

    def _holding(self, corners: Ints) -> Ints:
        """The cell of the study area that holds the middle of each square; -1 outside."""
        x, y = corners % self.fine.columns + STEPS // 2, corners // self.fine.columns + STEPS // 2
        number = np.full(self.history.area.size, -1)
        number[self.history.inside] = np.arange(self.history.inside.size)
        cell = y // STEPS * self.history.lattice.columns + x // STEPS
        inside = (corners >= 0) & (x < self.fine.columns) & (cell < number.size)
        return np.where(inside, number[np.where(inside, cell, 0)], -1)

    def _apart(self, corners: Ints) -> Iterator[int]:
        """The first `k` of these, in order, of which none lies over one before."""
        width, taken, left = self.fine.columns, set[int](), self.k
        beside = [dy * width + dx for dy in range(1 - STEPS, STEPS) for dx in range(1 - STEPS, STEPS)]
        for number, corner in enumerate(corners.tolist()):
            if corner in taken:
                continue
            yield number
            left -= 1
            if not left:
                return
            taken.update(corner + step for step in beside)


Placement = OnGrid | Freely
