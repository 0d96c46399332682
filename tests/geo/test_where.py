"""Where units are, over HTTP on real PostGIS: who is shown to whom, tracks as files, the nearest by geodesic."""

import csv
import io
import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlmodel import col, select

from core.actor import system
from core.codes import CONSULTATION_REASON
from core.ids import new_id
from core.models import AuditEvent
from core.work import open_work
from geo import where
from tests.geo.fleet import now
from tests.helpers import Client, Crew, Database, crew

DAY = datetime(2026, 5, 1, tzinfo=UTC)


async def at(database: Database, unit_id: UUID, lon: float, lat: float, fix_at: datetime | None = None) -> None:
    """The unit's newest plausible fix."""
    owner = await database.owner()
    await owner.execute(
        "INSERT INTO unit_latest (unit_id, device_id, fix_at, received_at, point, accuracy_m, speed_mps)"
        " VALUES ($1, $2, $3, $3, ST_Point($4, $5, 4326), 4.2, 13.9)",
        unit_id, new_id(), fix_at or now(), lon, lat,
    )  # fmt: skip
    await owner.close()


async def fixes(database: Database, rows: list[tuple[UUID, UUID, datetime, float | None, float, str | None]]) -> None:
    """Stored fixes: (device, unit, fix_at, lon or None for none, lat, suspect)."""
    owner: asyncpg.Connection = await database.owner()
    for day in {row[2].date() for row in rows}:
        await owner.execute("SELECT ensure_position_day($1)", day)
    await owner.executemany(
        "INSERT INTO position (device_id, unit_id, fix_at, received_at, point, speed_mps, heading_deg, suspect)"
        " VALUES ($1, $2, $3, $3, ST_Point($4, $5, 4326), 13.9, 271.5, $6)",
        rows,
    )
    await owner.close()


async def shown(client: Client, headers: dict[str, str], query: str = "") -> list[dict[str, Any]]:
    answer = await client.http.get(f"/api/v1/positions/latest{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"] is None
    features: list[dict[str, Any]] = answer.json()["features"]
    return features


def of(*crews: Crew) -> set[str]:
    return {str(one.unit.id) for one in crews}


def ids(features: list[dict[str, Any]]) -> set[str]:
    return {feature["properties"]["unit_id"] for feature in features}


async def test_latest_shows_units_on_duty_only_and_officers_their_own(client: Client, database: Database) -> None:
    mine, other, home = await crew(client.engine), await crew(client.engine), await crew(client.engine, on_shift=False)
    always = await crew(client.engine, on_shift=False, tracking="always")
    for lon, one in enumerate((mine, other, home, always)):
        await at(database, one.unit.id, 25.0 + lon, 54.5, now() - timedelta(seconds=90))
    _, dispatcher = await client.new("dispatcher")
    officer = await client.sign_in(mine.officer)
    everything = await shown(client, dispatcher)
    assert ids(everything) == of(mine, other, always)
    assert ids(await shown(client, dispatcher, "?bbox=24,54,25.5,55")) == of(mine)
    assert ids(await shown(client, officer)) == of(mine)
    assert await shown(client, await client.sign_in(home.officer)) == []
    feature = next(f for f in everything if f["properties"]["unit_id"] == str(mine.unit.id))
    assert feature["geometry"] == {"type": "Point", "coordinates": [25.0, 54.5]}
    age_s = feature["properties"].pop("age_s")
    assert 90 <= age_s < 120
    fix_at = feature["properties"].pop("fix_at")
    assert fix_at.endswith("Z")
    assert feature["properties"].pop("received_at") == fix_at
    assert feature["properties"] == {
        "unit_id": str(mine.unit.id), "call_sign": mine.unit.call_sign, "kind": "patrol", "status": "available",
        "accuracy_m": 4.2, "speed_mps": 13.9, "heading_deg": None, "suspect": False,
    }  # fmt: skip


REFUSED = [
    ("positions/latest?bbox=25,54,24,55", 400),
    ("positions/latest?bbox=nan,54,25,55", 400),
    ("positions/latest?bbox=1,2,3", 400),
    ("units/nearest?lon=nan&lat=54", 422),
    ("units/nearest?lon=25&lat=91", 422),
    ("units/nearest?lon=25", 422),
    ("units/nearest?lon=25&lat=54&limit=51", 422),
    ("units/nearest?lon=25&lat=54&capability=magic", 422),
]


async def test_bad_questions_are_refused(client: Client) -> None:
    _, dispatcher = await client.new("dispatcher")
    answers = [(query, (await client.http.get(f"/api/v1/{query}", headers=dispatcher))) for query, _ in REFUSED]
    assert [(query, answer.status_code) for query, answer in answers] == REFUSED


async def nearest(client: Client, query: str) -> dict[str, Any]:
    _, dispatcher = await client.new("dispatcher")
    answer = await client.http.get(f"/api/v1/units/nearest?{query}", headers=dispatcher)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_nearest_is_the_order_of_geodesic_distances(client: Client, database: Database) -> None:
    """At 69° north a degree of longitude is 40 km, of latitude 111: planar degrees would name `north` first."""
    here = (25.0, 69.0)
    places = {"north": (25.0, 69.5), "east": (26.0, 69.0), "line": (-179.9, 69.0), "far": (25.0, 40.0)}
    # On a sphere `parallel` would be nearer than `meridian`, on the ellipsoid it is farther.
    places |= {"meridian": (25.0, 69.9), "parallel": (27.5105, 69.0), "close": (25.02, 69.0)}
    crews = {name: await crew(client.engine, call_sign=name) for name in places}
    for name, place in places.items():
        await at(database, crews[name].unit.id, *place)
    resting = await crew(client.engine, on_shift=False)
    await at(database, resting.unit.id, *here)
    owner = await database.owner()
    measured = {
        name: await owner.fetchval(
            "SELECT ST_Distance(ST_Point($1, $2, 4326)::geography, ST_Point($3, $4, 4326)::geography)", *here, *place
        )
        for name, place in places.items()
    }
    await owner.close()
    order = sorted(measured, key=lambda name: measured[name])
    assert order == ["close", "east", "north", "meridian", "parallel", "far", "line"]
    items = (await nearest(client, "lon=25&lat=69"))["items"]
    assert [item["call_sign"] for item in items] == order
    for item in items:
        assert item["distance_m"] == pytest.approx(measured[item["call_sign"]], abs=0.1)
        assert item["travel_s"] == pytest.approx(item["distance_m"] * 1.3 / 16.7, abs=1)
    first_two = (await nearest(client, "lon=25&lat=69&limit=2"))["items"]
    assert [item["call_sign"] for item in first_two] == order[:2]


async def test_nearest_says_who_fits_and_why_nobody_does(client: Client, database: Database) -> None:
    assert await nearest(client, "lon=25&lat=54") == {"items": [], "shortfalls": ["no_unit_on_duty"]}
    dog = await crew(client.engine, call_sign="dog", capabilities=["dog"])
    await at(database, dog.unit.id, 25.1, 54)
    found = await nearest(client, "lon=25&lat=54&capability=dog")
    assert found["shortfalls"] == []
    assert found["items"][0]["fits"] is True
    assert {r["code"]: r["fits"] for r in found["items"][0]["reasons"]} == {
        "on_shift": True, "available": True, "capability": True, "fresh": True,
    }  # fmt: skip
    owner = await database.owner()
    await owner.execute("UPDATE unit SET status = 'en_route'")
    await owner.execute("UPDATE unit_latest SET fix_at = now() - interval '11 minutes'")
    await owner.close()
    found = await nearest(client, "lon=25&lat=54&capability=xray")
    assert found["shortfalls"] == ["none_available", "none_with_capability", "none_fresh"]
    assert [r["code"] for r in found["items"][0]["reasons"] if not r["fits"]] == ["available", "capability", "fresh"]
    # One has the capability, another is free: each rule is met by somebody, and still nobody fits.
    free = await crew(client.engine, call_sign="free")
    await at(database, free.unit.id, 25.2, 54)
    found = await nearest(client, "lon=25&lat=54&capability=dog")
    assert [item["fits"] for item in found["items"]] == [False, False]
    assert found["shortfalls"] == ["none_with_capability"]


async def track(client: Client, headers: dict[str, str], unit_id: UUID, query: str = "") -> Any:
    period = "from=2026-05-01T00:00:00Z&to=2026-05-03T00:00:00Z&reason_code=incident"
    return await client.http.get(f"/api/v1/units/{unit_id}/track?{period}{query}", headers=headers)


async def stored_track(client: Client, database: Database) -> Crew:
    """A unit of call sign `A&B` with two devices: two good fixes, a jump, 0/0, and telemetry without a place."""
    one = await crew(client.engine, call_sign="A&B")
    old = await crew(client.engine)  # its device was the unit's before; its later fixes are the other unit's
    async with open_work(client.engine, system("test")) as work:
        await work.session.execute(
            text("INSERT INTO device_assignment (id, device_id, unit_id, valid_from) VALUES (:i, :d, :u, :at)"),
            {"i": new_id(), "d": old.device.id, "u": one.unit.id, "at": DAY},
        )
    await fixes(
        database,
        [
            (one.device.id, one.unit.id, DAY + timedelta(hours=30), 25.2, 54.2, None),
            (old.device.id, one.unit.id, DAY + timedelta(hours=1), 25.1, 54.1, None),
            (old.device.id, old.unit.id, DAY + timedelta(hours=2), 25.9, 54.9, None),
            (one.device.id, one.unit.id, DAY + timedelta(hours=3), 28.0, 57.0, "jump"),
            (one.device.id, one.unit.id, DAY + timedelta(hours=4), 0.0, 0.0, "no_fix"),
            (one.device.id, one.unit.id, DAY + timedelta(hours=5), None, 0.0, "no_fix"),
            (one.device.id, one.unit.id, DAY + timedelta(hours=48), 25.3, 54.3, None),
        ],
    )
    return one


GOOD = [[25.1, 54.1], [25.2, 54.2]]
ALL = [[25.1, 54.1], [28.0, 57.0], [0.0, 0.0], [25.2, 54.2]]


async def test_a_track_holds_the_units_fixes_in_order_of_time(client: Client, database: Database) -> None:
    one = await stored_track(client, database)
    _, headers = await client.new("dispatcher")
    plain = (await track(client, headers, one.unit.id)).json()
    assert [f["geometry"]["coordinates"] for f in plain["features"]] == GOOD
    assert plain["features"][0]["properties"] == {
        "unit_id": str(one.unit.id), "fix_at": "2026-05-01T01:00:00.000Z", "received_at": "2026-05-01T01:00:00.000Z",
        "accuracy_m": None, "altitude_m": None, "speed_mps": 13.9, "heading_deg": 271.5, "suspect": False,
    }  # fmt: skip
    whole = (await track(client, headers, one.unit.id, "&include_suspect=true")).json()
    assert [f["geometry"]["coordinates"] for f in whole["features"]] == ALL
    assert [f["properties"]["suspect"] for f in whole["features"]] == [False, True, True, False]
    async with open_work(client.engine, system("test")) as work:
        rows = await work.all(
            select(AuditEvent).where(col(AuditEvent.object_kind) == "track").order_by(col(AuditEvent.id))
        )
    assert [row.object_id for row in rows] == [str(one.unit.id)] * 2
    assert rows[0].fields["from"].startswith("2026-05-01")
    assert (rows[0].action, rows[0].fields["format"]) == ("consultation", "geojson")


async def test_a_track_as_csv_gpx_and_kml(client: Client, database: Database) -> None:
    one = await stored_track(client, database)
    _, headers = await client.new("dispatcher")
    answer = await track(client, headers, one.unit.id, "&format=csv&include_suspect=1")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text.splitlines()[0] == (
        "unit_id,fix_at,received_at,lat,lon,accuracy_m,altitude_m,speed_mps,heading_deg,suspect"
    )
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [[float(row["lon"]), float(row["lat"])] for row in rows] == ALL
    assert [row["suspect"] for row in rows] == ["false", "true", "true", "false"]
    assert (rows[0]["accuracy_m"], rows[0]["speed_mps"]) == ("", "13.9")
    answer = await track(client, headers, one.unit.id, "&format=gpx")
    assert answer.headers["content-type"] == "application/gpx+xml"
    gpx = ET.fromstring(answer.text)
    space = "{http://www.topografix.com/GPX/1/1}"
    assert [[float(p.get("lon", "")), float(p.get("lat", ""))] for p in gpx.iter(f"{space}trkpt")] == GOOD
    assert next(time.text for time in gpx.iter(f"{space}time")) == "2026-05-01T01:00:00.000Z"
    assert [name.text for name in gpx.iter(f"{space}name")] == ["A&B"]
    answer = await track(client, headers, one.unit.id, "&format=kml")
    kml = ET.fromstring(answer.text)
    places = [place.text for place in kml.iter("{http://www.opengis.net/kml/2.2}coordinates")]
    assert places == ["25.1,54.1", "25.2,54.2"]
    assert (await track(client, headers, one.unit.id, "&format=xlsx")).status_code == 422


async def test_tracks_are_for_dispatchers_and_the_units_own_officers(client: Client, database: Database) -> None:
    one, stranger = await stored_track(client, database), await crew(client.engine)
    own = await client.sign_in(one.officer)
    assert len((await track(client, own, one.unit.id)).json()["features"]) == len(GOOD)
    foreign = await track(client, await client.sign_in(stranger.officer), one.unit.id)
    unknown = await track(client, own, new_id())
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.content == unknown.content
    # A second role that reads units, or live positions, does not open other units' tracks.
    for role in ("administrator", "supervisor"):
        _, headers = await client.new("officer", role)
        assert (await track(client, headers, one.unit.id)).status_code == 404


PERIODS = [
    ("reason_code=incident&from=2026-05-01T00:00:00Z&to=2026-06-01T00:00:00Z", 200),
    ("reason_code=incident&from=2026-05-01T00:00:00Z&to=2026-06-01T00:00:01Z", 422),
    ("reason_code=incident&from=2026-05-02T00:00:00Z&to=2026-05-01T00:00:00Z", 422),
    ("reason_code=incident&from=2026-05-02T00:00:00", 422),
    ("", 200),
]


async def test_a_track_spans_31_days_at_most(client: Client) -> None:
    one = await crew(client.engine)
    _, headers = await client.new("dispatcher")
    path = f"/api/v1/units/{one.unit.id}/track"
    answers = [(query, await client.http.get(f"{path}?{query}", headers=headers)) for query, _ in PERIODS]
    assert [(query, answer.status_code) for query, answer in answers] == PERIODS
    assert answers[0][1].json() == {"type": "FeatureCollection", "features": [], "next": None}


async def test_the_past_beyond_the_live_view_needs_a_reason(client: Client) -> None:
    one = await crew(client.engine)
    _, dispatcher = await client.new("dispatcher")
    officer = await client.sign_in(one.officer)
    path = f"/api/v1/units/{one.unit.id}/track"

    async def asked(hours: float, query: str = "", headers: dict[str, str] = dispatcher) -> Any:
        since = now() - timedelta(hours=hours)
        period = {"from": since.isoformat(), "to": (since + timedelta(hours=1)).isoformat()}
        return await client.http.get(path, params=dict(httpx.QueryParams(query)) | period, headers=headers)

    assert (await asked(24)).status_code == 200
    refused = await asked(25)
    assert refused.status_code == 422
    assert refused.json()["errors"][0] | {"detail": ""} == {"field": "reason_code", "code": "needed", "detail": ""}
    for reason in CONSULTATION_REASON:
        assert reason in refused.json()["errors"][0]["detail"], "a client learns here what to send"
    assert (await asked(25, "reason_code=complaint")).status_code == 200
    assert (await asked(25, "reason_code=curious")).status_code == 422
    assert (await asked(25, "reason_code=other&reason=%20")).json()["errors"][0]["field"] == "reason"
    assert (await asked(25, "reason_code=other&reason=asked%20by%20court")).status_code == 200
    assert (await asked(25, headers=officer)).status_code == 200  # one's own
    async with open_work(client.engine, system("test")) as work:
        rows = await work.all(
            select(AuditEvent).where(AuditEvent.object_id == str(one.unit.id)).order_by(col(AuditEvent.id))
        )
    assert [(row.fields["reason_code"], row.fields["reason"]) for row in rows] == [
        (None, None), ("complaint", None), ("other", "asked by court"), (None, None),
    ]  # fmt: skip


async def test_a_long_track_comes_whole_and_once(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two devices that report at the same moments, read in pages that end between twins."""
    monkeypatch.setattr(where, "PAGE", 3)
    one, twin = await crew(client.engine), new_id()
    async with open_work(client.engine, system("test")) as work:
        await work.session.execute(
            text(
                "INSERT INTO device (id, protocol, key_digest, speed_unit, forwards_for, created_at, updated_at)"
                " VALUES (:d, 'http', :k, 'knots', '{}', now(), now())"
            ),
            {"d": twin, "k": twin.bytes},
        )
        await work.session.execute(
            text("INSERT INTO device_assignment (id, device_id, unit_id) VALUES (:i, :d, :u)"),
            {"i": new_id(), "d": twin, "u": one.unit.id},
        )
    moments = [DAY + timedelta(hours=7 * n) for n in range(6)]
    devices = (one.device.id, twin)
    await fixes(database, [(d, one.unit.id, t, 25.0 + n, 54.0 + k, None)
                           for n, t in enumerate(moments) for k, d in enumerate(devices)])  # fmt: skip
    _, headers = await client.new("dispatcher")
    answer = await track(client, headers, one.unit.id)
    found = json.loads(answer.text)["features"]
    times = [feature["properties"]["fix_at"] for feature in found]
    assert times == sorted(times)
    assert len(found) == len({tuple(f["geometry"]["coordinates"]) for f in found}) == 12
