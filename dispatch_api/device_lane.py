"""The device lane: tracker ingest as a thin ASGI application in front of FastAPI.

The framework costs several times what storing a fix does, so these few routes are answered here; FastAPI lists
them in its OpenAPI document (routes/ingest.py) and runs this same code.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from core.db import utcnow
from core.errors import OutriderError
from core.ids import digest
from dispatch_api import errors
from dispatch_api.lane_request import JSON_HEADERS, Headers, Reply, sender_of
from dispatch_api.lane_routes import HANDLERS, POSITIONS, Handler, bearer, told
from dispatch_api.metrics.measures import Requests
from dispatch_api.security import HEADERS, HSTS
from dispatch_api.state import State
from geo.delivery import Stored
from geo.protocols import fixes as batch

log = structlog.get_logger()

ACCEPTED_STATUS = 200
HEADS = 1_000
NO_STORE = (b"cache-control", b"no-store")
ACCEPTED: Headers = [NO_STORE, (b"x-content-type-options", b"nosniff")]


class Opened(NamedTuple):
    """What is found out about a delivery from its head alone."""

    key_digest: bytes
    headers: Headers


class DeviceLane:
    """Answers trackers itself and hands everything else on. It writes no access log: addresses hold keys."""

    def __init__(self, app: ASGIApp, api: FastAPI, requests: Requests) -> None:
        self._app, self.api, self._requests = app, api, requests
        refusal = HEADERS | ({"Strict-Transport-Security": HSTS} if api.state.settings.tls else {})
        self._heads: dict[tuple[int, int], bytes] = {}
        self._refusal = [(name.lower().encode(), value.encode()) for name, value in refusal.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        handler = HANDLERS.get((scope["path"], scope["method"])) if scope["type"] == "http" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        reply = await _answered(handler, self.api.state.outrider, scope, receive)
        self._requests.answered(scope["method"], scope["path"], reply.status, time.perf_counter() - begun)
        await send({"type": "http.response.start", "status": reply.status, "headers": self._headers(reply)})
        await send({"type": "http.response.body", "body": reply.body})

    def _headers(self, reply: Reply) -> Headers:
        # A tracker shows no page: what only browsers heed goes with refusals, where a person may be looking.
        always = ACCEPTED if reply.status == ACCEPTED_STATUS else [NO_STORE, *self._refusal]
        return [(b"content-length", b"%d" % len(reply.body)), *reply.headers, *always]

    def _head(self, reply: Reply) -> bytes:
        """The headers as they are sent; the usual answer's are made once."""
        key = (len(reply.body), reply.status) if reply.headers is JSON_HEADERS else None
        head = self._heads.get(key) if key else None
        if head is None:
            head = b"".join(name + b": " + value + b"\r\n" for name, value in self._headers(reply))
            if key and len(self._heads) < HEADS:
                self._heads[key] = head
        return head

    @staticmethod
    def opened(headers: Headers) -> Opened | None:
        """The headers of a plain delivery of positions, with the digest of its key; None of another."""
        try:
            return Opened(digest(bearer(headers)), headers)
        except OutriderError:
            return None

    def store_soon(self, opened: Opened, body: bytes, peer: str, answer: Callable[[int, bytes, bytes], None]) -> bool:
        """Take a plain delivery of positions without a task (process/http.py); False when it is not plain."""
        state: State = self.api.state.outrider
        device = state.duty.device(opened.key_digest)
        if device is None:
            return False
        now = utcnow()
        try:
            usable, rejected = batch.decode(body, now)
        except OutriderError:
            return False

        def committed(outcome: Stored | Exception) -> None:
            reply = told(outcome, rejected) if isinstance(outcome, Stored) else _refusal(outcome, POSITIONS)
            answer(reply.status, self._head(reply), reply.body)

        sender = sender_of(state, opened.headers, peer)
        return state.writer.store_soon(
            device, usable, committed, rejected=len(rejected), received_at=now, sender=sender
        )


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
    return Reply(response.status_code, kept, bytes(response.body))
