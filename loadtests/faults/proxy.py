"""A TCP proxy on the loop of a fault test, whose line can be cut in the ways networks are."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

Mode = Literal["pass", "blackhole", "rst"]
CHUNK = 64 * 1024
UNDER_WAY = 64
"""Chunks of one direction that may be on their way at once."""
ESTABLISHED = 1
RESET = struct.pack("ii", 1, 0)
"""Closed so, a connection ends with a reset rather than in order."""


def _is_left(writer: asyncio.StreamWriter) -> bool:
    """Whether the other end has closed this connection, read or not."""
    state: bytes = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return state[0] != ESTABLISHED


class Proxy:
    """Carries connections to a port of this machine.

    `pass` carries, each connection at most `bytes_per_s` each way, and everything `latency_s` late; `blackhole` keeps
    connections and carries nothing, as a lost radio link does: nobody is told; `rst` cuts them and every new one.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.mode: Mode = "pass"
        self.latency_s, self.bytes_per_s = 0.0, 0.0
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        """Carry until the block ends."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0, limit=CHUNK)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._cut()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"http://127.0.0.1:{self.port}"

    def turn(self, mode: Mode) -> None:
        """From now on the line is like this."""
        self.mode = mode
        if mode == "blackhole":
            self._open.clear()
        else:
            self._open.set()
        if mode == "rst":
            self._cut()

    def _cut(self) -> None:
        for writer in list(self._writers):
            with contextlib.suppress(OSError, ValueError):  # it is closed already
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._open.wait()
            if self.mode == "rst" or _is_left(writer):
                return  # who called into a dead line and gave up was never heard
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target, limit=CHUNK)
            self._writers.add(far_writer)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pump(reader, far_writer))
                    both.create_task(self._pump(far_reader, writer))
            finally:
                self._writers.discard(far_writer)
                far_writer.transport.abort()
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What is on its way is in a queue: latency delays each byte, but lets no line go slower."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._send(reader, under_way))
            both.create_task(self._arrive(under_way, writer))

    async def _send(self, reader: asyncio.StreamReader, under_way: "asyncio.Queue[tuple[float, bytes]]") -> None:
        loop, free_at = asyncio.get_running_loop(), 0.0
        while data := await reader.read(CHUNK):
            free_at = max(loop.time(), free_at) + (len(data) / self.bytes_per_s if self.bytes_per_s else 0.0)
            await asyncio.sleep(free_at - loop.time())
            await under_way.put((free_at + self.latency_s, data))
        await under_way.put((loop.time() + self.latency_s, b""))

    async def _arrive(self, under_way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - loop.time())
            await self._open.wait()
            if not data:
                break
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
