"""Trackers that send NMEA sentences over TCP: known by a name on a line of its own, or around a sentence.

The protocol has no secret and no receipts; nothing is answered. What is said of one moment is one fix, also when its
sentences come one by one: the last moment is held back until another begins or `SETTLES_S` have passed.
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
SETTLES_S = 0.9
"""All sentences of a moment have come so long after the first: the slowest receivers need most of a second."""
MOMENT_BYTES = 4 * nmea.MAX_LINE
"""No moment has more."""


class NmeaLine(Line):
    """One connection of a tracker."""

    def __init__(self, desk: Desk, lines: Lines) -> None:
        super().__init__(desk, lines)
        self._clock = Clock(live=True)
        self._early: deque[bytes] = deque(maxlen=EARLY)
        self._settles: asyncio.TimerHandle | None = None
        self._is_settled = False
        self._held_bytes = 0

    def take(self) -> bool:
        """Take one line until the tracker is known, then all that are settled; raises Malformed for an endless one."""
        end = self.pending.find(b"\n") if self.identifier is None else self.pending.rfind(b"\n")
        if (len(self.pending) if end < 0 else 0) > nmea.MAX_LINE:
            raise Malformed(f"A line has {nmea.MAX_LINE} characters at most.")
        if end < 0:
            return False
        sent = bytes(self.pending[: end + 1])
        if self.identifier is not None:
            sent = sent[: self._settled(sent)]
        del self.pending[: len(sent)]
        if self.identifier is None:
            self._take_name(sent)
        elif sent:
            self._read(sent)
        return bool(sent)

    def settle(self) -> None:
        """Hold back nothing of what is there."""
        self._is_settled = True
        if self.waiting is None:
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        super().connection_lost(exc)
        self.settle()

    def _settled(self, sent: bytes) -> int:
        """How many bytes are to be read now; when nothing is, it is looked at again after `SETTLES_S`."""
        if self._is_settled or self.transport is None or len(sent) > MOMENT_BYTES:
            n = len(sent)
        elif len(sent) == self._held_bytes:  # a line has begun since
            return 0
        else:
            n = nmea.settled(sent)
        self._is_settled, self._held_bytes = False, 0 if n else len(sent)
        if n and self._settles:
            self._settles.cancel()
            self._settles = None
        elif not n and not self._settles:
            self._settles = asyncio.get_running_loop().call_later(SETTLES_S, self.settle)
        return n

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
