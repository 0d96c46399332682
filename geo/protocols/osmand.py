"""What OsmAnd and Traccar Client send: a query, a form, or Traccar's JSON.

Sources: Traccar's OsmAndProtocolDecoder, traccar.org/osmand.
"""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl

from core.errors import Malformed
from geo.device_events import PANIC, code_of
from geo.fix import Decoded, Fix
from geo.protocols import fixes
from geo.protocols.foreign import Wrong, gathered, known, moment, number, percent, reading, speed, unfixed, whole

KEY_NAMES = ("id", "deviceid", "device_id")
FALSE = {"false", "0"}
PLACES = {"lat", "lon", "location"}
MAX_FIELDS = 100


def query(text: bytes) -> dict[str, str]:
    """The fields of a query string or form; of repeated ones, the first. Raises Malformed when there are too many."""
    try:
        pairs = parse_qsl(text.decode("ascii", "replace"), keep_blank_values=False, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Malformed("The query cannot be read.") from error
    return dict(reversed(pairs))


def parsed(body: bytes) -> dict[str, object]:
    """Traccar's JSON object; raises Malformed."""
    found = fixes.parsed(body)
    if not isinstance(found, dict):
        raise Malformed("The body is not a JSON object.")
    return found


def keys_of(fields: Mapping[str, object]) -> list[str]:
    """What among the fields may be the device key."""
    return [found for name in KEY_NAMES if isinstance(found := fields.get(name), str) and found]


def from_query(fields: Mapping[str, str], now: datetime, speed_unit: str) -> Decoded:
    """The fix of a query or form; speeds are in the device's unit (Traccar's default is knots).

    Without a time it was taken now. What is not `valid` is telemetry. A sign of life names neither a place (at most
    cells and access points) nor an event, and holds no fix.
    """
    if not fields.keys() & PLACES and code_of(_event(fields)) is None:
        return [], []
    lat, lon = fields.get("lat"), fields.get("lon")
    if "location" in fields:
        lat, _, lon = fields["location"].partition(",")
    found = reading(
        now,
        fix_at=moment(fields["timestamp"]) if "timestamp" in fields else now,
        lat=number(lat),
        lon=number(lon),
        accuracy_m=known(fields.get("accuracy")),
        altitude_m=number(fields.get("altitude")),
        speed_mps=speed(fields.get("speed"), speed_unit),
        heading_deg=known(fields.get("bearing", fields.get("heading"))),
        satellites=whole(fields.get("sat")),
        battery_pct=known(fields.get("batt")),
        event=_event(fields),
    )
    if isinstance(found, Fix) and fields.get("valid", "true").lower() in FALSE:
        found = unfixed(found)
    return gathered([found])


def from_json(message: Mapping[str, object], now: datetime) -> Decoded:
    """The fix of Traccar's JSON, or those of a batch; nothing for a sign of life without coordinates or a panic.

    Speeds are in m/s, the battery's level is a fraction; negative numbers mean unknown.
    """
    locations = message.get("location")
    each = locations if isinstance(locations, list) else [locations]
    return gathered(_found(location, message, now) for location in each if not _is_sign_of_life(location))


def _is_sign_of_life(location: object) -> bool:
    if not isinstance(location, dict) or "timestamp" not in location:
        return False
    return not _coords(location) and code_of(_event(location)) != PANIC


def _coords(location: Mapping[str, object]) -> object:
    """Where the coordinates are; older clients write them flat."""
    return location.get("coords") or (location if "latitude" in location or "longitude" in location else None)


def _found(location: object, message: Mapping[str, object], now: datetime) -> Fix | Wrong:
    coords = _coords(location) or {} if isinstance(location, dict) else None
    if not isinstance(location, dict) or not isinstance(coords, dict):
        return "field", "`location` is missing, or holds no coordinates."
    battery = location.get("battery") or message.get("battery")
    return reading(
        now,
        fix_at=moment(location.get("timestamp")),
        lat=number(coords.get("latitude")),
        lon=number(coords.get("longitude")),
        accuracy_m=known(coords.get("accuracy")),
        altitude_m=number(coords.get("altitude")),
        speed_mps=speed(coords.get("speed"), "mps"),
        heading_deg=known(coords.get("heading")),
        battery_pct=percent(battery.get("level")) if isinstance(battery, dict) else None,
        event=_event(location),
    )


def _event(fields: Mapping[str, object]) -> object:
    """The alarm, which Traccar Client's SOS writes in `extras`; else that the place is a pretended one; else why."""
    extras = fields.get("extras")
    alarm = fields.get("alarm") or (extras.get("alarm") if isinstance(extras, dict) else None)
    return code_of(alarm) or ("mock" if fields.get("mock") in {True, "true"} else fields.get("event"))
