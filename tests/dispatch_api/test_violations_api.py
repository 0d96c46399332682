"""Violations over HTTP: record, list, import, heat, tiles, reports; who may, and what is refused."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import select

from core.actor import system
from core.ids import new_id
from core.models import AuditEvent
from core.settings import Settings
from core.work import open_work
from dispatch_api import uploads
from dispatch_api.workers import imports
from geo import violation_import
from tests.helpers import Client, crew, person

API = "/api/v1"
CSV = {"Content-Type": "text/csv"}
HEAD = "id,occurred_at,category,lat,lon"


def body(**changes: Any) -> dict[str, Any]:
    return {
        "category": "tobacco", "occurred_at": "2026-05-01T12:00:00+03:00", "lon": 25.3, "lat": 54.7,
        "coord_source": "gps",
    } | changes  # fmt: skip


def file_of(n: int, **_: Any) -> str:
    lines = [
        f"{i},2026-03-{1 + i % 28:02d}T10:00:00Z,kind {i % 3},{54 + i % 97 / 97},{25 + i % 89 / 89}" for i in range(n)
    ]
    return "\n".join([HEAD, *lines])


async def test_an_officer_records_once_and_lists_own(client: Client) -> None:
    patrol = await crew(client.engine)
    officer = await client.sign_in(patrol.officer)
    sent = body(id=str(new_id()), note="<b>`${x}`", accuracy_m=12.5, method="in_tyre", task_id=str(new_id()))
    first = await client.http.post(f"{API}/violations", json=sent, headers=officer)
    assert first.status_code == 201, first.text
    again = await client.http.post(f"{API}/violations", json=sent, headers=officer)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert again.json() == first.json()
    other = await client.http.post(f"{API}/violations", json=sent | {"lat": 54.8}, headers=officer)
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")
    listed = (await client.http.get(f"{API}/violations", headers=officer)).json()
    assert (listed["type"], listed["next"]) == ("FeatureCollection", None)
    assert listed["features"] == [first.json()]
    properties = first.json()["properties"]
    assert properties["unit_id"] == str(patrol.unit.id)
    assert properties["occurred_at"] == "2026-05-01T09:00:00.000Z"
    assert properties["note"] == "<b>`${x}`"


WRONG_FIELDS: list[dict[str, Any]] = [
    {"lat": 91}, {"lon": -180.1}, {"lat": "NaN"}, {"lat": None}, {"occurred_at": "2026-05-01T12:00:00"},
    {"occurred_at": "0001-01-01T00:00:00Z"}, {"occurred_at": "9999-12-31T23:59:59Z"},
    {"occurred_at": "2199-01-01T00:00:00Z"}, {"category": "gossip"}, {"category": "a\x00"}, {"category": ""},
    {"coord_source": "moon"}, {"accuracy_m": -1}, {"accuracy_m": 1e300}, {"quantity": 2**63}, {"quantity": 1e16},
    {"evaded_duties_eur": -1}, {"note": "\ud800"}, {"note": "x" * 10_001}, {"method": "magic"}, {"unit_id": "x"},
    {"task_id": "x"}, {"surprise": 1}, {"recorded_by": str(new_id())},
]  # fmt: skip


async def test_bad_fields_are_422_and_nothing_is_stored(client: Client) -> None:
    officer = await client.sign_in((await crew(client.engine)).officer)
    for wrong in WRONG_FIELDS:
        raw = json.dumps(body(**wrong))
        answer = await client.http.post(
            f"{API}/violations", content=raw, headers=officer | {"Content-Type": "application/json"}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), wrong
    assert (await client.http.get(f"{API}/violations", headers=officer)).json()["features"] == []


async def test_who_may_what(client: Client) -> None:
    wanted = {
        "officer": (201, 200, 403, 403, 200), "dispatcher": (403, 200, 403, 200, 200),
        "supervisor": (403, 200, 200, 200, 200), "risk_analyst": (403, 200, 200, 200, 200),
        "investigator": (403, 200, 403, 403, 200), "auditor": (403, 200, 403, 200, 200),
        "internal_affairs": (403, 403, 403, 200, 200), "administrator": (403, 403, 403, 403, 403),
    }  # fmt: skip
    for role, statuses in wanted.items():
        _, headers = await client.new(role)
        http = client.http
        found = [
            await http.post(f"{API}/violations", json=body(), headers=headers),
            await http.get(f"{API}/violations", headers=headers),
            await http.post(f"{API}/violations/import", content=HEAD, headers=headers | CSV),
            await http.get(f"{API}/violations/heat", headers=headers),
            await http.get(f"{API}/violations/categories", headers=headers),
        ]
        assert tuple(answer.status_code for answer in found) == statuses, role
        for path in ("/violations/hotcells", "/violations/heat/5/18/10.png", "/reports/violations-heatmap?format=csv"):
            answer = await http.get(f"{API}{path}", headers=headers)
            assert answer.status_code == statuses[3], (role, path)


async def test_a_short_file_is_answered_at_once_and_adds_nothing_again(client: Client, settings: Settings) -> None:
    _, headers = await client.new("supervisor")
    data = f"{HEAD},severity\r\n1,2026-01-01T00:00:00Z,amber,54.7,25.3,x\r\n2,2026-01-01T00:00:00Z,amber,99,25.3,x\r\n"
    url = f"{API}/violations/import?source=ledger"
    first = await client.http.post(url, content=data, headers=headers | {"Content-Type": "text/csv; charset=utf-8"})
    assert first.status_code == 200, first.text
    assert first.json() == {
        "accepted": 1, "duplicates": 0, "rejected_total": 1, "ignored_columns": ["severity"],
        "new_categories": ["amber"],
        "rejected": [{"line": 3, "code": "lat", "detail": "lat: Input should be less than or equal to 90"}],
    }  # fmt: skip
    again = (await client.http.post(url, content=data, headers=headers | CSV)).json()
    assert (again["accepted"], again["duplicates"], again["new_categories"]) == (0, 1, [])
    features = (await client.http.get(f"{API}/violations", headers=headers)).json()["features"]
    assert [(f["properties"]["external_id"], f["properties"]["source"]) for f in features] == [("1", "ledger")]
    assert features[0]["properties"]["coord_source"] == "import"
    assert not list((settings.data_dir / "imports").iterdir())


async def test_an_import_with_an_id_is_answered_again(client: Client) -> None:
    _, headers = await client.new("supervisor")
    url, data = f"{API}/violations/import?id={new_id()}", file_of(3)
    first = await client.http.post(url, content=data, headers=headers | CSV)
    again = await client.http.post(url, content=data, headers=headers | CSV)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert again.json()["accepted"] == 3
    other = await client.http.post(url, content=file_of(4), headers=headers | CSV)
    assert other.json()["code"] == "id_reused"


async def test_a_long_file_becomes_a_job_with_progress(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(violation_import, "AT_ONCE", 1_000)
    monkeypatch.setattr(violation_import, "CHUNK", 400)
    _, headers = await client.new("risk_analyst")
    short = await client.http.post(f"{API}/violations/import", content=file_of(1_000), headers=headers | CSV)
    assert (short.status_code, short.json()["accepted"]) == (200, 1_000)
    long = await client.http.post(f"{API}/violations/import", content=file_of(1_001), headers=headers | CSV)
    assert long.status_code == 202, long.text
    job = f"{API}/jobs/{long.json()['job_id']}"
    waiting = (await client.http.get(job, headers=headers)).json()
    assert (waiting["status"], waiting["progress"], waiting["result"]) == ("queued", 0, None)
    assert await imports.round_(client.engine, settings, lambda: False)
    assert not await imports.round_(client.engine, settings, lambda: False)
    done = (await client.http.get(job, headers=headers)).json()
    assert (done["status"], done["progress"]) == ("done", 1)
    assert (done["result"]["accepted"], done["result"]["duplicates"]) == (1, 1_000)
    _, other = await client.new("supervisor")
    assert (await client.http.get(job, headers=other)).status_code == 404
    assert (await client.http.get(f"{API}/jobs/{new_id()}", headers=other)).status_code == 404


UNREADABLE = [
    (b"lat,lon\n1,2\n", "text/csv", 400, "malformed"),
    (b"", "text/csv", 400, "malformed"),
    (HEAD.encode() + b"\na,2026-01-01T00:00:00Z,\xff,54,25\n", "text/csv", 400, "malformed"),
    (HEAD.encode() + b"\n\xc4", "text/csv", 400, "malformed"),
    (HEAD.encode("utf-16"), "text/csv", 400, "malformed"),
    (b"{}", "application/geo+json", 400, "malformed"),
    (b"[" * 200_000, "application/geo+json", 400, "malformed"),
    (HEAD.encode(), "application/json", 415, "media_type"),
    (HEAD.encode(), "multipart/form-data; boundary=x", 415, "media_type"),
]


async def test_unreadable_uploads_leave_nothing(client: Client, settings: Settings) -> None:
    _, headers = await client.new("supervisor")
    for data, media_type, status, code in UNREADABLE:
        answer = await client.http.post(
            f"{API}/violations/import", content=data, headers=headers | {"Content-Type": media_type}
        )
        assert (answer.status_code, answer.json()["code"]) == (status, code), (data[:40], answer.text)
    assert not list((settings.data_dir / "imports").iterdir())


async def test_an_upload_is_cut_at_its_limit_however_it_comes(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, headers = await client.new("supervisor")
    declared = headers | CSV | {"Content-Length": str(512 * 2**20 + 1)}
    answer = await client.http.post(f"{API}/violations/import", content=b"x", headers=declared)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    data = file_of(50).encode()
    monkeypatch.setitem(uploads.LIMITS, "text/csv", len(data))

    async def pieces(whole: bytes) -> Any:
        for at in range(0, len(whole), 100):
            yield whole[at : at + 100]

    exact = await client.http.post(f"{API}/violations/import", content=pieces(data), headers=headers | CSV)
    assert exact.status_code == 200, exact.text
    over = await client.http.post(f"{API}/violations/import", content=pieces(data + b"\n"), headers=headers | CSV)
    assert (over.status_code, over.json()["code"]) == (413, "too_large")
    assert not list((settings.data_dir / "imports").iterdir())


async def test_geojson_comes_in_as_it_goes_out(client: Client) -> None:
    _, headers = await client.new("supervisor")
    await client.http.post(f"{API}/violations/import?source=a", content=file_of(20), headers=headers | CSV)
    out = (await client.http.get(f"{API}/violations", headers=headers)).text
    answer = await client.http.post(
        f"{API}/violations/import?source=b", content=out, headers=headers | {"Content-Type": "application/geo+json"}
    )
    assert (answer.json()["accepted"], answer.json()["rejected_total"]) == (20, 0), answer.text


async def test_every_count_of_a_filter_agrees(client: Client) -> None:
    _, headers = await client.new("supervisor")
    await client.http.post(f"{API}/violations/import", content=file_of(400), headers=headers | CSV)
    query = (
        "bbox=25.1,54.2,25.8,54.9&from=2026-03-05T00:00:00Z&to=2026-03-20T00:00:00Z&category=kind%201&category=kind%202"
    )
    get = client.http.get
    listed = (await get(f"{API}/violations?{query}&limit=500", headers=headers)).json()["features"]
    heat = (await get(f"{API}/violations/heat?{query}&zoom=9", headers=headers)).json()
    hot = (await get(f"{API}/violations/hotcells?{query}&limit=500", headers=headers)).json()
    counted = (await get(f"{API}/violations/categories?{query}", headers=headers)).json()
    csv = (await get(f"{API}/reports/violations-heatmap?{query}&format=csv", headers=headers)).text
    assert 0 < len(listed) < 400
    assert heat["total"] == sum(cell[2] for cell in heat["cells"]) == len(listed)
    assert heat["max_n"] == max(cell[2] for cell in heat["cells"])
    corner = query.replace("25.8,54.9", "25.11,54.21")
    elsewhere = (await get(f"{API}/violations/heat?{corner}&zoom=9", headers=headers)).json()
    assert heat["max_n"] <= heat["top"] == elsewhere["top"]  # one scale, wherever one looks
    assert hot["total"] == sum(item["n"] for item in hot["items"]) == len(listed)
    assert sum(item["n"] for item in counted) == len(listed)
    assert {item["category"]: bool(item["n"]) for item in counted} == {"kind 0": False, "kind 1": True, "kind 2": True}
    assert sum(int(line.split(",")[2]) for line in csv.splitlines()[1:]) == len(listed)


async def test_a_bad_box_is_malformed(client: Client) -> None:
    _, headers = await client.new("supervisor")
    for box in ("1,2,3", "nan,0,1,1", "5,0,1,1", "-181,0,1,1", "' OR 1=1 --"):
        for path in ("/violations", "/violations/heat", "/violations/hotcells", "/reports/violations-heatmap"):
            answer = await client.http.get(f"{API}{path}", params={"bbox": box}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), (path, box)


async def test_a_bad_filter_is_422(client: Client) -> None:
    _, headers = await client.new("supervisor")
    for query in (
        "from=2026-01-01T00:00:00", "from=2010-01-01T00:00:00Z&to=2023-01-01T00:00:00Z",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "zoom=23", "zoom=x", "category=%00", "category=",
        "to=9999-12-31T23:59:59Z",
    ):  # fmt: skip
        answer = await client.http.get(f"{API}/violations/heat?{query}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), query


async def test_sql_in_a_filter_is_only_text(client: Client) -> None:
    _, headers = await client.new("supervisor")
    await client.http.post(f"{API}/violations/import", content=file_of(5), headers=headers | CSV)
    for payload in ("' OR '1'='1", "kind 1'; SELECT pg_sleep(5) --", "\\", "%", "kind 1\n"):
        answer = await client.http.get(f"{API}/violations/heat", params={"category": payload}, headers=headers)
        assert (answer.status_code, answer.json()["total"]) == (200, 0)


async def test_tiles_are_private_pictures_and_end_with_the_world(client: Client) -> None:
    _, headers = await client.new("supervisor")
    tile = await client.http.get(f"{API}/violations/heat/7/73/41.png?category=x", headers=headers)
    assert (tile.status_code, tile.headers["content-type"]) == (200, "image/png")
    assert tile.headers["cache-control"].startswith("private")
    assert tile.content.startswith(b"\x89PNG")
    for path, status in (("3/8/0", 404), ("3/0/8", 404), ("19/0/0", 422), ("3/-1/0", 422), (f"3/{2**70}/0", 404)):
        answer = await client.http.get(f"{API}/violations/heat/{path}.png", headers=headers)
        assert answer.status_code == status, path


async def test_a_report_protects_itself_and_is_on_record(client: Client) -> None:
    user = await person(client.engine, "supervisor")
    headers = await client.sign_in(user)
    await client.http.post(f"{API}/violations/import", content=file_of(30), headers=headers | CSV)
    url = f"{API}/reports/violations-heatmap"
    saved, framed = await asyncio.gather(
        client.http.get(f"{url}?category=kind%201&category=%3Cscript%3Ealert(1)%3C/script%3E", headers=headers),
        client.http.get(f"{url}?inline=1", headers=headers),
    )
    assert saved.status_code == framed.status_code == 200
    assert saved.headers["content-disposition"].startswith("attachment")
    assert framed.headers["content-disposition"].startswith("inline")
    for answer in (saved, framed):
        policy = answer.headers["content-security-policy"]
        assert "sandbox allow-scripts; frame-ancestors 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "private, no-store"
    assert "10 violations" in saved.text
    assert "&lt;script&gt;alert(1)" in saved.text
    assert "<script>alert(1)" not in saved.text
    geojson = await client.http.get(f"{url}?format=geojson", headers=headers)
    assert geojson.headers["content-type"] == "application/geo+json"
    assert geojson.json()["total"] == 30
    assert (await client.http.get(f"{url}?format=pdf", headers=headers)).status_code == 422
    assert (await client.http.get(f"{API}/reports/anything", headers=headers)).status_code == 404
    async with open_work(client.engine, system("test")) as work:
        told = await work.all(
            select(AuditEvent).where(AuditEvent.object_kind == "report").order_by(AuditEvent.id.desc()).limit(1)
        )
    assert (told[0].action, told[0].actor_id, told[0].fields["format"]) == ("disclosure", user.id, "geojson")
    assert told[0].fields["total"] == 30
