"""What OwnTracks sends over HTTP and MQTT: JSON with `_type`, possibly encrypted with the device's own secret.

Source: the OwnTracks booklet, tech/json and features/encrypt.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import datetime

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from core.errors import Malformed
from geo.device_events import code_of
from geo.fix import Decoded, Fix
from geo.protocols import fixes
from geo.protocols.foreign import Wrong, gathered, known, moment, number, reading, speed

REPLY = b"[]"
"""Accepted, and nothing for the app to do."""
EVENTS = {"!": "tow", "9": "low_battery", "E": "power_restored", "I": "ignition_off", "e": "power_cut",
          "i": "ignition_on", "s": "overspeed"}  # fmt: skip
"""Triggers of the vehicle trackers (Queclink) that tell more than why a phone reported."""


def decode(body: bytes, now: datetime, secret: str | None = None) -> Decoded:
    """The fixes of a message: `location` is one; regions, transitions, lwt, status, empty and unknown ones hold none.

    `secret` opens `encrypted` messages. Raises Malformed for what is not JSON.
    """
    if not body.strip():
        return [], []
    found = fixes.parsed(body)
    return gathered(_locations(found if isinstance(found, list) else [found], now, secret))


def _locations(messages: list[object], now: datetime, secret: str | None) -> Iterator[Fix | Wrong]:
    for sent in messages:
        message = sent
        if isinstance(message, dict) and message.get("_type") == "encrypted":
            message = _opened(message, secret)
            if message is None:
                yield "field", "`data` cannot be decrypted with the device's secret."
        if isinstance(message, dict) and message.get("_type") == "location":
            yield _location(message, now)


def _location(message: Mapping[str, object], now: datetime) -> Fix | Wrong:
    return reading(
        now,
        fix_at=moment(message.get("tst")),
        lat=number(message.get("lat")),
        lon=number(message.get("lon")),
        accuracy_m=known(message.get("acc")),
        altitude_m=number(message.get("alt")),
        speed_mps=speed(message.get("vel"), "kmh"),
        heading_deg=known(message.get("cog")),
        battery_pct=known(message.get("batt")),
        event=_event(message),
    )


def _event(message: Mapping[str, object]) -> object:
    """What a vehicle's tracker reports, or what `alarm` says where whoever feeds the broker adds it."""
    trigger, alarm = message.get("t"), code_of(message.get("alarm"))
    if alarm or not isinstance(trigger, str):
        return alarm
    return EVENTS.get(trigger) or ("tow" if message.get("tow") is True else None)


def _opened(message: Mapping[str, object], secret: str | None) -> object:
    """The message within an encrypted one; None when it cannot be had. Apps pad the secret to 32 bytes with NULs."""
    sealed = message.get("data")
    if not secret or not isinstance(sealed, str):
        return None
    key = secret.encode()[: SecretBox.KEY_SIZE].ljust(SecretBox.KEY_SIZE, b"\0")
    try:
        return fixes.parsed(SecretBox(key).decrypt(base64.b64decode(sealed)))
    except (CryptoError, binascii.Error, ValueError, Malformed):
        return None
