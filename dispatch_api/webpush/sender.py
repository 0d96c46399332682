"""Sends pushes to browsers, each to its own service; blocks, and raises nothing."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore
import structlog

from core.pushes import Outcome, Owed, Told
from core.settings import Settings
from dispatch_api.pushed import COLLAPSE, LONGEST_ASKED_S, PAYLOAD, TIMEOUT_S, TTL
from dispatch_api.webpush import codec
from dispatch_api.webpush.endpoints import CONNECTIONS, Allowed, Endpoint, NotOutside, connections
from dispatch_api.webpush.keys import Identity

log = structlog.get_logger()

_CONTENT = json.dumps(PAYLOAD, separators=(",", ":")).encode()
_TIMEOUT = {"connect": TIMEOUT_S, "read": TIMEOUT_S, "write": TIMEOUT_S, "pool": 2 * TIMEOUT_S}
_GONE = {404, 410}
_NEVER = {400, 413, 415}
"""What a service answers to a push it will not take from anybody."""
_OURS = {401, 403}
"""What it answers when it does not know us, or the target was made for another key."""


class Webpush:
    """Sends as this installation, to the services of the settings."""

    def __init__(self, settings: Settings, identity: Identity) -> None:
        self._identity, self._allowed = identity, Allowed.by(settings)
        self._pool = connections(private=settings.webpush_private, authority=settings.webpush_ca)
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="webpush")

    def send(self, owed: Sequence[Owed]) -> list[Told]:
        """What became of each; they go side by side, so that a slow service holds up nobody else's."""
        return list(self._threads.map(self._sent, owed))

    def _sent(self, one: Owed) -> Told:
        endpoint = self._allowed.endpoint(one.push["target"])
        if endpoint is None:
            log.warning("webpush_not_allowed_there", install_id=str(one.install_id))
            return Told(Outcome.DEAD)
        try:
            keys = one.push["keys"]
            body = codec.sealed(_CONTENT, keys["p256dh"], keys["auth"])
        except (KeyError, ValueError):
            return Told(Outcome.DEAD)
        try:
            return self._answered(endpoint, self._headers(endpoint, body, urgent=one.urgent), body)
        except NotOutside:
            log.error("webpush_address_refused", host=endpoint.host)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            log.warning("webpush_failed", host=endpoint.host, error=type(error).__name__)
        return Told(Outcome.DOWN)

    def _headers(self, endpoint: Endpoint, body: bytes, *, urgent: bool) -> list[tuple[str, str]]:
        return [
            ("Host", endpoint.origin.removeprefix("https://")),
            ("Authorization", codec.authorization(*self._identity, endpoint.origin)),
            ("Content-Encoding", "aes128gcm"),
            ("Content-Type", "application/octet-stream"),
            ("Content-Length", str(len(body))),
            ("TTL", str(int(TTL.total_seconds()))),
            ("Topic", COLLAPSE),
            ("Urgency", "high" if urgent else "normal"),
        ]

    def _answered(self, endpoint: Endpoint, headers: list[tuple[str, str]], body: bytes) -> Told:
        limits: Any = {"timeout": _TIMEOUT}
        with self._pool.stream("POST", endpoint.url, headers=headers, content=body, extensions=limits) as answer:
            told = _told(answer, endpoint.host)
            next(answer.iter_stream(), b"")  # a short answer read to its end leaves the connection for the next push
            return told


def _told(answer: httpcore.Response, host: str) -> Told:
    """What a service's answer means; where it would send us instead is not looked at."""
    status = answer.status
    if 200 <= status < 300:
        return Told(Outcome.SENT)
    if status in _GONE:
        return Told(Outcome.DEAD)
    if status in _NEVER:
        log.error("webpush_refused", host=host, status=status)
        return Told(Outcome.REFUSED)
    if status in _OURS:
        log.error("push_not_allowed", host=host, status=status)  # somebody must act
    asked = next((value for name, value in answer.headers if name.lower() == b"retry-after"), b"")
    outcome = Outcome.DOWN if status >= 500 else Outcome.LATER
    return Told(outcome, min(float(asked), LONGEST_ASKED_S) if asked.isdigit() else None)
