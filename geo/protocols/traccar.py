"""What a Traccar server forwards (`forward.type` json): one position, with the device it is of.

Sources: Traccar's forward/PositionData and model/Position.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from core.errors import Malformed
from geo.device_events import PANIC, code_of
from geo.fix import Decoded, Fix
from geo.protocols import fixes
from geo.protocols.foreign import gathered, known, moment, number, reading, speed, unfixed, whole

TIMES = ("fixTime", "deviceTime", "serverTime")
"""When it was, the exacter ones first; the first holds for a fix alone."""


class Forwarded(NamedTuple):
    """The identifier of a device, what it sent, and what is said of it: model and firmware."""

    identifier: str | None
    found: Decoded
    about: str | None


def decode(body: bytes, now: datetime) -> Forwarded:
    """The device and its fix; nothing for an event without a position that is no panic.

    Traccar repeats the last known place of a device that had no fix: that is telemetry, of the time it was sent.
    Raises Malformed for what is not a JSON object.
    """
    message = fixes.parsed(body)
    if not isinstance(message, dict):
        raise Malformed("The body is not a JSON object.")
    device, position, event = (_part(message, name) for name in ("device", "position", "event"))
    identifier, about = _text(device.get("uniqueId")), _about(device, _part(position, "attributes"))
    if not position:
        panic = code_of(_happened(event)) == PANIC
        found = reading(now, fix_at=moment(event.get("eventTime")), event=PANIC) if panic else None
        return Forwarded(identifier, gathered([found] if found else []), about)
    has_fix = position.get("valid", True) is True and position.get("outdated") is not True
    attributes = _part(position, "attributes")
    found = reading(
        now,
        fix_at=moment(next((at for name in (TIMES if has_fix else TIMES[1:]) if (at := position.get(name))), None)),
        lat=number(position.get("latitude")),
        lon=number(position.get("longitude")),
        accuracy_m=known(position.get("accuracy")) or None,  # Traccar writes 0 for what it does not know
        altitude_m=number(position.get("altitude")),
        speed_mps=speed(position.get("speed"), "knots"),
        heading_deg=known(position.get("course")),
        satellites=whole(attributes.get("sat")),
        battery_pct=known(attributes.get("batteryLevel")),
        event=code_of(attributes.get("alarm")) or _happened(event),
    )
    if isinstance(found, Fix) and not has_fix:
        found = unfixed(found)
    return Forwarded(identifier, gathered([found]), about)


def _happened(event: Mapping[str, object]) -> object:
    """What an event is of; Traccar says of alarms apart which."""
    return _part(event, "attributes").get("alarm") if event.get("type") == "alarm" else event.get("type")


def _about(device: Mapping[str, object], attributes: Mapping[str, object]) -> str | None:
    said = (_text(each) for each in (device.get("model"), attributes.get("versionFw")))
    return " ".join(each for each in said if each) or None


def _part(message: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = message.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
