"""Imports: every row accounted for, nothing doubled, whatever the file and however often it comes."""

import csv
import gzip
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import jobs
from core.actor import system
from core.errors import Malformed, TooLarge
from core.models import Job, UserAccount
from core.work import open_work
from geo import violation_import, violation_rows
from geo.violation_import import Batch, Tally
from geo.violation_rows import CSV, GEOJSON, Good, Refused, open_rows
from tests.helpers import actor_of, person, shared_data, work_of

HEAD = "id,occurred_at,category,lat,lon"
GOOD = "a1,2026-01-02T03:04:05+02:00,tobacco,54.7,25.3"


def read(tmp_path: Path, body: str | bytes, media_type: str = CSV) -> tuple[list[Good | Refused], list[str]]:
    file = tmp_path / "file"
    file.write_bytes(body if isinstance(body, bytes) else body.encode())
    rows = open_rows(file, media_type, "test")
    found = list(rows)
    rows.close()
    return found, list(rows.ignored)


def one(tmp_path: Path, body: str | bytes, media_type: str = CSV) -> Good | Refused:
    (found,), _ = read(tmp_path, body, media_type)
    return found


@pytest.mark.parametrize(
    "body",
    [
        f"{HEAD}\n{GOOD}\n",
        f"{HEAD}\r\n{GOOD}\r\n",
        f"\ufeff{HEAD}\n{GOOD}",
        f"{HEAD}\n\n{GOOD}\n\n",
        'id;"occurred_at";category;lat;lon\na1;2026-01-02T03:04:05+02:00;tobacco;54,7;25,3\n',
        "lon\tlat\tcategory\toccurred_at\tid\n25.3\t54.7\ttobacco\t2026-01-02T03:04:05+02:00\ta1\n",
        f'{HEAD}\n"a1","2026-01-02T03:04:05+02:00","tobacco","54.7"," 25.3 "\n',
    ],
)
def test_the_same_row_in_every_dress(tmp_path: Path, body: str) -> None:
    found = one(tmp_path, body)
    assert isinstance(found, Good), found
    row = found.row
    assert (row.id, row.category, row.lat, row.lon) == ("a1", "tobacco", 54.7, 25.3)
    assert row.occurred_at == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert (row.accuracy_m, row.coord_source, found.key) == (None, "import", None)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("a,2026-01-02T03:04:05Z,tobacco,91,25", "lat"),
        ("a,2026-01-02T03:04:05Z,tobacco,nan,25", "lat"),
        ("a,2026-01-02T03:04:05Z,tobacco,,25", "lat"),
        ("a,2026-01-02T03:04:05Z,tobacco,54,180.1", "lon"),
        ("a,2026-01-02T03:04:05Z,tobacco,54,inf", "lon"),
        ("a,2026-01-02T03:04:05,tobacco,54,25", "time"),
        ("a,yesterday,tobacco,54,25", "time"),
        ("a,0001-01-02T03:04:05Z,tobacco,54,25", "time"),
        ("a,9999-12-31T23:59:59Z,tobacco,54,25", "time"),
        ("a,2026-01-02T03:04:05Z,,54,25", "field"),
        (f"a,2026-01-02T03:04:05Z,{'x' * 201},54,25", "field"),
        (f"{'x' * 201},2026-01-02T03:04:05Z,tobacco,54,25", "field"),
        ("a\x00,2026-01-02T03:04:05Z,tobacco,54,25", "nul"),
        ("a,2026-01-02T03:04:05Z,tobacco,54", "columns"),
        ("a,2026-01-02T03:04:05Z,tobacco,54,25,more", "columns"),
        (f"a,2026-01-02T03:04:05Z,{'x' * 200_000},54,25", "columns"),
    ],
)
def test_a_bad_row_is_refused_alone(tmp_path: Path, row: str, code: str) -> None:
    found, _ = read(tmp_path, f"{HEAD}\n{row}\n{GOOD}\n")
    assert isinstance(found[0], Refused)
    assert (found[0].line, found[0].code) == (2, code)
    assert isinstance(found[-1], Good)
    assert found[-1].line == 3


def test_numbers_and_sources_are_checked_and_unknown_columns_named(tmp_path: Path) -> None:
    head = f"{HEAD},accuracy_m,coord_source,severity,quantity"
    lines = [
        f"{GOOD},-1,gps,slight,1",
        f"{GOOD},5,moon,slight,1",
        f"{GOOD},5,office,slight,1e30",
        f"{GOOD},5,gps,=x,2.5",
    ]
    found, ignored = read(tmp_path, "\n".join([head, *lines]))
    assert [getattr(f, "code", "good") for f in found] == ["number", "field", "number", "good"]
    assert ignored == ["severity"]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    body = f'{HEAD},note\n{GOOD},"two\nlines"\n{GOOD},x\na,b,c,d,e,f\n'
    found, _ = read(tmp_path, body)
    assert [f.line for f in found] == [2, 4, 5]


@pytest.mark.parametrize("header", ["", "id,lat,lon", f"{HEAD},lat", "\n", '"unclosed', "category,occurred_at,lat,LON"])
def test_a_header_without_what_is_needed_is_malformed(tmp_path: Path, header: str) -> None:
    with pytest.raises(Malformed):
        read(tmp_path, f"{header}\n{GOOD}\n")


def feature(**changes: Any) -> dict[str, Any]:
    base = {"type": "Feature", "id": 7, "geometry": {"type": "Point", "coordinates": [25.3, 54.7]},
            "properties": {"category": "fuel", "occurred_at": "2026-01-02T03:04:05Z", "shade": "grey"}}  # fmt: skip
    return base | changes


def test_geojson_points_are_read_and_others_refused(tmp_path: Path) -> None:
    features = [
        feature(),
        feature(geometry=None),
        feature(geometry={"type": "Polygon", "coordinates": []}),
        feature(geometry={"type": "Point", "coordinates": [25]}),
        feature(geometry={"type": "Point", "coordinates": [25, 99]}),
        feature(properties=None),
        feature(id=None, geometry={"type": "Point", "coordinates": [25, 54, 120]}),
        "nonsense",
    ]
    found, ignored = read(tmp_path, json.dumps({"type": "FeatureCollection", "features": features}), GEOJSON)
    assert [getattr(f, "code", "good") for f in found] == [
        "good",
        "field",
        "field",
        "field",
        "lat",
        "field",
        "good",
        "field",
    ]
    assert [f.line for f in found] == list(range(1, 9))
    assert ignored == ["shade"]
    first = found[0]
    assert isinstance(first, Good)
    assert first.row.id == "7"


@pytest.mark.parametrize(
    "body", ["", "[]", '{"type":"Feature"}', '{"type":"FeatureCollection","features":[NaN]}', "[" * 100_000]
)
def test_other_json_is_malformed(tmp_path: Path, body: str) -> None:
    with pytest.raises(Malformed):
        read(tmp_path, body, GEOJSON)


def test_large_geojson_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(violation_rows, "MAX_GEOJSON", 10)
    with pytest.raises(TooLarge):
        read(tmp_path, '{"type":"FeatureCollection","features":[]}', GEOJSON)


async def stored(engine: AsyncEngine) -> int:
    async with open_work(engine, system("test")) as work:
        return int((await work.session.execute(text("SELECT count(*) FROM violation"))).scalar_one())


async def take_in(engine: AsyncEngine, user: UserAccount, found: list[Good | Refused], source: str = "test") -> Tally:
    tally = Tally()
    async with work_of(engine, actor_of(user)) as work:
        await violation_import.store(work, Batch(source, user.id), found, tally)
    return tally


async def test_ids_are_unique_within_a_source_and_categories_are_registered(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    user = await person(engine, "supervisor")
    body = f"{HEAD}\n{GOOD}\n{GOOD}\nb,2026-01-02T03:04:05Z,amber smuggling,54.1,25.1\n"
    found, _ = read(tmp_path, body)
    first = await take_in(engine, user, found)
    assert (first.accepted, first.duplicates, first.new_categories) == (2, 1, ["amber smuggling", "tobacco"])
    again = await take_in(engine, user, found)
    assert (again.accepted, again.duplicates, again.new_categories) == (0, 3, [])
    other = await take_in(engine, user, found, source="another")
    assert (other.accepted, other.duplicates) == (2, 1)
    assert await stored(engine) == 4


async def test_equal_rows_without_id_are_kept_once_each_and_not_again(tmp_path: Path, engine: AsyncEngine) -> None:
    user = await person(engine, "supervisor")
    row = "2026-01-02T03:04:05Z,fuel,54.7,25.3"
    found, _ = read(tmp_path, f"occurred_at,category,lat,lon\n{row}\n{row}\n{row}\n")
    assert (await take_in(engine, user, found)).accepted == 3
    more, _ = read(tmp_path, f"occurred_at,category,lat,lon\n{row}\n{row}\n{row}\n{row}\n")
    again = await take_in(engine, user, more)
    assert (again.accepted, again.duplicates) == (1, 3)


async def test_the_future_is_refused_and_long_lists_are_cut(engine: AsyncEngine) -> None:
    user = await person(engine, "supervisor")
    late = violation_rows.Row.model_validate(
        {"category": "fuel", "occurred_at": datetime.now(UTC) + timedelta(days=3), "lat": 1, "lon": 1}
    )
    tally = await take_in(engine, user, [Good(2, late, None), *(Refused(n, "lat", "x") for n in range(3, 1503))])
    assert (tally.accepted, tally.rejected_total, len(tally.rejected)) == (0, 1501, 1000)
    assert {"line": 2, "code": "time", "detail": "occurred_at: lies in the future"} in tally.rejected


def generated(n: int) -> str:
    """A file of n violations with clusters, ids and a few errors, by a fixed seed."""
    rng, lines = random.Random(7), [f"{HEAD},severity"]
    for number in range(n):
        at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=17 * number)
        lat = "bad" if number % 5_003 == 17 else f"{rng.gauss(54.7, 0.2):.6f}"
        lines.append(f"G{number},{at.isoformat()},kind {number % 9},{lat},{rng.gauss(25.3, 0.3):.6f},slight")
    return "\n".join(lines)


async def queued(engine: AsyncEngine, folder: Path, body: bytes, user: UserAccount) -> Job:
    folder.mkdir(exist_ok=True)
    (folder / "f.csv").write_bytes(body)
    async with work_of(engine, actor_of(user)) as work:
        job_id = violation_import.queue(work, "f.csv", CSV, "big")
    async with work_of(engine, actor_of(user)) as work:
        return await jobs.get(work, job_id)


async def work_on(engine: AsyncEngine, folder: Path, stop_after: int | None = None) -> jobs.Held:
    """Take the job and do it; stop after so many chunks."""
    async with open_work(engine, system("test")) as work:
        held = await jobs.take(work, violation_import.KIND)
    assert held
    chunks = 0

    def stopping() -> bool:
        nonlocal chunks
        chunks += 1
        return stop_after is not None and chunks >= stop_after

    await violation_import.run(engine, held, folder, None, stopping)
    return held


async def seen(engine: AsyncEngine, user: UserAccount, job: Job) -> Job:
    async with work_of(engine, actor_of(user)) as work:
        return await jobs.get(work, job.id)


async def test_a_job_left_half_way_is_taken_up_and_doubles_nothing(
    tmp_path: Path, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(violation_import, "CHUNK", 700)
    user, folder = await person(engine, "supervisor"), tmp_path / "imports"
    job = await queued(engine, folder, generated(6_000).encode(), user)
    await work_on(engine, folder, stop_after=3)
    half = await seen(engine, user, job)
    assert half.status == "queued"
    assert 0.2 < half.progress < 0.6
    assert await stored(engine) == 2_100 - 1
    await work_on(engine, folder)
    done = await seen(engine, user, job)
    assert (done.status, done.progress) == ("done", 1.0)
    assert done.result
    assert (done.result["accepted"], done.result["duplicates"], done.result["rejected_total"]) == (5_998, 0, 2)
    assert done.result["rejected"][0]["line"] == 19
    assert done.result["ignored_columns"] == ["severity"]
    assert len(done.result["new_categories"]) == 9
    assert await stored(engine) == 5_998
    assert not list(folder.iterdir())


async def test_a_worker_thought_dead_changes_nothing_more(
    tmp_path: Path, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(violation_import, "CHUNK", 1_000)
    monkeypatch.setattr(jobs, "LOST_AFTER", timedelta(0))
    user, folder = await person(engine, "supervisor"), tmp_path / "imports"
    job = await queued(engine, folder, generated(3_000).encode(), user)
    async with open_work(engine, system("test")) as work:
        first = await jobs.take(work, violation_import.KIND)
    assert first
    await work_on(engine, folder, stop_after=1)  # the second worker does one chunk and gives the job back
    with pytest.raises(jobs.JobLost):
        await violation_import.run(engine, first, folder, None, lambda: False)
    assert await stored(engine) == 999  # a bad row among the first 1,000
    await work_on(engine, folder)
    result = (await seen(engine, user, job)).result
    assert result
    assert (result["accepted"], result["duplicates"]) == (2_999, 0)


async def test_a_job_whose_file_is_gone_fails_with_a_reason(tmp_path: Path, engine: AsyncEngine) -> None:
    user, folder = await person(engine, "supervisor"), tmp_path / "imports"
    job = await queued(engine, folder, b"", user)
    (folder / "f.csv").unlink()
    await work_on(engine, folder)
    failed = await seen(engine, user, job)
    assert failed.status == "failed"
    assert failed.result == {"detail": "The file is gone."}


async def test_the_whole_recording_comes_in_at_once_and_never_twice(tmp_path: Path, engine: AsyncEngine) -> None:
    """The 118,341 rows of the shared recording where it is present; a file of our own of 30,000 otherwise."""
    file = shared_data("violations/barcelona_accidents_2010_2022.csv.gz", "30,000 generated rows are imported instead")
    body = gzip.decompress(file.read_bytes()) if file else generated(30_000).encode()
    good = sum(1 for row in csv.DictReader(body.decode().splitlines()) if row["lat"] != "bad")
    user, folder = await person(engine, "supervisor"), tmp_path / "imports"
    for accepted, duplicates in ((good, 0), (0, good)):
        job = await queued(engine, folder, body, user)
        await work_on(engine, folder)
        result = (await seen(engine, user, job)).result
        assert result
        assert (result["accepted"], result["duplicates"]) == (accepted, duplicates)
        assert await stored(engine) == good
