"""A delivery whose head came before is taken as it is, and nothing that only looks like one."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn

from dispatch_api.process.heads import LONGEST, MOST, Heads
from dispatch_api.process.http import OnePacketProtocol

LINE = "POST /api/v1/positions HTTP/1.1\r\nHost: a\r\n"


def request(body: bytes, said: int | str | None = None, more: str = "Authorization: Bearer b\r\n") -> bytes:
    """A delivery that says its body has so many bytes."""
    return f"{LINE}Content-Length: {len(body) if said is None else said}\r\n{more}\r\n".encode() + body


class Lane:
    """Takes deliveries, and counts whose headers it was shown."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.shown = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The usual way is not for these tests."""
        raise AssertionError(scope)

    def opened(self, headers: list[tuple[bytes, bytes]]) -> Any:
        """The key."""
        self.shown += 1
        return dict(headers)[b"authorization"].decode()

    def store_soon(self, opened: str, body: bytes, peer: str, answer: Callable[[int, bytes, bytes], None]) -> bool:
        """Take and answer."""
        self.taken.append((opened, body))
        answer(200, b"content-length: 2\r\n", b"ok")
        return True


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written.append(data)

    def is_closing(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
async def line(monkeypatch: pytest.MonkeyPatch) -> tuple[OnePacketProtocol, Lane, Transport]:
    """A connection on which no head is known yet."""
    monkeypatch.setattr(OnePacketProtocol, "_heads", Heads[Any]())
    lane, transport = Lane(), Transport()
    config = uvicorn.Config(lane, interface="asgi3", lifespan="off", log_config=None, proxy_headers=False)
    config.load()
    loop = asyncio.get_running_loop()
    protocol = OnePacketProtocol(config=config, server_state=uvicorn.server.ServerState(), app_state={}, _loop=loop)
    protocol.connection_made(transport)
    return protocol, lane, transport


async def test_what_begins_as_before_is_not_parsed(line: tuple[OnePacketProtocol, Lane, Transport]) -> None:
    protocol, lane, transport = line
    bodies = [b"first", b"second, longer", b"", b"with\r\n\r\nContent-Length: 3\r\n\r\n"]
    for body in bodies:
        protocol.data_received(request(body))
    assert lane.taken == [("Bearer b", body) for body in bodies]
    assert lane.shown == 1
    assert len(transport.written) == len(bodies)
    protocol.data_received(request(b"other", more="Authorization: Bearer c\r\n"))
    assert (lane.taken[-1], lane.shown) == (("Bearer c", b"other"), 2)


async def test_parts_and_several_at_once_are_parsed(line: tuple[OnePacketProtocol, Lane, Transport]) -> None:
    protocol, lane, _ = line
    protocol.data_received(request(b"known"))
    whole = request(b"in parts")
    for part in (whole[:30], whole[30:-3], whole[-3:]):
        protocol.data_received(part)
    protocol.data_received(request(b"two") + request(b"at once"))
    protocol.data_received(request(b"one and a half") + whole[:70])
    protocol.data_received(whole[70:])
    expected = [b"known", b"in parts", b"two", b"at once", b"one and a half", b"in parts"]
    assert [body for _, body in lane.taken] == expected
    protocol.data_received(request(b"alone again"))
    assert (lane.taken[-1][1], lane.shown) == (b"alone again", len(expected))


@pytest.mark.parametrize("said", [4, 6, "+5", " 5", "5,5", "5\r\nContent-Length: 5", "\u0665", "000005", "-5", ""])
def test_another_length_than_the_body_has_is_for_the_parser(said: int | str) -> None:
    heads = Heads[str]()
    heads.note(request(b"12345"), b"12345", "noted")
    assert heads.find(request(b"54321")) == ("noted", b"54321")
    assert heads.find(request(b"54321", said)) is None


@pytest.mark.parametrize(
    "data",
    [
        request(b"12345", more="Authorization: Bearer c\r\n"),
        request(b"12345").replace(b"Host: a", b"Host: b"),
        request(b"12345").replace(b"Content-Length", b"content-length"),
        request(b"12345").replace(b"\r\nContent-Length: 5", b""),
        request(b"")[:-1],
        request(b"")[:-4] + b"x" * 9,
        b"",
    ],
)
def test_another_head_or_none_is_for_the_parser(data: bytes) -> None:
    heads = Heads[str]()
    heads.note(request(b"12345"), b"12345", "noted")
    assert heads.find(data) is None


def test_only_so_many_and_no_long_heads_are_kept() -> None:
    heads = Heads[int]()
    long = request(b"1", more="X: " + "x" * LONGEST + "\r\n")
    heads.note(long, b"1", 0)
    assert heads.find(long) is None
    for number in range(MOST + 1):
        heads.note(request(b"1", more=f"X: {number}\r\n"), b"1", number)
    assert heads.find(request(b"1", more=f"X: {MOST}\r\n")) == (MOST, b"1")
    assert heads.find(request(b"1", more="X: 0\r\n")) is None
