"""The two sockets: `/live` for people of the centre, `/inbox/live` for officers (interfaces.md 7)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeGuard

import structlog
from fastapi import APIRouter, FastAPI, WebSocket
from pydantic import ValidationError
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from core import inbox, sign_in
from core.actor import Actor, May
from core.audit import Action
from core.errors import Invalid, NotSignedIn, OutriderError
from core.work import open_work
from dispatch_api import access
from dispatch_api.live import wire
from dispatch_api.live.client import Client, Reader, Watcher
from dispatch_api.live.hub import NO_RIGHT, NOT_SIGNED_IN
from dispatch_api.state import State, state_of
from mobile_contract.messages import Ack, Hello, Ping, View, parse_to_server

log = structlog.get_logger()
router = APIRouter()

HELLO_WITHIN_S = 5.0
MAX_FRAME = 65_536
MAX_SOCKETS = 5
OPENING = asyncio.Semaphore(4)
"""Sockets that ask the database at once: after a restart everybody comes back, and requests want it too."""
FAULT, BAD_MESSAGE, NO_HELLO, TOO_MANY = 1011, 4400, 4408, 4409


class Ended(Exception):
    """The socket is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    """Units in view, tasks, notices and alerts, as they change."""
    await _serve(socket, May.WATCH_LIVE, _watch)


@router.websocket("/inbox/live")
async def inbox_live(socket: WebSocket) -> None:
    """The caller's inbox, without a gap, as it grows."""
    await _serve(socket, May.OWN_INBOX, _read)


class Straight:
    """Serves these sockets past the framework: each of its layers would stand open for as long as the socket does.

    That is a third of a socket's memory. They stay routes of the application, which lists them and is found from them.
    """

    def __init__(self, app: FastAPI, prefix: str) -> None:
        self._app = app
        self._sockets = {f"{prefix}{route.path}": route.endpoint for route in router.routes if _is_socket(route)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        serve = self._sockets.get(scope["path"]) if scope["type"] == "websocket" else None
        if serve is None:
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        await serve(WebSocket(scope, receive, send))


def _is_socket(route: BaseRoute) -> TypeGuard[WebSocketRoute]:
    return isinstance(route, WebSocketRoute)


async def _serve(
    socket: WebSocket, needs: May, serve: Callable[[WebSocket, State, Actor, Hello], Awaitable[None]]
) -> None:
    state = state_of(socket)
    cookie = socket.cookies.get(access.cookie_name(state.settings))
    if (cookie or "origin" in socket.headers) and not access.origin_allowed(socket, state.settings):
        await socket.close()  # before accept: 403
        return
    await socket.accept()
    try:
        hello = await _hello(socket)
        async with OPENING:
            actor = await _actor(socket, state, hello, cookie, needs)
        await serve(socket, state, actor, hello)
    except Ended as ended:
        await _refuse(socket, ended)
    except WebSocketDisconnect:
        pass
    except Exception as error:  # the database is away, or a fault of ours: the client comes back later
        log.warning("socket_failed", path=socket.url.path, error=repr(error))
        await _refuse(socket, Ended(FAULT, "fault"))


async def _refuse(socket: WebSocket, ended: Ended) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.send_text(wire.bye(ended.code, ended.reason))
        await socket.close(ended.code, ended.reason)


async def _receive(socket: WebSocket) -> Hello | View | Ack | Ping:
    """The next message; raises Ended for one that is too long or no message of ours."""
    frame = await socket.receive()
    if frame["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(frame.get("code", 1005))
    content = frame.get("text") or ""
    if not content or len(content) > MAX_FRAME:
        raise Ended(BAD_MESSAGE, "bad message")
    try:
        return parse_to_server(content)
    except (ValidationError, ValueError) as error:
        raise Ended(BAD_MESSAGE, "bad message") from error


async def _hello(socket: WebSocket) -> Hello:
    try:
        first = await asyncio.wait_for(_receive(socket), HELLO_WITHIN_S)
    except TimeoutError as error:
        raise Ended(NO_HELLO, "no hello") from error
    if not isinstance(first, Hello):
        raise Ended(BAD_MESSAGE, "hello comes first")
    return first


async def _actor(socket: WebSocket, state: State, hello: Hello, cookie: str | None, needs: May) -> Actor:
    """Who is there, with the right to this socket and its opening written to the audit; raises Ended."""
    address = access.client_address(socket, state.settings)
    try:
        if hello.ticket:
            actor = (await sign_in.find_by_ticket(state.engine, hello.ticket, address=address)).actor
        elif token := hello.token or cookie:
            actor = (await sign_in.find(state.engine, token, address=address)).actor
        else:
            raise NotSignedIn
    except NotSignedIn as error:
        raise Ended(NOT_SIGNED_IN, "not signed in") from error
    if not actor.may(needs):
        raise Ended(NO_RIGHT, "your role has no such socket")
    if needs is May.WATCH_LIVE:
        async with open_work(state.engine, actor) as work:
            work.audit(Action.CONSULTATION, "live", None, bbox=hello.bbox)
    return actor


def _admit(state: State, actor: Actor) -> None:
    """Nothing, or Ended for a person's sixth socket. Nothing may be awaited from here until it is counted."""
    if state.hub.sockets_of(actor.id) >= MAX_SOCKETS:
        raise Ended(TOO_MANY, "too many sockets")


async def _watch(socket: WebSocket, state: State, actor: Actor, hello: Hello) -> None:
    _admit(state, actor)
    watcher = Watcher(socket, actor, hello.bbox, state.hub.frame, state.hub.turns)
    watcher.owe(wire.welcome())
    state.hub.watch(watcher)

    async def take(message: Hello | View | Ack | Ping) -> None:
        if not isinstance(message, View):
            raise Ended(BAD_MESSAGE, "not a message of this socket")
        watcher.turn(message.bbox)

    await _converse(watcher, state, take)


async def _read(socket: WebSocket, state: State, actor: Actor, hello: Hello) -> None:
    _admit(state, actor)
    reader = Reader(socket, actor, hello.after or 0, hello.install_id or actor.install_id, state.hub.fetch)
    reader.owe(wire.welcome())
    state.hub.read_inbox(reader)

    async def take(message: Hello | View | Ack | Ping) -> None:
        if not isinstance(message, Ack):
            raise Ended(BAD_MESSAGE, "not a message of this socket")
        try:
            async with open_work(state.engine, actor, state.bus) as work:
                await inbox.ack(work, reader.install_id, message.upto)
        except Invalid:
            return  # a number of before the server was set back: `resync` says so
        except OutriderError as error:
            raise Ended(BAD_MESSAGE, str(error)) from error

    await _converse(reader, state, take)


async def _converse(client: Client, state: State, take: Callable[[Hello | View | Ack | Ping], Awaitable[None]]) -> None:
    """Send and receive until either side ends it."""
    receiving = asyncio.create_task(_listen(client, take))
    sending = asyncio.create_task(client.pump())
    try:
        await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
        if receiving.done() and not sending.done():
            match receiving.exception():
                case None:
                    client.end(1000, "")
                case Ended() as ended:
                    client.end(ended.code, ended.reason)
                case failure:
                    log.warning("socket_failed", path=client.socket.url.path, error=repr(failure))
                    client.end(FAULT, "fault")
            await asyncio.wait({sending}, timeout=HELLO_WITHIN_S)
    finally:
        state.hub.leave(client)
        for task in (receiving, sending):
            task.cancel()
        await asyncio.gather(receiving, sending, return_exceptions=True)


async def _listen(client: Client, take: Callable[[Hello | View | Ack | Ping], Awaitable[None]]) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            message = await _receive(client.socket)
            if isinstance(message, Ping):
                client.owe(wire.pong(message.n))
            else:
                await take(message)
