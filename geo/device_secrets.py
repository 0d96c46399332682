"""What is kept of a device's key: never the key itself.

Of an OwnTracks device also what a broker checks its password by, and the front part of the key, with which the app
encrypts; docs/decisions/0012 says why that tells nobody the key.
"""

import base64
import hashlib
import os
from typing import Any

from core.ids import digest

OWNTRACKS = "owntracks"
SECRET_CHARACTERS = 32
"""The app takes no more; of a key's 46, 14 random ones (84 bits) stay unknown."""
ITERATIONS = 101
"""Mosquitto's own number: keys have 256 random bits, so that guessing is hopeless at any number."""
SALT_BYTES = 12


def secrets_of(protocol: str, key: str) -> dict[str, Any]:
    """The columns of `device` that a key fills."""
    is_owntracks = protocol == OWNTRACKS
    return {
        "key_digest": digest(key),
        "broker_hash": broker_hash(key) if is_owntracks else None,
        "payload_secret": key[:SECRET_CHARACTERS] if is_owntracks else None,
    }


def broker_hash(password: str, salt: bytes | None = None) -> str:
    """A password as Mosquitto's password file keeps it: `$7$`, PBKDF2 with HMAC-SHA-512 of 64 bytes."""
    salt = salt or os.urandom(SALT_BYTES)
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}"
