"""Bytes on a connection: the straight way of positions and the usual one answer alike, in order, whatever comes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
import uvicorn
import uvloop

from dispatch_api.process.http import OnePacketProtocol
from tests import module_wide
from tests.geo.fleet import Fleet, now
from tests.helpers import Server, eventually

HEADERS = "Host: localhost\r\nContent-Type: application/json\r\n"

database, server = module_wide.database, module_wide.server


class Line:
    """One device on duty, its connection, and what it sent so far."""

    def __init__(self, fleet: Fleet, device_id: UUID, key: str, server: Server) -> None:
        self.fleet, self.device_id, self.key, self.server = fleet, device_id, key, server
        self.sent = 0

    async def open(self) -> None:
        """Connect, or connect again."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.server.port)

    def body(self, n: int = 1, **more: Any) -> bytes:
        """A batch of fixes that were not sent yet."""
        fixes = []
        for _ in range(n):
            self.sent += 1
            fixes.append({"fix_at": (now() - timedelta(seconds=self.sent)).isoformat(), "lat": 54.7, "lon": 25.3})
        return json.dumps({"fixes": fixes} | more).encode()

    def post(self, body: bytes, more: str = "", key: str | None = None, version: str = "1.1") -> bytes:
        """A request with its body."""
        head = f"POST /api/v1/positions HTTP/{version}\r\n{HEADERS}Authorization: Bearer {key or self.key}\r\n{more}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def send(self, data: bytes) -> None:
        """Put bytes on the line."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """The next answer: status, headers, body."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await asyncio.wait_for(self.reader.readexactly(int(headers["content-length"])), 10)
        return int(head[0].split()[1]), headers, json.loads(body)

    async def ask(self, data: bytes) -> tuple[int, dict[str, str], Any]:
        """Send and take the answer."""
        await self.send(data)
        return await self.answer()

    async def stored(self) -> int:
        """How many fixes are in the database."""
        return len(await self.fleet.track(self.device_id))


@pytest_asyncio.fixture
async def line(server: Server) -> AsyncIterator[Line]:
    db = await server.database.owner()
    fleet = Fleet(db)
    _, device_id, key = await fleet.crew()
    made = Line(fleet, device_id, key, server)
    await made.open()
    assert (await made.ask(made.post(made.body())))[0] == 200  # from now on the device is known: the straight way
    yield made
    made.writer.close()
    await db.close()


async def test_a_sender_that_asks_first_is_told_to_go_on(line: Line) -> None:
    request = line.post(line.body(), "Expect: 100-continue\r\n")
    await line.send(request[:-1])
    assert await asyncio.wait_for(line.reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (await line.ask(request[-1:]))[2]["accepted"] == 1


async def test_both_ways_answer_alike(line: Line) -> None:
    straight = await line.ask(line.post(line.body()))
    body = line.body()
    head = f"POST /api/v1/positions HTTP/1.1\r\n{HEADERS}Authorization: Bearer {line.key}\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:20], body[20:])) + b"0\r\n\r\n"
    chunked = await line.ask(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks)
    query = await line.ask(line.post(line.body()).replace(b"positions HTTP", b"positions?a=1 HTTP", 1))
    assert straight[0] == chunked[0] == query[0] == 200
    assert straight[1].keys() == chunked[1].keys() == query[1].keys()
    assert straight[2] == chunked[2] == query[2]


async def test_answers_come_in_the_order_of_requests_sent_together(line: Line) -> None:
    health = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    requests = [line.post(line.body(2)), health, line.post(line.body(3)), line.post(line.body(1)), health]
    await line.send(b"".join(requests))
    answers = [(await line.answer())[2] for _ in requests]
    assert [answer.get("accepted", "health") for answer in answers] == [2, "health", 3, 1, "health"]
    assert await line.stored() == 7


async def test_byte_by_byte(line: Line) -> None:
    for byte in line.post(line.body()):
        await line.send(bytes([byte]))
    assert (await line.answer())[2]["accepted"] == 1


async def test_a_long_body_changes_the_way_and_is_stored_once(line: Line) -> None:
    body = line.body(900, filler="x" * 100_000)
    assert (await line.ask(line.post(body)))[2]["accepted"] == 900
    assert (await line.ask(line.post(body)))[2]["duplicates"] == 900
    assert await line.stored() == 901


@pytest.mark.parametrize(
    ("body", "key", "status", "code"),
    [
        (b'{"fixes": [', None, 400, "malformed"),
        (b'{"fixes": 3}', None, 422, "invalid"),
        (b'{"fixes": []}', "od_nobody", 401, "bad_device_key"),
        (b'{"fixes": [' + b"0," * 1_000 + b"0]}", None, 413, "too_large"),
    ],
)
async def test_refusals_are_the_usual_ones(line: Line, body: bytes, key: str | None, status: int, code: str) -> None:
    refused = await line.ask(line.post(body, key=key))
    assert (refused[0], refused[2]["code"]) == (status, code)
    assert refused[1]["content-type"] == "application/problem+json"
    assert await line.stored() == 1


async def test_the_last_request_of_a_connection_is_answered_before_it_closes(line: Line) -> None:
    for request in (line.post(line.body(), "Connection: close\r\n"), line.post(line.body(), version="1.0")):
        assert (await line.ask(request))[0] == 200
        assert await line.reader.read() == b""
        await line.open()


async def test_who_leaves_before_the_answer_has_delivered(line: Line) -> None:
    await line.send(line.post(line.body()))
    line.writer.transport.abort()
    async with asyncio.timeout(5):
        while await line.stored() < 2:
            await asyncio.sleep(0.02)
    await line.open()
    assert (await line.ask(line.post(line.body())))[0] == 200


@pytest_asyncio.fixture
async def impatient() -> AsyncIterator[tuple[str, int]]:
    """Where a server listens that reads bodies, answers 204, and waits for nobody longer than a second."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(app, http=OnePacketProtocol, timeout_keep_alive=1, lifespan="off", log_config=None)
    config.load()
    states = uvicorn.server.ServerState()
    listening = await asyncio.get_running_loop().create_server(
        lambda: OnePacketProtocol(config=config, server_state=states, app_state={}), "127.0.0.1"
    )
    yield listening.sockets[0].getsockname()
    listening.close()


async def test_an_idle_connection_is_closed_in_time_and_one_in_use_is_not(impatient: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*impatient)
    for _ in range(3):  # with pauses shorter than the limit, and longer than it together
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"204" in await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.6)
    assert await asyncio.wait_for(reader.read(), 5) == b"", "closed by the server"
    writer.close()


POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
BEGINNINGS = {"nothing": b"", "half a head": POST[:20], "half a body": POST + b"1234"}


@pytest.mark.parametrize("begun", BEGINNINGS)
async def test_who_begins_and_falls_silent_is_let_go(begun: str, impatient: tuple[str, int]) -> None:
    """A tracker whose network is gone says no goodbye."""
    reader, writer = await asyncio.open_connection(*impatient)
    writer.write(BEGINNINGS[begun])
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_head_that_drips_is_cut_and_a_body_that_drips_is_not(impatient: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*impatient)
    answered, sent = asyncio.create_task(reader.read(12)), 0
    while not answered.done() and sent < len(POST):
        writer.write(POST[sent : sent + 1])
        sent += 1
        await asyncio.sleep(0.1)
    with contextlib.suppress(ConnectionError):
        assert await answered == b""
    assert sent < len(POST) / 2
    writer.close()
    reader, writer = await asyncio.open_connection(*impatient)
    writer.write(POST)
    for byte in b"123456789":
        await asyncio.sleep(0.3)
        writer.write(bytes([byte]))
    assert b" 204 " in await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
    writer.close()


def test_an_answer_to_a_line_that_was_cut_is_dropped_without_a_fault() -> None:
    """A tablet that is reset while it is answered is nobody's error."""
    faults = list[Any]()

    async def answered() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, told: faults.append(told))
        made = list[OnePacketProtocol]()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()

        def accepted() -> OnePacketProtocol:
            config = uvicorn.Config(app, http=OnePacketProtocol, lifespan="off", log_config=None)
            config.load()
            made.append(OnePacketProtocol(config=config, server_state=uvicorn.server.ServerState(), app_state={}))
            return made[-1]

        listening = await loop.create_server(accepted, "127.0.0.1")
        _, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        await eventually(lambda: made and made[0].transport)
        cut: Any = made[0].transport
        cut.abort()
        await eventually(lambda: made[0].transport is not cut)
        cut.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.close()
        listening.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(answered())
    assert faults == []
