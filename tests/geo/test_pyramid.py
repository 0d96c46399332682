"""The pyramid holds what the rows say, whatever is written, by whom and when; and heat answers from it exactly."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.db import make_engine
from core.settings import Settings
from core.work import open_work
from dispatch_api.commands import verify_heat
from dispatch_api.workers import heat as heat_worker
from geo import cells, counted, heat, pyramid, violations
from geo.violation_import import Batch, store_now
from geo.violation_rows import Good, Refused, Row
from geo.violations import Filter
from tests import module_wide
from tests.helpers import Crew, Database, actor_of, crew, person, work_of

LITHUANIA = (20.9, 53.8, 26.9, 56.5)
CATEGORIES = ("tobacco", "fuel", "drugs")
SOURCES = ("gps", "map", "import", "office")

database = module_wide.database


@pytest_asyncio.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    made = make_engine(database.app_url)
    yield made
    await made.dispose()


def violation(rng: random.Random) -> dict[str, Any]:
    return {
        "category": rng.choice(CATEGORIES),
        "occurred_at": datetime(2023, 11, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(900 * 86_400)),
        "lon": min(max(rng.gauss(25.28, 1.0), -180), 180),
        "lat": rng.gauss(54.69, 0.5),
        "coord_source": rng.choice(SOURCES),
        "accuracy_m": rng.choice((None, 5.0, 500.0, 501.0, 3_000.0)),
    }


def file_of(rng: random.Random, name: str, n: int) -> list[Good | Refused]:
    rows = [Row.model_validate(violation(rng) | {"id": f"{name}-{number}"}) for number in range(n)]
    return [Good(number, row, None) for number, row in enumerate(rows, 1)]


async def take_in(engine: AsyncEngine, batch: Batch, rows: list[Good | Refused]) -> int:
    async with open_work(engine, system("test")) as work:
        return int((await store_now(work, batch, rows, {}))["accepted"])


async def execute(engine: AsyncEngine, statement: str, **values: Any) -> int:
    async with open_work(engine, system("test")) as work:
        done: Any = await work.session.execute(text(statement), values)
        return int(done.rowcount)


async def merged(engine: AsyncEngine, batch: int = pyramid.BATCH) -> int:
    async with open_work(engine, system("test")) as work:
        return await pyramid.merge(work, batch)


async def wrong(engine: AsyncEngine) -> int:
    async with open_work(engine, system("test")) as work:
        return await pyramid.differences(work)


async def record(engine: AsyncEngine, patrol: Crew, rng: random.Random, n: int) -> None:
    for _ in range(n):
        async with work_of(engine, patrol.actor) as work:
            for _ in range(rng.randint(1, 3)):  # several in one transaction, in any order of cells
                await violations.record(work, violation(rng), None)


async def change(engine: AsyncEngine, rng: random.Random, n: int) -> None:
    """Corrections of every column that counts, and deletions, of what happens to be there."""
    for _ in range(n):
        new, some = (
            violation(rng),
            "id IN (SELECT id FROM violation ORDER BY id LIMIT 3 OFFSET :at FOR UPDATE SKIP LOCKED)",
        )
        values = {"at": rng.randrange(300)}
        match rng.randrange(4):
            case 0:
                set_, values = (
                    "accuracy_m = :accuracy_m, coord_source = :coord_source",
                    values | {k: new[k] for k in ("accuracy_m", "coord_source")},
                )
            case 1:
                set_, values = (
                    "category = :category, occurred_at = :occurred_at",
                    values | {k: new[k] for k in ("category", "occurred_at")},
                )
            case 2:
                place = {
                    "lon": new["lon"],
                    "lat": new["lat"],
                    "x": cells.column(new["lon"]),
                    "y": cells.row(new["lat"]),
                }
                set_ = "cell_x = :x, cell_y = :y, point = ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)"
                values |= place
            case _:
                set_ = "recorded_at = now() - interval '100 days'"
        await execute(engine, f"UPDATE violation SET {set_} WHERE {some}", **values)
    await execute(engine, "DELETE FROM violation WHERE recorded_at < now() - interval '90 days'")


async def test_after_writers_of_all_kinds_at_once_it_holds_what_the_rows_say(engine: AsyncEngine) -> None:
    rng, user = random.Random(7), await person(engine, "supervisor")
    patrols = [await crew(engine) for _ in range(3)]
    first = file_of(rng, "first", 1_500)
    assert await take_in(engine, Batch("test", user.id), first) == 1_500
    done = False

    async def merging() -> None:
        while not done:
            await merged(engine, 400)

    async def importing(name: str) -> None:
        for part in range(3):
            rows = file_of(random.Random(name), f"{name}-{part}", 300) + first[:50]  # some are there already
            taken = await take_in(engine, Batch("test", user.id), rows)
            assert 300 <= taken <= 350  # those that were deleted meanwhile come again

    mergers = [asyncio.create_task(merging()) for _ in range(2)]
    async with asyncio.TaskGroup() as group:
        for patrol in patrols:
            group.create_task(record(engine, patrol, random.Random(patrol.unit.call_sign), 15))
        for name in ("a", "b"):
            group.create_task(importing(name))
        for seed in (1, 2):
            group.create_task(change(engine, random.Random(seed), 12))
    assert await wrong(engine) == 0  # with what waits
    done = True
    await asyncio.gather(*mergers)
    while await merged(engine):
        assert await wrong(engine) == 0
    assert await execute(engine, "DELETE FROM heat_pending") == 0
    assert await wrong(engine) == 0
    assert await execute(engine, "DELETE FROM heat_cell WHERE n = 0") == 0


async def test_an_import_that_fails_leaves_nothing_behind(engine: AsyncEngine) -> None:
    user = await person(engine, "supervisor")
    async with open_work(engine, system("test")) as work:
        await store_now(work, Batch("test", user.id), file_of(random.Random(3), "failed", 50), {})
        assert await pyramid.differences(work) == 0
        await work.session.rollback()
    assert await wrong(engine) == 0


async def test_a_fault_is_seen_and_a_recount_mends_it_while_others_write(engine: AsyncEngine) -> None:
    rng, patrol = random.Random(11), await crew(engine)
    await record(engine, patrol, rng, 5)
    await merged(engine)
    assert await execute(engine, "UPDATE heat_cell SET n = n + 1 WHERE months = 12") > 0
    assert await wrong(engine) > 0

    async def recount() -> None:
        async with open_work(engine, system("test")) as work:
            await pyramid.recount(work)

    await asyncio.gather(recount(), record(engine, patrol, rng, 10), merged(engine))
    assert await wrong(engine) == 0
    while await merged(engine):
        pass
    assert await wrong(engine) == 0


def expected(rows: list[Any], wanted: Filter, shift: int) -> tuple[Counter[tuple[int, int]], Counter[str]]:
    """The counts by cell and of what is left out, one row after another."""
    found, left_out = Counter[tuple[int, int]](), Counter[str]()
    for row in rows:
        w, s, e, n = wanted.box or (-180, -90, 180, 90)
        if not (w <= row.lon <= e and s <= row.lat <= n) or (
            wanted.categories and row.category not in wanted.categories
        ):
            continue
        if (wanted.since and row.occurred_at < wanted.since) or (wanted.until and row.occurred_at >= wanted.until):
            continue
        if row.left_out:
            left_out[row.left_out] += 1
        else:
            found[row.cell_x >> shift, row.cell_y >> shift] += 1
    return found, left_out


def a_filter(rng: random.Random) -> Filter:
    """Any: with edges through data, exactly on months and years or anywhere, one-sided, within one month."""
    box = None
    if rng.random() < 0.7:
        lon, lat = sorted(rng.gauss(25.28, 1.2) for _ in "ab"), sorted(rng.gauss(54.69, 0.7) for _ in "ab")
        box = (lon[0], lat[0], lon[1], lat[1])
    moments = sorted(datetime(2023, 6, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(1_200 * 86_400)) for _ in "ab")
    if rng.random() < 0.3:
        moments = [pyramid.month_start(at.year * 12 + at.month - 1) for at in moments]
    if rng.random() < 0.2:
        moments = [at.replace(month=1, day=1, hour=0, minute=0, second=0) for at in moments]
    since, until = (at if rng.random() < 0.7 else None for at in moments)
    if since == until:
        until = None
    return Filter(box, since, until, tuple(rng.sample(CATEGORIES, rng.choice((0, 0, 1, 2)))))


async def test_heat_is_the_rows_for_any_filter_zoom_and_state_of_the_pyramid(engine: AsyncEngine) -> None:
    rng, user = random.Random(23), await person(engine, "supervisor")
    await take_in(engine, Batch("test", user.id), file_of(rng, "filters", 2_000))
    await merged(engine)
    await take_in(engine, Batch("test", user.id), file_of(rng, "waiting", 200))
    await execute(engine, "DELETE FROM violation WHERE id IN (SELECT id FROM violation LIMIT 60)")  # -1s that wait
    async with open_work(engine, system("test")) as work:
        query = "SELECT *, ST_X(point) AS lon, ST_Y(point) AS lat FROM violation"
        rows = list((await work.session.execute(text(query))).all())
        assert len(rows) > 2_000
        for _ in range(120):
            wanted, shift = a_filter(rng), rng.choice((0, 3, 5, 6, 7, 8, 9, 11, 15))
            by_cell, left_out = expected(rows, wanted, shift)
            found = await heat.grouped(work, wanted, shift)
            assert {(x, y): n for x, y, n in found.cells} == by_cell, (wanted, shift)
            assert found.left_out == {why: left_out[why] for why in heat.LEFT_OUT}, (wanted, shift)
            assert found.total == by_cell.total()
            counts = Counter(row.category for row in rows if expected([row], wanted, 0) != (Counter(), Counter()))
            assert {name: n for name, n in await counted.by_category(work, wanted) if n} == counts


async def test_who_sees_only_their_own_is_answered_from_these(engine: AsyncEngine) -> None:
    patrol, rng = await crew(engine), random.Random(31)
    async with work_of(engine, patrol.actor) as work:
        for _ in range(4):
            await violations.record(work, violation(rng) | {"coord_source": "gps", "accuracy_m": 9.0}, None)
    await merged(engine)
    async with work_of(engine, patrol.actor) as work:
        assert (await heat.grouped(work, Filter(), 9)).total == 4
        assert sum(n for _, n in await counted.by_category(work, Filter())) == 4
        for table in ("heat_cell", "heat_pending"):  # the database itself, without any condition of ours
            assert (await work.session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0
    async with work_of(engine, actor_of(await person(engine, "dispatcher"))) as work:
        assert (await heat.grouped(work, Filter(), 9)).total > 4


async def test_wide_views_read_no_row_of_the_violations(engine: AsyncEngine) -> None:
    """What makes them as quick over millions: not one part of their query is about the violations."""
    async with open_work(engine, system("test")) as work:
        for wanted in (
            Filter(),
            Filter(categories=("fuel",)),
            Filter(since=datetime(2024, 2, 1, tzinfo=UTC), until=datetime(2026, 3, 1, tzinfo=UTC)),
        ):
            assert "violation" not in str(counted.counted(work, wanted, 8))
        for narrow in (Filter(since=datetime(2024, 2, 2, tzinfo=UTC)), Filter(box=LITHUANIA)):
            assert "violation" in str(counted.counted(work, narrow, 8))
        assert "heat_cell" not in str(counted.counted(work, Filter(), 3))


moments = st.integers(0, 4_000_000_000_000_000).map(
    lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)
months = st.one_of(st.none(), st.integers(1_900 * 12, 2_200 * 12))


@given(months, months)
def test_periods_make_up_the_months_without_overlap(first: int | None, end: int | None) -> None:
    found = pyramid.periods((first, end))
    low, high = 1_800 * 12, 2_300 * 12  # what is open goes beyond every month looked at
    named = Counter[int]()
    for length, start, after in found:
        if length == pyramid.EVER:
            named.update(range(low, high))
            continue
        since, until = low if start is None else start * length, high if after is None else after * length
        assert since < until
        named.update(range(since, until))
    assert named == Counter(range(low if first is None else first, high if end is None else end))
    if first is not None and end is not None and first < end:
        assert sum((after or 0) - (start or 0) for _, start, after in found) <= 22 + (end - first) // 12


@given(moments, moments)
def test_whole_months_lie_within_the_period_and_no_more_would(since: datetime, until: datetime) -> None:
    first, end = pyramid.whole_months(since, until)
    assert first is not None
    assert end is not None
    assert pyramid.month_start(first) >= since > pyramid.month_start(first - 1)
    assert pyramid.month_start(end) <= until < pyramid.month_start(end + 1)


@given(st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(0, 90), st.integers(0, 90)), st.integers(0, 5))
def test_spans_and_frames_hold_each_cell_once(corners: tuple[int, int, int, int], shift: int) -> None:
    span = (min(corners[:2]), max(corners[:2]), min(corners[2:]), max(corners[2:]))
    inner = cells.whole(span, shift)
    named = Counter[tuple[int, int]]()
    for west, east, north, south in [*([inner] if inner else []), *cells.frame(span, inner)]:
        named.update((x, y) for x in range(west, east + 1) for y in range(north, south + 1))
    assert set(named.values()) == {1}
    assert set(named) == {(x, y) for x in range(span[0], span[1] + 1) for y in range(span[2], span[3] + 1)}
    for x, y in named:
        cell = cells.cell_span(x >> shift, y >> shift, shift)
        fits = span[0] <= cell[0] and cell[1] <= span[1] and span[2] <= cell[2] and cell[3] <= span[3]
        inside = inner is not None and inner[0] <= x <= inner[1] and inner[2] <= y <= inner[3]
        assert fits == inside


async def test_the_command_says_what_is_wrong_and_mends_it(
    engine: AsyncEngine, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    user, settings = await person(engine, "supervisor"), Settings(database_url=database.app_url)
    await take_in(engine, Batch("test", user.id), file_of(random.Random(41), "command", 20))
    while await merged(engine):
        pass
    assert await verify_heat.run(settings, recount=False) == 0
    lost = await execute(engine, "DELETE FROM heat_cell WHERE months = 0 AND shift = 8")
    assert lost > 0
    assert await verify_heat.run(settings, recount=False) == 1
    assert await verify_heat.run(settings, recount=True) == 0
    assert await verify_heat.run(settings, recount=False) == 0
    right, *wrong_ones, right_again = capsys.readouterr().out.splitlines()
    assert right == right_again == "0 counts differ from the violations"
    assert wrong_ones == [
        f"{lost} counts differ from the violations",
        f"{lost} counts differ from the violations: counted anew",
    ]


async def test_the_worker_merges_what_waits(engine: AsyncEngine) -> None:
    user = await person(engine, "supervisor")
    await take_in(engine, Batch("test", user.id), file_of(random.Random(43), "worker", 20))
    assert await heat_worker.round_(engine) is False
    assert await execute(engine, "DELETE FROM heat_pending") == 0
