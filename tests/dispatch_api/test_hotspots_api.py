"""Hotspot runs over HTTP and through the worker: asked once, made from what occurred before, read by who asked."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from core import jobs
from core.actor import system
from core.ids import new_id
from core.models import AuditEvent, Job
from core.work import open_work
from dispatch_api.workers import hotspots as worker
from geo.hotspots import making, sources
from geo.hotspots.runs import KIND
from geo.violation_import import Batch, store_now
from geo.violation_rows import Good, Row
from tests import module_wide
from tests.helpers import Client, eventually, person

API = "/api/v1/hotspot-runs"
UNTIL = datetime(2026, 6, 1, tzinfo=UTC)
ASKED = {
    "from": "2024-06-01T00:00:00Z", "to": "2026-06-01T00:00:00Z", "horizon_days": 30, "cell_m": 250,
    "area_share": 0.02, "placement": "grid",
}  # fmt: skip

database = module_wide.database


def row(rng: random.Random, number: int, **changes: Any) -> Good:
    spot = random.Random(rng.randrange(12)).random()
    values = {
        "id": f"v{number}", "category": rng.choice(("tobacco", "fuel")), "coord_source": "gps",
        "occurred_at": UNTIL - timedelta(days=rng.uniform(0.1, 700)),
        "lon": 25.2 + spot * 0.2 + rng.gauss(0, 0.002), "lat": 54.6 + spot * 0.1 + rng.gauss(0, 0.001),
    }  # fmt: skip
    return Good(number, Row.model_validate(values | changes), None)


@pytest.fixture(autouse=True)
async def violations(client: Client) -> None:
    """1,500 before `to` in a dozen places, and as many after it where nothing was before."""
    async with open_work(client.engine, system("test")) as work:
        if await work.first(text("SELECT 1 FROM violation LIMIT 1")):
            return
        rng, user = random.Random(7), await person(client.engine, "supervisor")
        later = {"occurred_at": UNTIL + timedelta(days=3), "lon": 25.9, "lat": 54.9}
        rows = [row(rng, n) for n in range(1_500)] + [row(rng, 1_500 + n, **later) for n in range(1_500)]
        await store_now(work, Batch("hotspots", user.id), rows, {})


async def asked(client: Client, headers: dict[str, str], **changes: Any) -> str:
    answer = await client.http.post(API, json=ASKED | changes, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def made(client: Client, headers: dict[str, str], **changes: Any) -> dict[str, Any]:
    run_id = await asked(client, headers, **changes)
    assert await worker.round_(client.engine, lambda: False)
    return dict((await client.http.get(f"{API}/{run_id}", headers=headers)).json())


async def cells_of(client: Client, headers: dict[str, str], run_id: str) -> list[dict[str, Any]]:
    answer = await client.http.get(f"{API}/{run_id}/cells", headers=headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["features"])


async def test_a_run_is_asked_once_made_by_the_worker_and_read(client: Client) -> None:
    _, headers = await client.new("supervisor")
    body = ASKED | {"id": str(new_id())}
    first = await client.http.post(API, json=body, headers=headers)
    again = await client.http.post(API, json=body, headers=headers)
    assert (again.status_code, again.json(), again.headers["Idempotency-Replayed"]) == (202, first.json(), "true")
    run_id = first.json()["id"]
    waits = (await client.http.get(f"{API}/{run_id}", headers=headers)).json()
    assert (waits["status"], waits["progress"], waits["total"]) == ("queued", 0, None)
    early = await client.http.get(f"{API}/{run_id}/cells", headers=headers)
    assert (early.status_code, early.json()["code"]) == (409, "not_done")
    assert await worker.round_(client.engine, lambda: False)
    assert not await worker.round_(client.engine, lambda: False)
    run = (await client.http.get(f"{API}/{run_id}", headers=headers)).json()
    assert (run["status"], run["progress"], run["events"], run["windows"]) == ("done", 1, 1_500, 6)
    assert run["from"] == "2024-06-01T00:00:00.000Z"
    found = await cells_of(client, headers, run_id)
    assert len(found) == round(run["study_cells"] * 0.02)
    properties = [feature["properties"] for feature in found]
    assert [each["rank"] for each in properties] == list(range(1, len(found) + 1))
    assert run["total"]["lo"] < run["total"]["mean"] < run["total"]["hi"]
    assert sum(each["mean"] for each in properties) == pytest.approx(run["total"]["mean"], abs=0.1)
    assert set(properties[0]) == {
        "id", "score", "mean", "lo", "hi", "rank", "n", "trend", "gi_z", "class", "exposure_h",
    }  # fmt: skip


async def test_what_occurred_from_to_on_is_never_used(client: Client) -> None:
    _, headers = await client.new("risk_analyst")
    run = await made(client, headers)
    assert (run["events"], run["outside"]) == (1_500, 0)
    for feature in await cells_of(client, headers, run["id"]):
        assert feature["geometry"]["coordinates"][0][0][0] < 25.6


async def test_categories_an_area_free_squares_and_asked_places(client: Client) -> None:
    _, headers = await client.new("supervisor")
    fuel = await made(client, headers, categories=["fuel"])
    assert 600 < fuel["events"] < 900
    west = [[[25.0, 54.0], [25.3, 54.0], [25.3, 55.0], [25.0, 55.0], [25.0, 54.0]]]
    there = await made(client, headers, area={"type": "Polygon", "coordinates": west}, placement="free", cell_m=120)
    found = await cells_of(client, headers, there["id"])
    assert there["outside"] > 0
    assert found
    assert all(feature["geometry"]["coordinates"][0][0][0] < 25.3 for feature in found)
    places = [["a", 25.3, 54.65], ["b", 25.9, 54.9], ["<c>", 25.21, 54.61]]
    scored = await made(client, headers, score_at=places)
    told = [feature["properties"] for feature in await cells_of(client, headers, scored["id"])]
    assert [each["id"] for each in told] == ["a", "b", "<c>"]
    assert sorted(each["rank"] for each in told) == [1, 2, 3]


async def test_only_who_asked_reads_it_and_consultations_are_audited(client: Client) -> None:
    _, headers = await client.new("supervisor")
    run = await made(client, headers)
    await cells_of(client, headers, run["id"])
    _, other = await client.new("supervisor")
    for path in ("", "/cells"):
        assert (await client.http.get(f"{API}/{run['id']}{path}", headers=other)).status_code == 404
    assert (await client.http.post(f"{API}/{run['id']}/cancel", headers=other)).status_code == 404
    async with open_work(client.engine, system("test")) as work:
        query = select(AuditEvent.object_kind).where(AuditEvent.object_id == run["id"]).order_by(AuditEvent.id)
        assert await work.all(query) == ["hotspot_run", "hotspot_cells"]


async def test_hours_of_patrol_are_for_who_may_read_them(client: Client) -> None:
    async with open_work(client.engine, system("test")) as work:
        await work.session.execute(
            text(
                "INSERT INTO patrol_minutes (part, day, cell_x, cell_y, seconds, units)"
                " SELECT d, d, x, y, 1800, CASE WHEN x % 2 = 0 THEN 3 ELSE 0 END FROM generate_series(37300, 37450) x,"
                " generate_series(20760, 20900) y, generate_series(date '2026-05-01', date '2026-05-02', '1 day') d"
            )
        )
    _, supervisor = await client.new("supervisor")
    run = await made(client, supervisor, method="eb_per_hour", area_share=0.25)
    hours = [feature["properties"]["exposure_h"] for feature in await cells_of(client, supervisor, run["id"])]
    assert run["status"] == "done"
    assert max(hours) > 0
    assert min(hours) == 0  # fewer than five units and days were there
    _, dispatcher = await client.new("dispatcher")
    refused = await client.http.post(API, json=ASKED | {"method": "eb_per_hour"}, headers=dispatcher)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    run = await made(client, dispatcher)
    assert {f["properties"]["exposure_h"] for f in await cells_of(client, dispatcher, run["id"])} == {None}


async def test_what_cannot_be_forecast_fails_in_words(client: Client) -> None:
    _, headers = await client.new("supervisor")
    too_few = await made(client, headers, categories=["nothing"])
    assert (too_few["status"], too_few["code"], too_few["detail"]) == (
        "failed", "too_few", "There is too little to learn from.",
    )  # fmt: skip
    country = [[[20.5, 53.5], [27.0, 53.5], [27.0, 56.8], [20.5, 56.8], [20.5, 53.5]]]
    fine = await made(client, headers, area={"type": "Polygon", "coordinates": country}, cell_m=50)
    assert (fine["status"], fine["code"]) == ("failed", "too_fine")


WRONG: list[dict[str, Any]] = [
    {"to": "2024-06-20T00:00:00Z"}, {"to": "2024-05-01T00:00:00Z"}, {"from": "1990-01-01T00:00:00Z"},
    {"horizon_days": 0}, {"horizon_days": 366}, {"horizon_days": "NaN"}, {"cell_m": 49}, {"cell_m": 1e9},
    {"area_share": 0}, {"area_share": 0.3}, {"method": "magic"}, {"placement": "here"}, {"categories": ["x"] * 51},
    {"area": {"type": "Polygon", "coordinates": []}}, {"score_at": []}, {"score_at": [["a", 181, 0]]},
    {"score_at": [["a\x00", 25, 54]]}, {"score_at": [["a", 25]]}, {"surprise": 1}, {"id": "x"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_is_refused_at_its_field(client: Client, wrong: dict[str, Any]) -> None:
    _, headers = await client.new("supervisor")
    answer = await client.http.post(API, json=ASKED | wrong, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.text


async def test_a_run_ends_when_it_is_cancelled_before_or_while_it_is_made(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, headers = await client.new("supervisor")
    waiting = await asked(client, headers)
    ended = await client.http.post(f"{API}/{waiting}/cancel", headers=headers)
    assert (ended.status_code, ended.json()["status"]) == (200, "cancelled")
    assert (await client.http.get(f"/api/v1/jobs/{waiting}", headers=headers)).status_code == 404
    assert not await worker.round_(client.engine, lambda: False)

    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def for_ever(*args: Any) -> Any:
        loop.call_soon_threadsafe(begun.set)
        while True:
            args[-1](0.5)

    monkeypatch.setattr(making, "forecast", for_ever)
    monkeypatch.setattr(making, "BEAT_S", 0.02)
    running = await asked(client, headers)
    round_ = asyncio.create_task(worker.round_(client.engine, lambda: False))
    await begun.wait()

    async def half() -> bool:
        told = (await client.http.get(f"{API}/{running}", headers=headers)).json()
        return (told["status"], told["progress"]) == ("running", 0.5)

    await eventually(half)
    await client.http.post(f"{API}/{running}/cancel", headers=headers)
    assert await round_
    told = (await client.http.post(f"{API}/{running}/cancel", headers=headers)).json()
    assert (told["status"], told["total"]) == ("cancelled", None)


async def test_a_worker_that_stops_gives_the_run_back(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    _, headers = await client.new("supervisor")

    def for_ever(*args: Any) -> Any:
        while True:
            args[-1](0.5)

    with monkeypatch.context() as patched:
        patched.setattr(making, "forecast", for_ever)
        patched.setattr(making, "BEAT_S", 0.02)
        run_id = await asked(client, headers)
        assert await worker.round_(client.engine, lambda: True)
    async with open_work(client.engine, system("test")) as work:
        assert await work.first(select(Job.status).where(Job.id == run_id)) == "queued"
    assert await worker.round_(client.engine, lambda: False)
    assert (await client.http.get(f"{API}/{run_id}", headers=headers)).json()["status"] == "done"


async def test_rows_are_read_as_they_are_stored(client: Client) -> None:
    async with open_work(client.engine, system("test")) as work:
        seen = await sources.events(work, datetime(2024, 1, 1, tzinfo=UTC), UNTIL, ["fuel"])
        held = await work.all(
            text(
                "SELECT ST_X(point) || ' ' || ST_Y(point) FROM violation"
                " WHERE category = 'fuel' AND occurred_at < timestamptz '2026-06-01T00:00:00Z'"
            )
        )
        assert await jobs.take(work, KIND) is None
    places = sorted(f"{lon!r} {lat!r}" for lon, lat in zip(seen.lon.tolist(), seen.lat.tolist(), strict=True))
    assert places == sorted(held)
    assert 0 < seen.age_days.min() < seen.age_days.max() < 700
