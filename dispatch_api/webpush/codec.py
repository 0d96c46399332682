"""A push sealed for one browser (RFC 8291 over RFC 8188), and the token that says whose it is (RFC 8292).

Written out over `cryptography`, where one short record is twenty lines, and held against the RFC's own example: what
there is in Python brings HTTP clients that follow redirects, is built on the machine, or names a service without its
port.
"""

import base64
import os
import time

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

RECORD_BYTES = 4096
TOKEN_S = 12 * 3600
"""Services refuse tokens for more than a day."""
_LAST = b"\x02"
"""What ends the last record's content."""


def b64url(content: bytes) -> str:
    """The text of bytes, without padding."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def from_b64url(text: str) -> bytes:
    """The bytes of a text without padding; raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as its 65 bytes, uncompressed."""
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def on_curve(p256dh: str) -> ec.EllipticCurvePublicKey:
    """The browser's public key; raises ValueError for bytes that are none."""
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_b64url(p256dh))


def sealed(
    content: bytes, p256dh: str, auth: str, *, salt: bytes | None = None, key: ec.EllipticCurvePrivateKey | None = None
) -> bytes:
    """The content for the one browser that has these keys: a body of `Content-Encoding: aes128gcm`.

    `salt` and `key` are new for each message, unless an example is repeated. Raises ValueError for keys that are none.
    """
    salt, key, theirs = salt or os.urandom(16), key or ec.generate_private_key(ec.SECP256R1()), on_curve(p256dh)
    ours = point(key.public_key())
    about = b"WebPush: info\0" + point(theirs) + ours
    secret = _derived(key.exchange(ec.ECDH(), theirs), from_b64url(auth), about, 32)
    content_key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    head = salt + RECORD_BYTES.to_bytes(4, "big") + bytes([len(ours)]) + ours
    return head + AESGCM(content_key).encrypt(nonce, content + _LAST, None)


def _derived(secret: bytes, salt: bytes, about: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=about).derive(secret)


def authorization(key: ec.EllipticCurvePrivateKey, contact: str, origin: str) -> str:
    """The header by which the push service at `origin` knows us, for some hours."""
    claims = {"aud": origin, "exp": int(time.time()) + TOKEN_S, "sub": contact}
    return f"vapid t={jwt.encode(claims, key, algorithm='ES256')}, k={b64url(point(key.public_key()))}"
