"""What comes and is no fix: devices nobody registered, and frames nobody can decode."""

import asyncio
import contextlib
import hashlib
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Self
from uuid import UUID

import asyncpg

from core.db import asyncpg_dsn, utcnow
from core.errors import Overloaded
from core.ids import new_id
from geo import sql
from geo.duty import UNAVAILABLE, DutyBook, KnownDevice

KEEP, ADD, CUT = map(sql.load, ("raw_frame_keep", "unknown_device_add", "unknown_device_cut"))
WRITE_EVERY_S = 2.0
STRANGERS = 1_000
"""So many unknown devices are told apart between two writes; of more, the others are not noted."""
MAX_NAME = 128


class Arrivals:
    """Keeps undecodable frames, and counts who is not registered, written every few seconds."""

    def __init__(self, url: str, duty: DutyBook) -> None:
        """`url` is the database as the ingest role."""
        self._dsn, self._duty = asyncpg_dsn(url), duty
        self._strangers: dict[tuple[str, str], tuple[datetime, datetime, int, str, UUID | None]] = {}

    async def __aenter__(self) -> Self:
        self._pool = await asyncpg.create_pool(
            self._dsn, min_size=0, max_size=2, timeout=5, command_timeout=10,
            server_settings={"application_name": "outrider arrivals"},
        )  # fmt: skip
        self._writing = asyncio.create_task(self._keep_writing(), name="arrivals")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        with contextlib.suppress(*UNAVAILABLE):
            await self._write()
        await self._pool.close()

    async def keep(self, device: KnownDevice, frame: bytes, error: str) -> bool:
        """Keep a frame while the device's unit is on duty; whether the very same was kept before. Raises Overloaded.

        Off duty nothing is kept and it counts as known: nobody may look at it, however often it is sent.
        """
        now = utcnow()
        unit_id = self._duty.unit_on_duty(device, now)
        if unit_id is None:
            return True
        seen = hashlib.sha256(frame).digest()
        try:
            return bool(await self._pool.fetchval(KEEP, new_id(), device.id, unit_id, now, seen, frame, error))
        except UNAVAILABLE as failure:
            await self._pool.expire_connections()
            raise Overloaded("The database is away.") from failure

    def stranger(self, protocol: str, identifier: str, address: str, forwarder_id: UUID | None = None) -> None:
        """Note that an unknown device knocked, or that a forwarder sent for it; not one whose name nobody can read."""
        if not identifier or len(identifier) > MAX_NAME or not identifier.isprintable():
            return
        now, key = utcnow(), (protocol, identifier)
        first, _, n, *_ = self._strangers.get(key, (now, now, 0, address, forwarder_id))
        if n or len(self._strangers) < STRANGERS:
            self._strangers[key] = (first, now, n + 1, address, forwarder_id)

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            with contextlib.suppress(*UNAVAILABLE):
                await self._write()

    async def _write(self) -> None:
        if not self._strangers:
            return
        found, self._strangers = self._strangers, {}
        rows = [(*key, *seen) for key, seen in sorted(found.items())]
        try:
            await self._pool.execute(ADD, *map(list, zip(*rows, strict=True)))
            await self._pool.execute(CUT)
        except UNAVAILABLE:
            self._strangers = dict(islice((found | self._strangers).items(), STRANGERS))
            raise
