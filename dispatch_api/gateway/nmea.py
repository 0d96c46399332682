"""Trackers that send NMEA sentences over TCP: known by a name on a line of its own, or around a sentence.

The protocol has no secret and no receipts; nothing is answered. Sentences that come together are read together, so that
what is said of one moment is one fix.
"""

import asyncio
from collections import deque

from core.db import utcnow
from core.errors import Malformed
from dispatch_api.gateway.desk import Desk
from dispatch_api.gateway.line import Line, Lines
from geo.protocols import nmea
from geo.protocols.nmea import Clock

PROTOCOL = "nmea"
EARLY = 32
"""Lines that are kept until a tracker says who it is: some do so behind each sentence."""


class NmeaLine(Line):
    """One connection of a tracker."""

    def __init__(self, desk: Desk, lines: Lines) -> None:
        super().__init__(desk, lines)
        self._clock = Clock(live=True)
        self._early: deque[bytes] = deque(maxlen=EARLY)

    def take(self) -> bool:
        """Take one line until the tracker is known, then all that are there; raises Malformed for an endless one."""
        end = self.pending.find(b"\n") if self.identifier is None else self.pending.rfind(b"\n")
        if (len(self.pending) if end < 0 else 0) > nmea.MAX_LINE:
            raise Malformed(f"A line has {nmea.MAX_LINE} characters at most.")
        if end < 0:
            return False
        sent = bytes(self.pending[: end + 1])
        del self.pending[: end + 1]
        if self.identifier is None:
            self._take_name(sent)
        else:
            self._read(sent)
        return True

    def _take_name(self, line: bytes) -> None:
        self._early.append(line)
        name = nmea.identifier(line.decode("ascii", "replace"))
        if name is not None:
            asked = asyncio.ensure_future(self.desk.device(PROTOCOL, name, self.address))
            self.wait(asked, lambda device: self._welcome(name) if device else self.close())

    def _welcome(self, name: str) -> None:
        self.identifier = name
        self.lines.belong(self, name)
        self.pending[:0] = b"".join(self._early)
        self._early.clear()

    def _read(self, sent: bytes) -> None:
        device = self.desk.duty.named(PROTOCOL, self.identifier or "")
        if device is None:  # revoked meanwhile
            self.close()
            return
        fixes, rejected = nmea.decode(sent, utcnow(), self._clock)
        if fixes or rejected:
            self.wait(self.desk.stored(device, fixes, rejected, self.number), lambda _: None)
