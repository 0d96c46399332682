"""What OsmAnd and Traccar Client send: a query, a form, or Traccar's JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from core.errors import Malformed
from geo.fix import Fix
from geo.measures import mps
from geo.protocols import fixes

KEY_NAMES = ("id", "deviceid", "device_id")
MS_FROM = 2**31 - 1
"""A timestamp from here on counts milliseconds."""
FALSE = {"false", "0"}


def query(text: bytes) -> dict[str, str]:
    """The fields of a query string or form; of repeated ones, the first. Raises Malformed when there are too many."""
    try:
        pairs = parse_qsl(text.decode("ascii", "replace"), keep_blank_values=False, max_num_fields=100)
    except ValueError as error:
        raise Malformed("The query cannot be read.") from error
    return dict(reversed(pairs))


def parsed(body: bytes) -> dict[str, object]:
    """Traccar's JSON object; raises Malformed."""
    found = fixes.parsed(body)
    if not isinstance(found, dict):
        raise Malformed("The body is not a JSON object.")
    return found


def key_of(fields: Mapping[str, object]) -> str | None:
    """The device key among the fields."""
    found = next((fields[name] for name in KEY_NAMES if fields.get(name)), None)
    return found if isinstance(found, str) else None


def from_query(fields: Mapping[str, str], now: datetime, speed_unit: str) -> Fix | tuple[str, str]:
    """The fix of a query or form, or code and sentence of what is wrong with it.

    Speeds are in the device's unit (Traccar's default is knots). Without a time it was taken now.
    """
    lat, lon = fields.get("lat"), fields.get("lon")
    if "location" in fields:
        lat, _, lon = fields["location"].partition(",")
    speed = _float(fields.get("speed"))
    sent: dict[str, object] = {
        "fix_at": _moment(fields["timestamp"]) if "timestamp" in fields else now,
        "lat": _float(lat),
        "lon": _float(lon),
        "accuracy_m": _known(_float(fields.get("accuracy"))),
        "altitude_m": _float(fields.get("altitude")),
        "speed_mps": _known(mps(speed, speed_unit)) if isinstance(speed, float) else speed,
        "heading_deg": _known(_float(fields.get("bearing", fields.get("heading")))),
        "satellites": _whole(fields.get("sat")),
        "battery_pct": _known(_float(fields.get("batt"))),
        "event": fields.get("alarm") or fields.get("event"),
    }
    fix = fixes.check(sent, now, lenient=True)
    if isinstance(fix, Fix) and fields.get("valid", "true").lower() in FALSE:
        fix.lat = fix.lon = None
    return fix


def from_json(message: Mapping[str, object], now: datetime) -> Fix | tuple[str, str] | None:
    """The fix of Traccar's JSON, or what is wrong with it; None for a sign of life without coordinates.

    Speeds are in m/s, the battery's level is a fraction; negative numbers mean unknown.
    """
    location = message.get("location")
    if not isinstance(location, dict):
        return "field", "`location` is missing."
    coords = location.get("coords")
    if coords is None and "timestamp" in location:
        return None
    if not isinstance(coords, dict):
        return "field", "`location.coords` is missing."
    battery = location.get("battery")
    level = _known(battery.get("level")) if isinstance(battery, dict) else None
    sent = {
        "fix_at": location.get("timestamp"),
        "lat": coords.get("latitude"),
        "lon": coords.get("longitude"),
        "accuracy_m": _known(coords.get("accuracy")),
        "altitude_m": coords.get("altitude"),
        "speed_mps": _known(coords.get("speed")),
        "heading_deg": _known(coords.get("heading")),
        "battery_pct": level * 100 if isinstance(level, int | float) else level,
        "event": location.get("alarm") or location.get("event"),
    }
    return fixes.check(sent, now, lenient=True)


def _known(number: object) -> object:
    return None if isinstance(number, int | float) and number < 0 else number


def _float(text: str | None) -> object:
    """The number a text holds; the text itself, to be refused by its field's type, when it holds none."""
    if not text:
        return None
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text


def _whole(text: str | None) -> object:
    number = _float(text)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _moment(text: str) -> object:
    """Seconds or milliseconds since 1970, ISO 8601 with an offset, or `yyyy-MM-dd HH:mm:ss` in UTC."""
    number = _float(text)
    try:
        if isinstance(number, float):
            return datetime.fromtimestamp(number / 1000 if number >= MS_FROM else number, UTC)
        if "T" not in text:
            return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return text
