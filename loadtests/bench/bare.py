"""The least that a websocket server in Python can do: one prebuilt frame, written to every connection.

`python -m loadtests.bench.bare PORT`. `POST /flood?frames=N` writes it so often to each that has been upgraded.
"""

import asyncio
import base64
import hashlib
import re
import sys
from typing import cast

import uvloop
from websockets.frames import Frame, Opcode

from loadtests.bench.apps import FLOOD

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 1.3."""
upgraded: set[asyncio.Transport] = set()


class Bare(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for what it asks."""
        self._transport, self._head = cast(asyncio.Transport, transport), b""

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        upgraded.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Upgrade, flood the others, or say that it is there."""
        if self._transport in upgraded:
            return
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        if key := re.search(rb"(?i)sec-websocket-key: *(\S+)", self._head):
            accept = base64.b64encode(hashlib.sha1(key[1] + GUID, usedforsecurity=False).digest())
            self._transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
            upgraded.add(self._transport)
            return
        if frames := re.match(rb"POST /flood\?frames=(\d+)", self._head):
            self._flooding = asyncio.ensure_future(_flood(int(frames[1])))
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self._transport.close()


async def _flood(frames: int) -> None:
    frame = Frame(Opcode.TEXT, FLOOD.encode()).serialize(mask=False)
    for _ in range(frames):
        for transport in upgraded:
            transport.write(frame)
        await asyncio.sleep(0)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port, backlog=2_000)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
