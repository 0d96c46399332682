"""OsmAnd and Traccar messages: the traps of their units, clocks and fillers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import Malformed
from geo.fix import Decoded, Fix, NoFix
from geo.protocols import osmand

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def outcome(found: Decoded) -> Any:
    """The one fix, or code and sentence of what is wrong with it, or None."""
    fixes, rejected = found
    assert len(fixes) + len(rejected) <= 1
    return fixes[0] if fixes else (rejected[0].code, rejected[0].detail) if rejected else None


def query(text: str, unit: str = "knots") -> Any:
    return outcome(osmand.from_query(osmand.query(text.encode()), NOW, unit))


def message(**fields: Any) -> Any:
    return outcome(osmand.from_json(fields, NOW))


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
def test_what_is_not_valid_shows_nobody_but_keeps_the_last_known_place(valid: str) -> None:
    fix = query(f"lat=1&lon=2&valid={valid}")
    assert (fix.nowhere, fix.lat, fix.lon) == (True, 1, 2)
    assert not query("lat=1&lon=2&valid=true").nowhere
    assert query("lat=0&lon=0").nowhere


def test_cells_and_access_points_are_a_sign_of_life() -> None:
    assert query("id=1&timestamp=1377177267&cell=257,02,16,2224&wifi=00-14-22-01-23-45,-80") is None
    assert query("id=1&timestamp=soon&batt=80") is None


def test_of_repeated_fields_the_first_counts() -> None:
    fields = osmand.query(b"id=one&id=two&deviceid=three&lat=1")
    assert osmand.keys_of(fields) == ["one", "three"]


def test_json_of_a_sign_of_life_has_no_fix() -> None:
    location = {"timestamp": "2026-01-01T00:00:00Z", "event": "heartbeat"}
    assert message(location=location, device_id="x") is None
    assert message(location=[], device_id="x") is None


def test_json_speaks_metres_and_fractions() -> None:
    coords = {"latitude": 54.7, "longitude": 25.3, "speed": 10, "heading": -1, "accuracy": -1}
    location: dict[str, Any] = {"timestamp": "2026-01-01T00:00:00.5Z", "coords": coords, "battery": {"level": 0.42}}
    fix = message(location=location)
    assert isinstance(fix, Fix)
    assert (fix.speed_mps, fix.battery_pct, fix.heading_deg, fix.accuracy_m) == (10, 42, None, None)
    assert message(location=location | {"battery": {"level": -1}}).battery_pct is None
    assert message(location=location | {"mock": True, "event": "motionchange"}).event == "mock"
    assert message(location=location | {"mock": True, "alarm": "sos"}).event == "panic"
    assert message(location=location | {"event": "motionchange"}).event is None


@pytest.mark.parametrize("said", [{"alarm": "sos"}, {"extras": {"alarm": "sos"}}, {"event": "SOS"}])
def test_traccar_clients_sos_counts_with_a_place_or_without(said: dict[str, Any]) -> None:
    coords = {"latitude": 54.7, "longitude": 25.3}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    location: dict[str, Any] = {"timestamp": "2026-01-01T00:00:00Z", **said}
    assert message(location=location | {"coords": coords}).event == "panic"
    assert message(location=location | {"coords": {"latitude": 91}}) == NoFix(fix_at=at, event="panic")
    assert message(location=location) == NoFix(fix_at=at, event="panic")


def test_a_panic_of_a_query_counts_with_a_place_or_without() -> None:
    assert query("lat=1&lon=2&alarm=sos").event == "panic"
    assert query("alarm=sos") == NoFix(fix_at=NOW, event="panic")
    assert query("alarm=sos&lat=1&lon=181&timestamp=1767225600").fix_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert query("alarm=powerCut") == ("lat", "`lat` is missing, of the wrong kind, or out of range.")
    assert query("lat=1&lon=2&alarm=tampering,sos").event == "panic"
    assert query("lat=1&lon=2&event=ignitionOff").event == "ignition_off"
    assert query("lat=1&lon=2&event=anything").event is None


def test_json_may_be_flat_or_a_batch() -> None:
    at = {"timestamp": "2026-01-01T00:00:00Z", "latitude": 54.7, "longitude": 25.3, "speed": 1.4}
    flat = message(location=at, battery={"level": 0.85})
    assert (flat.lat, flat.speed_mps, flat.battery_pct) == (54.7, 1.4, 85)
    later = at | {"timestamp": "2026-01-01T00:00:10Z", "latitude": 91}
    fixes, rejected = osmand.from_json({"location": [at, later, at]}, NOW)
    assert len(fixes) == 2
    assert [(each.index, each.code) for each in rejected] == [(1, "lat")]


@pytest.mark.parametrize("body", [b"", b"[]", b"NaN", b'{"a":NaN}', b"\xff", b"[" * 100_000, b'{"location":'])
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        osmand.parsed(body)


@pytest.mark.parametrize("location", [None, "x", {}, {"coords": []}, {"coords": {"latitude": "x"}}, {"coords": {}}])
def test_json_of_the_wrong_shape_is_no_fix(location: object) -> None:
    assert isinstance(message(location=location), tuple)


def test_too_many_fields_are_malformed() -> None:
    with pytest.raises(Malformed):
        osmand.query(b"&".join(b"a%d=1" % n for n in range(200)))
