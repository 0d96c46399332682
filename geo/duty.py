"""Which device a key opens, for which unit it reports, and whether that unit is on duty: the gate before storage."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import asyncpg
import msgspec
import structlog

from core.bus import Wake
from core.db import asyncpg_dsn, utcnow
from core.errors import Overloaded
from geo import sql
from geo.doubt import Doubt

log = structlog.get_logger()

POLL_S = 0.5
"""What other processes changed is known here within this and the time of three short queries."""
OVERLAP = timedelta(minutes=5)
"""A row's `updated_at` is older than its commit, and clocks differ: so far back is looked for late commits."""
BEFORE_ALL, NOW_UNFINISHED = "2", "SELECT pg_snapshot_xmin(pg_current_snapshot())::xid::text"
"""Transaction ids: older than any row's, and the oldest that is still running."""
REMEMBERED = timedelta(days=2)
"""Shifts that ended before are asked of the database, when a fix is that old."""
KNOCK_S = 0.05
"""Unknown keys make the database be read at most this often."""
FIRST = datetime(1970, 1, 1, tzinfo=UTC)
UNAVAILABLE = (
    OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError,
)  # fmt: skip
"""What a database that is gone, starting or full raises; the last when the connection is cut in mid-statement."""


DEVICES, UNITS, SHIFTS, LONG_AGO = map(sql.load, ("duty_devices", "duty_units", "duty_shifts", "duty_long_ago"))


class KnownDevice(msgspec.Struct, eq=False):
    """A device as ingest needs it; `units` and `since` say for whom it reports from when on, in order of time.

    A person's phone reports for the unit on whose shift the person is, and for nobody between shifts.
    """

    id: UUID
    protocol: str
    identifier: str | None
    speed_unit: str
    forwards_for: frozenset[UUID]
    units: list[UUID | None]
    since: list[datetime | None]
    payload_secret: str | None = None
    doubt: Doubt | None = None

    def unit_at(self, at: datetime) -> UUID | None:
        """The unit it reported for at a moment."""
        for unit_id, since in zip(reversed(self.units), reversed(self.since), strict=True):
            if since is None or since <= at:
                return unit_id
        return None

    def last_unit(self, at: datetime) -> UUID | None:
        """The unit it last reported for until a moment; a phone between shifts still has one."""
        for unit_id, since in zip(reversed(self.units), reversed(self.since), strict=True):
            if unit_id is not None and (since is None or since <= at):
                return unit_id
        return None


class DutyBook:
    """Devices by key, their assignments, and the units' shifts, in memory; follows the database twice a second."""

    def __init__(self, url: str) -> None:
        """`url` is the database as the ingest role sees it."""
        self._dsn = asyncpg_dsn(url)
        self._keys: dict[bytes, tuple[KnownDevice, datetime | None]] = {}
        self._digests: dict[UUID, list[bytes]] = {}
        self._devices: dict[UUID, KnownDevice] = {}
        self._named: dict[str, set[UUID]] = defaultdict(set)
        self._always: set[UUID] = set()
        self._shifts: dict[UUID, dict[UUID, tuple[datetime, datetime | None]]] = defaultdict(dict)
        self._lock = asyncio.Lock()
        self._read, self._unfinished = FIRST, BEFORE_ALL
        self.horizon = utcnow() - REMEMBERED

    async def __aenter__(self) -> Self:
        self._pool = await asyncpg.create_pool(
            self._dsn, min_size=1, max_size=2, timeout=5, command_timeout=5,
            server_settings={"application_name": "outrider duty"},
        )  # fmt: skip
        await self._refresh(frozenset())
        self._polling = asyncio.create_task(self._poll(), name="duty-poll")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._polling.cancel()
        await asyncio.gather(self._polling, return_exceptions=True)
        await self._pool.close()

    def device(self, digest: bytes) -> KnownDevice | None:
        """The device this key's digest opens, as far as known here."""
        found = self._keys.get(digest)
        if found is None or (found[1] is not None and found[1] < utcnow()):
            return None
        return found[0]

    async def find_device(self, digest: bytes) -> KnownDevice | None:
        """The device, after asking the database when it is not known here; raises Overloaded when that is away.

        However many strangers knock, they wait for one common reading after another.
        """
        if found := self.device(digest):
            return found
        await self._knock()
        return self.device(digest)

    def known(self, device_id: UUID) -> KnownDevice | None:
        """The device of this id, as far as known here; none that is revoked."""
        return self._devices.get(device_id)

    async def find_known(self, device_id: UUID) -> KnownDevice | None:
        """The same, after asking the database when it is not known here; raises Overloaded when that is away."""
        if found := self.known(device_id):
            return found
        await self._knock()
        return self.known(device_id)

    def forwarded(self, forwarder_id: UUID, identifier: str) -> KnownDevice | None:
        """The device of this identifier that a forwarder may write for, as far as known here."""
        forwarder = self._devices.get(forwarder_id)
        allowed = forwarder.forwards_for if forwarder else frozenset[UUID]()
        return next((self._devices[each] for each in self._named.get(identifier, ()) if each in allowed), None)

    async def find_forwarded(self, forwarder_id: UUID, identifier: str) -> KnownDevice | None:
        """The same, after asking the database when it is not known here; raises Overloaded when that is away."""
        if found := self.forwarded(forwarder_id, identifier):
            return found
        await self._knock()
        return self.forwarded(forwarder_id, identifier)

    def named(self, protocol: str, identifier: str) -> KnownDevice | None:
        """The device that a protocol knows by this identifier alone, as far as known here."""
        found = (self._devices[each] for each in self._named.get(identifier, ()))
        return next((device for device in found if device.protocol == protocol), None)

    async def find_named(self, protocol: str, identifier: str) -> KnownDevice | None:
        """The same, after asking the database when it is not known here; raises Overloaded when that is away."""
        if found := self.named(protocol, identifier):
            return found
        await self._knock()
        return self.named(protocol, identifier)

    async def _knock(self) -> None:
        """Read the database for somebody unknown."""
        knocked = utcnow()
        async with self._lock:
            if self._read < knocked:
                await asyncio.sleep(max(0.0, KNOCK_S - (knocked - self._read).total_seconds()))
                try:
                    await self._load(frozenset())
                except UNAVAILABLE as failure:
                    raise Overloaded("The database is away.") from failure

    def unit_on_duty(self, device: KnownDevice, at: datetime) -> UUID | None:
        """The unit the device reported for at a moment since `horizon`, if it was on duty or is tracked always."""
        unit_id = device.units[0] if device.since == [None] else device.unit_at(at)
        if unit_id is None or unit_id in self._always:
            return unit_id
        for on_at, off_at in self._shifts[unit_id].values() if unit_id in self._shifts else ():
            if on_at <= at and (off_at is None or at <= off_at):
                return unit_id
        return None

    async def units_on_duty(self, device: KnownDevice, moments: list[datetime]) -> list[UUID | None]:
        """The same for many moments, however long ago."""
        units = [self.unit_on_duty(device, at) for at in moments]
        long_ago = [place for place, at in enumerate(moments) if at < self.horizon]
        if long_ago:
            found = await self.unit_long_ago(device, [moments[place] for place in long_ago])
            for place, unit_id in zip(long_ago, found, strict=True):
                units[place] = unit_id
        return units

    async def unit_long_ago(self, device: KnownDevice, moments: list[datetime]) -> list[UUID | None]:
        """The same for moments before `horizon`, from the database."""
        units = [device.unit_at(at) for at in moments]
        asked = [(unit_id, at) for unit_id, at in zip(units, moments, strict=True) if unit_id is not None]
        rows = await self._pool.fetch(LONG_AGO, [u for u, _ in asked], [at for _, at in asked])
        on_duty = iter([row["on_duty"] for row in rows])
        return [u if u is not None and (next(on_duty) or u in self._always) else None for u in units]

    async def changed(self, wake: Wake) -> None:
        """Read what was just committed for these units and devices; returns when it counts here."""
        await self._refresh(wake.ids)

    async def _refresh(self, ids: frozenset[UUID]) -> None:
        async with self._lock:
            await self._load(ids)

    async def _load(self, ids: frozenset[UUID]) -> None:
        began, since, named = utcnow(), self._read - OVERLAP, list(ids)
        first_time = self._read == FIRST
        async with self._pool.acquire() as connection:
            unfinished = await connection.fetchval(NOW_UNFINISHED)
            which = since, named, self._unfinished
            devices = await connection.fetch(DEVICES, *which)
            units = await connection.fetch(UNITS, *which)
            shifts = await connection.fetch(SHIFTS, *which, self.horizon, began if first_time else since)
        for row in devices:
            self._learn(row)
        for row in units:
            (self._always.add if row["tracking"] == "always" else self._always.discard)(row["id"])
        for row in shifts:
            self._shifts[row["unit_id"]][row["id"]] = (row["on_at"], row["off_at"])
        self._read, self._unfinished = began, unfinished
        self._forget(began)

    def _learn(self, row: Any) -> None:
        self._forget_device(row["id"])
        if row["revoked_at"] is not None:
            return
        device = KnownDevice(
            row["id"], row["protocol"], row["identifier"], row["speed_unit"],
            frozenset(map(UUID, row["forwards_for"])), row["units"], row["since"], row["payload_secret"],
            msgspec.json.decode(row["doubt"], type=Doubt) if row["doubt"] else None,
        )  # fmt: skip
        self._devices[device.id] = device
        if device.identifier is not None:
            self._named[device.identifier].add(device.id)
        self._digests[device.id] = [row["key_digest"]]
        self._keys[row["key_digest"]] = (device, None)
        if row["old_key_digest"] is not None:
            self._digests[device.id].append(row["old_key_digest"])
            self._keys[row["old_key_digest"]] = (device, row["old_key_until"])

    def _forget_device(self, device_id: UUID) -> None:
        for digest in self._digests.pop(device_id, ()):
            self._keys.pop(digest, None)
        was = self._devices.pop(device_id, None)
        if was is not None and was.identifier is not None:
            self._named[was.identifier].discard(device_id)
            if not self._named[was.identifier]:
                del self._named[was.identifier]

    def _forget(self, now: datetime) -> None:
        """Once an hour, drop the shifts that ended too long ago to be remembered."""
        if now - self.horizon < REMEMBERED + timedelta(hours=1):
            return
        self.horizon = now - REMEMBERED
        for unit_id, shifts in list(self._shifts.items()):
            kept = {i: (on, off) for i, (on, off) in shifts.items() if off is None or off >= self.horizon}
            if kept:
                self._shifts[unit_id] = kept
            else:
                del self._shifts[unit_id]

    async def _poll(self) -> None:
        lost = False
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self._refresh(frozenset())
            except UNAVAILABLE as failure:
                await self._pool.expire_connections()
                if not lost:
                    log.warning("duty_not_read", error=type(failure).__name__)
                lost = True
            else:
                lost = False
