"""Many raw sockets that only count the flood's frames: `PORT PLAN N`, orders by line on the standard input.

`expect FRAMES` begins to count anew; `wait` answers when the last socket has its last frame (seconds since 1970).
"""

import asyncio
import base64
import json
import os
import struct
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

from loadtests.bench.apps import FLOOD

MARK = FLOOD.encode()


class Counter(asyncio.Protocol):
    """One socket."""

    all: list["Counter"] = []
    frames = 0
    left = 0
    last_at = 0.0

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token, self._seen, self.open = port, token, 0, False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Say hello once upgraded, then count."""
        data = self._rest + data
        if not self.open:
            self._rest = data
            if b"\r\n\r\n" in data:
                self.open, self._rest = True, b""
                hello = json.dumps({"kind": "hello", "token": self._token}).encode()
                self._transport.write(struct.pack("!BBH", 0x81, 0x80 | 126, len(hello)) + b"\0\0\0\0" + hello)
            return
        self._seen += data.count(MARK)
        end = data.rfind(MARK)
        self._rest = data[max(len(data) - len(MARK) + 1, end + len(MARK) if end >= 0 else 0) :]
        if self._seen == Counter.frames:
            self._seen = -1
            Counter.left -= 1
            Counter.last_at = time.time()

    @classmethod
    def begin(cls, frames: int) -> None:
        """Count anew, up to so many on each."""
        cls.frames, cls.left = frames, len(cls.all)
        for each in cls.all:
            each._seen = 0


async def _run(port: int, tokens: list[str], n: int) -> None:
    loop = asyncio.get_running_loop()
    for i in range(n):
        _, made = await loop.create_connection(lambda i=i: Counter(port, tokens[i % len(tokens)]), "127.0.0.1", port)
        Counter.all.append(made)
    while not all(each.open for each in Counter.all):
        await asyncio.sleep(0.05)
    await asyncio.sleep(1.5)  # the snapshot
    print("true", flush=True)
    while order := await asyncio.to_thread(sys.stdin.readline):
        if order.startswith("expect"):
            Counter.begin(int(order.split()[1]))
            print("true", flush=True)
        else:
            while Counter.left:
                await asyncio.sleep(0.01)
            print(Counter.last_at, flush=True)


if __name__ == "__main__":
    uvloop.run(_run(int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), int(sys.argv[3])))
