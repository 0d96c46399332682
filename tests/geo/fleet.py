"""Units with devices, made by the owner with plain SQL: what tests of ingest need and nothing else."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from core.ids import digest, new_id, new_secret
from geo.delivery import Latest
from geo.duty import DutyBook, KnownDevice
from geo.fix import Fix
from geo.positions import Writer
from tests.helpers import Database


def now() -> datetime:
    """Now to the millisecond."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def fix(at: datetime, east: float = 0, **fields: Any) -> Fix:
    """A fix `east` thousandths of a degree (64 m) east of Vilnius."""
    return Fix(fix_at=at, lon=25.28 + east / 1000, lat=54.69, **fields)


@dataclass
class Fleet:
    """The owner's hand in the database."""

    db: asyncpg.Connection

    async def unit(self, tracking: str = "on_shift") -> UUID:
        """A unit, off shift."""
        made = new_id()
        await self.db.execute(
            "INSERT INTO unit (id, call_sign, kind, capabilities, tracking, status, status_at, version, created_at,"
            " updated_at) VALUES ($1, $2, 'patrol', '{}', $3, 'off_duty', now(), 1, now(), clock_timestamp())",
            made, made.hex, tracking,
        )  # fmt: skip
        return made

    async def device(self, unit_id: UUID, since: datetime | None = None) -> tuple[UUID, str]:
        """A device of the unit, and its key."""
        made, key = new_id(), new_secret("od")
        async with self.db.transaction():  # ingest, which may read meanwhile, knows none without its unit
            await self.db.execute(
                "INSERT INTO device (id, protocol, key_digest, speed_unit, forwards_for, created_at, updated_at)"
                " VALUES ($1, 'http', $2, 'knots', '{}', now(), clock_timestamp())",
                made, digest(key),
            )  # fmt: skip
            await self.assign(made, unit_id, since)
        return made, key

    async def assign(self, device_id: UUID, unit_id: UUID, since: datetime | None) -> None:
        """From `since` on the device reports for the unit."""
        await self.db.execute(
            "INSERT INTO device_assignment (id, device_id, unit_id, valid_from) VALUES ($1, $2, $3, $4)",
            new_id(), device_id, unit_id, since,
        )  # fmt: skip
        await self.db.execute("UPDATE device SET updated_at = clock_timestamp() WHERE id = $1", device_id)

    async def shift(self, unit_id: UUID, on_at: datetime, off_at: datetime | None = None) -> UUID:
        """A shift of the unit."""
        made = new_id()
        await self.db.execute(
            "INSERT INTO shift (id, unit_id, on_at, off_at, version, updated_at)"
            " VALUES ($1, $2, $3, $4, 1, clock_timestamp())",
            made, unit_id, on_at, off_at,
        )  # fmt: skip
        return made

    async def end(self, shift_id: UUID, off_at: datetime) -> None:
        """The shift ends."""
        await self.db.execute(
            "UPDATE shift SET off_at = $2, updated_at = clock_timestamp() WHERE id = $1", shift_id, off_at
        )

    async def crew(self) -> tuple[UUID, UUID, str]:
        """A unit on shift since 40 days, its device, and the key."""
        unit_id = await self.unit()
        # First the shift: a device that is known already would be found off duty until the next reading.
        await self.shift(unit_id, now() - timedelta(days=40))
        device_id, key = await self.device(unit_id)
        return unit_id, device_id, key

    async def track(self, device_id: UUID) -> list[asyncpg.Record]:
        """What is stored of a device, in order of time."""
        return await self.db.fetch(
            "SELECT *, ST_X(point) lon, ST_Y(point) lat FROM position WHERE device_id = $1 ORDER BY fix_at", device_id
        )

    async def latest(self, unit_id: UUID) -> asyncpg.Record | None:
        """The unit's latest position."""
        return await self.db.fetchrow(
            "SELECT *, ST_X(point) lon, ST_Y(point) lat FROM unit_latest WHERE unit_id = $1", unit_id
        )


class Ingest:
    """A duty book and a writer over one database, and what the writer announced."""

    def __init__(self, database: Database) -> None:
        self.moved: list[Latest] = []
        self.duty = DutyBook(database.ingest_url)
        self.writer = Writer(database.ingest_url, self.duty, self.moved.extend)

    async def __aenter__(self) -> "Ingest":
        await self.duty.__aenter__()
        await self.writer.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.writer.__aexit__(None, None, None)
        await self.duty.__aexit__(None, None, None)

    async def device(self, key: str) -> KnownDevice:
        """The device of a key."""
        found = await self.duty.find_device(digest(key))
        assert found is not None
        return found
