"""H02 trackers over TCP and UDP: each message names its device, and is answered once it is committed.

The protocol knows no secret and no refusal: an unknown device is not answered.
"""

import asyncio

from core.db import utcnow
from dispatch_api.gateway.datagrams import Address, Datagrams
from dispatch_api.gateway.desk import Desk
from dispatch_api.gateway.line import Line, Lines
from geo.duty import KnownDevice
from geo.protocols import h02
from geo.protocols.receipts import Message, frames
from geo.senders import Sender

PROTOCOL = "h02"
SPACE = b" \t\r\n"
Statuses = dict[str, int]
"""The last status of each device: what happened is told by what changed."""


async def _taken(
    desk: Desk, statuses: Statuses, device: KnownDevice, name: str, message: bytes, sender: Sender
) -> bytes:
    def decode() -> Message:
        answer, fixes, rejected, status = h02.decode(message, utcnow(), statuses.get(name))
        if status is not None:
            statuses[name] = status
        return Message(answer, fixes, rejected)

    return await desk.taken(device, message, sender, decode)


class H02Line(Line):
    """One TCP connection; what cannot begin a message is passed over once the device is known."""

    def __init__(self, desk: Desk, lines: Lines, statuses: Statuses) -> None:
        super().__init__(desk, lines)
        self._statuses = statuses

    def take(self) -> bool:
        """Take one message."""
        pending = self.pending
        if self.identifier is not None:
            del pending[: h02.garbage_bytes(pending)]
        elif pending[:1] and pending[0] in SPACE:
            self.pending = pending = pending.lstrip(SPACE)
        size = h02.frame_bytes(pending)
        if size is None:
            return False
        message = bytes(pending[:size])
        del pending[:size]
        name = h02.identifier(message, utcnow()) or self.identifier
        if name is not None:
            self.wait(asyncio.ensure_future(self._taken(name, message)), self._done)
        return True

    async def _taken(self, name: str, message: bytes) -> bytes | None:
        device = await self.desk.device(PROTOCOL, name, self.address)
        if device is None:
            return None
        if self.identifier is None:
            self.identifier = name
            self.lines.belong(self, name)
        return await _taken(self.desk, self._statuses, device, name, message, self.number)

    def _done(self, answer: bytes | None) -> None:
        if answer is None:
            self.close()
        else:
            self.answer(answer)


class H02Datagrams(Datagrams):
    """The UDP port."""

    def __init__(self, desk: Desk, statuses: Statuses) -> None:
        super().__init__(desk)
        self._statuses = statuses

    async def take(self, data: bytes, address: Address) -> bytes:
        """Take the messages of a datagram."""
        found = frames(data, h02.garbage_bytes, h02.frame_bytes)
        return b"".join([await self._take_message(message, address) for message in found])

    async def _take_message(self, message: bytes, address: Address) -> bytes:
        name = h02.identifier(message, utcnow())
        device = await self.desk.device(PROTOCOL, name, address[0]) if name else None
        if name is None or device is None:
            return b""
        return await _taken(self.desk, self._statuses, device, name, message, address[0])
