"""A tracker's connection: one message after another, in bounded memory and bounded time."""

import asyncio
import itertools
import math
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar, cast

import structlog

from core.errors import Malformed, Overloaded
from dispatch_api.gateway.desk import Desk

log = structlog.get_logger()

READ_BYTES = 16 * 1024
WAITING_BYTES = 32 * 1024
"""What a device may send ahead of its answers before it is not read any more; with one read more, its memory."""
HELLO_S = 15.0
"""Who does not say who it is for so long is cut."""
MESSAGE_S = 30.0
"""A message must be whole so long after its first byte, however often a further byte comes."""
AT_ONCE_PER_DEVICE = 2
_window = memoryview(bytearray(READ_BYTES))
"""Where every connection's bytes land first: a read and the copying of it are one step of the loop."""


_numbers = itertools.count(1)
T = TypeVar("T")


class Lines:
    """The open connections: how many there may be, when each is due, and which are one device's."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[Line] = set()
        self._by_device: dict[str, list[Line]] = {}
        self.cut = 0

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def enter(self, line: "Line") -> bool:
        """Whether there is room for one more; whoever has a place keeps it."""
        if line not in self._open and len(self._open) >= self._most:
            return False
        self._open.add(line)
        return True

    def belong(self, line: "Line", identifier: str) -> None:
        """A connection turned out to be this device's; of too many, the oldest is cut: its network forgot it."""
        if line not in self._open:
            return  # gone meanwhile
        mine = self._by_device.setdefault(identifier, [])
        mine.append(line)
        if len(mine) > AT_ONCE_PER_DEVICE:
            mine[0].abort()

    def leave(self, line: "Line", identifier: str | None) -> None:
        """A connection is gone."""
        self._open.discard(line)
        if identifier is not None and (mine := self._by_device.get(identifier)):
            mine.remove(line)
            if not mine:
                del self._by_device[identifier]

    async def watch(self) -> None:
        """Cut, for ever, whoever is silent or slow."""
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for line in [line for line in self._open if line.due < now]:
                self.cut += 1
                line.abort()

    async def close(self, within_s: float) -> None:
        """Let the messages that are being stored be answered, then close every connection."""
        for line in list(self._open):
            line.settle()
        storing = [line.waiting for line in self._open if line.waiting]
        if storing:
            await asyncio.wait(storing, timeout=within_s)
        for line in list(self._open):
            line.close()


class Line(asyncio.BufferedProtocol):
    """One connection. A protocol says how to take a message off the front of `pending`, and what is answered."""

    def __init__(self, desk: Desk, lines: Lines) -> None:
        self.desk, self.lines = desk, lines
        self.pending = bytearray()
        self.identifier: str | None = None
        self.address, self.number = "", next(_numbers)
        self.due = math.inf
        self.waiting: asyncio.Future[Any] | None = None
        self._is_paused = self._has_begun = self._is_over = False
        self.transport: asyncio.Transport | None = None

    @abstractmethod
    def take(self) -> bool:
        """Take one message, if it is whole, and `answer` it or `wait`; False when more bytes must come.

        Raises Malformed when the connection is of no more use.
        """

    def settle(self) -> None:
        """Take what is held back because more may belong to it; most protocols hold nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the device's name."""
        self.transport = cast(asyncio.Transport, transport)
        if not self.lines.enter(self):
            self.transport.abort()
            return
        peer = self.transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self.due = time.monotonic() + HELLO_S

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it; what came before is still taken: who sends without waiting for an answer may go at once."""
        self.transport = None
        self.lines.leave(self, self.identifier)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return _window

    def buffer_updated(self, nbytes: int) -> None:
        """Take over what came."""
        self.pending += _window[:nbytes]
        if self.transport is None:
            return  # the handshake's last packet brought it; it is taken once the connection is made
        if self.waiting is None:
            self._go_on()
        elif len(self.pending) > WAITING_BYTES and self.transport and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        """A device that reads no answers is none."""
        self.abort()

    def answer(self, message: bytes) -> None:
        """Send this, if anybody is there."""
        if self.transport is not None and message:
            self.transport.write(message)

    def close(self) -> None:
        """End the connection after what was answered; nothing more is taken."""
        self._is_over = True
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """End the connection at once; nothing more is taken."""
        self._is_over = True
        if self.transport is not None:
            self.transport.abort()

    def wait(self, future: "asyncio.Future[T]", then: Callable[[T], None]) -> None:
        """Take no further message until this is done; when it fails, end the connection unanswered."""
        self.waiting, self.due = future, math.inf

        def done(future: "asyncio.Future[T]") -> None:
            self.waiting = None
            failure = future.exception() if not future.cancelled() else asyncio.CancelledError()
            if failure is not None:
                if not isinstance(failure, Overloaded):
                    log.error("unexpected", exc_info=failure)
                self.abort()
                return
            then(future.result())
            self._go_on()

        future.add_done_callback(done)

    def _go_on(self) -> None:
        try:
            while self.waiting is None and not self._is_over and self.take():
                self._has_begun = False
        except Malformed as error:
            log.info("connection_refused", address=self.address, device=self.identifier, reason=str(error))
            self.close()
        if self._is_paused and len(self.pending) <= WAITING_BYTES and self.transport:
            self._is_paused = False
            self.transport.resume_reading()
        if self.waiting is None:
            self._set_due()

    def _set_due(self) -> None:
        if self.identifier is None:
            return  # the hello's own time runs
        if not self.pending:
            self.due, self._has_begun = time.monotonic() + self.desk.settings.gateway_idle_s, False
        elif not self._has_begun:
            self.due, self._has_begun = time.monotonic() + MESSAGE_S, True
