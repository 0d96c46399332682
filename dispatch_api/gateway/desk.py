"""What the gateway's listeners share: who a device is, where its fixes go, and what is done with the unreadable."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from core.db import utcnow
from core.settings import Settings
from geo.arrivals import Arrivals
from geo.delivery import Stored, hand_over
from geo.duty import DutyBook, KnownDevice
from geo.fix import Fix, Rejected
from geo.positions import Writer
from geo.protocols.receipts import Message, Unreadable
from geo.senders import Sender

log = structlog.get_logger()

ROWS_AT_ONCE = 10_000
"""Fixes given to the writer and not committed yet, half of what it takes: whoever comes with more waits for a turn,
since a tracker that is turned away comes back at once."""


@dataclass
class Desk:
    """The parts of one gateway process."""

    settings: Settings
    duty: DutyBook
    writer: Writer
    arrivals: Arrivals
    _rows: int = 0
    _waiting: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    async def device(self, protocol: str, identifier: str, address: str) -> KnownDevice | None:
        """The registered device; None, and noted for the administrator, for others. Raises Overloaded."""
        device = await self.duty.find_named(protocol, identifier)
        if device is None:
            self.arrivals.stranger(protocol, identifier, address)
        return device

    def stored(
        self, device: KnownDevice, fixes: list[Fix], rejected: list[Rejected], sender: Sender
    ) -> asyncio.Future[Stored]:
        """What becomes of fixes, done once they are committed; fails with Overloaded, nothing stored."""
        if self._has_room(len(fixes)) and not self._waiting:
            done: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
            told = partial(hand_over, done)
            now = utcnow()
            if self.writer.store_soon(device, fixes, told, rejected=len(rejected), received_at=now, sender=sender):
                self._rows += len(fixes)
                done.add_done_callback(partial(self._leave, len(fixes)))
                return done
        return asyncio.ensure_future(self._store_in_turn(device, fixes, len(rejected), sender))

    async def _store_in_turn(self, device: KnownDevice, fixes: list[Fix], rejected: int, sender: Sender) -> Stored:
        if self._waiting or not self._has_room(len(fixes)):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((len(fixes), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():  # it was given its turn, and does not take it
                    self._leave(len(fixes))
                raise
        else:
            self._rows += len(fixes)
        try:
            return await self.writer.store(device, fixes, rejected=rejected, sender=sender)
        finally:
            self._leave(len(fixes))

    def _has_room(self, rows: int) -> bool:
        return not self._rows or self._rows + rows <= ROWS_AT_ONCE

    def _leave(self, rows: int, _: object = None) -> None:
        """So many rows are committed, or refused: let those in who wait longest."""
        self._rows -= rows
        while self._waiting and self._has_room(self._waiting[0][0]):
            more, turn = self._waiting.popleft()
            if not turn.done():
                self._rows += more
                turn.set_result(None)

    async def taken(self, device: KnownDevice, frame: bytes, sender: Sender, decode: Callable[[], Message]) -> bytes:
        """What a device is answered, once what its frame holds is committed, or kept since it cannot be decoded."""
        try:
            message = decode()
        except Unreadable as error:
            await self.unreadable(device, frame, 1, error)
            return error.answer
        if message.fixes or message.rejected:
            await self.stored(device, message.fixes, message.rejected, sender)
        return message.answer

    async def unreadable(self, device: KnownDevice, frame: bytes, records: int, error: Exception) -> bool:
        """Keep, count and report a frame that cannot be decoded; whether the very same came before."""
        came_before = await self.arrivals.keep(device, frame, str(error))
        if not came_before:
            self.writer.unreadable(device, records)
        log.warning(
            "frame_unreadable", device=str(device.id), protocol=device.protocol, bytes=len(frame), reason=str(error),
            again=came_before,
        )  # fmt: skip
        return came_before
