"""Teltonika trackers over TCP and UDP: known by their IMEI, answered once their records are committed."""

import asyncio
from functools import partial

import structlog

from core.db import utcnow
from core.errors import Overloaded
from dispatch_api.gateway.desk import Desk
from dispatch_api.gateway.line import Line
from geo.duty import KnownDevice
from geo.protocols import teltonika
from geo.protocols.teltonika import Contradiction, Damaged, Datagram, DecodeError, Unreadable

log = structlog.get_logger()

PROTOCOL = "teltonika"
HELLO_BYTES = 2 + teltonika.IMEI_DIGITS
DATAGRAMS = 1_000
"""Datagrams on their way to the database; more are dropped, and sent again by their devices."""
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
            stored = self.desk.stored(device, message.fixes, message.rejected)
            self.wait(stored, lambda _: self._answer_records(message.records or NONE))
        elif message.records is not None:
            self._answer_records(NONE)

    def _answer_records(self, records: int) -> None:
        self.answer(teltonika.answer(records))


async def _kept(desk: Desk, device: KnownDevice, frame: bytes, error: Unreadable) -> int:
    """How many records of a frame that cannot be decoded to call taken: none when it may be right the second time."""
    came_before = await desk.unreadable(device, frame, error.records, error)
    return NONE if isinstance(error, Contradiction) and not came_before else error.records


class TeltonikaDatagrams(asyncio.DatagramProtocol):
    """The UDP port: each datagram names its device."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._taking: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Begin to listen."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a datagram; what is none gets no answer."""
        if len(self._taking) >= DATAGRAMS:
            return
        try:
            sent = teltonika.datagram(data)
        except DecodeError as error:
            log.info("datagram_refused", address=addr[0], reason=str(error))
            return
        task = asyncio.create_task(self._take(sent, addr))
        self._taking.add(task)
        task.add_done_callback(partial(_finished, self._taking))

    def error_received(self, exc: Exception) -> None:
        """An answer did not arrive: the device sends again."""

    async def finish(self) -> None:
        """Answer what is being stored."""
        await asyncio.gather(*self._taking, return_exceptions=True)

    async def _take(self, sent: Datagram, addr: tuple[str, int]) -> None:
        records = await self._stored(sent, addr[0])
        if records and not self._transport.is_closing():
            self._transport.sendto(teltonika.receipt(sent, records), addr)

    async def _stored(self, sent: Datagram, address: str) -> int:
        device = await self._desk.device(PROTOCOL, sent.imei, address)
        if device is None:
            return NONE
        try:
            message = teltonika.decode(sent.data, utcnow())
        except Unreadable as error:
            return await _kept(self._desk, device, sent.data, error)
        if message.records:
            await self._desk.stored(device, message.fixes, message.rejected)
        return message.records or NONE


def _finished(taking: "set[asyncio.Task[None]]", task: "asyncio.Task[None]") -> None:
    taking.discard(task)
    failure = None if task.cancelled() else task.exception()
    if failure is not None and not isinstance(failure, Overloaded):
        log.error("unexpected", exc_info=failure)
