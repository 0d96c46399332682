"""Trackers that speak to the gateway over real sockets: what its tests share."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg

from core.settings import Settings
from tests.geo.fleet import Fleet, now
from tests.geo.teltonika_frames import hello

ACCEPTED, REFUSED = b"\x01", b"\x00"
imeis = (f"{number:015}" for number in count(350_000_000_000_000))


@dataclass
class Tracker:
    """A device on duty, known by its IMEI."""

    fleet: Fleet
    settings: Settings
    imei: str
    unit_id: UUID
    device_id: UUID
    protocol: str = "teltonika"

    @contextlib.asynccontextmanager
    async def connected(self, **options: Any) -> AsyncIterator["Wire"]:
        """A connection before its hello."""
        place = "127.0.0.1", getattr(self.settings, f"{self.protocol}_port")
        reader, writer = await asyncio.open_connection(*place, **options)
        try:
            yield Wire(reader, writer)
        finally:
            writer.close()

    @contextlib.asynccontextmanager
    async def known(self) -> AsyncIterator["Wire"]:
        """A connection after its hello."""
        async with self.connected() as wire:
            assert await wire.say(hello(self.imei), 1) == ACCEPTED
            yield wire

    async def track(self) -> list[asyncpg.Record]:
        return await self.fleet.track(self.device_id)

    async def raw(self) -> list[asyncpg.Record]:
        return await self.fleet.db.fetch("SELECT * FROM raw_frame WHERE device_id = $1", self.device_id)


@dataclass
class Wire:
    """The device's end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, sent: bytes, n: int = 4) -> bytes:
        """Send, and the next `n` bytes that are answered; fewer when the other side ends first."""
        async with asyncio.timeout(10):
            try:
                self.writer.write(sent)
                await self.writer.drain()
                return await self.reader.readexactly(n)
            except asyncio.IncompleteReadError as short:
                return short.partial
            except ConnectionError:
                return b""

    async def is_silent(self, for_s: float = 0.4) -> bool:
        """Whether nothing is answered for a while, and the connection stays."""
        try:
            async with asyncio.timeout(for_s):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False


async def registered(
    fleet: Fleet, settings: Settings, imei: str | None = None, *, on_duty: bool = True, protocol: str = "teltonika"
) -> Tracker:
    imei = imei or next(imeis)
    unit_id = await fleet.unit()
    if on_duty:
        await fleet.shift(unit_id, now() - timedelta(days=40_000 / 2))
    device_id, _ = await fleet.device(unit_id)
    await fleet.db.execute("UPDATE device SET revoked_at = now() WHERE identifier = $1", imei)
    await fleet.db.execute(
        "UPDATE device SET protocol = $3, identifier = $2, updated_at = clock_timestamp() WHERE id = $1",
        device_id, imei, protocol,
    )  # fmt: skip
    return Tracker(fleet, settings, imei, unit_id, device_id, protocol)


async def datagram(settings: Settings, sent: bytes, *, wanted: bool = True) -> bytes:
    """The answer to a datagram; empty when none comes in a while."""
    with Udp(settings.teltonika_port) as udp:
        return await udp.say(sent, wanted=wanted)


class Udp:
    """A device's own address."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(("127.0.0.1", port))

    def __enter__(self) -> "Udp":
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    async def say(self, sent: bytes, *, wanted: bool = True) -> bytes:
        """The answer to a datagram; empty when none comes in a while."""
        await asyncio.get_running_loop().sock_sendall(self._socket, sent)
        try:
            async with asyncio.timeout(5 if wanted else 0.4):
                return await asyncio.get_running_loop().sock_recv(self._socket, 4096)
        except TimeoutError:
            return b""
