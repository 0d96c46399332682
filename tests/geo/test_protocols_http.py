"""Decoders of what trackers send over HTTP: every vector, and the traps of units, clocks, fillers and foes."""

import base64
import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from nacl.secret import SecretBox

from core.errors import Malformed, OutriderError, TooLarge
from geo.fix import Decoded, Fix, NoFix
from geo.protocols import gpslogger, osmand, overland, owntracks, traccar
from tests.geo import vectors

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
JAN = datetime(2026, 1, 1, tzinfo=UTC)
PROTOCOLS = ("osmand", "gpslogger", "owntracks", "overland", "traccar")
VECTORS = [vector for protocol in PROTOCOLS for vector in vectors.everywhere(protocol)]


def decoded(vector: dict[str, Any]) -> Decoded:
    """What the decoder of the vector's protocol makes of its payload; nothing when it is to name its device in vain."""
    payload: str = vector["payload"]
    target, body = (payload, b"") if payload.startswith("/") else ("/", payload.encode())
    query = urlsplit(target).query.encode()
    if vector["protocol"] == "osmand":
        if body.startswith(b"{"):
            return osmand.from_json(osmand.parsed(body), NOW)
        fields = osmand.query(body or query)
        return osmand.from_query(fields, NOW, "knots") if osmand.keys_of(fields) else ([], [])
    if vector["protocol"] == "gpslogger":
        query_fields = gpslogger.form(query)
        if vector["outcome"] == "reject" and body and not gpslogger.keys_of(query_fields, *gpslogger.parts(body)):
            return [], []
        return gpslogger.decode(query_fields, body, NOW)
    if vector["protocol"] == "traccar":
        return traccar.decode(body, NOW).found
    return {"owntracks": owntracks, "overland": overland}[vector["protocol"]].decode(body, NOW)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    try:
        fixes, _ = decoded(vector)
    except OutriderError:
        assert vector["outcome"] == "reject"
        return
    once = {fix.fix_at: fix for fix in reversed(fixes)}
    vectors.check(vector, [msgspec.structs.asdict(once[at]) for at in sorted(once)], NOW)


def one(found: Decoded) -> Any:
    """The one fix, or the code of what is wrong with it."""
    fixes, rejected = found
    assert len(fixes) + len(rejected) == 1
    return fixes[0] if fixes else rejected[0].code


# GPSLogger


def logged(query: str = "", body: str | bytes = b"") -> Decoded:
    return gpslogger.decode(gpslogger.form(query.encode()), body.encode() if isinstance(body, str) else body, NOW)


@pytest.mark.parametrize(
    "query",
    [
        "lat=54.7&longitude=25.3&time=2026-01-01T00:00:00.000Z&s=1.5",  # the app's own first template
        "LATITUDE=54.7&Lng=25.3&timestamp=1767225600&spd_kph=5.4",
        "lat=54.7&lon=25.3&timeoff=2026-01-01T02:00:00.000+02:00&speed=1.5",  # the plus became a space
        "lat=54.7&lon=25.3&epoch=1767225600000&spd=1.5&spd_kph=99",
        "lat=54.7&lon=25.3&time=&timeoffset=null&tst=1767225600&spd=&kmh=5.4",
    ],
)
def test_gpsloggers_names_are_the_users(query: str) -> None:
    for found in (logged(query), logged("", query), logged("", f"This is my body\n{query}")):
        fix = one(found)
        assert (fix.lat, fix.lon, fix.fix_at, fix.speed_mps) == (54.7, 25.3, JAN, pytest.approx(1.5))


def test_gpslogger_fillers_count_as_unknown_and_what_has_no_time_is_of_now() -> None:
    fix = one(
        logged(
            "lat=1&lon=2&alt=&acc=null&spd=-1&dir=NaN&batt=%BATT&sat=&time=&starttimestamp=1495884681&date=2016-03-05"
        )
    )
    assert fix == Fix(fix_at=NOW, lat=1, lon=2)
    assert one(logged("lat=1&lon=2&time=soon")) == "time"
    assert one(logged("lat=&lon=2")) == "lat"


def test_gpslogger_json_however_it_is_grouped() -> None:
    sent = {
        "device": {"id": "x", "battery": "85.0"},
        "position": {"lat": "54.7", "lon": 25.3},
        "time": "2026-01-01T00:00:00Z",
    }
    fix = one(logged("", json.dumps(sent)))
    assert (fix.lat, fix.lon, fix.battery_pct, fix.fix_at) == (54.7, 25.3, 85, JAN)
    fixes, rejected = logged("", json.dumps([{"lat": 1, "lon": 2, "tst": 1767225600}, {"lat": 91, "lon": 2}]))
    assert [fix.fix_at for fix in fixes] == [JAN]
    assert [(each.index, each.code) for each in rejected] == [(1, "lat")]
    assert one(logged("lat=1&time=1767225600", '{"lon": 2}')).lon == 2


def test_gpslogger_csv_with_and_without_its_heading() -> None:
    rows = [
        '2026-01-01T00:00:00.000Z,54.7,25.3,34.0,8,90,1.5,12,gps,,,,,,,,85,"a, b"',
        "2026-01-01T00:01:00.000Z,91,25.3",
    ]
    for lines in (rows, [",".join(gpslogger.COLUMNS), *rows], ["", *rows, ""]):
        for end in ("\n", "\r\n"):
            fixes, rejected = logged("", end.join(lines))
            assert fixes == [
                Fix(fix_at=JAN, lat=54.7, lon=25.3, altitude_m=34, accuracy_m=8, heading_deg=90, speed_mps=1.5,
                    satellites=12, battery_pct=85)
            ]  # fmt: skip
            assert [(each.index, each.code) for each in rejected] == [(1, "lat")]
    assert one(logged("", "lat,lon\n1,2\n")) == "time", "a line of a file is not of now"


@pytest.mark.parametrize(
    "body", [b"", b"  \n", b"{", b"[1,", b'{"lat":NaN}', b"[" * 100_000, b"&".join(b"a%d=1" % n for n in range(200))]
)
def test_gpslogger_refuses_what_cannot_be_read(body: bytes) -> None:
    with pytest.raises(Malformed):
        logged("key=od_x", body)


# OwnTracks


def location(**fields: Any) -> dict[str, Any]:
    return {"_type": "location", "lat": 54.7, "lon": 25.3, "tst": 1767225600} | fields


def tracked(message: object, secret: str | None = None) -> Decoded:
    return owntracks.decode(json.dumps(message).encode(), NOW, secret)


def test_owntracks_speaks_kilometres_an_hour_and_old_versions_text() -> None:
    assert one(tracked(location(vel=36, cog=0, batt=0))).speed_mps == pytest.approx(10)
    fix = one(tracked(location(lat="54.7", lon="25.3", tst="1767225600", acc="10", vel="-1", cog=-1, batt=-1)))
    assert fix == Fix(fix_at=JAN, lat=54.7, lon=25.3, accuracy_m=10)
    assert one(tracked(location(t="!"))).event == "tow"
    assert one(tracked(location(t="u"))).event is None
    assert one(tracked(location(t="t", tow=True))).event == "tow"
    assert one(tracked(location(t="i", alarm="sos"))).event == "panic"
    triggers = {"i": "ignition_on", "I": "ignition_off", "e": "power_cut", "E": "power_restored", "9": "low_battery"}
    assert {t: one(tracked(location(t=t))).event for t in triggers} == triggers


@pytest.mark.parametrize(
    "kind", ["waypoint", "waypoints", "transition", "lwt", "status", "card", "cmd", "steps", "new", None, 7]
)
def test_other_owntracks_messages_hold_no_fix(kind: object) -> None:
    assert tracked(location(_type=kind)) == ([], [])


@pytest.mark.parametrize("message", [None, "", 5, [], {}, [None, 3], {"_type": ["location"]}])
def test_owntracks_ignores_what_is_no_message(message: object) -> None:
    assert tracked(message) == ([], [])


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"tst": None}, "time"), ({"tst": "soon"}, "time"), ({"lat": None}, "lat"), ({"lon": 181}, "lon"),
     ({"lat": True}, "lat"), ({"lat": 10**400}, "lat"), ({"tst": 10**400}, "time"), ({"lon": [1]}, "lon")],
)  # fmt: skip
def test_owntracks_locations_that_are_none(fields: dict[str, Any], code: str) -> None:
    assert one(tracked(location(**fields))) == code


def sealed(message: object, secret: str) -> dict[str, str]:
    key = secret.encode()[:32].ljust(32, b"\0")
    return {
        "_type": "encrypted",
        "data": base64.b64encode(SecretBox(key).encrypt(json.dumps(message).encode())).decode(),
    }


@pytest.mark.parametrize("secret", ["s3cretkey", "ąžuolas", "x" * 40])
def test_owntracks_encrypted_with_the_devices_secret(secret: str) -> None:
    message = sealed(location(vel=36), secret)
    assert one(tracked(message, secret)).speed_mps == pytest.approx(10)
    assert one(tracked(message, "another")) == one(tracked(message)) == "field"
    assert tracked(sealed({"_type": "lwt", "tst": 1}, secret), secret) == ([], [])
    assert tracked(sealed(message, secret), secret) == ([], []), "sealed once only"


@pytest.mark.parametrize("data", [None, 5, "", "x", "AAAA", "!!!!", "é", base64.b64encode(b"x" * 60).decode()])
def test_owntracks_encrypted_rubbish_is_no_fix(data: object) -> None:
    assert one(tracked({"_type": "encrypted", "data": data}, "s3cretkey")) == "field"


# Overland


def feature(at: object = "2026-01-01T00:00:00Z", *, place: object = (25.3, 54.7), **properties: Any) -> dict[str, Any]:
    geometry = {"type": "Point", "coordinates": place}
    return {"type": "Feature", "geometry": geometry, "properties": {"timestamp": at} | properties}


def batched(message: object) -> Decoded:
    return overland.decode(json.dumps(message).encode(), NOW)


def test_overland_speaks_metres_a_second_and_fractions() -> None:
    fix = one(
        batched({"locations": [feature(speed=10, course=90, battery_level=0.89, altitude=-3, horizontal_accuracy=-1)]})
    )
    assert (fix.speed_mps, fix.heading_deg, fix.battery_pct, fix.altitude_m, fix.accuracy_m) == (10, 90, 89, -3, None)
    fix = one(batched([feature(speed=-1, course=-1, battery_level=-1)]))
    assert fix == Fix(fix_at=JAN, lat=54.7, lon=25.3)


@pytest.mark.parametrize(
    "at", ["2025-12-31T17:00:00-0700", "2026-01-01T02:00:00+02:00", "1767225600", 1767225600, 1767225600.0]
)
def test_overland_clocks(at: object) -> None:
    assert one(batched({"locations": [feature(at)]})).fix_at == JAN


def test_overland_current_comes_ahead_of_the_queue_and_trips_hold_no_fix() -> None:
    newest = feature("2026-01-01T01:00:00Z")
    trip = {"distance": 3, "mode": "car", "start_location": feature(), "current_location": newest}
    fixes, rejected = batched({"locations": [feature()], "current": newest, "trip": trip})
    assert ([fix.fix_at.hour for fix in fixes], rejected) == ([0, 1], [])
    told = {"type": "Feature", "properties": {"timestamp": "2026-01-01T00:00:00Z", "action": "will_terminate"}}
    assert batched({"locations": [told, feature(type="trip"), feature(place=None) | {"geometry": None}]}) == ([], [])
    assert one(batched({"locations": [feature(action="visit")]})).event is None


def test_a_bad_overland_feature_costs_no_other() -> None:
    fixes, rejected = batched({"locations": [feature(place=[1]), feature(None), feature(), 5, feature(place=[181, 0])]})
    assert len(fixes) == 1
    assert [(each.index, each.code) for each in rejected] == [(0, "lat"), (1, "time"), (3, "lon")]
    for message in ({}, [], 5, {"locations": None}, {"locations": {"a": 1}, "current": []}):
        assert batched(message) == ([], [])


# Traccar's forwarding


def forwarded(device: object = None, **position: Any) -> traccar.Forwarded:
    place = {"fixTime": "2026-01-01T00:00:00.000+00:00", "deviceTime": "2026-01-01T00:05:00.000+00:00", "valid": True,
             "latitude": 54.7, "longitude": 25.3, "speed": 10, "course": 90, "accuracy": 0.0, "outdated": False,
             "attributes": {"batteryLevel": 85, "sat": 9}}  # fmt: skip
    message = {"device": device or {"uniqueId": "car-1"}, "position": place | position}
    return traccar.decode(json.dumps(message).encode(), NOW)


def test_traccar_forwards_knots_and_three_clocks() -> None:
    identifier, found, _ = forwarded()
    fix = one(found)
    assert identifier == "car-1"
    assert fix.speed_mps == pytest.approx(10 * 1852 / 3600)
    assert (fix.fix_at, fix.battery_pct, fix.satellites, fix.accuracy_m, fix.nowhere) == (JAN, 85, 9, None, False)
    assert one(forwarded(attributes={"alarm": "overspeed,sos"})[1]).event == "panic"
    assert one(forwarded(attributes={"alarm": "hardBraking"})[1]).event == "harsh_braking"


def test_traccar_says_what_a_device_is() -> None:
    device = {"uniqueId": "car-1", "model": "FMB920"}
    assert forwarded(device, attributes={"versionFw": "03.27.07"}).about == "FMB920 03.27.07"
    assert forwarded(device | {"model": ["x"]}).about is None


@pytest.mark.parametrize("without", [{"valid": False}, {"outdated": True}])
def test_traccars_last_known_place_is_telemetry_of_the_time_it_was_sent(without: dict[str, bool]) -> None:
    fix = one(forwarded(**without)[1])
    assert (fix.nowhere, fix.fix_at.minute, fix.lat) == (True, 5, 54.7)


def test_traccar_events_may_come_without_a_position() -> None:
    message = {"event": {"type": "deviceOnline"}, "device": {"uniqueId": "car-1"}}
    assert traccar.decode(json.dumps(message).encode(), NOW) == ("car-1", ([], []), None)
    at = {"eventTime": "2026-01-01T00:00:00.000+00:00"}
    message["event"] = {"type": "alarm", "attributes": {"alarm": "sos"}} | at
    assert one(traccar.decode(json.dumps(message).encode(), NOW)[1]) == NoFix(fix_at=JAN, event="panic")
    message["position"] = {"fixTime": "2026-01-01T00:00:00Z", "latitude": 54.7, "longitude": 25.3}
    message["event"] = {"type": "ignitionOff"} | at
    assert one(traccar.decode(json.dumps(message).encode(), NOW)[1]).event == "ignition_off"
    for device in ({"uniqueId": 5}, {"uniqueId": None}, [1], "x"):
        assert forwarded(device)[0] is None
    for body in (b"[]", b"5", b"", b"{"):
        with pytest.raises(Malformed):
            traccar.decode(body, NOW)


# All of them


DECODERS: dict[str, Callable[[bytes], object]] = {
    "osmand": lambda body: osmand.from_json(osmand.parsed(body), NOW),
    "gpslogger": lambda body: gpslogger.decode({}, body, NOW),
    "owntracks": lambda body: owntracks.decode(body, NOW, "secret"),
    "overland": lambda body: overland.decode(body, NOW),
    "traccar": lambda body: traccar.decode(body, NOW),
}
VALUES: list[object] = [
    None, True, "", "x", "\x00", "\ud800", "1_0", "Infinity", "1e400", 10**30, 10**400, -(10**400), 1e308, -1, [], {},
    [[]], {"a": {}}, "2026-13-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "²", "T:",
]  # fmt: skip


def messages(protocol: str) -> list[object]:
    """A good message of a protocol, as JSON."""
    coords = {"latitude": 54.7, "longitude": 25.3, "speed": 1, "heading": 2, "altitude": 3, "accuracy": 4}
    spot = {"timestamp": "2026-01-01T00:00:00Z", "coords": coords, "battery": {"level": 0.5}, "event": "x"}
    position = {"fixTime": "2026-01-01T00:00:00Z", "latitude": 1, "longitude": 2, "speed": 3, "attributes": {"sat": 4}}
    good = {
        "osmand": {"device_id": "x", "location": spot},
        "gpslogger": {"lat": 1, "lon": 2, "time": "2026-01-01T00:00:00Z", "spd": 3, "acc": 4, "sat": 5},
        "owntracks": location(vel=1, cog=2, acc=3, alt=4, batt=5, t="u"),
        "overland": {"locations": [feature(speed=1, course=2, battery_level=0.3, action="x")], "current": feature()},
        "traccar": {"device": {"uniqueId": "x"}, "position": position},
    }
    return list(spoilt(good[protocol]))


def spoilt(good: Any) -> list[Any]:
    """The message with each of its parts replaced by each of the values."""
    found = list(VALUES)
    if isinstance(good, dict):
        found += [good | {name: worse} for name, part in good.items() for worse in spoilt(part)]
    elif isinstance(good, list):
        found += [[worse] for worse in spoilt(good[0])]
    return found


@pytest.mark.parametrize("protocol", DECODERS)
def test_no_value_anywhere_breaks_a_decoder(protocol: str) -> None:
    raw = [b"\xff\xfe", b"\x00" * 10, b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5_000, b"NaN", b'"\\ud800"']
    for body in (*raw, *(json.dumps(message).encode() for message in messages(protocol))):
        with contextlib.suppress(OutriderError):
            DECODERS[protocol](body)


@pytest.mark.parametrize("protocol", ["gpslogger", "owntracks", "overland"])
def test_a_message_is_bounded(protocol: str) -> None:
    element: Any = feature() if protocol == "overland" else location()
    body = json.dumps([element] * 5_001).encode()
    with pytest.raises(TooLarge):
        DECODERS[protocol](body)
