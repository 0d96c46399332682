"""What Overland (iOS, Android) sends: batches of GeoJSON features.

Source: the README of aaronpk/Overland-iOS.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from geo.fix import Decoded, Fix
from geo.protocols import fixes
from geo.protocols.foreign import Wrong, gathered, known, moment, number, percent, reading, speed

REPLY = b'{"result":"ok"}'
"""What makes the app forget the batch; anything else makes it send again."""


def decode(body: bytes, now: datetime) -> Decoded:
    """The fixes of a batch, and of `current`, the newest one, that is sent ahead of a long queue.

    Records of trips and of the app itself, which name no place of their own, hold none. Raises Malformed for what is
    not JSON.
    """
    found = fixes.parsed(body)
    batch = found if isinstance(found, dict) else {"locations": found}
    locations = batch.get("locations")
    features = list(locations) if isinstance(locations, list) else []
    return gathered(_fixes([*features, batch.get("current")], now))


def _fixes(features: list[object], now: datetime) -> Iterator[Fix | Wrong]:
    for feature in features:
        if not isinstance(feature, dict):
            continue
        geometry, properties = feature.get("geometry"), feature.get("properties")
        if isinstance(geometry, dict) and isinstance(properties, dict) and properties.get("type") != "trip":
            yield _fix(geometry.get("coordinates"), properties, now)


def _fix(coordinates: object, properties: Mapping[str, object], now: datetime) -> Fix | Wrong:
    lon, lat = coordinates[:2] if isinstance(coordinates, list) and len(coordinates) > 1 else (None, None)
    return reading(
        now,
        fix_at=moment(properties.get("timestamp")),
        lat=number(lat),
        lon=number(lon),
        accuracy_m=known(properties.get("horizontal_accuracy")),
        altitude_m=number(properties.get("altitude")),
        speed_mps=speed(properties.get("speed"), "mps"),
        heading_deg=known(properties.get("course")),
        battery_pct=percent(properties.get("battery_level")),
    )
