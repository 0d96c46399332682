"""The key by which push services know this installation (VAPID, RFC 8292): made once, named in the settings.

A browser binds its target to the public half: whoever replaces the key makes every target useless until its page is
opened again.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.settings import Settings
from dispatch_api.process import tls
from dispatch_api.process.console import say
from dispatch_api.webpush import codec
from dispatch_api.webpush.endpoints import Allowed

FOLDER = "webpush"
_MAIL = re.compile(r"mailto:[^@\s,?]+@[^@\s,?]+\.[^@\s,?]+")


class Identity(NamedTuple):
    """What we sign with, and whom a push service writes to when something is wrong with our pushes."""

    key: ec.EllipticCurvePrivateKey
    contact: str

    @property
    def public_key(self) -> str:
        """The public half as browsers take it: the point, uncompressed, in base64url."""
        return codec.b64url(codec.point(self.key.public_key()))


def init(settings: Settings, contact: str) -> int:
    """Make the key in `webpush/` of the data folder, unless it is there, and say what to set; the exit code."""
    contact = contact if ":" in contact else f"mailto:{contact}"
    if not _is_contact(contact):
        say(f"Not an e-mail address or an address of a page (https://…): {contact}")
        return 1
    folder = Path(settings.data_dir).resolve() / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "vapid.key"
    if file.exists():
        say("The key is there already and stays: browsers that are registered know no other.")
    else:
        made = ec.generate_private_key(ec.SECP256R1())
        how = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        tls.write(file, made.private_bytes(serialization.Encoding.PEM, *how))
    say("Set these two and start again:")
    say(f"  OUTRIDER_WEBPUSH_KEY={file}")
    say(f"  OUTRIDER_WEBPUSH_CONTACT={contact}")
    say("The worker must reach these by HTTPS:")
    say(f"  {settings.webpush_hosts}")
    return 0


def identity(settings: Settings) -> Identity | None:
    """What Web Push is sent with; None when it is not set up, or not rightly."""
    if not is_wanted(settings) or any(troubles(settings)):
        return None
    assert settings.webpush_key  # else there is a trouble
    assert settings.webpush_contact
    return Identity(_read(settings.webpush_key), settings.webpush_contact)


def is_wanted(settings: Settings) -> bool:
    """Whether somebody began to set it up."""
    return bool(settings.webpush_key or settings.webpush_contact)


def troubles(settings: Settings) -> Iterator[str]:
    """What is wrong with the settings of Web Push, each as a sentence."""
    key = settings.webpush_key
    if not key or not settings.webpush_contact:
        yield "OUTRIDER_WEBPUSH_KEY and OUTRIDER_WEBPUSH_CONTACT are set only together: see `outrider webpush-init`."
    if settings.webpush_contact and not _is_contact(settings.webpush_contact):
        yield "OUTRIDER_WEBPUSH_CONTACT is to be mailto:… or https://…: push services refuse others."
    if key:
        try:
            _read(key)
        except OSError as error:
            yield f"OUTRIDER_WEBPUSH_KEY={key} cannot be read: {error.strerror}."
        except (ValueError, TypeError):
            yield f"OUTRIDER_WEBPUSH_KEY={key} is no private key of the curve P-256 in PEM."
        else:
            if key.stat().st_mode & 0o007:
                yield f"The key {key} can be read by every user: chmod 600 {key}"
    if settings.webpush_ca and not settings.webpush_ca.is_file():
        yield f"OUTRIDER_WEBPUSH_CA={settings.webpush_ca} is no file."
    yield from Allowed.troubles(settings.webpush_hosts)


def _read(file: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("another kind of key")
    return key


def _is_contact(contact: str) -> bool:
    if contact.startswith("mailto:"):
        return _MAIL.fullmatch(contact) is not None
    return contact.startswith("https://") and bool(urlsplit(contact).hostname)
