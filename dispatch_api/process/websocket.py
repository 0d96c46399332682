"""How sockets are spoken: uvicorn's protocol, but whoever sends what is no frame can read that it is refused."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from dispatch_api.process.lingering import Lingering


class LingeringSocket(WebSocketsSansIOProtocol):
    """One connection."""

    _lingering: Lingering | None = None

    def data_received(self, data: bytes) -> None:
        """Take what comes; after a refusal, drop it."""
        if self._lingering is None:
            super().data_received(data)
        else:
            self._lingering.took(len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer behind."""
        super().connection_lost(exc)
        if self._lingering is not None:
            self._lingering.end()

    def handle_parser_exception(self) -> None:
        """Close with what was wrong, and read on for a while, as after a refused request."""
        told = self.conn.close_sent
        assert told is not None  # the parser has closed its side
        self.queue.put_nowait({"type": "websocket.disconnect", "code": told.code, "reason": told.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._lingering = Lingering(self.transport, self.loop)
        if self.close_timer is None:  # else the end of the application's part would close it at once
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
