"""One connection of the writer of positions, and the statement it commits with."""

import contextlib
import json
import time
from operator import itemgetter
from typing import Any

import asyncpg

from core.bus import DeviceEventsCame
from core.relay import CHANNEL, EVERY_S
from geo import sql
from geo.device_events import OWED
from geo.duty import UNAVAILABLE

STORE, OWE = map(sql.load, ("positions_store", "device_events_owe"))
COMMIT_TIMEOUT_S = 30
RING = json.dumps({DeviceEventsCame.__name__: []})

Row = tuple[Any, ...]
"""The columns of the database's type `fix_row`, in its order."""
EVENT, SUSPECT = 12, 13
"""Places of columns."""
_event = itemgetter(EVENT)
OFF_DUTY = "off_duty", "off_duty_no_fix"
"""What marks a panic of a unit off duty as `suspect`, without a place the second: it is not stored with the others."""
Outcome = tuple[list[int] | None, Any, Any]
"""The columns that `positions_store.sql` answers."""


def is_away(failure: Exception) -> bool:
    """Whether the database failed, rather than refusing a row (data, constraint, deadlock) or being misused."""
    if isinstance(failure, ValueError):
        return False  # a value that cannot be encoded; asyncpg calls that an interface error as well
    if isinstance(failure, asyncpg.PostgresError):
        return not str(failure.sqlstate or "").startswith(("22", "23", "40"))
    return isinstance(failure, UNAVAILABLE)


class Line:
    """One connection of the writer and its prepared statement; made when first needed, and again after `drop`."""

    def __init__(self, dsn: str, from_rows: int) -> None:
        """It helps from so many waiting rows on."""
        self._dsn, self.from_rows = dsn, from_rows
        self._rung = 0.0
        self.busy = False
        self._connection: asyncpg.Connection | None = None
        self._store: Any = None

    async def store(self, rows: list[Row], units: int) -> Outcome:
        """Commit rows that have a plausible place of so many units, and what is owed for their events."""
        if self._store is None:
            settings = {"application_name": "outrider writer"}
            self._connection = await asyncpg.connect(self._dsn, timeout=5, server_settings=settings)
            self._store = await self._connection.prepare(STORE)
        if not OWED.isdisjoint(map(_event, rows)):
            return await self._store_and_owe(rows, units)
        found: Outcome = await self._store.fetchrow(rows, units, timeout=COMMIT_TIMEOUT_S)
        return found

    async def _store_and_owe(self, rows: list[Row], units: int) -> Outcome:
        """The same where there is something to owe, in one transaction."""
        assert self._connection is not None  # `store` made it
        placed = [place for place, row in enumerate(rows) if row[SUSPECT] not in OFF_DUTY]
        duplicates, devices, moments = None, None, None
        async with self._connection.transaction():
            if placed:
                found = await self._store.fetchrow([rows[n] for n in placed], units, timeout=COMMIT_TIMEOUT_S)
                duplicates, devices, moments = found
            owed = [row for row in rows if row[EVENT] in OWED]
            await self._connection.execute(OWE, owed, timeout=COMMIT_TIMEOUT_S)
        await self._ring(self._connection)
        return duplicates and [placed[n] for n in duplicates], devices, moments

    async def _ring(self, connection: asyncpg.Connection) -> None:
        """Tell the servers, in a transaction of its own that writes nothing, that there is something they owe.

        A ring that is lost, or left out since one just went, costs the half second until the worker looks by itself.
        """
        if time.monotonic() - self._rung >= EVERY_S:
            self._rung = time.monotonic()
            with contextlib.suppress(*UNAVAILABLE):
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, RING, timeout=COMMIT_TIMEOUT_S)

    @property
    def connected(self) -> bool:
        """Whether a commit can begin without making a connection first."""
        return self._store is not None

    def drop(self) -> None:
        """Cut the connection."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = self._store = None
