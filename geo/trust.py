"""How far a device can be trusted: 100 less what its troubles cost, each by how bad it is. No clock, no database.

A trouble costs nothing up to where it begins, its whole weight from where it is full, and in between as much as the
measure is on its way from one to the other. What is a share of fixes is judged from `ENOUGH` fixes on.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from geo.counts import SKEW_BOUNDS_S
from geo.doubt import INTERFERENCE

ENOUGH = 20
"""With fewer fixes shares mean nothing."""
WHOLE = 100


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a device over some days: sums, and how it is now."""

    accepted: int = 0
    duplicates: int = 0
    off_duty: int = 0
    rejected: int = 0
    late: int = 0
    jumps: int = 0
    no_fix: int = 0
    off_clock: int = 0
    frozen: int = 0
    doubts: Sequence[str] = ()
    """Why it is not believed now, by geo/doubt.py."""
    skews: Sequence[int] = ()
    heard_s: float = 0.0
    silent_s: float = 0.0
    battery_pct: float | None = None
    unheard_s: float | None = None
    """How long nothing was heard while its unit is on duty; None off duty."""

    @property
    def sent(self) -> int:
        """Readings that came, whatever became of them."""
        return self.accepted + self.duplicates + self.rejected

    @property
    def skew_s(self) -> float | None:
        """How far its clock is behind ours in the middle; negative: ahead. None when it was never looked at."""
        return median(self.skews, SKEW_BOUNDS_S)


class Reason(NamedTuple):
    """A trouble: what it measures, and how many points it costs; 0 for what only explains."""

    code: str
    value: float
    points: int


class Score(NamedTuple):
    """How far a device can be trusted, 0 to 100, and why not further; None as long as too little is known."""

    score: int | None
    reasons: list[Reason]


class Rule(NamedTuple):
    """Where a trouble begins to cost, where it costs its whole weight, and how much that is."""

    code: str
    begins: float
    full: float
    weight: int


RULES = (
    Rule("unheard", 600, 7_200, 40),
    Rule("clock", 10, 120, 40),
    Rule("jumps", 0.005, 0.1, 40),
    Rule("frozen", 0.005, 0.1, 40),
    Rule("two_senders", 0, 1, 50),
    Rule("apart", 0, 1, 30),
    Rule("gaps", 0.05, 0.5, 40),
    Rule("off_clock", 0.001, 0.05, 25),
    Rule("no_fix", 0.05, 0.5, 30),
    Rule("rejected", 0.005, 0.1, 25),
    Rule("late", 0.1, 0.6, 20),
    Rule("duplicates", 0.05, 0.5, 10),
    Rule("battery", 20, 5, 15),
)
"""Seconds for `unheard` and `clock`, percent for `battery`, 1 for what stands against it now, shares for the others."""
EXPLAINS = ("never", "off_duty", "few", INTERFERENCE)
"""Reasons that cost nothing: why there is no score, and that the receivers around are disturbed as well."""
CODES = (*(rule.code for rule in RULES), *EXPLAINS)


def score(measures: Measures) -> Score:
    """The score of what is known, its reasons by how much they cost."""
    values = _values(measures)
    found = [_judged(rule, values[rule.code]) for rule in RULES if rule.code in values]
    reasons = sorted((reason for reason in found if reason.points), key=lambda reason: -reason.points)
    if INTERFERENCE in measures.doubts:
        reasons.append(Reason(INTERFERENCE, 1, 0))
    if measures.sent >= ENOUGH:
        return Score(max(0, WHOLE - sum(reason.points for reason in reasons)), reasons)
    return Score(None, [*reasons, Reason(_explanation(measures), measures.accepted, 0)])


def _values(m: Measures) -> dict[str, float]:
    """The measure of each trouble that can be judged. With a wrong clock nothing is known of being late."""
    values: dict[str, float] = dict.fromkeys(m.doubts, 1.0)
    if m.unheard_s is not None:
        values["unheard"] = m.unheard_s
    if m.battery_pct is not None:
        values["battery"] = m.battery_pct
    if m.sent < ENOUGH:
        return values
    if m.skew_s is not None:
        values["clock"] = abs(m.skew_s)
    fixes = max(1, m.accepted)
    values |= {"jumps": m.jumps / fixes, "off_clock": m.off_clock / fixes, "no_fix": m.no_fix / fixes}
    values["frozen"] = m.frozen / fixes
    values |= {"rejected": m.rejected / m.sent, "duplicates": m.duplicates / max(1, m.accepted + m.duplicates)}
    if m.heard_s:
        values["gaps"] = m.silent_s / m.heard_s
    if values.get("clock", 0.0) < _LATE_IF_CLOCK_S:
        values["late"] = m.late / fixes
    return values


_LATE_IF_CLOCK_S = 120


def _judged(rule: Rule, value: float) -> Reason:
    part = min(1.0, max(0.0, (value - rule.begins) / (rule.full - rule.begins)))
    return Reason(rule.code, value, round(part * rule.weight))


def _explanation(m: Measures) -> str:
    if m.sent:
        return "few"
    return "off_duty" if m.off_duty else "never"


def median(counts: Sequence[int], bounds: Sequence[float]) -> float | None:
    """The middle of what was counted in classes between bounds, as if each class were evenly filled; None of nothing.

    The outermost classes count as their one bound.
    """
    half, below = sum(counts) / 2, 0
    for place, n in enumerate(counts):
        if n and below + n >= half:
            low, high = bounds[max(0, place - 1)], bounds[min(place, len(bounds) - 1)]
            return low + (high - low) * (half - below) / n
        below += n
    return None


def summed(rows: Iterable[Sequence[int]]) -> list[int]:
    """Counts in classes, class by class together; shorter ones have nothing in the last classes."""
    total: list[int] = []
    for row in rows:
        total.extend([0] * (len(row) - len(total)))
        for place, n in enumerate(row):
            total[place] += n
    return total
