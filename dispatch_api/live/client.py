"""One open socket: what it is owed, in order, sent by a task of its own, so that a stalled reader stops nobody."""

import asyncio
import contextlib
import socket as sockets
import struct
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice
from uuid import UUID

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from websockets.frames import Frame, Opcode

from core.actor import Actor, May
from dispatch_api.live import wire
from dispatch_api.live.fleet import Box

log = structlog.get_logger()

MOST_OWED = 256
SEND_WITHIN_S = 5.0
CLOSE_WITHIN_S = 5.0
A_TURN = 10
"""Screens that send in one turn of the loop."""
KERNEL_HOLDS = 32 * 1024
"""Unsent bytes of one socket in the kernel. More would only hide that nobody reads, and grow old there."""
RESET = struct.pack("ii", 1, 0)
"""Closed so, a socket keeps nothing to be sent: else the kernel holds it for minutes for who does not read."""
SHARED_UP_TO = 256 * 1024
"""Characters, more than the marks of 1,500 units. What is longer is a snapshot, which nobody else is sent."""
TOO_SLOW = 1013
Item = tuple[int, str]
"""An inbox item: its `seq`, and itself as JSON."""


def _transport(socket: WebSocket) -> asyncio.Transport | None:
    """What carries the socket: the owner of the `abort` that the outermost layer has put into the scope."""
    found: asyncio.Transport | None = getattr(socket.scope.get("outrider.abort"), "__self__", None)
    return found


def frame(message: str) -> bytes:
    """A message as the one unmasked text frame it is to every socket (RFC 6455 5.2).

    What many are sent is made once: the framework would take longer over each of them than over all together.
    """
    return _shared(message) if len(message) <= SHARED_UP_TO else _made(message)


def _made(message: str) -> bytes:
    return Frame(Opcode.TEXT, message.encode()).serialize(mask=False)


_shared = lru_cache(maxsize=32)(_made)


class Client:
    """A socket after its hello. What it is owed is bounded; whoever takes nothing for 5 s is cut and comes back."""

    def __init__(self, socket: WebSocket, actor: Actor, needs: May) -> None:
        self.socket, self.actor, self.needs = socket, actor, needs
        self.closing: tuple[int, str] | None = None
        self.awake = asyncio.Event()
        self._owed: deque[str] = deque()
        self._beat = ""
        self._carrier = _transport(socket)
        if self._carrier and (kernel := self._carrier.get_extra_info("socket")):
            with contextlib.suppress(OSError, ValueError):  # the peer has gone already
                kernel.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NOTSENT_LOWAT, KERNEL_HOLDS)

    @property
    def owed(self) -> int:
        """Messages that wait to be sent."""
        return len(self._owed)

    def owe(self, message: str) -> None:
        """Send this next."""
        if len(self._owed) >= MOST_OWED:
            self._owed.clear()
            self.fell_behind()
        self._owed.append(message)
        self.stir()

    def fell_behind(self) -> None:
        """What was owed became too much and is dropped: the socket is cut, unless there is a way to catch up."""
        self.end(TOO_SLOW, "too slow")

    def stir(self) -> None:
        """Let the pump look at what there is to send."""
        self.awake.set()

    def beat(self, message: str) -> None:
        """Send the newest beat once everything else is sent."""
        self._beat = message
        self.stir()

    def end(self, code: int, reason: str) -> None:
        """Close the socket with this code, whatever is still unsent; a peer that does not answer is cut."""
        if self.closing is None:
            self.closing = (code, reason)
            self.stir()
            if self._carrier:
                asyncio.get_running_loop().call_later(CLOSE_WITHIN_S, self._cut)

    def due(self) -> str | None:
        """What beside the queue is to be sent now; None when there is nothing."""
        return None

    async def pump(self) -> None:
        """Send until the socket is to end; cuts the connection when its peer takes nothing for 5 s."""
        try:
            while self.closing is None:
                await self.awake.wait()
                self.awake.clear()
                while self.closing is None and (message := self._next()):
                    await self._send(message)
        except TimeoutError:
            self.end(TOO_SLOW, "too slow")
        except (WebSocketDisconnect, RuntimeError):
            return
        if self.closing:
            await self._close(*self.closing)

    def _next(self) -> str | None:
        if self._owed:
            return self._owed.popleft()
        if message := self.due():
            return message
        beat, self._beat = self._beat, ""
        return beat

    async def _send(self, message: str) -> None:
        """Send, as slowly as the peer reads; raises TimeoutError when it takes nothing for 5 s."""
        if self._carrier and not self._carrier.is_closing() and not self._unsent():
            self._carrier.write(frame(message))
            return
        unsent = self._unsent()
        while True:
            try:
                async with asyncio.timeout(SEND_WITHIN_S):
                    return await self.socket.send_text(message)
            except TimeoutError:
                before, unsent = unsent, self._unsent()
                if unsent >= before or self.closing:
                    raise

    def _unsent(self) -> int:
        return self._carrier.get_write_buffer_size() if self._carrier else 0

    def _cut(self) -> None:
        """End the connection at once, and free what this process and the kernel still hold for its peer."""
        if self._carrier:
            if kernel := self._carrier.get_extra_info("socket"):
                with contextlib.suppress(OSError, ValueError):  # it is closed already
                    kernel.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, RESET)
            self._carrier.abort()

    async def _close(self, code: int, reason: str) -> None:
        if self.socket.application_state is not WebSocketState.DISCONNECTED:
            with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
                async with asyncio.timeout(1):
                    await self.socket.send_text(wire.bye(code, reason))
                    await self.socket.close(code, reason)
        if code == TOO_SLOW:
            self._cut()  # who does not read does not answer a close either
        log.info("socket_ended", code=code, user=str(self.actor.user_id))


class Turns:
    """Lets a few screens send in each turn of the loop: hundreds at once would keep everybody else waiting."""

    def __init__(self) -> None:
        self._waiting: dict[Watcher, None] = {}

    def take(self, watcher: "Watcher") -> None:
        """Stir this screen when its turn comes, once however often it asks."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._next)
        self._waiting[watcher] = None

    def _next(self) -> None:
        for watcher in list(islice(self._waiting, A_TURN)):
            del self._waiting[watcher]
            watcher.awake.set()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)


class Watcher(Client):
    """A screen of the centre: a view onto the fleet, brought up to date from the version it has."""

    def __init__(
        self, socket: WebSocket, actor: Actor, box: Box | None, due: Callable[["Watcher"], str | None], turns: Turns
    ) -> None:
        super().__init__(socket, actor, May.WATCH_LIVE)
        self.box = self.wanted = box
        self.version, self.behind, self._due, self._turns = 0, False, due, turns

    def stir(self) -> None:
        """Send when it is this screen's turn."""
        self._turns.take(self)

    def turn(self, box: Box | None) -> None:
        """Look at another box from now on."""
        self.wanted = box
        self.stir()

    def fell_behind(self) -> None:
        """Catch up with a fresh snapshot."""
        self.behind = True

    def due(self) -> str | None:
        """What changed in view since the version this screen has."""
        return self._due(self)


class Reader(Client):
    """An officer's app: its inbox from the item after `after` on, a page at a time."""

    def __init__(
        self, socket: WebSocket, actor: Actor, after: int, install_id: UUID | None, more: Callable[[UUID], None]
    ) -> None:
        super().__init__(socket, actor, May.OWN_INBOX)
        self.after, self.install_id, self.checked = after, install_id, False
        self._more, self._page, self._again = more, "", False

    def ready(self) -> bool:
        """Whether the page before is on its way; if it is not, its going asks for the next."""
        self._again = self._again or bool(self._page)
        return not self._page

    def give(self, items: Sequence[Item], *, again: bool) -> None:
        """Send these, the next in order; `again` when there may be more."""
        self._page, self.after, self._again = wire.inbox(item for _, item in items), items[-1][0], again
        self.stir()

    def due(self) -> str | None:
        """The page that waits."""
        page, self._page = self._page, ""
        if page and self._again:
            self._again = False
            self._more(self.actor.id)
        return page
