"""One open socket: what it is owed, in order, sent by a task of its own, so that a stalled reader stops nobody."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from uuid import UUID

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from core.actor import Actor, May
from dispatch_api.live import wire
from dispatch_api.live.fleet import Box

log = structlog.get_logger()

MOST_OWED = 256
SEND_WITHIN_S = 5.0
CLOSE_WITHIN_S = 1.0
TOO_SLOW = 1013


class Client:
    """A socket after its hello. What it is owed is bounded; whoever falls behind is cut and comes back."""

    def __init__(self, socket: WebSocket, actor: Actor, needs: May) -> None:
        self.socket, self.actor, self.needs = socket, actor, needs
        self.closing: tuple[int, str] | None = None
        self._owed: deque[str] = deque()
        self._beat = ""
        self.awake = asyncio.Event()

    def owe(self, message: str) -> None:
        """Send this next; with too much unsent the socket is cut."""
        if len(self._owed) >= MOST_OWED:
            self.end(TOO_SLOW, "too slow")
        self._owed.append(message)
        self.awake.set()

    def beat(self, message: str) -> None:
        """Send the newest beat once everything else is sent."""
        self._beat = message
        self.awake.set()

    def end(self, code: int, reason: str) -> None:
        """Close the socket with this code, whatever is still unsent."""
        self.closing = self.closing or (code, reason)
        self.awake.set()

    def due(self) -> str | None:
        """What beside the queue is to be sent now; None when there is nothing."""
        return None

    async def pump(self) -> None:
        """Send until the socket is to end; cuts the connection when a message is not taken within 5 s."""
        while self.closing is None:
            await self.awake.wait()
            self.awake.clear()
            while self.closing is None and (message := self._next()):
                try:
                    await asyncio.wait_for(self.socket.send_text(message), SEND_WITHIN_S)
                except TimeoutError:
                    self.end(TOO_SLOW, "too slow")
                except (WebSocketDisconnect, RuntimeError):
                    return
        await self._close(*self.closing)

    def _next(self) -> str | None:
        if self._owed:
            return self._owed.popleft()
        if message := self.due():
            return message
        beat, self._beat = self._beat, ""
        return beat

    async def _close(self, code: int, reason: str) -> None:
        if self.socket.application_state is not WebSocketState.DISCONNECTED:
            with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    if code != TOO_SLOW:
                        await self.socket.send_text(wire.bye(code, reason))
                    await self.socket.close(code, reason)
        if code == TOO_SLOW:
            # A peer that does not read does not answer a close either: only an abort frees its buffer.
            abort: Callable[[], None] | None = self.socket.scope.get("outrider.abort")
            if abort:
                abort()
        log.info("socket_ended", code=code, user=str(self.actor.user_id))


class Watcher(Client):
    """A screen of the centre: a view onto the fleet, brought up to date from the version it has."""

    def __init__(
        self, socket: WebSocket, actor: Actor, box: Box | None, due: Callable[["Watcher"], str | None]
    ) -> None:
        super().__init__(socket, actor, May.WATCH_LIVE)
        self.box, self.version, self._due = box, 0, due

    def due(self) -> str | None:
        """The units that changed since the version this screen has."""
        return self._due(self)


class Reader(Client):
    """An officer's app: its inbox from the item after `after` on."""

    def __init__(self, socket: WebSocket, actor: Actor, after: int, install_id: UUID | None) -> None:
        super().__init__(socket, actor, May.OWN_INBOX)
        self.after, self.install_id, self.checked = after, install_id, False
