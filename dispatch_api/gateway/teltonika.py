"""Teltonika trackers over TCP and UDP: known by their IMEI, answered once their records are committed."""

import asyncio

from core.db import utcnow
from dispatch_api.gateway.datagrams import Address, Datagrams
from dispatch_api.gateway.desk import Desk
from dispatch_api.gateway.line import Line
from geo.duty import KnownDevice
from geo.protocols import teltonika
from geo.protocols.receipts import Damaged, DecodeError
from geo.protocols.teltonika import Contradiction, Datagram, Unreadable

PROTOCOL = "teltonika"
HELLO_BYTES = 2 + teltonika.IMEI_DIGITS
NONE = 0


class TeltonikaLine(Line):
    """One TCP connection: a hello, then frames."""

    def take(self) -> bool:
        """Take the hello or one frame."""
        return self._take_hello() if self.identifier is None else self._take_frame(self.identifier)

    def _take_hello(self) -> bool:
        try:
            imei = teltonika.hello(self.pending)
        except DecodeError:
            self.answer(teltonika.REFUSED)
            raise
        if imei is None:
            return False
        del self.pending[:HELLO_BYTES]
        if self.desk.duty.named(PROTOCOL, imei):
            self._welcome(imei)
        else:
            asked = asyncio.ensure_future(self.desk.device(PROTOCOL, imei, self.address))
            self.wait(asked, lambda device: self._welcome(imei) if device else self._refuse())
        return True

    def _welcome(self, imei: str) -> None:
        self.identifier = imei
        self.lines.belong(self, imei)
        self.answer(teltonika.ACCEPTED)

    def _refuse(self) -> None:
        self.answer(teltonika.REFUSED)
        self.close()

    def _take_frame(self, imei: str) -> bool:
        pending = self.pending
        if pending[:1] == teltonika.PING:
            self.pending = pending = pending.lstrip(teltonika.PING)
        size = teltonika.frame_bytes(pending)
        if size is None or len(pending) < size:
            return False
        frame = bytes(pending[:size])
        del pending[:size]
        device = self.desk.duty.named(PROTOCOL, imei)
        if device is None:  # revoked meanwhile
            self.close()
            return True
        try:
            self._read(device, frame)
        except Damaged:
            self.desk.writer.unreadable(device, 0)
            self._answer_records(NONE)
        return True

    def _read(self, device: KnownDevice, frame: bytes) -> None:
        """Answer a frame once its fixes are stored; raises Damaged."""
        data = teltonika.opened(frame)
        try:
            message = teltonika.decode(data, utcnow())
        except Unreadable as error:
            self.wait(asyncio.ensure_future(_kept(self.desk, device, frame, error)), self._answer_records)
            return
        if message.records:
            stored = self.desk.stored(device, message.fixes, message.rejected, self.number)
            self.wait(stored, lambda _: self._answer_records(message.records or NONE))
        elif message.records is not None:
            self._answer_records(NONE)

    def _answer_records(self, records: int) -> None:
        self.answer(teltonika.answer(records))


async def _kept(desk: Desk, device: KnownDevice, frame: bytes, error: Unreadable) -> int:
    """How many records of a frame that cannot be decoded to call taken: none when it may be right the second time."""
    came_before = await desk.unreadable(device, frame, error.records, error)
    return NONE if isinstance(error, Contradiction) and not came_before else error.records


class TeltonikaDatagrams(Datagrams):
    """The UDP port: each datagram names its device."""

    async def take(self, data: bytes, address: Address) -> bytes:
        """Take the records of a datagram."""
        sent = teltonika.datagram(data)
        records = await self._stored(sent, address[0])
        return teltonika.receipt(sent, records) if records else b""

    async def _stored(self, sent: Datagram, address: str) -> int:
        device = await self.desk.device(PROTOCOL, sent.imei, address)
        if device is None:
            return NONE
        try:
            message = teltonika.decode(sent.data, utcnow())
        except Unreadable as error:
            return await _kept(self.desk, device, sent.data, error)
        if message.records:
            await self.desk.stored(device, message.fixes, message.rejected, address)
        return message.records or NONE
