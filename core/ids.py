"""Identifiers and secrets."""

import hashlib
import os
import secrets
import threading
import time
from uuid import UUID

_TAIL_BITS = 74
"""What a version 7 has beside its time, version and variant: `rand_a` (12) and `rand_b` (62)."""
_FRESH_BITS = 73
"""A millisecond's first tail leaves its highest bit free, so that there is room above it to count on."""
_STEP_BYTES = 4
"""Ids of one millisecond lie a random step apart: who knows one does not know the next."""


class _Ids:
    """The time and tail of this process's newest id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms = self._tail = 0
        os.register_at_fork(after_in_child=self._begin_again)

    def _begin_again(self) -> None:
        """A child of a fork counts on from nothing that its parent counts on from, nor waits for a thread it lacks."""
        self._lock = threading.Lock()
        self._ms = 0

    def next(self) -> tuple[int, int]:
        """A moment in milliseconds and a tail, together above all before."""
        with self._lock:
            now_ms = time.time_ns() // 1_000_000
            if now_ms <= self._ms:
                self._tail += 1 + int.from_bytes(os.urandom(_STEP_BYTES), "big")
                if not self._tail >> _TAIL_BITS:
                    return self._ms, self._tail
                now_ms = self._ms + 1
            self._ms = now_ms
            self._tail = int.from_bytes(os.urandom(10), "big") >> 80 - _FRESH_BITS
            return self._ms, self._tail


_ids = _Ids()


def new_id() -> UUID:
    """A UUID version 7 (RFC 9562 5.7): 48 bits of milliseconds, then random; rows made together lie together.

    Promised: within one process each is above all before, whichever thread asks, also when the clock goes back (6.2,
    method 2). Not promised: an order between processes closer than their clocks, nor that the time in an id is right
    while the clock is behind where it was. No id is a secret.
    """
    ms, tail = _ids.next()
    return UUID(int=ms << 80 | 0x7 << 76 | (tail >> 62) << 64 | 0x2 << 62 | tail & (1 << 62) - 1)


def new_secret(prefix: str) -> str:
    """A printable secret of 256 random bits that tells by its prefix what it opens."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> bytes:
    """What is stored of a 256-bit secret: its SHA-256 (a slow hash is for what people choose)."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
