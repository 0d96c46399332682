"""Identifiers and secrets."""

import hashlib
import os
import secrets
import time
from uuid import UUID


def new_id() -> UUID:
    """A UUID version 7 (RFC 9562 5.7): 48 bits of milliseconds, then random; rows made together lie together."""
    bits = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)


def new_secret(prefix: str) -> str:
    """A printable secret of 256 random bits that tells by its prefix what it opens."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> bytes:
    """What is stored of a 256-bit secret: its SHA-256 (a slow hash is for what people choose)."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
