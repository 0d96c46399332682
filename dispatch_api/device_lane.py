"""The device lane: tracker ingest as a thin ASGI application in front of FastAPI.

The framework costs several times what storing a fix does, so these few routes are answered here; FastAPI lists
them in its OpenAPI document (routes/ingest.py) and runs this same code.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec
import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.db import utcnow
from core.errors import BadDeviceKey, Malformed, MediaType, OutriderError, TooLarge
from core.ids import digest
from dispatch_api import errors
from dispatch_api.security import HEADERS, HSTS
from dispatch_api.state import State
from geo.duty import KnownDevice
from geo.fix import Fix, Rejected
from geo.positions import Stored
from geo.protocols import fixes as batch
from geo.protocols import osmand

log = structlog.get_logger()

POSITIONS = "/api/v1/positions"
MAX_BODY = 1 << 20
MAX_FORM = 1 << 16
JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
Headers = list[tuple[bytes, bytes]]
ACCEPTED_STATUS = 200
NO_STORE = (b"cache-control", b"no-store")
ACCEPTED: Headers = [NO_STORE, (b"x-content-type-options", b"nosniff")]
JSON_HEADERS: Headers = [(b"content-type", JSON)]


class Reply(NamedTuple):
    """A whole answer but for the headers that every answer has."""

    status: int
    headers: Headers
    body: bytes


class Answer(msgspec.Struct, gc=False):
    """What became of a batch of our own JSON; `suspect` fixes are among the `accepted`."""

    accepted: int
    duplicates: int
    off_duty: int
    suspect: int
    rejected: list[Rejected]


Handler = Callable[[State, Scope, Receive], Awaitable[Reply]]
_encode = msgspec.json.Encoder().encode


class DeviceLane:
    """Answers trackers itself and hands everything else on. It writes no access log: addresses hold keys."""

    def __init__(self, app: ASGIApp, api: FastAPI) -> None:
        self._app, self._api = app, api
        refusal = HEADERS | ({"Strict-Transport-Security": HSTS} if api.state.settings.tls else {})
        self._refusal = [(name.lower().encode(), value.encode()) for name, value in refusal.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        handler = HANDLERS.get((scope["path"], scope["method"])) if scope["type"] == "http" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        reply = await _answered(handler, self._api.state.outrider, scope, receive)
        await send({"type": "http.response.start", "status": reply.status, "headers": self._headers(reply)})
        await send({"type": "http.response.body", "body": reply.body})

    def _headers(self, reply: Reply) -> Headers:
        # A tracker shows no page: what only browsers heed goes with refusals, where a person may be looking.
        always = ACCEPTED if reply.status == ACCEPTED_STATUS else [NO_STORE, *self._refusal]
        return [(b"content-length", b"%d" % len(reply.body)), *reply.headers, *always]

    def store_soon(self, headers: Headers, body: bytes, answer: Callable[[int, Headers, bytes], None]) -> bool:
        """Take a plain delivery of positions without a task (process/http.py); False when it is not plain."""
        state: State = self._api.state.outrider
        try:
            device = state.duty.device(digest(_key(headers)))
            if device is None:
                return False
            usable, rejected = batch.decode(body, utcnow())
        except OutriderError:
            return False
        waiting = state.writer.store_soon(device, usable, rejected=len(rejected))
        if waiting is None:
            return False

        def committed(done: asyncio.Future[Stored]) -> None:
            failure = done.exception()
            reply = _refusal(failure, POSITIONS) if failure else _told(done.result(), rejected)
            answer(reply.status, self._headers(reply), reply.body)

        waiting.add_done_callback(committed)
        return True


async def _answered(handler: Handler, state: State, scope: Scope, receive: Receive) -> Reply:
    try:
        return await handler(state, scope, receive)
    except Exception as error:
        return _refusal(error, scope["path"])


def _refusal(failure: BaseException, path: str) -> Reply:
    """The answer to what failed; a fault of ours is logged."""
    if isinstance(failure, OutriderError):
        response = errors.problem(failure)
    else:
        log.error("unexpected", path=path, exc_info=failure)
        response = errors.server_fault()
    kept = [(name, value) for name, value in response.raw_headers if name not in {b"content-length", b"cache-control"}]
    if response.status_code == errors.STATUS[TooLarge]:
        kept.append((b"connection", b"close"))  # the rest of the body is not worth reading
    return Reply(response.status_code, kept, bytes(response.body))


async def positions(state: State, scope: Scope, receive: Receive) -> Reply:
    """Our own JSON batches, authenticated by `Authorization: Bearer <device key>`."""
    device = await _device(state, _key(scope["headers"]))
    body = await _body(scope, receive, MAX_BODY)
    usable, rejected = batch.decode(body, utcnow())
    return _told(await state.writer.store(device, usable, rejected=len(rejected)), rejected)


def _key(headers: Headers) -> str:
    """The device key of a JSON delivery; raises BadDeviceKey without one, MediaType for what is no JSON."""
    key = kind = None
    for name, value in headers:
        if name == b"authorization":
            key = value
        elif name == b"content-type":
            kind = value
    if key is None or key[:7].lower() != b"bearer ":
        raise BadDeviceKey
    if kind is not None and not kind.startswith(JSON):
        raise MediaType("Fixes are sent as application/json.")
    return key[7:].strip().decode("latin-1")


def _told(stored: Stored, rejected: list[Rejected]) -> Reply:
    answer = Answer(stored.accepted, stored.duplicates, stored.off_duty, stored.suspect, rejected)
    return Reply(200, JSON_HEADERS, _encode(answer))


async def osmand_route(state: State, scope: Scope, receive: Receive) -> Reply:
    """OsmAnd and Traccar Client: a query, a form or Traccar's JSON, with the device key as id.

    A known device gets 200 whatever it sent, because these apps send again for ever what is refused.
    """
    now = utcnow()
    fields = osmand.query(scope["query_string"])
    message: dict[str, object] = dict(fields)
    is_json = False
    if scope["method"] == "POST":
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        body = await _body(scope, receive, MAX_FORM)
        is_json = kind.startswith(JSON) and bool(body)
        if is_json:
            message |= osmand.parsed(body)
        elif body and (kind.startswith(FORM) or not kind):
            fields |= osmand.query(body)
            message = dict(fields)
    try:
        device = await _device(state, osmand.key_of(message) or "")
    except BadDeviceKey:
        return Reply(404, [], b"")
    found = osmand.from_json(message, now) if is_json else osmand.from_query(fields, now, device.speed_unit)
    usable = [found] if isinstance(found, Fix) else []
    await state.writer.store(device, usable, rejected=int(isinstance(found, tuple)))
    return Reply(200, [], b"")


HANDLERS: dict[tuple[str, str], Handler] = {
    (POSITIONS, "POST"): positions,
    ("/ingest/osmand", "GET"): osmand_route,
    ("/ingest/osmand", "POST"): osmand_route,
}
"""The lane's routes by path and method."""


async def _device(state: State, key: str) -> KnownDevice:
    if not key:
        raise BadDeviceKey
    hashed = digest(key)
    device = state.duty.device(hashed) or await state.duty.find_device(hashed)
    if device is None:
        raise BadDeviceKey
    return device


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The request's body; raises TooLarge as soon as more than `limit` bytes are announced or come."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > limit:
            raise TooLarge(f"The body may have {limit} bytes at most.")
        return body
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    chunks, size = [body], len(body)
    while True:
        if size > limit or int(announced) > limit:
            raise TooLarge(f"The body may have {limit} bytes at most.")
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()
        _still_there(message)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])


def _still_there(message: Message) -> None:
    if message["type"] == "http.disconnect":
        raise Malformed("The body is incomplete.")
