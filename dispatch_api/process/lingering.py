"""Who is answered while still sending: what comes then is read and dropped, within bounds, so that they see the answer.

Closed at once, our kernel would answer what is still on its way with a reset, and the sender's would throw the answer
away unread (RFC 9112 9.6). Nothing that comes is kept, so a sender without end costs neither memory nor much time.
"""

import asyncio

MOST_BYTES = 600 << 20
"""More than the largest body that any route takes (an import, 512 MiB): who sends one unasked is told why not."""
MOST_S = 60.0
"""So long a poor uplink (0.6 Mbit/s) takes for a piece of a file (4 MiB)."""
SILENT_S = 10.0
"""Who sends nothing for so long has given up, or has the answer and keeps the line open."""


class Lingering:
    """Counts what one connection sends after its answer, and cuts it at the bounds."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._left, self._until = MOST_BYTES, loop.time() + MOST_S
        self._look_later()

    def took(self, size: int) -> bool:
        """Count what came; whether the sender may go on."""
        self._left -= size
        self._is_silent = False
        if self._left < 0:
            self._cut()
        return self._left >= 0

    def end(self) -> None:
        """The sender is done, or gone."""
        self._timer.cancel()

    def _look_later(self) -> None:
        self._is_silent = True
        self._timer = self._loop.call_later(min(SILENT_S, MOST_S), self._look)

    def _look(self) -> None:
        if self._is_silent or self._loop.time() >= self._until:
            self._cut()
        else:
            self._look_later()

    def _cut(self) -> None:
        self._timer.cancel()
        self._transport.abort()
