"""Plausibility of a device's fixes: could it have come here from where it was? No clock, no database."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import timedelta

from geo.doubt import Doubt
from geo.fix import Fix
from geo.measures import DEGREE_M, distance_m

MAX_SPEED_MPS = 250 / 3.6
MIN_SLACK_M = 100.0
"""Places this close are never a jump: receivers scatter by tens of metres within one second."""
MAX_SLACK_M = 5_000.0
"""A stated accuracy excuses at most this much."""
REMEMBERED = 16
"""Plausible fixes kept to judge late ones by."""
AGREEING = 3
"""So many jumps in a row that agree with each other are where the device really is."""
MOVING_MPS = 3.0
"""Who is this fast changes place; receivers that hold a standing vehicle in place report less."""
FROZEN_FIXES = 4
FROZEN_FOR = timedelta(seconds=60)
"""So many fixes over so long a time on the very same spot, all of them moving: the receiver is stuck, or made to be."""


def reachable(a: Fix, b: Fix) -> bool:
    """Whether one device could be at both places at these times, at up to 250 km/h, given their accuracies."""
    if a.lon is None or a.lat is None or b.lon is None or b.lat is None:
        return True
    allowed_m = abs((b.fix_at - a.fix_at).total_seconds()) * MAX_SPEED_MPS + MIN_SLACK_M
    # Never less than the distance, and free of trigonometry: decides nearly every fix.
    if (abs(b.lat - a.lat) + abs(b.lon - a.lon)) * DEGREE_M <= allowed_m:
        return True
    stated_m = min((a.accuracy_m or 0.0) + (b.accuracy_m or 0.0), MAX_SLACK_M)
    allowed_m += max(0.0, stated_m - MIN_SLACK_M)
    return distance_m(a.lon, a.lat, b.lon, b.lat) <= allowed_m


class Motion:
    """What is remembered of one device: its newest plausible fixes in order of time, and jumps since the last."""

    __slots__ = ("_doubted", "_late", "_recent", "_stuck", "_stuck_since", "doubt")

    def __init__(self, stored: Iterable[tuple[Fix, bool]] = (), doubt: Doubt | None = None) -> None:
        """Resume from stored (fix, was a jump) pairs in order of time; `doubt` is what stands against the device."""
        self.doubt = doubt
        self._recent: list[Fix] = []
        self._doubted: list[Fix] = []
        self._late: Fix | None = None
        self._stuck = 0
        self._stuck_since: Fix | None = None
        for fix, was_jump in stored:
            if was_jump:
                self._doubt(fix)
                continue
            if self._recent and fix.lon == self._recent[-1].lon and fix.lat == self._recent[-1].lat:
                self._is_stuck(fix)
            else:
                self._stuck = 0
            self._recent.append(fix)
            self._doubted = []

    def judge(self, fix: Fix) -> str | None:
        """Judge and remember a fix that names a place: why it is suspect, or None. Asked again, the same answer."""
        if self.doubt is not None and self.doubt.covers(fix):
            return self.doubt.reason
        recent = self._recent
        if not recent:
            recent.append(fix)
            return None
        last = recent[-1]
        if fix.fix_at <= last.fix_at:
            return "jump" if self._is_late_jump(fix) else None
        if reachable(last, fix):
            if fix.lon == last.lon and fix.lat == last.lat:
                if self._is_stuck(fix):
                    return "frozen"
            elif self._stuck:
                self._stuck = 0
            recent.append(fix)
            if len(recent) > REMEMBERED:
                del recent[0]
            if self._doubted:
                self._doubted = []
            return None
        self._doubt(fix)
        # Under interference the false place agrees with itself as well as a true one.
        if self.doubt is not None or len(self._doubted) < AGREEING:
            return "jump"
        self._recent, self._doubted, self._late, self._stuck = self._doubted, [], None, 0
        return None

    def _is_stuck(self, fix: Fix) -> bool:
        """Whether the device says it moves, and has done so on this very spot for long enough."""
        if fix.speed_mps is None or fix.speed_mps <= MOVING_MPS:
            self._stuck = 0
            return False
        self._stuck += 1
        if self._stuck_since is None or self._stuck == 1:
            self._stuck_since = fix
        return self._stuck >= FROZEN_FIXES and fix.fix_at - self._stuck_since.fix_at >= FROZEN_FOR

    def _is_late_jump(self, fix: Fix) -> bool:
        """A fix older than the newest is judged by the one before it; older than all, by the oldest."""
        place = bisect_right(self._recent, fix.fix_at, key=lambda seen: seen.fix_at)
        before = self._recent[max(0, place - 1)]
        late = self._late
        if late is not None and late.fix_at <= fix.fix_at and (place == 0 or late.fix_at > before.fix_at):
            before = late
        if not reachable(before, fix):
            return True
        self._late = fix
        return False

    def _doubt(self, fix: Fix) -> None:
        last = self._doubted[-1] if self._doubted else None
        if last is None or (fix.fix_at > last.fix_at and not reachable(last, fix)):
            self._doubted = [fix]
        elif fix.fix_at > last.fix_at:
            self._doubted.append(fix)
