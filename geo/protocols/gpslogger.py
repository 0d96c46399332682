"""What GPSLogger for Android sends: the names of the fields are the user's own, in a query, a form, JSON or CSV.

Sources: mendhak/gpslogger's CustomUrlManager, CSVFileLogger and "Using the Custom URL feature".
"""

import csv
from collections.abc import Iterator, Mapping
from datetime import datetime
from urllib.parse import parse_qsl

from core.errors import Malformed
from geo.fix import Decoded, Fix
from geo.protocols import fixes
from geo.protocols.foreign import NOTHING, Wrong, gathered, known, moment, number, reading, speed, whole

Fields = Mapping[str, object]
MAX_FIELDS = 100
DEPTH = 3
"""So deep fields are looked for in JSON."""
KEY_NAMES = ("key", "token", "id", "device", "deviceid", "device_id", "aid", "androidid", "ser", "serial")
"""Wherever the user may have put the key."""
LAT, LON = ("lat", "latitude"), ("lon", "longitude", "long", "lng")
ACCURACY = ("acc", "accuracy", "hacc", "horizontal_accuracy", "accuracy_m")
ALTITUDE = ("alt", "altitude", "elevation", "ele", "altitude_m")
HEADING = ("dir", "direction", "bearing", "heading", "course", "cog", "heading_deg")
SPEED_MPS = ("spd", "speed", "s", "velocity", "vel", "speed_mps")
SPEED_KMH = ("spd_kph", "speed_kph", "kph", "spd_kmh", "speed_kmh", "kmh")
SATELLITES = ("sat", "sats", "satellites")
BATTERY = ("batt", "battery", "bat", "battery_level", "batterylevel", "battery_pct")
TIME = (
    "fix_at", "time", "datetime", "timeoffset", "timeoff", "time_offset", "timewithoffset", "timestamp_ms", "timestamp",
    "epoch", "tst", "ts", "utc",
)  # fmt: skip
"""The usual names, the exacter ones first. Speed is `%SPD`, metres per second, unless its name says otherwise."""
COLUMNS = (
    "time", "lat", "lon", "elevation", "accuracy", "bearing", "speed", "satellites", "provider", "hdop", "vdop", "pdop",
    "geoidheight", "ageofdgpsdata", "dgpsid", "activity", "battery", "annotation", "timestamp_ms", "time_offset",
)  # fmt: skip
"""Of its own CSV file, for lines that come without their heading."""


def form(text: bytes) -> dict[str, str]:
    """The fields of a query or form, names in small letters; of repeated ones, the first.

    Lines count as fields too. Raises Malformed when there are too many.
    """
    line = b"&".join(text.splitlines()).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(line, keep_blank_values=False, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Malformed("The fields cannot be read.") from error
    return {name.lower(): value for name, value in reversed(pairs)}


def decode(query: Fields, body: bytes, now: datetime) -> Decoded:
    """The fixes of a request: of each CSV line, each JSON object of a list, or one of query and body together.

    What has no time was taken now, but not a line of a file. Raises Malformed for what cannot be read, and when
    nothing came at all.
    """
    if _is_csv(body):
        return gathered(fix_of(row, now) for row in _rows(body))
    sent = [dict(query) | dict(fields) for fields in parts(body)]
    if not any(fields.keys() - set(KEY_NAMES) for fields in sent):
        raise Malformed("The request is empty.")
    return gathered(fix_of(fields, now, now) for fields in sent)


def parts(body: bytes) -> list[Fields]:
    """The fields a body holds, once or, in a JSON list, several times. Raises Malformed for what cannot be read."""
    if not body.lstrip().startswith((b"{", b"[")):
        return [form(body)]
    found = fixes.parsed(body)
    return [dict(_leaves(each, DEPTH)) for each in (found if isinstance(found, list) else [found])]


def keys_of(*sent: Fields) -> list[str]:
    """What among the fields may be the device key."""
    found = [fields.get(name) for name in KEY_NAMES for fields in sent]
    return [key for key in found if isinstance(key, str) and key]


def _leaves(value: object, depth: int) -> Iterator[tuple[str, object]]:
    """The plain values in a JSON object, however they are grouped; those further out are given last, and win."""
    if not isinstance(value, dict):
        return
    for inner in value.values():
        if depth:
            yield from _leaves(inner, depth - 1)
    for name, leaf in value.items():
        if not isinstance(leaf, dict | list):
            yield name.lower(), leaf


def _is_csv(body: bytes) -> bool:
    first = body.lstrip().partition(b"\n")[0]
    return b"," in first and b"=" not in first and not first.startswith((b"{", b"["))


def _rows(body: bytes) -> Iterator[Fields]:
    """The lines of a CSV by column. Raises Malformed."""
    try:
        rows = list(csv.reader(body.decode("utf-8-sig", "replace").strip().split("\n")))
    except csv.Error as error:
        raise Malformed("The lines cannot be read.") from error
    columns = tuple(name.strip().lower() for name in rows[0])
    if _first(dict.fromkeys(columns, 0), LAT) is None:
        columns = COLUMNS
    else:
        del rows[0]
    for row in rows:
        if row:
            yield dict(zip(columns, row, strict=False))


def fix_of(fields: Fields, now: datetime, without_time: datetime | None = None) -> Fix | Wrong:
    """The fix of fields under any of the usual names, written small; what has no time was taken at `without_time`."""
    when = _first(fields, TIME)
    kmh = speed(_first(fields, SPEED_KMH), "kmh")
    mps = speed(_first(fields, SPEED_MPS), "mps")
    return reading(
        now,
        fix_at=without_time if when is None else moment(when),
        lat=number(_first(fields, LAT)),
        lon=number(_first(fields, LON)),
        accuracy_m=known(_first(fields, ACCURACY)),
        altitude_m=number(_first(fields, ALTITUDE)),
        speed_mps=kmh if mps is None else mps,
        heading_deg=known(_first(fields, HEADING)),
        satellites=whole(_first(fields, SATELLITES)),
        battery_pct=known(_first(fields, BATTERY)),
    )


def _first(fields: Fields, names: tuple[str, ...]) -> object:
    """The first of these fields that says something."""
    for name in names:
        value = fields.get(name)
        if value is not None and not (isinstance(value, str) and value.strip().lower() in NOTHING):
            return value
    return None
