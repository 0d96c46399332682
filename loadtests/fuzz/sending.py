"""Requests that are ready, and the threads that send them over connections that stay open.

Whoever makes requests does not wait for the answers: each is heard later, in the order of sending and in the maker's
own thread, so that nothing needs a lock.
"""

import shlex
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import urllib3

AT_ONCE = 8
AHEAD = 64
TIMEOUT_S = 90
"""Longer than the server takes to say that a drawing is not to be had now."""
SHOWN = 2_000
BUSY = b"urn:outrider:overloaded"


@dataclass(frozen=True)
class Ready:
    """A request as it goes out."""

    operation: str
    phase: str
    method: str
    target: str
    headers: dict[str, str | bytes]
    body: bytes | None

    def without(self, secrets: list[str]) -> "Ready":
        """The same of somebody who shows nothing at the door, and does not know these."""
        headers = {name: value for name, value in self.headers.items() if name.lower() != "authorization"}
        target, body = self.target, self.body
        for secret in secrets:
            unknown = "x" * len(secret)
            target = target.replace(secret, unknown)
            body = body.replace(secret.encode(), unknown.encode()) if body else body
        return Ready(self.operation, self.phase, self.method, target, headers, body)

    def command(self, url: str) -> str:
        """A command that repeats it."""
        words = ["curl", "-X", self.method]
        for name, value in self.headers.items():
            words += ["-H", f"{name}: {value if isinstance(value, str) else value.decode('latin-1')}"]
        if self.body is not None:
            words += ["--data-binary", self.body.decode(errors="backslashreplace")]
        return shlex.join([*words, url + self.target])[:SHOWN]


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 for nothing."""

    status: int
    content: bytes
    seconds: float

    @property
    def faulty(self) -> bool:
        """Whether the server made a fault or said nothing; to say that it is busy, and until when, is none."""
        return not 0 < self.status < 500 and not (self.status == 503 and BUSY in self.content)


class Sender:
    """Sends what it is given; `with` it, all has been heard at the end."""

    def __init__(self, url: str) -> None:
        self.url = url
        address = urllib3.util.parse_url(url)
        self._pool = urllib3.HTTPConnectionPool(
            address.host or "", address.port, maxsize=AT_ONCE, block=True, timeout=TIMEOUT_S, retries=False
        )
        self._threads = ThreadPoolExecutor(AT_ONCE)
        self._pending: deque[tuple[Callable[[Answer], None], Future[Answer]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        while self._pending and kind is None:
            self._hear()
        self._threads.shutdown(cancel_futures=True)
        self._pool.close()

    def send(self, request: Ready, heard: Callable[[Answer], None]) -> None:
        """Send it; `heard` is told of its answer, in this thread, by a later call."""
        while len(self._pending) >= AHEAD or (self._pending and self._pending[0][1].done()):
            self._hear()
        self._pending.append((heard, self._threads.submit(self._ask, request)))

    def _hear(self) -> None:
        heard, answer = self._pending.popleft()
        heard(answer.result())

    def _ask(self, request: Ready) -> Answer:
        began = time.monotonic()
        try:
            status, content = self._tried(request)
        except (urllib3.exceptions.HTTPError, OSError) as failure:
            status, content = 0, repr(failure).encode()
        return Answer(status, content, time.monotonic() - began)

    def _tried(self, request: Ready) -> tuple[int, bytes]:
        """Once more where a connection that had stood open was cut, as browsers do: a server may close idle ones."""
        try:
            return self._once(request)
        except urllib3.exceptions.ProtocolError:
            return self._once(request)

    def _once(self, request: Ready) -> tuple[int, bytes]:
        answer = self._pool.urlopen(
            request.method, request.target, request.body, request.headers, redirect=False, preload_content=True
        )
        return answer.status, answer.data
