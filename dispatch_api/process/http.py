"""How HTTP is spoken: uvicorn's protocol, with each answer in one packet and a straight way for positions.

A position costs the framework's request cycle (a task, an event, three coroutines) more than storing it does. A plain
delivery of positions therefore goes from the parser to the device lane and back by calls; whatever is not plain goes
the usual way, where every rule stands. The lane is found by its method `store_soon`. A delivery that begins as one
before did is not even parsed (heads.py).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Protocol, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from dispatch_api.process.heads import Heads
from dispatch_api.process.lingering import Lingering

STRAIGHT = b"/api/v1/positions"
STRAIGHT_LINE = b"POST /api/v1/positions HTTP/1.1\r\n"
STRAIGHT_BODY = 1 << 16
"""Longer bodies go the usual way, which can hold the sender back."""
Headers = list[tuple[bytes, bytes]]
Answer = Callable[[int, bytes, bytes], None]
"""Takes status, the headers as they are sent, and the body."""


class Lane(Protocol):
    """What takes plain deliveries."""

    def opened(self, headers: Headers) -> Any:
        """What these headers open, whoever sends them; None when they are not those of a plain delivery."""

    def store_soon(self, opened: Any, body: bytes, peer: str, answer: Answer) -> bool:
        """Whether it was taken: then `answer` is called once."""


class _Together:
    """A transport that sends at the end of the loop's turn what was written during it, in one system call."""

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, linger: Callable[[], bool]
    ) -> None:
        self._transport, self._loop, self._linger = transport, loop, linger
        self._held: list[bytes] = []
        self._is_lingering = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Keep the data for the end of this turn."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)

    def flush(self) -> None:
        """Send what was kept, unless the connection was cut: uvloop takes a write to that for a fault."""
        held, self._held = self._held, []
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))

    def is_closing(self) -> bool:
        """Whether nothing more is to be sent."""
        return self._is_lingering or self._transport.is_closing()

    def close(self) -> None:
        """Send what was kept, and close once it has left; at the second call at the latest."""
        self.flush()
        if self.is_closing() or not self._linger():
            self._transport.close()
            return
        self._is_lingering = True
        if self._transport.can_write_eof():  # not within TLS
            self._transport.write_eof()


class _Always:
    """What every answer begins with, joined once for each new list of headers: uvicorn makes one a second."""

    headers: Headers | None = None
    lines = b""

    @classmethod
    def of(cls, headers: Headers) -> bytes:
        """The headers as they are sent."""
        if headers is not cls.headers:
            cls.headers, cls.lines = headers, b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        return cls.lines


class _Straight:
    """A request on the straight way, with what uvicorn asks of the request under way: whether it may start the next."""

    __slots__ = ("body", "disconnected", "keep_alive", "message_event", "more_body", "response_complete")

    def __init__(self, unheard: asyncio.Event) -> None:
        self.body = bytearray()
        self.disconnected = self.response_complete = False
        self.keep_alive = self.more_body = True
        self.message_event = unheard


class OnePacketProtocol(HttpToolsProtocol):
    """One connection."""

    _heads: ClassVar = Heads[Any]()

    def connection_made(self, transport: Any) -> None:
        """Speak through a transport that sends together what belongs together."""
        self._plain, self._unheard = transport, asyncio.Event()
        self._idle_since: float | None = self.loop.time()
        self._heard_at = 0.0
        self._is_between, self._whole = True, b""
        self._lane: Lane | None = self.app if hasattr(self.app, "store_soon") else None
        self._lingering: Lingering | None = None
        super().connection_made(cast(asyncio.Transport, _Together(transport, self.loop, self._linger)))
        self._look_again_in(self.timeout_keep_alive)

    def handle_websocket_upgrade(self) -> None:
        """Sockets write whole frames: they get the plain transport."""
        cast(_Together, self.transport).flush()
        self.transport = self._plain
        super().handle_websocket_upgrade()
        self._look_no_more()
        self.parser = cast(Any, None)  # the two hold each other, and neither has anything left to do

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer behind."""
        super().connection_lost(exc)
        self._look_no_more()
        if self._lingering:
            self._lingering.end()
        self.transport = self._plain  # the one that sends together knows this protocol

    def _linger(self) -> bool:
        """Read on before the connection is closed; whether that is needed: its sender may not be done."""
        if self._is_between and not self.pipeline:
            return False
        self._lingering = self._lingering or Lingering(self._plain, self.loop)
        self.flow.resume_reading()
        return True

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, wherever in it that shows."""
        self._is_between = False
        super().send_400_response(msg)

    def data_received(self, data: bytes) -> None:
        """Take a delivery whose head is known as it is; have all else parsed."""
        if self._lingering and (not self._lingering.took(len(data)) or self.transport.is_closing()):
            return
        if not (data.startswith(STRAIGHT_LINE) and self._is_between and self._is_free()):
            self._heard_at = self.loop.time()
            super().data_received(data)
            return
        known = self._heads.find(data)
        if known is None:
            self._whole = data
            super().data_received(data)
            self._whole = b""
            return
        self._idle_since = None
        before, self.cycle = self.cycle, cast(Any, _Straight(self._unheard))
        if not self._deliver(*known):
            self.cycle = before
            super().data_received(data)

    def _is_free(self) -> bool:
        """Whether nobody waits for an answer."""
        return self.cycle is None or self.cycle.response_complete

    def on_message_begin(self) -> None:
        """Begin a request; only the usual way needs its description."""
        self._is_between = False
        self.url, self.expect_100_continue, self.headers = b"", False, []

    def on_headers_complete(self) -> None:
        """Choose the way."""
        self._idle_since = None
        parser = self.parser
        if (
            self.url == STRAIGHT
            and self._lane
            and not self.expect_100_continue
            and self._is_free()
            and parser.get_method() == b"POST"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
        ):
            self.cycle = cast(Any, _Straight(self._unheard))
        else:
            self._start_the_usual_way()

    def on_body(self, body: bytes) -> None:
        """Collect the body."""
        request: Any = self.cycle
        if type(request) is not _Straight or request.response_complete:
            super().on_body(body)
            return
        request.body += body
        if len(request.body) > STRAIGHT_BODY:
            self._go_the_usual_way()

    def on_message_complete(self) -> None:
        """Hand a whole request over."""
        self._is_between = True
        if self._lingering:
            self._lingering.end()
            self._lingering = None
        request: Any = self.cycle
        if type(request) is _Straight and not request.response_complete:
            opened, body = self._lane and self._lane.opened(self.headers), bytes(request.body)
            if opened and self._deliver(opened, body):
                self._heads.note(self._whole, body, opened)
                return
            self._go_the_usual_way()
        super().on_message_complete()

    def _deliver(self, opened: Any, body: bytes) -> bool:
        peer = self.client[0] if self.client else ""
        lane = cast(Lane, self._lane)
        return lane.store_soon(opened, body, peer, partial(self._answer, self.cycle))

    def _go_the_usual_way(self) -> None:
        """Begin the request again as any other, with what came of its body."""
        body = bytes(self.cycle.body)
        self.cycle.response_complete = True
        self._start_the_usual_way()
        super().on_body(body)

    def _start_the_usual_way(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)  # the list that the description holds
        super().on_headers_complete()
        if expects:  # answered without being told to go on, a sender may leave its body out: it could be anything next
            self.cycle.keep_alive = False

    def _answer(self, request: Any, status: int, head: bytes, body: bytes) -> None:
        request.response_complete, request.more_body = True, False
        if not request.disconnected:
            always = _Always.of(self.server_state.default_headers)
            self._plain.write(b"".join((STATUS_LINE[status], always, head, b"\r\n", body)))
            if not request.keep_alive:
                self._plain.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """Start what waits, else let the connection idle: one timer for all its pauses, not one for each."""
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self._look_again_in(self.timeout_keep_alive)
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        if self.cycle.response_complete and self.cycle.more_body:
            self._linger()
        self.flow.resume_reading()
        self._idle_since = self.loop.time()

    def _unset_keepalive_if_required(self) -> None:
        """Bytes alone are no reason to wait on: what is waited for is a whole head, then all of its body."""

    def _look_again_in(self, wait_s: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(wait_s, self._close_if_idle)

    def _look_no_more(self) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()

    def _close_if_idle(self) -> None:
        """End a connection whose sender keeps the next request back, or has fallen silent within its body."""
        self.timeout_keep_alive_task = None
        since = self._idle_since
        if since is None:
            if self._is_between:
                return  # the end of the request under way sets the timer again
            since = self.loop.time() if self.flow.read_paused else self._heard_at
        left_s = since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._look_again_in(left_s)
        elif self._is_between:
            self.transport.close()
        else:
            self.transport.abort()
