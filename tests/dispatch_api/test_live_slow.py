"""Readers that stop reading: they are cut, take no memory, and cost the others nothing; slow ones are waited for."""

import asyncio
import base64
import json
import os
import socket
import struct
import time
from dataclasses import dataclass, field

import asyncpg
import psutil
import websockets
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role
from core.ids import new_id
from dispatch_api.live import client
from tests.dispatch_api.test_live import close_code, connected, marks, token_of, until
from tests.helpers import Server, eventually, person

UNITS = 1_000
"""A tick that moves them all makes a frame of about 130 kB."""


@dataclass
class Raw:
    """A websocket client by hand, which reads only when told to, with next to no room in its kernel."""

    port: int
    token: str
    plain: socket.socket = field(default_factory=socket.socket)

    def __post_init__(self) -> None:
        self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.plain.connect(("127.0.0.1", self.port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.plain.sendall(
            f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self.plain.recv(1)
        assert answer.startswith(b"HTTP/1.1 101"), answer
        hello = json.dumps({"kind": "hello", "token": self.token}).encode()
        self.plain.sendall(struct.pack("!BBH", 0x81, 0x80 | 126, len(hello)) + b"\0\0\0\0" + hello)

    @property
    def own_port(self) -> int:
        return int(self.plain.getsockname()[1])


def held(server: Server, port: int) -> bool:
    """Whether the server process still has this connection."""
    assert server.process
    connections = psutil.Process(server.process.pid).net_connections("tcp")
    return any(c.raddr and c.raddr.port == port for c in connections)


async def fleet(owner: asyncpg.Connection) -> None:
    units = [new_id() for _ in range(UNITS)]
    await owner.execute(
        "INSERT INTO unit (id, call_sign, kind, capabilities, tracking, status, status_at, version, created_at,"
        " updated_at) SELECT id, id::text, 'patrol', '{}', 'always', 'available', now(), 1, now(), now()"
        " FROM unnest($1::uuid[]) id", units,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO unit_latest (unit_id, device_id, fix_at, received_at, point) SELECT id, id, now(), now(),"
        " ST_SetSRID(ST_MakePoint(24 + random(), 55 + random()), 4326) FROM unnest($1::uuid[]) id", units,
    )  # fmt: skip


async def move(owner: asyncpg.Connection) -> None:
    await owner.execute(
        "UPDATE unit_latest SET fix_at = now(), received_at = now(), heading_deg = 360 * random(),"
        " point = ST_SetSRID(ST_MakePoint(24 + random(), 55 + random()), 4326)"
    )


def test_what_many_are_sent_is_framed_once_and_a_long_snapshot_is_held_by_nobody() -> None:
    message, snapshot = "x" * client.SHARED_UP_TO, "x" * (client.SHARED_UP_TO + 1)
    assert client.frame(message) is client.frame(message)
    assert client.frame(snapshot) is not client.frame(snapshot)


async def test_stalled_readers_are_cut_and_stop_nobody(server: Server, engine: AsyncEngine) -> None:
    owner = await server.database.owner()
    await fleet(owner)
    tokens = [await token_of(engine, await person(engine, Role.DISPATCHER)) for _ in range(3)]
    assert server.process
    async with connected(server, "/live", tokens[0]) as quick:
        await until(quick, "snapshot")
        rss = psutil.Process(server.process.pid).memory_info().rss
        stalled = [Raw(server.port, token) for token in tokens[1:] for _ in range(5)]
        began, waits = time.monotonic(), []
        while any(held(server, raw.own_port) for raw in stalled):
            assert time.monotonic() - began < 20, "stalled sockets are still open"
            moved = time.monotonic()
            await move(owner)
            while len(marks(await until(quick, "units", within_s=4))) < UNITS // 2:
                pass
            waits.append(time.monotonic() - moved)
        assert len(waits) >= 5, "they were cut before they could be called stalled"
        assert max(waits) < 2.5, waits
        grown = psutil.Process(server.process.pid).memory_info().rss - rss
        assert grown < 20 * 1024 * 1024, f"{grown / 2**20:.0f} MiB"
    await owner.close()


async def test_a_slow_reader_keeps_its_socket_and_skips_what_it_missed(server: Server, engine: AsyncEngine) -> None:
    owner = await server.database.owner()
    await fleet(owner)
    token = await token_of(engine, await person(engine, Role.DISPATCHER))
    raw = Raw(server.port, token)
    raw.plain.setblocking(False)
    loop, received = asyncio.get_running_loop(), 0
    for _ in range(40):  # 16 kB each quarter of a second, of 130 kB a second that there would be
        await move(owner)
        received += len(await loop.sock_recv(raw.plain, 16_384))
        await asyncio.sleep(0.25)
    assert held(server, raw.own_port)
    assert received > 60_000
    async with connected(server, "/live", token) as fresh:
        assert len(marks(await until(fresh, "snapshot"))) == UNITS
    await owner.close()


async def test_a_peer_that_vanishes_is_forgotten(server: Server, engine: AsyncEngine) -> None:
    token = await token_of(engine, await person(engine, Role.DISPATCHER))
    for _ in range(5):
        raw = Raw(server.port, token)
        raw.plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await asyncio.sleep(0.2)
        raw.plain.close()  # a reset, as when a tablet loses its network and comes back

    async def welcome() -> bool:
        async with connected(server, "/live", token) as again:
            try:
                return bool(await until(again, "snapshot"))
            except websockets.ConnectionClosed:
                return False

    assert await eventually(welcome)


async def test_going_down_says_so(server: Server, engine: AsyncEngine) -> None:
    token = await token_of(engine, await person(engine, Role.DISPATCHER))
    async with connected(server, "/live", token) as watching:
        await until(watching, "snapshot")
        assert server.process
        server.process.terminate()
        assert await close_code(watching) == 1012
