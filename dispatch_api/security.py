"""What stands around every request: security headers, an access log without secrets, limits of size and depth."""

import json
import re
import time
from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import Malformed, TooLarge
from core.ids import new_id
from dispatch_api.errors import problem, server_fault

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
MIB = 1024 * 1024
DEFAULT_LIMIT = MIB
LIMITS = {"/api/v1/violations/import": 512 * MIB, "/api/v1/hotspot-runs": 8 * MIB}
MAX_DEPTH = 64
TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
BRACKETS = re.compile(rb"[\[\]{}]")


class SecurityHeaders:
    """Adds the headers, a request id, and one log line a request; the path without its query string."""

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        self._app, self._tls = app, tls

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
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers["X-Request-Id"] = scope["request_id"]
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
                if self._tls:
                    headers["Strict-Transport-Security"] = HSTS
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
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round((time.perf_counter() - start) * 1000, 1),
                actor=actor and str(actor.user_id),
                request_id=scope["request_id"],
            )


class BodyLimit:
    """Refuses bodies that are too large, and JSON that is nested too deep or holds NaN, before anyone parses them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        limit = LIMITS.get(scope["path"], DEFAULT_LIMIT)
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            await self._refuse(TooLarge(f"At most {limit} bytes."), scope, receive, send)
            return
        if limit > DEFAULT_LIMIT:
            await self._app(scope, _counted(receive, limit), send)  # streamed: the route reads it in pieces
            return
        try:
            body = await _whole(receive, limit)
            if b"json" in headers.get(b"content-type", b"").lower():
                check_json(body)
        except (TooLarge, Malformed) as error:
            await self._refuse(error, scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    @staticmethod
    async def _refuse(error: TooLarge | Malformed, scope: Scope, receive: Receive, send: Send) -> None:
        await problem(error)(scope, receive, send)


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
    """Nothing, or Malformed: the body is no JSON, holds NaN or Infinity, or is nested deeper than 64 levels.

    The depth is checked first and without recursion, so that no parser meets a hostile nesting.
    """
    depth = 0
    for bracket in BRACKETS.findall(TEXTS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise Malformed(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
    if body:
        try:
            json.loads(body, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Malformed("The body is not JSON.") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
