"""However sockets end, the server lets go of them: hundreds in every bad way leave no descriptor behind."""

import asyncio
import base64
import json
import os
import socket
import struct
import time

import psutil
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role
from tests import module_wide
from tests.dispatch_api.test_live import connected, token_of, until
from tests.helpers import Server, eventually, person

database, server = module_wide.database, module_wide.server

TIMES = 5
ORIGIN = "Origin: https://elsewhere.example\r\n"
TEXT, CLOSE = 0x81, 0x88


def head(server: Server, path: str = "/api/v1/live", more: str = "") -> bytes:
    """The request of a websocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{more}"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def frame(content: bytes, kind: int = TEXT) -> bytes:
    """One masked frame."""
    return struct.pack("!BBH", kind, 0x80 | 126, len(content)) + b"\0\0\0\0" + content


def hello(token: str) -> bytes:
    return frame(json.dumps({"kind": "hello", "token": token}).encode())


def beginnings(server: Server, token: str) -> dict[str, list[bytes]]:
    """What is sent, with a moment between, before a socket ends in one of the ways below."""
    return {
        "half a request": [head(server)[:60]],
        "a request": [head(server)],
        "no hello": [head(server), b""],
        "a hello": [head(server), hello(token)],
        "half a frame": [head(server), hello(token)[:9]],
        "a wrong token": [head(server), hello("st_nobody")],
        "a bad message": [head(server), hello(token), frame(b"{")],
        "no frame": [head(server), hello(token), b"\xff\xff\xff\xff"],
        "a text that is none": [head(server), frame(b"\xff")],
        "a close": [head(server), hello(token), frame(struct.pack("!H", 1000), CLOSE)],
        "a close at once": [head(server), frame(struct.pack("!H", 1000), CLOSE)],
        "a foreign page": [head(server, more=ORIGIN)],
        "an unknown address": [head(server, "/api/v1/nothing")],
        "another version": [head(server).replace(b"Version: 13", b"Version: 12")],
        "no key": [head(server).replace(b"Sec-WebSocket-Key", b"X-Key")],
    }


def opened(server: Server, parts: list[bytes]) -> socket.socket:
    """A connection that sent these; frames only once the socket is open."""
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    plain.sendall(parts[0])
    answer = b""
    while len(parts) > 1 and not answer.endswith(b"\r\n\r\n"):
        answer += plain.recv(1)
    for part in parts[1:]:
        plain.sendall(part)
        time.sleep(0.01)
    return plain


def vanish(plain: socket.socket) -> None:
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()


def half_close(plain: socket.socket) -> None:
    plain.shutdown(socket.SHUT_WR)


async def test_however_sockets_end_no_descriptor_is_left(server: Server, engine: AsyncEngine) -> None:
    assert server.process
    process = psutil.Process(server.process.pid)
    tokens = [await token_of(engine, await person(engine, Role.DISPATCHER)) for _ in range(8)]
    async with connected(server, "/live", tokens[0]) as socket_:
        await until(socket_, "snapshot")
    await eventually(lambda: not clients_of(process, server), timeout_s=10)
    before = beside_sockets(process)
    kept: list[socket.socket] = []
    for n in range(TIMES):
        for parts in beginnings(server, tokens[n % len(tokens)]).values():
            for end in (socket.socket.close, vanish, half_close):
                plain = await asyncio.to_thread(opened, server, parts)
                end(plain)
                if end is half_close:
                    kept.append(plain)  # it is the server that must end it
    assert len(kept) == TIMES * 15
    await eventually(lambda: not clients_of(process, server), timeout_s=30, every_s=0.5)
    assert beside_sockets(process) == before
    for plain in kept:
        plain.close()


def beside_sockets(process: psutil.Process) -> int:
    """Its descriptors but for sockets; those of the database's pool come as they are needed."""
    return int(process.num_fds()) - len(process.net_connections("all"))


def clients_of(process: psutil.Process, server: Server) -> int:
    """How many connections the server has with clients."""
    return sum(bool(one.raddr) and one.laddr.port == server.port for one in process.net_connections("tcp"))


def refused(server: Server, token: str, sent: bytes) -> bytes:
    """What a peer reads that first sends everything."""
    with opened(server, [head(server), hello(token)]) as plain:
        plain.sendall(sent)
        received = b""
        while part := plain.recv(65_536):
            received += part
    return received


LONG = struct.pack("!BBQ", TEXT, 0x80 | 127, 3 << 20) + bytes(4 + (3 << 20))
RUBBISH = b"\xff" * (3 << 20)


@pytest.mark.parametrize(("sent", "code"), [(LONG, 1009), (RUBBISH, 1002)])
async def test_who_sends_what_is_no_frame_of_ours_reads_why_it_is_refused(
    sent: bytes, code: int, server: Server, engine: AsyncEngine
) -> None:
    token = await token_of(engine, await person(engine, Role.DISPATCHER))
    for _ in range(25):
        told = await asyncio.to_thread(refused, server, token, sent)
        closed, size = told.rfind(bytes([CLOSE])), len(told)
        assert told[closed + 1] == size - closed - 2, "a close frame is the last that came"
        assert told[closed + 2 : closed + 4] == struct.pack("!H", code), told[closed:]
