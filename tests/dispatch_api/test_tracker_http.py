"""What trackers send over HTTP, to a real server and into PostGIS: every vector, keys, bounds, and forwarding."""

import base64
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import xor
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from tests import module_wide
from tests.geo import vectors
from tests.geo.fleet import Fleet, now
from tests.helpers import Database, Server

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
PROTOCOLS = ("osmand", "gpslogger", "owntracks", "overland", "nmea")
VECTORS = [each for protocol in PROTOCOLS for each in vectors.load(protocol) if each["transport"] != "tcp"]
GOOD = {"gpslogger": b"", "nmea": b"", "owntracks": b"[]", "overland": b'{"result":"ok"}', "osmand": b""}

database, server = module_wide.database, module_wide.server


@pytest_asyncio.fixture(scope="module")
async def fleet(database: Database) -> AsyncIterator[Fleet]:
    db = await database.owner()
    yield Fleet(db)
    await db.close()


@pytest_asyncio.fixture(scope="module")
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        yield client


async def tracked(fleet: Fleet) -> tuple[UUID, UUID, str]:
    """A unit that is tracked always, its device, and the key."""
    unit_id = await fleet.unit("always")
    return unit_id, *await fleet.device(unit_id)


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"whoever:{key}".encode()).decode()}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


# Vectors


async def send(http: httpx.AsyncClient, vector: dict[str, Any], key: str) -> httpx.Response:
    """Send a vector as its app would, with the key where the protocol carries it."""
    protocol, asked = vector["protocol"], vector.get("http", {"method": "POST", "uri": "/"})
    query = asked["uri"].partition("?")[2]
    body = "" if vector["payload"].startswith("/") else vector["payload"]
    headers = dict(asked.get("headers", {})) | ({"Content-Type": "text/csv"} if vector["transport"] == "file" else {})
    if protocol == "osmand":
        query = re.sub(r"\b(id|deviceid)=[^&]*", rf"\1={key}", query)
        body = re.sub(r'("device_id": ?)"[^"]*"', rf'\1"{key}"', body)
    elif protocol == "gpslogger" and len(body) % 2:
        query += f"&key={key}"
    else:
        headers |= bearer(key) if protocol == "overland" else basic(key)
    return await http.request(asked["method"], f"/ingest/{protocol}?{query}", content=body, headers=headers)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
async def test_vectors_are_stored_as_expected(vector: dict[str, Any], http: httpx.AsyncClient, fleet: Fleet) -> None:
    unit_id, device_id, key = await tracked(fleet)
    answer = await send(http, vector, key)
    if vector["outcome"] == "reject" and answer.status_code == 400:
        assert answer.json()["code"] == "malformed"
    elif vector["outcome"] == "reject" and answer.status_code == 404:
        assert (vector["protocol"], answer.content) == ("osmand", b"")
    else:
        assert (answer.status_code, answer.content) == (200, GOOD[vector["protocol"]])
    rows = await fleet.track(device_id)
    vectors.check(vector, rows, datetime.now(UTC))
    for row in rows:
        if (row["lat"], row["lon"]) == (0, 0):
            assert row["suspect"] == "no_fix"
        elif row["fix_at"] < row["received_at"] - timedelta(days=30):
            assert row["suspect"] == "old"
    shown = await fleet.latest(unit_id)
    assert (shown is not None) == any(row["suspect"] is None for row in rows)


# NMEA


async def test_nmea_in_a_query_a_form_and_lines(http: httpx.AsyncClient, fleet: Fleet) -> None:
    _, device_id, key = await tracked(fleet)
    at = now().replace(microsecond=0) - MINUTE

    def sentence(n: int) -> str:
        text = f"GPRMC,{at + n * SECOND:%H%M%S},A,5441.10,N,02516.20,E,10.0,90.0,{at + n * SECOND:%d%m%y},,"
        return f"${text}*{reduce(xor, text.encode()):02X}"

    opengts = {"id": "phone", "dev": key, "acct": "x", "batt": "80", "alt": "101.5", "gprmc": sentence(0)}
    url = "/ingest/nmea"
    answers = [
        await http.get(url, params=opengts),
        await http.post(url, content=f"IMEI={key}&rmc={sentence(1)},AUTO,,3912,79"),
        await http.post(url, params={"key": key}, content=f"{sentence(2)}\r\n{sentence(3)}\r\n"),
        await http.post(url, headers=basic(key), content=sentence(4)),
        await http.post(url, headers=bearer(key), content=sentence(4)[:-2] + "zz"),
    ]
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"")] * 5
    rows = await fleet.track(device_id)
    assert [(row["fix_at"] - at).seconds for row in rows] == [0, 1, 2, 3, 4]
    assert (rows[0]["altitude_m"], rows[0]["battery_pct"], rows[1]["battery_pct"]) == (101.5, 80, None)
    refused = await http.post(url, content=sentence(5))
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Basic realm="Outrider"')


# GPSLogger


async def test_gpslogger_wherever_the_key_is(http: httpx.AsyncClient, fleet: Fleet) -> None:
    _, device_id, key = await tracked(fleet)
    at = now().replace(microsecond=0) - MINUTE
    place = {"lat": 54.7, "lon": 25.3, "spd": 5}

    def sent(n: int) -> dict[str, Any]:
        return place | {"time": (at + n * SECOND).isoformat().replace("+00:00", "Z")}

    csv = f"time,lat,lon,speed\n{sent(6)['time']},54.7,25.3,5\n{sent(7)['time']},54.7,25.3,5\n"
    url = "/ingest/gpslogger"
    answers = [
        await http.get(url, params=sent(0) | {"key": key}),
        await http.get(url, params=sent(1), headers=basic(key)),
        await http.post(url, data=sent(2), params={"key": key}),
        await http.post(url, data=sent(3) | {"key": key}),
        await http.post(url, json=sent(4) | {"device": {"id": key}}),
        await http.post(url, json=[sent(5)], headers=bearer(key)),
        await http.post(url, content=csv, headers=basic(key) | {"Content-Type": "text/csv"}),
        await http.post(url, content=csv, headers=basic(key)),
    ]
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"")] * len(answers)
    rows = await fleet.track(device_id)
    assert [row["fix_at"] for row in rows] == [at + n * SECOND for n in range(8)]
    assert {row["speed_mps"] for row in rows} == {5}


async def test_a_day_of_csv_is_one_request(http: httpx.AsyncClient, fleet: Fleet) -> None:
    _, device_id, key = await tracked(fleet)
    at = now().replace(microsecond=0) - timedelta(hours=2)
    lines = [f"{(at + n * SECOND).isoformat()},54.7,25.3" for n in range(2_500)]
    body = "\n".join(["time,lat,lon", *lines, "soon,54.7,25.3"])
    answer = await http.post("/ingest/gpslogger", params={"key": key}, content=body)
    assert answer.status_code == 200
    assert len(await fleet.track(device_id)) == 2_500
    again = await http.post("/ingest/gpslogger", params={"key": key}, content=body + "\n" + lines[0])
    assert again.status_code == 200, "the app sends its file again and again"
    assert len(await fleet.track(device_id)) == 2_500


# Overland and OwnTracks


async def test_overlands_newest_is_shown_while_its_queue_is_long(http: httpx.AsyncClient, fleet: Fleet) -> None:
    unit_id, device_id, key = await tracked(fleet)
    at = now().replace(microsecond=0)

    def feature(moment: datetime) -> dict[str, Any]:
        geometry = {"type": "Point", "coordinates": [25.3, 54.7]}
        return {"type": "Feature", "geometry": geometry, "properties": {"timestamp": moment.isoformat()}}

    queue = [feature(at - timedelta(hours=1) + n * SECOND) for n in range(1_000)]
    answer = await http.post("/ingest/overland", json={"locations": queue, "current": feature(at)}, headers=bearer(key))
    assert (answer.status_code, answer.json()) == (200, {"result": "ok"})
    assert len(await fleet.track(device_id)) == 1_001
    shown = await fleet.latest(unit_id)
    assert shown is not None
    assert shown["fix_at"] == at


async def test_owntracks_lists_and_encrypted_messages_without_a_secret(http: httpx.AsyncClient, fleet: Fleet) -> None:
    _, device_id, key = await tracked(fleet)
    location = {"_type": "location", "lat": 54.7, "lon": 25.3, "tst": int(now().timestamp()), "vel": 36}
    encrypted = {"_type": "encrypted", "data": "AAAA"}
    for message in (location, [location | {"tst": location["tst"] - 1}], encrypted, {"_type": "lwt", "tst": 1}, ""):
        answer = await http.post("/ingest/owntracks", json=message, headers=basic(key))
        assert (answer.status_code, answer.json()) == (200, [])
    rows = await fleet.track(device_id)
    assert [row["speed_mps"] for row in rows] == pytest.approx([10, 10])


# Traccar's forwarding


async def forwarder(fleet: Fleet, *devices: UUID) -> str:
    """A device that forwards for these, and its key."""
    device_id, key = await fleet.device(await fleet.unit("always"))
    await fleet.db.execute(
        "UPDATE device SET protocol = 'traccar', forwards_for = $2, updated_at = clock_timestamp() WHERE id = $1",
        device_id, [str(each) for each in devices],
    )  # fmt: skip
    return key


async def named(fleet: Fleet, device_id: UUID, identifier: str) -> None:
    await fleet.db.execute(
        "UPDATE device SET identifier = $2, updated_at = clock_timestamp() WHERE id = $1", device_id, identifier
    )


def forwarded(identifier: str, **fields: Any) -> dict[str, Any]:
    at = (now() - SECOND).isoformat()
    position = {"fixTime": at, "deviceTime": at, "valid": True, "latitude": 54.7, "longitude": 25.3, "speed": 10}
    return {"device": {"uniqueId": identifier}, "position": position | fields}


async def test_traccar_writes_for_the_devices_it_forwards_for(http: httpx.AsyncClient, fleet: Fleet) -> None:
    unit_id, device_id, own_key = await tracked(fleet)
    _, stranger, _ = await tracked(fleet)
    await named(fleet, device_id, "car-1")
    await named(fleet, stranger, "car-2")
    key = await forwarder(fleet, device_id)
    answer = await http.post("/ingest/traccar", json=forwarded("car-1"), headers=bearer(key))
    assert answer.json() == {"accepted": 1, "duplicates": 0, "off_duty": 0, "suspect": 0, "rejected": []}
    (row,) = await fleet.track(device_id)
    assert (row["unit_id"], row["speed_mps"]) == (unit_id, pytest.approx(10 * 1852 / 3600))
    telemetry = await http.post("/ingest/traccar", json=forwarded("car-1", valid=False), headers=bearer(key))
    assert telemetry.json()["suspect"] == 1
    for refused in (forwarded("car-2"), forwarded("car-3"), forwarded(""), {"device": {}, "position": {}}, {}):
        answer = await http.post("/ingest/traccar", json=refused, headers=bearer(key))
        assert (answer.status_code, answer.json()["rejected"][0]["code"]) == (200, "field")
    assert await fleet.track(stranger) == []
    alone = await http.post("/ingest/traccar", json=forwarded("car-1"), headers=bearer(own_key))
    assert alone.json()["rejected"], "a device forwards for nobody unless told so"
    assert len(await fleet.track(device_id)) == 2


async def test_a_device_registered_a_moment_ago_is_forwarded_for(http: httpx.AsyncClient, fleet: Fleet) -> None:
    _, device_id, _ = await tracked(fleet)
    key = await forwarder(fleet, device_id)
    assert (await http.post("/ingest/traccar", json={}, headers=bearer(key))).status_code == 200
    await named(fleet, device_id, "new-car")
    answer = await http.post("/ingest/traccar", json=forwarded("new-car"), headers=bearer(key))
    assert answer.json()["accepted"] == 1
    await fleet.db.execute(
        "UPDATE device SET revoked_at = now(), updated_at = clock_timestamp() WHERE id = $1", device_id
    )
    await http.get("/ingest/osmand", params={"id": "od_knock"})
    answer = await http.post("/ingest/traccar", json=forwarded("new-car"), headers=bearer(key))
    assert answer.json()["accepted"] == 0


# Everybody


ROUTES = ("gpslogger", "owntracks", "overland", "traccar")


@pytest.mark.parametrize("route", ROUTES)
async def test_strangers_are_refused(route: str, http: httpx.AsyncClient) -> None:
    rubbish = [
        "Basic",
        "Basic !!!",
        "Basic AAAA",
        "Bearer",
        "Bearer \xe9",
        basic("od_wrong")["Authorization"],
        "Digest x",
    ]
    for value in (None, *rubbish):
        headers = {} if value is None else {b"authorization": value.encode("latin-1")}
        answer = await http.post(f"/ingest/{route}", json={"lat": 1, "lon": 2}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "bad_device_key")
        scheme = answer.headers["www-authenticate"]
        assert scheme == ("Bearer" if route in {"overland", "traccar"} else 'Basic realm="Outrider"')


@pytest.mark.parametrize("route", ROUTES)
async def test_what_cannot_be_read_is_refused_and_huge_bodies_too(
    route: str, http: httpx.AsyncClient, fleet: Fleet
) -> None:
    _, device_id, key = await tracked(fleet)
    headers = {"Content-Type": "application/json"} | basic(key)
    for body in (b"{", b'{"a":NaN}', b'{"a":' * 10_000, b'{"a":\xff}', b'{"a":' + b"9" * 5_000 + b"}"):
        answer = await http.post(f"/ingest/{route}", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), body[:20]
    answer = await http.post(f"/ingest/{route}", content=b"[" + b" " * (2 << 20) + b"]", headers=headers)
    assert answer.status_code == 413
    assert await fleet.track(device_id) == []


VALUES: list[Any] = [
    None,
    True,
    "",
    "\x00",
    "\ud800",
    10**400,
    -(10**400),
    1e308,
    [],
    {},
    [[{}]],
    "9999-12-31T23:59:59-14:00",
]


@pytest.mark.parametrize("route", ["gpslogger", "owntracks", "overland"])
async def test_nothing_a_known_device_says_is_refused_or_breaks(
    route: str, http: httpx.AsyncClient, fleet: Fleet
) -> None:
    _, device_id, key = await tracked(fleet)
    message: dict[str, Any] = {
        "_type": "location",
        "lat": 54.7,
        "lon": 25.3,
        "tst": int(now().timestamp()),
        "time": None,
    }
    optional = ("acc", "alt", "vel", "spd", "cog", "batt", "sat", "t", "event")
    for n, value in enumerate(VALUES):
        for spoilt in (message | {"lat": value}, message | {"tst": value}, dict.fromkeys(optional, value) | message):
            body: Any = spoilt
            if route == "overland":
                geometry = {"type": "Point", "coordinates": [25.3, spoilt["lat"]]}
                properties = dict.fromkeys(
                    ("speed", "course", "altitude", "action", "battery_level"), spoilt.get("acc")
                )
                timestamp = {"timestamp": spoilt["tst"]}
                body = {"locations": [{"geometry": geometry, "properties": properties | timestamp}], "trip": value}
            answer = await http.post(f"/ingest/{route}", content=json.dumps(body).encode(), headers=basic(key))
            assert (answer.status_code, answer.content) == (200, GOOD[route]), (n, body)
    assert await fleet.track(device_id), "what is optional costs no fix"


async def test_no_key_is_logged(http: httpx.AsyncClient, fleet: Fleet, server: Server) -> None:
    _, _, key = await tracked(fleet)
    for params in ({"key": key, "lat": "1", "lon": "2"}, {"key": "od_canary"}):
        await http.get("/ingest/gpslogger", params=params)
    assert key not in server.log()
    assert "od_canary" not in server.log()
