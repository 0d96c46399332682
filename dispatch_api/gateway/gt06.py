"""GT06 trackers over TCP and UDP: known by the IMEI of their login, answered once what they sent is committed.

The protocol knows no secret and no refusal: an unknown device is not answered.
"""

import asyncio
import time
from collections import OrderedDict
from datetime import timedelta
from functools import partial

from core.db import utcnow
from dispatch_api.gateway.datagrams import Address, Datagrams
from dispatch_api.gateway.desk import Desk
from dispatch_api.gateway.line import Line, Lines
from geo.protocols import gt06
from geo.protocols.gt06 import Frame, Login
from geo.protocols.receipts import Damaged, Lost, frames

PROTOCOL = "gt06"


class Gt06Line(Line):
    """One TCP connection: a login, then frames. What comes before a login is not answered."""

    def __init__(self, desk: Desk, lines: Lines) -> None:
        super().__init__(desk, lines)
        self._ahead = timedelta()

    def take(self) -> bool:
        """Take one frame; a damaged one is passed over, and sent again by its device."""
        if self.identifier is not None:
            del self.pending[: gt06.garbage_bytes(self.pending)]
        size = gt06.frame_bytes(self.pending)
        if size is None:
            return False
        sent = bytes(self.pending[:size])
        del self.pending[:size]
        try:
            frame = gt06.opened(sent)
        except Damaged:
            self._note_damage()
            return True
        if frame.kind == gt06.LOGIN:
            self._take_login(frame)
        elif self.identifier is not None:
            self._take_frame(self.identifier, sent, frame)
        return True

    def _note_damage(self) -> None:
        device = self.desk.duty.named(PROTOCOL, self.identifier) if self.identifier else None
        if device:
            self.desk.writer.unreadable(device, 0)

    def _take_login(self, frame: Frame) -> None:
        login = gt06.login(frame)
        if self.identifier not in {None, login.imei}:
            raise Lost("Another device logs in.")
        asked = asyncio.ensure_future(self.desk.device(PROTOCOL, login.imei, self.address))
        self.wait(asked, lambda device: self._welcome(login, frame) if device else self.close())

    def _welcome(self, login: Login, frame: Frame) -> None:
        if self.identifier is None:
            self.identifier = login.imei
            self.lines.belong(self, login.imei)
        self._ahead = login.ahead
        self.answer(gt06.answer(frame, utcnow()))

    def _take_frame(self, imei: str, sent: bytes, frame: Frame) -> None:
        device = self.desk.duty.named(PROTOCOL, imei)
        if device is None:  # revoked meanwhile
            self.close()
            return
        decode = partial(gt06.decode, frame, utcnow(), self._ahead)
        self.wait(asyncio.ensure_future(self.desk.taken(device, sent, self.number, decode)), self.answer)


class Gt06Datagrams(Datagrams):
    """The UDP port, where the sender of a login stays known by its address as long as a connection would."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._known: OrderedDict[Address, tuple[Login, float]] = OrderedDict()

    async def take(self, data: bytes, address: Address) -> bytes:
        """Take the frames of a datagram."""
        found = frames(data, gt06.garbage_bytes, gt06.frame_bytes)
        return b"".join([await self._take_frame(sent, address) for sent in found])

    async def _take_frame(self, sent: bytes, address: Address) -> bytes:
        try:
            frame = gt06.opened(sent)
        except Damaged:
            return b""
        login = gt06.login(frame) if frame.kind == gt06.LOGIN else self._login(address)
        device = await self.desk.device(PROTOCOL, login.imei, address[0]) if login else None
        if login is None or device is None:
            return b""
        self._know(address, login)
        if frame.kind == gt06.LOGIN:
            return gt06.answer(frame, utcnow())
        return await self.desk.taken(device, sent, address[0], partial(gt06.decode, frame, utcnow(), login.ahead))

    def _login(self, address: Address) -> Login | None:
        login, until = self._known.get(address, (None, 0.0))
        return login if until > time.monotonic() else None

    def _know(self, address: Address, login: Login) -> None:
        settings = self.desk.settings
        self._known[address] = login, time.monotonic() + settings.gateway_idle_s
        self._known.move_to_end(address)
        if len(self._known) > settings.gateway_connections:
            self._known.popitem(last=False)
