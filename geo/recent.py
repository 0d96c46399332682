"""The newest stored fixes of devices heard of for the first time, read for all who ask at once."""

import asyncio
from uuid import UUID

import asyncpg

from core.db import utcnow
from geo import sql
from geo.fix import Fix
from geo.judging import FUTURE, OLD
from geo.motion import REMEMBERED

RECENT = sql.load("positions_recent")
TOGETHER = 200
"""Devices asked about in one statement: it plans for every day's partition, which takes longer than the reading."""
Seen = list[tuple[Fix, bool]]
"""Fixes in order of time, each with whether it was taken for a jump."""


class RecentFixes:
    """After a restart every tracker knocks within seconds; one statement then answers for hundreds of them."""

    def __init__(self) -> None:
        self._asked: dict[UUID, asyncio.Future[Seen]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def of(self, pool: asyncpg.Pool, device_id: UUID) -> Seen:
        """What `Motion` resumes from: plausible fixes and jumps of 30 days; raises what the database raises."""
        asked = self._asked.get(device_id)
        if asked is None:
            asked = self._asked[device_id] = asyncio.get_running_loop().create_future()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(pool), name="recent-fixes")
        return await asyncio.shield(asked)

    async def _read(self, pool: asyncpg.Pool) -> None:
        while self._asked:
            some = [self._asked.popitem() for _ in range(min(TOGETHER, len(self._asked)))]
            found: dict[UUID, Seen] = {device_id: [] for device_id, _ in some}
            try:
                now = utcnow()
                for row in await pool.fetch(RECENT, list(found), now - OLD, now + FUTURE, REMEMBERED):
                    where = {name: row[name] for name in ("fix_at", "lon", "lat", "accuracy_m", "speed_mps")}
                    fix = Fix(**where)
                    found[row["device_id"]].append((fix, row["was_jump"]))
            except Exception as failure:
                for _, asked in some:
                    asked.set_exception(failure)
                    asked.exception()  # whoever asked may have gone
            else:
                for device_id, asked in some:
                    asked.set_result(found[device_id])
        self._reading = None
