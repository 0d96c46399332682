"""Passwords and PINs: argon2id, at most two at once (64 MiB each), never on the event loop."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

AT_ONCE = 2
_hasher = PasswordHash((Argon2Hasher(),))
_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
_WORDLESS = "abcdefghjkmnpqrstuvwxyz23456789"  # without look-alikes: one-time passwords are read out aloud
_nobody: list[str] = []


async def hashed(secret: str) -> str:
    """The argon2id hash of a password or PIN."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, secret)


async def matches(secret: str, stored: str | None) -> bool:
    """Whether the secret has this hash; takes as long when there is none (an unknown person)."""
    if stored is None:
        if not _nobody:
            _nobody.append(await hashed(secrets.token_urlsafe()))
        await asyncio.get_running_loop().run_in_executor(_threads, _hasher.verify, secret, _nobody[0])
        return False
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.verify, secret, stored)


def one_time() -> str:
    """A random password of about 79 bits, in four groups that can be read out."""
    return "-".join("".join(secrets.choice(_WORDLESS) for _ in range(4)) for _ in range(4))
