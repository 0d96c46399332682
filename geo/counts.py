"""What each device sent on each day, what became of it and in what state it came: kept in memory, written every few
seconds. Nothing here tells where a device was.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from geo import sql
from geo.commit_line import Row

ADD = sql.load("ingest_count_add")
LATE = timedelta(minutes=2)
"""A fix that arrives so long after it was taken did not come live."""
SKEW_BOUNDS_S = (-3600, -600, -120, -30, -10, -3, 3, 10, 30, 120, 600, 3600)
"""Between these lie the classes that clock skews are counted in."""
ABOUT = 120
SUMS = ("accepted", "duplicates", "off_duty", "suspect", "rejected")
KINDS = {"jump": "jumps", "no_fix": "no_fix", "future": "off_clock", "old": "off_clock", "frozen": "frozen"}
"""Under which name a reason for doubt is counted."""
_fix_at = itemgetter(1)


class _Sums(msgspec.Struct, gc=False):
    """What one device sent since the last write."""

    begun_at: datetime
    seen_at: datetime
    accepted: int = 0
    duplicates: int = 0
    off_duty: int = 0
    suspect: int = 0
    rejected: int = 0
    late: int = 0
    jumps: int = 0
    no_fix: int = 0
    off_clock: int = 0
    frozen: int = 0
    unreadable: int = 0
    skew_s: float | None = None
    battery_pct: float | None = None
    about: str | None = None

    def doubt(self, rows: Sequence[Row]) -> None:
        """Count by their reasons the fixes that are not trusted."""
        for row in rows:
            if (name := KINDS.get(row[-1])) is not None:
                setattr(self, name, getattr(self, name) + 1)

    def look(self, rows: Sequence[Row], received_at: datetime) -> None:
        """Take the device's clock and battery from what came first: once between two writes is often enough.

        So a buffer of hours that is sent within a minute weighs as a minute does.
        """
        newest = max(rows, key=_fix_at)
        self.skew_s = (received_at - newest[1]).total_seconds()
        self.battery_pct = newest[10]


class Counts:
    """Sums by device that are not in the database yet: at most some seconds' worth, of the day these seconds began."""

    def __init__(self) -> None:
        self._found: dict[UUID, _Sums] = {}
        self._written = [0] * len(SUMS)

    def totals(self) -> list[int]:
        """Of this process so far: accepted, duplicates, off duty, suspect, rejected; never less than before."""
        waiting = _columns(SUMS, self._found.values())
        return [written + sum(column) for written, column in zip(self._written, waiting, strict=True)]

    def add(
        self, device_id: UUID, at: datetime, rows: Sequence[Row], duplicates: int, off_duty: int, suspect: int,
        rejected: int,
    ) -> None:  # fmt: skip
        """Count what became of one delivery received `at`, of which these rows were stored."""
        sums = self._found.get(device_id)
        if sums is None:
            sums = self._found[device_id] = _Sums(at, at)
        sums.seen_at = at
        sums.accepted += len(rows)
        sums.duplicates += duplicates
        sums.off_duty += off_duty
        sums.rejected += rejected
        for row in rows:
            if at - row[1] > LATE:
                sums.late += 1
        if suspect:
            sums.suspect += suspect
            sums.doubt(rows)
        if sums.skew_s is None and rows:
            sums.look(rows, at)

    def unreadable(self, device_id: UUID, at: datetime, readings: int) -> None:
        """Count a frame that came damaged, or that could not be decoded and had so many readings."""
        self.add(device_id, at, (), 0, 0, 0, readings)
        self._found[device_id].unreadable += 1

    def describe(self, device_id: UUID, at: datetime, about: str) -> None:
        """Note what a device says of itself, such as model and version: the first letters, if all can be printed."""
        if about.isprintable():
            self.add(device_id, at, (), 0, 0, 0, 0)
            self._found[device_id].about = about[:ABOUT]

    async def write(self, pool: asyncpg.Pool) -> None:
        """Move the sums into the database; what cannot be written now is kept for the next time."""
        found, self._found = self._found, {}
        if not found:
            return
        ids = sorted(found)
        rows = [found[device_id] for device_id in ids]
        sums = _columns(SUMS, rows)
        self._count(sums, 1)
        more = _columns(("late", "jumps", "no_fix", "off_clock", "frozen", "unreadable"), rows)
        last = _columns(("skew_s", "battery_pct", "about", "seen_at"), rows)
        days = [each.begun_at.replace(hour=0, minute=0, second=0, microsecond=0) for each in rows]
        skews = [None if each.skew_s is None else bisect_right(SKEW_BOUNDS_S, each.skew_s) for each in rows]
        try:
            await pool.execute(ADD, ids, days, *sums, *more, skews, *last)
        except BaseException:
            self._count(sums, -1)
            for device_id, kept in found.items():
                self._keep(device_id, kept)
            raise

    def _keep(self, device_id: UUID, kept: _Sums) -> None:
        """Put back what could not be written, before what came meanwhile."""
        later = self._found.get(device_id)
        if later is not None:
            for name in kept.__struct_fields__:
                was, more = getattr(kept, name), getattr(later, name)
                setattr(kept, name, was + more if isinstance(was, int) else was if more is None else more)
            kept.begun_at = min(kept.begun_at, later.begun_at)
        self._found[device_id] = kept

    def _count(self, columns: list[list[int]], sign: int) -> None:
        self._written = [was + sign * sum(column) for was, column in zip(self._written, columns, strict=True)]


def _columns(names: Iterable[str], rows: Iterable[_Sums]) -> list[list[Any]]:
    return [[getattr(row, name) for row in rows] for name in names]
