"""What stands around every request: security headers, an access log without secrets, limits of size and depth."""

import json
import re
import time
from collections.abc import Sequence
from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import Malformed, MediaType, OutriderError, TooLarge
from core.ids import new_id
from core.settings import Settings
from dispatch_api.access import through_proxy
from dispatch_api.errors import problem, server_fault
from dispatch_api.hosts import is_own, own_names
from dispatch_api.metrics.measures import Requests
from mobile_contract.attachments import PIECE_BYTES

log = structlog.get_logger()

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; frame-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "geolocation=(self), camera=(self), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HSTS = "max-age=31536000"
API = "/api/v1"
MIB = 1024 * 1024
DEFAULT_LIMIT = MIB
MAX_IMPORT = 512 * MIB
LONG = {"/api/v1/hotspot-runs": 8 * MIB}
"""Bodies of JSON that may be longer than others."""
LIMITS = {"/api/v1/violations/import": MAX_IMPORT, **LONG}
TRACKS = re.compile(r"/api/v1/devices/[^/]+/tracks/import")
PIECES = re.compile(r"/api/v1/attachments/[^/]+/content")
"""Where files come in, a piece at a time."""
MAX_DEPTH = 64
TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A text, or the rest of a body that ends within one: no byte is looked at twice, however the quotes stand."""
BRACKETS = re.compile(rb"[\[\]{}]")


def csp(calls: Sequence[str]) -> str:
    """The policy of a page that calls these hosts as well."""
    return CSP.replace("connect-src 'self'", " ".join(["connect-src 'self'", *calls]))


class SecurityHeaders:
    """Adds the headers, a request id, and one log line a request; the path without its query string."""

    def __init__(self, app: ASGIApp, requests: Requests, settings: Settings) -> None:
        self._app, self._requests, self._tls = app, requests, settings.tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            # The only way to the connection's transport: a peer that stopped reading has to be cut hard.
            transport = getattr(getattr(send, "__self__", None), "transport", None)
            scope["outrider.abort"] = getattr(transport, "abort", None)
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = new_id().hex
        start, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(scope, MutableHeaders(scope=message))
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:
            log.exception("unexpected", path=scope["path"])
            if status != 500:
                raise  # the answer has begun: it can only be cut
            await server_fault()(scope, receive, answer)
        finally:
            actor = scope.get("outrider.actor")
            took_s = time.perf_counter() - start
            self._requests.answered(scope["method"], route_of(scope), status, took_s)
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round(took_s * 1000, 1),
                actor=actor and str(actor.user_id),
                request_id=scope["request_id"],
            )

    def _add_headers(self, scope: Scope, headers: MutableHeaders) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers["X-Request-Id"] = scope["request_id"]
        if actor := scope.get("outrider.actor"):  # so that a page notices when another tab signed in as somebody else
            headers["X-Outrider-User"] = str(actor.user_id)
        if scope["path"].startswith("/api/"):
            headers.setdefault("Cache-Control", "no-store")
        if self._tls:
            headers["Strict-Transport-Security"] = HSTS


def route_of(scope: Scope) -> str | None:
    """The template of the route that answered, or the folder the file is in; None when there was neither."""
    route = scope.get("route")
    if route is None:
        return scope.get("root_path") or None
    # A router knows its routes without the prefix it was included with.
    return f"{API if scope['path'].startswith(f'{API}/') else ''}{route.path}"


class BodyLimit:
    """What comes in: for a name of this server, of bearable size; JSON not nested too deep and without NaN."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._names = own_names(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] in {"http", "websocket"} and not self._is_for_us(HTTPConnection(scope)):
            await self._refuse(Malformed(FOREIGN_HOST), scope, receive, send)
            return
        if scope["type"] == "http" and "\x00" in scope["path"]:  # nothing of ours has one, and no database keeps one
            await self._refuse(Malformed("The address holds a NUL."), scope, receive, send)
            return
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        limit = limit_of(scope["path"])
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            await self._refuse(TooLarge(f"At most {limit} bytes."), scope, receive, send)
            return
        if limit > DEFAULT_LIMIT and scope["path"] not in LONG:
            await self._app(scope, _counted(receive, limit), send)  # streamed: the route reads it in pieces
            return
        try:
            body = await _whole(receive, limit)
            if b"json" in headers.get(b"content-type", b"").lower():
                check_json(body)
            elif body and scope["path"].startswith("/api/"):
                raise MediaType
        except OutriderError as error:
            await self._refuse(error, scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    def _is_for_us(self, connection: HTTPConnection) -> bool:
        """Whether the Host is a name of this server. A proxy we trust has looked already, by its own names."""
        host = connection.headers.get("host", "")
        return is_own(host, self._names) or through_proxy(connection, self._settings)

    @staticmethod
    async def _refuse(error: OutriderError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await problem(error)(scope, receive, send)


def limit_of(path: str) -> int:
    """How many bytes a body sent to this path may have."""
    if PIECES.fullmatch(path):
        return PIECE_BYTES
    return MAX_IMPORT if TRACKS.fullmatch(path) else LIMITS.get(path, DEFAULT_LIMIT)


FOREIGN_HOST = "This server does not go by that name: add its address to OUTRIDER_ALLOWED_ORIGINS."


async def _whole(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed("The request was cut off.")
        body += message.get("body", b"")
        if len(body) > limit:
            raise TooLarge(f"At most {limit} bytes.")
        if not message.get("more_body"):
            return bytes(body)


def _counted(receive: Receive, limit: int) -> Receive:
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise TooLarge(f"At most {limit} bytes.")
        return message

    return counted


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def check_json(body: bytes) -> None:
    """Nothing, or Malformed: the body is no JSON in UTF-8, holds NaN or Infinity, or is nested deeper than 64 levels.

    The depth is checked first and without recursion, so that no parser meets a hostile nesting. The parser alone would
    also take UTF-16 and UTF-32, whose brackets are not where the check looks for them.
    """
    depth = 0
    for bracket in BRACKETS.findall(TEXTS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise Malformed(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
    if body:
        try:
            json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Malformed("The body is not JSON.") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
