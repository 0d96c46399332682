"""What each device sent on each day and what became of it: kept in memory, written every few seconds."""

from datetime import datetime
from uuid import UUID

import asyncpg

from geo import sql

ADD = sql.load("ingest_count_add")


class Counts:
    """Sums by device and UTC day of receipt that are not in the database yet; at most some seconds' worth."""

    def __init__(self) -> None:
        self._sums: dict[tuple[UUID, int], list[int]] = {}
        self._seen: dict[tuple[UUID, int], datetime] = {}
        self._written = [0, 0, 0, 0, 0]

    def totals(self) -> list[int]:
        """Of this process so far: accepted, duplicates, off duty, suspect, rejected; never less than before."""
        return [sum(column) for column in zip(self._written, *self._sums.values(), strict=True)]

    def add(
        self, device_id: UUID, at: datetime, accepted: int, duplicates: int, off_duty: int, suspect: int, rejected: int
    ) -> None:
        """Count what became of one delivery received `at`."""
        key = (device_id, at.toordinal())
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = [0, 0, 0, 0, 0]
        sums[0] += accepted
        sums[1] += duplicates
        sums[2] += off_duty
        sums[3] += suspect
        sums[4] += rejected
        self._seen[key] = at

    async def write(self, pool: asyncpg.Pool) -> None:
        """Move the sums into the database; what cannot be written now is kept for the next time."""
        sums, self._sums = self._sums, {}
        seen, self._seen = self._seen, {}
        if not sums:
            return
        keys = sorted(sums)
        days = [seen[key].replace(hour=0, minute=0, second=0, microsecond=0) for key in keys]
        columns = list(zip(*(sums[key] for key in keys), strict=True))
        self._count(columns, 1)
        try:
            await pool.execute(ADD, [device_id for device_id, _ in keys], days, *columns, [seen[k] for k in keys])
        except BaseException:
            self._count(columns, -1)
            for key, more in sums.items():
                self.add(key[0], seen[key], *more)
            raise

    def _count(self, columns: list[tuple[int, ...]], sign: int) -> None:
        self._written = [was + sign * sum(column) for was, column in zip(self._written, columns, strict=True)]
