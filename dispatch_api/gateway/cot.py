"""Tablets with ATAK, WinTAK or iTAK: what they say of themselves is stored, and their unit's work is shown to them.

A tablet is known by the common name of its certificate, or by the uid of its first event where the line has no mutual
TLS. Cursor on Target has no receipts; a ping is answered once what came before it is committed.
"""

import asyncio
from collections.abc import Callable

from core.db import utcnow
from dispatch_api.gateway.desk import Desk
from dispatch_api.gateway.line import Line, Lines
from geo.duty import KnownDevice
from geo.protocols import cot, cot_events
from geo.protocols.cot import DecodeError, Event
from geo.protocols.foreign import gathered

PROTOCOL = "cot"
SPACE = b" \t\r\n"
WRITE_BYTES = 2**20
"""What may wait to be read by a tablet; one that is further behind is cut."""


class CotLine(Line):
    """One connection of a tablet."""

    def __init__(self, desk: Desk, lines: Lines, shown: Callable[["CotLine"], None], *, mutual: bool) -> None:
        """`shown` hears of a tablet that is known now; with `mutual` TLS its certificate names it."""
        super().__init__(desk, lines)
        self._shown, self._mutual = shown, mutual
        self._seen = 0
        self._uid: str | None = None

    @property
    def device(self) -> KnownDevice | None:
        """The registered device at the other end; None once it is revoked."""
        return self.desk.duty.named(PROTOCOL, self.identifier) if self.identifier else None

    @property
    def is_open(self) -> bool:
        """Whether something can be sent to it."""
        return self.transport is not None and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the name from the certificate, if that is where it stands."""
        super().connection_made(transport)
        if self.transport is None or not self.is_open:
            return
        self.transport.set_write_buffer_limits(high=WRITE_BYTES)
        if self._mutual:
            subject = (self.transport.get_extra_info("peercert") or {}).get("subject", ())
            names = [value for part in subject for key, value in part if key == "commonName"]
            self._ask(names[0] if names else "")

    def take(self) -> bool:
        """Take one event."""
        pending = self.pending
        if pending[:1] and pending[0] in SPACE:
            self.pending = pending = pending.lstrip(SPACE)
            self._seen = 0
        size = cot.event_bytes(pending, self._seen)
        if size is None:
            self._seen = len(pending)
            return False
        frame = bytes(pending[:size])
        try:
            event = cot.decode(frame, utcnow())
        except DecodeError as error:
            if self.identifier is None:
                raise
            self._drop(size)
            self._keep(frame, error)
            return True
        if self.identifier is None and event.outcome is not None:
            self._ask(event.uid)  # and take it again once it is known whose it is
            return True
        self._drop(size)
        if self.identifier is not None:
            self._take_event(event)
        return True

    def _drop(self, size: int) -> None:
        del self.pending[:size]
        self._seen = 0

    def _ask(self, name: str) -> None:
        asked = asyncio.ensure_future(self.desk.device(PROTOCOL, name, self.address))
        self.wait(asked, lambda device: self._welcome(name) if device else self.close())

    def _welcome(self, name: str) -> None:
        self.identifier = name
        self.lines.belong(self, name)
        self._shown(self)

    def _take_event(self, event: Event) -> None:
        device = self.device
        if device is None:  # revoked meanwhile
            self.close()
        elif event.is_ping:
            self.answer(cot_events.pong(utcnow()))
        elif event.outcome is not None and self._is_own(event):
            fixes, rejected = gathered([event.outcome])
            self.desk.writer.describe(device, event.about)
            self.wait(self.desk.stored(device, fixes, rejected, self.number), lambda _: None)

    def _is_own(self, event: Event) -> bool:
        """Whether an event is of the tablet itself: what its user draws has other uids."""
        if event.of_sender:
            return True
        self._uid = self._uid or (event.uid if self._mutual else self.identifier)
        return event.uid == self._uid

    def _keep(self, frame: bytes, error: DecodeError) -> None:
        device = self.device
        if device is None:
            self.close()
            return
        kept = asyncio.ensure_future(self.desk.unreadable(device, frame, 1, error))
        self.wait(kept, lambda _: None)
