"""One connection of the writer of positions, and the statement it commits with."""

from typing import Any

import asyncpg

from geo import sql
from geo.duty import UNAVAILABLE

STORE = sql.load("positions_store")
COMMIT_TIMEOUT_S = 30

Row = tuple[Any, ...]
"""The columns of `positions_store.sql`, in its order."""


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
        self.busy = False
        self._connection: asyncpg.Connection | None = None
        self._store: Any = None

    async def store(self, rows: list[Row], units: int) -> asyncpg.Record:
        """Commit rows that have a plausible place of so many units; the columns `positions_store.sql` answers."""
        if self._store is None:
            settings = {"application_name": "outrider writer"}
            self._connection = await asyncpg.connect(self._dsn, timeout=5, server_settings=settings)
            self._store = await self._connection.prepare(STORE)
        columns = [None if column.count(None) == len(column) else column for column in zip(*rows, strict=True)]
        return await self._store.fetchrow(*columns, units, timeout=COMMIT_TIMEOUT_S)

    @property
    def connected(self) -> bool:
        """Whether a commit can begin without making a connection first."""
        return self._store is not None

    def drop(self) -> None:
        """Cut the connection."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = self._store = None
