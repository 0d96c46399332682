"""One connection of the writer of positions, and the statement it commits with."""

import asyncio
from typing import Any

import asyncpg

from geo import sql

STORE = sql.load("positions_store")
COMMIT_TIMEOUT_S = 30

Row = tuple[Any, ...]
"""The columns of `positions_store.sql`, in its order."""


class Line:
    """One connection of the writer and its prepared statement; made when first needed, and again after `drop`."""

    def __init__(self, dsn: str, from_rows: int) -> None:
        """It is `wanted` from so many waiting rows on."""
        self._dsn, self.from_rows = dsn, from_rows
        self.wanted = asyncio.Event()
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

    def drop(self) -> None:
        """Cut the connection."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = self._store = None
