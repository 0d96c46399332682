"""Tracks from files over HTTP: preview, import, jobs, who may, and what is exported coming in again."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from core.actor import system
from core.ids import new_id
from core.models import AuditEvent
from core.settings import Settings
from core.work import open_work
from dispatch_api import uploads
from dispatch_api.workers import imports
from geo import track_import
from tests.geo.fleet import Fleet
from tests.helpers import Client, Crew, Database, crew, person

API = "/api/v1"
NOW = datetime.now(UTC).replace(microsecond=0)
BEGIN = NOW - timedelta(hours=20)
FORMATS = ("gpx", "kml", "geojson", "csv")


def table(n: int, begin: datetime = BEGIN) -> str:
    """A CSV of n fixes, one a minute, about 300 m apart."""
    lines = [f"{(begin + timedelta(minutes=i)).isoformat()},{54 + i * 0.003},{25.3},100,5,90,10" for i in range(n)]
    return "\n".join(["fix_at,lat,lon,altitude_m,speed_mps,heading_deg,accuracy_m", *lines])


class Desk:
    """A supervisor who imports tracks to a crew's device."""

    def __init__(self, client: Client, headers: dict[str, str], patrol: Crew) -> None:
        self.http, self.headers, self.patrol = client.http, headers, patrol

    async def send(self, content: str | bytes, device_id: UUID | None = None, **query: Any) -> Any:
        """The answer to an import."""
        url = f"{API}/devices/{device_id or self.patrol.device.id}/tracks/import"
        return await self.http.post(url, content=content, params={"format": "csv"} | query, headers=self.headers)


async def desk_of(client: Client, **crew_fields: Any) -> Desk:
    _, headers = await client.new("supervisor")
    return Desk(client, headers, await crew(client.engine, **crew_fields))


async def stored(database: Database, device_id: UUID) -> list[Any]:
    db = await database.owner()
    try:
        return await Fleet(db).track(device_id)
    finally:
        await db.close()


async def test_a_preview_stores_nothing_and_says_what_an_import_would_meet(
    client: Client, database: Database, settings: Settings
) -> None:
    on_shift_from = BEGIN + timedelta(minutes=29, seconds=30)
    ago = datetime.now(UTC) - on_shift_from  # other tests may have taken their time since NOW
    desk = await desk_of(client, since=f"{ago.total_seconds()} seconds")
    wrong = ["2026-02-30T00:00:00Z,1,1", f"{NOW.isoformat()},91,1", "1999-01-01T00:00:00Z,1,1", "2026,1,1"]
    more = [f"{(NOW - timedelta(days=45)).isoformat()},54,25", f"{(NOW + timedelta(days=1)).isoformat()},54,25",
            f"{(NOW - timedelta(hours=1)).isoformat()},0,0"]  # fmt: skip
    answer = await desk.send("\n".join([table(60), *wrong, *more]), preview=True)
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    counts = {"rows": 67, "fixes": 63, "off_duty": 31, "old": 1, "future": 1, "nowhere": 1}
    assert seen.items() >= (counts | {"preview": True, "format": "csv", "whole": True}).items()
    assert [(each["line"], each["code"]) for each in seen["rejected"]] == [
        (62, "time"), (63, "lat"), (64, "time"), (65, "time"),
    ]  # fmt: skip
    assert seen["bbox"] == [25, 54, 25.3, pytest.approx(54.177)]
    assert len(seen["sample"]) == 63
    first, last = seen["sample"][0], seen["sample"][59]
    assert (first["line"], first["on_duty"], last["on_duty"], last["speed_mps"]) == (2, False, True, 5)
    assert await stored(database, desk.patrol.device.id) == []
    assert not list((settings.data_dir / "imports").iterdir())


async def test_what_is_exported_comes_in_again_as_it_was(client: Client, database: Database) -> None:
    desk = await desk_of(client)
    done = (await desk.send(table(50))).json()
    assert done == {
        "rows": 50, "accepted": 50, "duplicates": 0, "off_duty": 0, "suspect": 0, "old": 0, "days": done["days"],
        "rejected_total": 0, "rejected": [],
    }  # fmt: skip
    again = (await desk.send(table(50))).json()
    assert (again["accepted"], again["duplicates"]) == (0, 50)
    _, dispatcher = await client.new("dispatcher")
    url = f"{API}/units/{desk.patrol.unit.id}/track"
    mine = [tuple(row)[2:] for row in await shown(database, desk.patrol.device.id)]
    for form in FORMATS:
        period = {"from": BEGIN.isoformat(), "to": NOW.isoformat(), "format": form}
        file = (await client.http.get(url, params=period, headers=dispatcher)).content
        other = await crew(client.engine)
        answer = await desk.send(file, other.device.id, format=form)
        assert answer.json()["accepted"] == 50, (form, answer.text)
        theirs = [tuple(row)[2:] for row in await shown(database, other.device.id)]
        assert [row[:6] for row in theirs] == [row[:6] for row in mine], form
        if form in {"csv", "geojson", "kml"}:
            assert theirs == mine
    async with open_work(client.engine, system("test")) as work:
        found = await work.all(
            select(AuditEvent).where(AuditEvent.object_kind == "track", AuditEvent.action == "collection")
        )
    assert {event.object_id for event in found} >= {str(desk.patrol.device.id)}


async def shown(database: Database, device_id: UUID) -> list[Any]:
    db = await database.owner()
    try:
        return await db.fetch(
            "SELECT device_id, unit_id, fix_at, ST_X(point), ST_Y(point), altitude_m, speed_mps, heading_deg,"
            " accuracy_m FROM position WHERE device_id = $1 ORDER BY fix_at", device_id,
        )  # fmt: skip
    finally:
        await db.close()


async def test_the_gates_of_a_tracker_hold_for_a_file(client: Client, database: Database) -> None:
    desk = await desk_of(client, since="100 days")
    old = NOW - timedelta(days=45)
    jump = f"{(BEGIN + timedelta(seconds=30)).isoformat()},10,10"
    lines = [table(2), jump, f"{old.isoformat()},54,25", f"{(NOW - timedelta(days=120)).isoformat()},54,25"]
    done = (await desk.send("\n".join(lines))).json()
    counts = {name: done[name] for name in ("accepted", "off_duty", "suspect", "old")}
    assert counts == {"accepted": 4, "off_duty": 1, "suspect": 2, "old": 2}
    rows = await stored(database, desk.patrol.device.id)
    assert [row["suspect"] for row in rows] == ["old", None, "jump", None]
    db = await database.owner()
    try:
        latest = await Fleet(db).latest(desk.patrol.unit.id)
    finally:
        await db.close()
    assert latest is not None
    assert latest["fix_at"] == BEGIN + timedelta(minutes=1)


async def test_a_long_file_becomes_a_job_that_a_second_worker_finishes(
    client: Client, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track_import, "AT_ONCE", 100)
    monkeypatch.setattr(track_import, "MAX_FIXES", 100)
    desk = await desk_of(client)
    seen = (await desk.send(table(250), preview=True)).json()
    assert (seen["whole"], seen["rows"]) == (False, 100)
    one = new_id()
    answer = await desk.send(table(250) + "\nsoon,1,1\n", id=str(one))
    assert answer.status_code == 202, answer.text
    again = await desk.send(table(250) + "\nsoon,1,1\n", id=str(one))
    assert (again.status_code, again.json()) == (202, answer.json())
    job = f"{API}/jobs/{answer.json()['job_id']}"
    asked = iter([True])
    assert not await imports.tracks_round(client.engine, settings, lambda: next(asked, False))
    half = (await client.http.get(job, headers=desk.headers)).json()
    assert (half["status"], 0.3 < half["progress"] < 0.5) == ("queued", True)
    assert await imports.tracks_round(client.engine, settings, lambda: False)
    assert not await imports.tracks_round(client.engine, settings, lambda: False)
    done = (await client.http.get(job, headers=desk.headers)).json()
    assert (done["status"], done["progress"]) == ("done", 1)
    assert (done["result"]["accepted"], done["result"]["duplicates"]) == (250, 0)
    assert done["result"]["rejected"][0]["line"] == 252
    assert len(await stored(database, desk.patrol.device.id)) == 250
    assert not list((settings.data_dir / "imports").iterdir())


async def test_a_job_whose_device_or_file_is_gone_fails_and_leaves_nothing(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track_import, "AT_ONCE", 1)
    desk = await desk_of(client)
    jobs = [(await desk.send(table(n))).json()["job_id"] for n in (2, 3)]
    for file in (settings.data_dir / "imports").iterdir():
        file.unlink()
    _, admin = await client.new("administrator")
    assert await imports.tracks_round(client.engine, settings, lambda: False)
    await client.http.post(f"{API}/devices/{desk.patrol.device.id}/revoke", headers=admin)
    assert await imports.tracks_round(client.engine, settings, lambda: False)
    found = [(await client.http.get(f"{API}/jobs/{each}", headers=desk.headers)).json() for each in jobs]
    assert [(each["status"], each["result"]["detail"]) for each in found] == [
        ("failed", "The file is gone."), ("failed", "The device is revoked."),
    ]  # fmt: skip
    assert not list((settings.data_dir / "imports").iterdir())
    assert (await desk.send(table(2))).json()["code"] == "conflict"


LAUGHS = '<!DOCTYPE gpx [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><gpx>&b;</gpx>'


async def test_who_may_and_what_is_refused(client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await desk_of(client)
    refusals = [
        (await desk.send(LAUGHS, format="gpx"), 400, "malformed"),
        (await desk.send("hello", format="kml", preview=True), 400, "malformed"),
        (await desk.send(b"\x00" * 1_000, format="geojson"), 400, "malformed"),
        (await desk.send(table(1), format="shp"), 422, "invalid"),
        (await desk.send(table(1), new_id()), 404, "not_found"),
    ]
    url = f"{API}/devices/{desk.patrol.device.id}/tracks/import"
    refusals.append((await client.http.post(url, content="x", headers=desk.headers), 415, "media_type"))
    too_long = desk.headers | {"Content-Type": "text/csv", "Content-Length": str(512 * 2**20 + 1)}
    refusals.append((await client.http.post(url, content=b"x", headers=too_long), 413, "too_large"))
    monkeypatch.setattr(uploads, "MAX_IMPORT", 100)
    refusals.append((await desk.send(table(10)), 413, "too_large"))
    for role in ("officer", "dispatcher", "administrator", "auditor", "risk_analyst"):
        headers = await client.sign_in(await person(client.engine, role))
        refusals.append((await client.http.post(url, content="x", headers=headers), 403, "not_allowed"))
    assert [(answer.status_code, answer.json()["code"]) for answer, _, _ in refusals] == [
        (status, code) for _, status, code in refusals
    ]
    assert list((settings.data_dir / "imports").glob("*")) == []


async def test_a_file_of_many_days_is_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track_import, "MAX_DAYS", 2)
    desk = await desk_of(client, since="10 days")
    days = [f"{(NOW - timedelta(days=n)).isoformat()},54,25" for n in range(4)]
    done = (await desk.send("\n".join(["fix_at,lat,lon", *days]))).json()
    assert (done["accepted"], done["days"], [each["line"] for each in done["rejected"]]) == (2, 2, [4, 5])


async def test_both_kinds_of_import_at_once(client: Client) -> None:
    desk = await desk_of(client)
    body = {"type": "FeatureCollection", "features": []}
    answers = await asyncio.gather(
        desk.send(table(500)), desk.send(table(500)), desk.send(json.dumps(body), format="geojson")
    )
    first, second, nothing = (answer.json() for answer in answers)
    assert first["accepted"] + second["accepted"] == first["duplicates"] + second["duplicates"] == 500
    assert nothing["rows"] == 0
