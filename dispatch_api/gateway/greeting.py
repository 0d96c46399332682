"""A connection before its TLS handshake is done: it takes the place of the line it is to be, and gives it back."""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from dispatch_api.gateway.line import HELLO_S, Line, Lines

_shaking = set[asyncio.Task[None]]()
"""The loop holds its tasks weakly."""


class Greeting(asyncio.Protocol):
    """Counts from the first packet on, so that handshakes which never end cannot take more room than lines may."""

    def __init__(self, line: Callable[[], Line], lines: Lines, secure: ssl.SSLContext) -> None:
        self._line, self._lines, self._secure = line(), lines, secure

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands, if there is room."""
        open_ = cast(asyncio.Transport, transport)
        if not self._lines.enter(self._line):
            open_.abort()
            return
        task = asyncio.get_running_loop().create_task(self._shake(open_), name="handshake")
        _shaking.add(task)
        task.add_done_callback(_shaking.discard)

    async def _shake(self, transport: asyncio.Transport) -> None:
        loop, line = asyncio.get_running_loop(), self._line
        try:
            secured = await loop.start_tls(
                transport, line, self._secure, server_side=True, ssl_handshake_timeout=HELLO_S
            )
        except (OSError, asyncio.CancelledError):  # what is no TLS, says nothing, or has gone
            transport.abort()
            self._lines.leave(line, None)
            return
        if secured is None:  # gone as it was done
            self._lines.leave(line, None)
            return
        line.connection_made(secured)
        line.buffer_updated(0)  # what came with the last packet of the handshake
