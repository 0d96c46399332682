"""What the gateway's listeners share: who a device is, where its fixes go, and what is done with the unreadable."""

import asyncio
from dataclasses import dataclass

import structlog

from core.settings import Settings
from geo.arrivals import Arrivals
from geo.duty import DutyBook, KnownDevice
from geo.fix import Fix, Rejected
from geo.positions import Stored, Writer

log = structlog.get_logger()


@dataclass
class Desk:
    """The parts of one gateway process."""

    settings: Settings
    duty: DutyBook
    writer: Writer
    arrivals: Arrivals

    async def device(self, protocol: str, identifier: str, address: str) -> KnownDevice | None:
        """The registered device; None, and noted for the administrator, for others. Raises Overloaded."""
        device = await self.duty.find_named(protocol, identifier)
        if device is None:
            self.arrivals.stranger(protocol, identifier, address)
        return device

    def stored(self, device: KnownDevice, fixes: list[Fix], rejected: list[Rejected]) -> asyncio.Future[Stored]:
        """What becomes of fixes, done once they are committed; fails with Overloaded, nothing stored."""
        waiting = self.writer.store_soon(device, fixes, rejected=len(rejected))
        return waiting or asyncio.ensure_future(self.writer.store(device, fixes, rejected=len(rejected)))

    async def unreadable(self, device: KnownDevice, frame: bytes, records: int, error: Exception) -> bool:
        """Keep, count and report a frame that cannot be decoded; whether the very same came before."""
        came_before = await self.arrivals.keep(device, frame, str(error))
        if not came_before:
            await self.writer.store(device, [], rejected=records)
        log.warning(
            "frame_unreadable", device=str(device.id), protocol=device.protocol, bytes=len(frame), reason=str(error),
            again=came_before,
        )  # fmt: skip
        return came_before
