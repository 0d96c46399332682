"""OsmAnd and Traccar messages: real ones with the result others assert (fixtures), and the traps of their units."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from core.errors import Malformed
from geo.fix import Fix
from geo.protocols import osmand

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
VECTORS = json.loads((Path(__file__).parent.parent / "fixtures/protocols/osmand.json").read_text())


def decoded(vector: dict[str, Any]) -> tuple[str | None, Any]:
    payload = vector["payload"]
    if payload.startswith("/"):
        fields = osmand.query(urlsplit(payload).query.encode())
        return osmand.key_of(fields), osmand.from_query(fields, NOW, "knots")
    message = osmand.parsed(payload.encode())
    return osmand.key_of(message), osmand.from_json(message, NOW)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_real_messages(vector: dict[str, Any]) -> None:
    key, fix = decoded(vector)
    if vector["outcome"] == "reject":
        assert not isinstance(fix, Fix)
        return
    expected = vector["expected"][0]
    assert key == expected["device_id"]
    assert fix.fix_at == (datetime.fromisoformat(expected["time"]) if expected["time"] else NOW)
    assert (fix.lat, fix.lon) == (expected["lat"], expected["lon"])
    assert fix.altitude_m == expected.get("altitude_m")
    assert fix.accuracy_m == expected.get("accuracy_m")
    assert fix.heading_deg == expected.get("course_deg")
    assert fix.battery_pct == expected.get("battery_pct")
    if "speed_kmh" in expected:
        assert fix.speed_mps * 3.6 == pytest.approx(expected["speed_kmh"], abs=0.01)
    else:
        assert fix.speed_mps is None


def query(text: str, unit: str = "knots") -> Any:
    return osmand.from_query(osmand.query(text.encode()), NOW, unit)


@pytest.mark.parametrize(("unit", "mps"), [("knots", 5.1444), ("mps", 10), ("kmh", 2.7778)])
def test_speed_is_in_the_devices_unit(unit: str, mps: float) -> None:
    assert query("lat=1&lon=2&speed=10", unit).speed_mps == pytest.approx(mps, abs=1e-3)


@pytest.mark.parametrize(
    "stamp",
    ["1767225600", "1767225600000", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00%2B0200", "2026-01-01+00%3A00%3A00"],
)
def test_every_form_of_time(stamp: str) -> None:
    assert query(f"lat=1&lon=2&timestamp={stamp}").fix_at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "stamp", ["nan", "inf", "1e300", "-1", "2026-01-01T00:00:00", "9999999999999999", "soon", "1_0"]
)
def test_times_that_are_none(stamp: str) -> None:
    assert query(f"lat=1&lon=2&timestamp={stamp}")[0] == "time"


@pytest.mark.parametrize(
    ("text", "code"),
    [("lat=91&lon=2", "lat"), ("lat=nan&lon=2", "lat"), ("lat=1&lon=inf", "lon"), ("lat=1", "lon"), ("lon=1", "lat"),
     ("location=here", "lat"), ("lat=1_0&lon=1", "lat"), ("lat=%00&lon=1", "lat")],
)  # fmt: skip
def test_places_that_are_none(text: str, code: str) -> None:
    assert query(text)[0] == code


def test_fillers_of_optional_fields_count_as_unknown() -> None:
    fix = query("lat=1&lon=2&speed=-1&bearing=-1&accuracy=nan&altitude=null&batt=&sat=7.0&hdop=1&event=a%00b")
    assert (fix.speed_mps, fix.heading_deg, fix.accuracy_m, fix.altitude_m, fix.battery_pct) == (None,) * 5
    assert (fix.satellites, fix.event) == (7, None)


@pytest.mark.parametrize("valid", ["0", "false", "False"])
def test_no_fix_names_no_place(valid: str) -> None:
    assert query(f"lat=1&lon=2&valid={valid}").nowhere
    assert not query("lat=1&lon=2&valid=true").nowhere
    assert query("lat=0&lon=0").nowhere


def test_of_repeated_fields_the_first_counts() -> None:
    fields = osmand.query(b"id=one&id=two&deviceid=three&lat=1")
    assert osmand.key_of(fields) == "one"


def test_json_of_a_sign_of_life_has_no_fix() -> None:
    message = {"location": {"timestamp": "2026-01-01T00:00:00Z", "event": "heartbeat"}, "device_id": "x"}
    assert osmand.from_json(message, NOW) is None


def test_json_speaks_metres_and_fractions() -> None:
    coords = {"latitude": 54.7, "longitude": 25.3, "speed": 10, "heading": -1, "accuracy": -1}
    location = {"timestamp": "2026-01-01T00:00:00.5Z", "coords": coords, "battery": {"level": 0.42}}
    fix = osmand.from_json({"location": location}, NOW)
    assert isinstance(fix, Fix)
    assert (fix.speed_mps, fix.battery_pct, fix.heading_deg, fix.accuracy_m) == (10, 42, None, None)
    location["battery"] = {"level": -1}
    fix = osmand.from_json({"location": location}, NOW)
    assert isinstance(fix, Fix)
    assert fix.battery_pct is None


@pytest.mark.parametrize("body", [b"", b"[]", b"NaN", b'{"a":NaN}', b"\xff", b"[" * 100_000, b'{"location":'])
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        osmand.parsed(body)


@pytest.mark.parametrize("location", [None, [], "x", {}, {"coords": []}, {"coords": {"latitude": "x"}}, {"coords": {}}])
def test_json_of_the_wrong_shape_is_no_fix(location: object) -> None:
    assert isinstance(osmand.from_json({"location": location}, NOW), tuple)


def test_too_many_fields_are_malformed() -> None:
    with pytest.raises(Malformed):
        osmand.query(b"&".join(b"a%d=1" % n for n in range(200)))
