"""Whoever is refused while still sending gets the refusal whole; whoever sends without end is cut."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest
import uvicorn

from dispatch_api.process import lingering
from dispatch_api.process.http import OnePacketProtocol
from dispatch_api.process.websocket import LingeringSocket
from tests import module_wide
from tests.geo.fleet import Fleet
from tests.helpers import Server

MIB = 2**20
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
TOO_LARGE = ["/ingest/overland", "/api/v1/positions", "/api/v1/tasks"]
"""The device lane's own limit, that of the straight way, and everybody else's."""


database, server = module_wide.database, module_wide.server


@pytest.fixture
async def key(server: Server) -> AsyncIterator[str]:
    """The key of a device on duty."""
    db = await server.database.owner()
    yield (await Fleet(db).crew())[2]
    await db.close()


def head(path: str, size: int | None, key: str = "", more: str = "") -> bytes:
    """A POST up to its body, of a length that is told or not."""
    length = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\n{more}{length}\r\n\r\n"
    ).encode()


def read_on(plain: socket.socket) -> bytes:
    """All that comes until the server ends."""
    received = b""
    while part := plain.recv(65_536):
        received += part
    return received


def sent_then_read(server: Server, data: bytes) -> bytes:
    """Send everything in one go, and only then read."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
        plain.sendall(data)
        return read_on(plain)


def is_whole(answer: bytes, status: int) -> bool:
    """Whether this is one answer with its whole body."""
    told, _, body = answer.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in told.lower().split(b"\r\n") if line.startswith(b"content-length")]
    return answer.startswith(b"HTTP/1.1 %d " % status) and lengths == [len(body)] and b"connection: close" in told


@pytest.mark.parametrize("path", TOO_LARGE)
async def test_who_sends_3_mb_and_then_reads_is_told_413_each_time(path: str, server: Server, key: str) -> None:
    for size in (3 * MIB, None):
        body = b" " * 3 * MIB if size else b"".join(b"10000\r\n%s\r\n" % (b" " * 65_536) for _ in range(48))
        for _ in range(25):
            answer = await asyncio.to_thread(sent_then_read, server, head(path, size, key) + body)
            assert is_whole(answer, 413), answer[:200]


async def test_rubbish_of_any_length_is_told_400(server: Server) -> None:
    for _ in range(20):
        assert b" 400 " in (await asyncio.to_thread(sent_then_read, server, b"\x16\x03\x01" * MIB))[:20]


async def test_16_mib_too_many_are_dropped_as_they_come(server: Server, key: str) -> None:
    assert server.process
    process = psutil.Process(server.process.pid)
    await asyncio.to_thread(sent_then_read, server, head("/ingest/overland", 3 * MIB, key) + b" " * 3 * MIB)
    before = process.memory_info().rss
    for _ in range(5):
        data = head("/ingest/overland", 18 * MIB, key) + b" " * 18 * MIB
        assert is_whole(await asyncio.to_thread(sent_then_read, server, data), 413)
    assert process.memory_info().rss - before < 8 * MIB


async def test_a_refusal_before_the_body_keeps_the_line_for_what_comes_next(server: Server) -> None:
    data = head("/api/v1/violations/import", 3 * MIB, "st_nobody") + b" " * 3 * MIB + HEALTH
    last = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answers = await asyncio.to_thread(sent_then_read, server, data + last)
    assert [part.split()[0] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"401", b"200", b"200"]


@pytest.mark.parametrize("path", TOO_LARGE)
async def test_who_asks_first_is_refused_without_being_told_to_go_on(path: str, server: Server, key: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head(path, 3 * MIB, key, "Expect: 100-continue\r\n"))
    assert is_whole(await asyncio.wait_for(reader.read(), 5), 413), "and the line is at its end"
    writer.close()


async def test_who_asks_first_and_is_refused_at_once_cannot_mistake_the_next_request(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head("/ingest/overland", 100, "od_nobody", "Expect: 100-continue\r\n"))
    assert is_whole(await asyncio.wait_for(reader.read(), 5), 401)
    writer.close()


# The bounds, made small


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[int]:
    """The port where an application is served as ours is."""
    config = uvicorn.Config(
        app, http=OnePacketProtocol, ws=LingeringSocket, ws_max_size=65_536, lifespan="off", log_config=None
    )
    config.load()
    states = uvicorn.server.ServerState()
    serving = await asyncio.get_running_loop().create_server(
        lambda: OnePacketProtocol(config=config, server_state=states, app_state={}), "127.0.0.1"
    )
    yield serving.sockets[0].getsockname()[1]
    assert not states.connections, "every connection was let go"
    serving.close()


@asynccontextmanager
async def refusing(status: int = 413, *headers: tuple[bytes, bytes]) -> AsyncIterator[int]:
    """The port of a server that answers everything at once, without reading on."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0"), *headers]})
        await send({"type": "http.response.body", "body": b""})

    async with listening(app) as port:
        yield port


KEPT: tuple[tuple[bytes, bytes], ...] = ()
CLOSED = ((b"connection", b"close"),)


async def sent_until_cut(port: int, part: bytes, pause_s: float) -> int:
    """How many bytes the server takes of a body without end."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head("/", 1 << 40))
    return await sent_on(writer, part, pause_s)


async def sent_on(writer: asyncio.StreamWriter, part: bytes, pause_s: float) -> int:
    """The same on an open connection."""
    sent = 0
    try:
        async with asyncio.timeout(20):
            while True:
                writer.write(part)
                await writer.drain()
                sent += len(part)
                await asyncio.sleep(pause_s)
    except ConnectionError:
        return sent
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


@pytest.mark.parametrize("headers", [KEPT, CLOSED])
async def test_a_body_without_end_is_cut_at_so_many_bytes(headers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "MOST_BYTES", 8 * MIB)
    async with refusing(413, *headers) as port:
        assert 8 * MIB < await sent_until_cut(port, b" " * 65_536, 0) < 24 * MIB  # with what the kernel holds


@pytest.mark.parametrize("headers", [KEPT, CLOSED])
async def test_one_that_only_drips_is_cut_in_time(headers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "MOST_S", 0.5)
    monkeypatch.setattr(lingering, "SILENT_S", 0.2)
    async with refusing(413, *headers) as port:
        assert await sent_until_cut(port, b" ", 0.02) > 5


@pytest.mark.parametrize("headers", [KEPT, CLOSED])
async def test_one_that_falls_silent_is_cut(headers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "SILENT_S", 0.1)
    async with refusing(413, *headers) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head("/", 1000))
        assert b" 413 " in await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)
        for _ in range(100):  # the cut shows when something is sent
            try:
                writer.write(b" ")
                await writer.drain()
            except ConnectionError:
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("it was not cut")
        writer.transport.abort()


async def test_a_whole_request_sent_with_the_next_bounds_only_its_own_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "MOST_BYTES", 1_000)
    async with refusing(200) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):  # the second request has begun when the first is answered, and is no rest of it
            writer.write(HEALTH + HEALTH[:10])
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            writer.write(b"".join((HEALTH[10:-2], b"X: ", b"x" * 2_000, b"\r\n\r\n")))
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await asyncio.sleep(0.05)


async def test_a_frame_without_end_is_cut_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "MOST_BYTES", 8 * MIB)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        assert (await receive())["type"] == "websocket.receive"
        assert (await receive())["code"] == 1009

    async with listening(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        writer.write(b"\x81\x81\0\0\0\0x" + struct.pack("!BBQ", 0x81, 0x80 | 127, 1 << 40) + bytes(4))
        assert 8 * MIB < await sent_on(writer, b" " * 65_536, 0) < 24 * MIB
