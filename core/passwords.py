"""Passwords and PINs: argon2id, at most two at once (64 MiB each), never on the event loop."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import DEFAULT_MEMORY_COST, DEFAULT_PARALLELISM, DEFAULT_TIME_COST
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from core.errors import Overloaded

AT_ONCE = 2
MAX_WAITING = 200
_hasher = PasswordHash((Argon2Hasher(DEFAULT_TIME_COST, DEFAULT_MEMORY_COST, DEFAULT_PARALLELISM),))
_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
_waiting = 0
NOBODYS = f"$argon2id$v=19$m={DEFAULT_MEMORY_COST},t={DEFAULT_TIME_COST},p={DEFAULT_PARALLELISM}${'A' * 22}${'A' * 43}"
"""A hash that no password has, as dear to compare with as any other."""
_WORDLESS = "abcdefghjkmnpqrstuvwxyz23456789"  # without look-alikes: one-time passwords are read out aloud
T = TypeVar("T")


async def _in_thread(work: Callable[..., T], *values: str) -> T:
    global _waiting
    if _waiting >= MAX_WAITING:
        raise Overloaded("Too many people are signing in at this moment.", 5)
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work, *values)
    finally:
        _waiting -= 1


async def hashed(secret: str) -> str:
    """The argon2id hash of a password or PIN; raises Overloaded when too many wait for theirs."""
    return await _in_thread(_hasher.hash, secret)


async def matches(secret: str, stored: str | None) -> bool:
    """Whether the secret has this hash; takes as long when there is none (an unknown person). Raises Overloaded."""
    return await _in_thread(_hasher.verify, secret, stored or NOBODYS) and stored is not None


def one_time() -> str:
    """A random password of about 79 bits, in four groups that can be read out."""
    return "-".join("".join(secrets.choice(_WORDLESS) for _ in range(4)) for _ in range(4))
