"""Violations as services: the unit comes from the shift, lists page without loss, the database keeps strangers out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.errors import Invalid, Malformed
from core.models import AuditEvent
from core.work import open_work
from geo import cells, violations
from geo.counted import by_category
from geo.models import Violation
from geo.violations import Filter
from tests.helpers import actor_of, crew, person, work_of


def found(**values: Any) -> dict[str, Any]:
    return {
        "category": "tobacco", "occurred_at": datetime(2026, 5, 1, 12, tzinfo=UTC), "lon": 25.3, "lat": 54.7,
        "coord_source": "gps",
    } | values  # fmt: skip


async def test_unit_and_cells_are_filled_in_and_it_is_audited(engine: AsyncEngine) -> None:
    patrol = await crew(engine)
    said = {"quantity_unit": "kg", "place_text": "Behind the mill", "plate": "ABC 123"}
    async with work_of(engine, patrol.actor) as work:
        values = found(quantity=0.1, evaded_duties_eur=12.35, **said)
        made = await violations.record(work, values, (20.0, 53.0, 27.0, 57.0))
    properties = made["properties"]
    assert properties["unit_id"] == patrol.unit.id
    assert properties["recorded_by"] == patrol.officer.id
    assert properties["in_area"] is True
    assert properties.items() >= said.items()
    assert (properties["quantity"], properties["evaded_duties_eur"]) == (0.1, 12.35)
    async with open_work(engine, system("test")) as work:
        row = await work.first(select(Violation))
        assert (row.cell_x, row.cell_y) == (cells.column(25.3), cells.row(54.7))
        actions = await work.all(select(AuditEvent.action).where(AuditEvent.object_kind == "violation"))
    assert actions == ["collection"]


async def test_off_shift_there_is_no_unit_and_outside_the_area_is_only_flagged(engine: AsyncEngine) -> None:
    patrol = await crew(engine, on_shift=False)
    async with work_of(engine, patrol.actor) as work:
        made = await violations.record(work, found(), (0.0, 0.0, 1.0, 1.0))
        free = await violations.record(work, found(), None)
    assert made["properties"]["unit_id"] is None
    assert (made["properties"]["in_area"], free["properties"]["in_area"]) == (False, True)


async def test_unknown_category_and_a_time_to_come_are_refused(engine: AsyncEngine) -> None:
    patrol = await crew(engine)
    later = datetime.now(UTC) + timedelta(days=2)
    for wrong in ({"category": "gossip"}, {"quantity_unit": "barrel"}, {"occurred_at": later}):
        with pytest.raises(Invalid):
            async with work_of(engine, patrol.actor) as work:
                await violations.record(work, found(**wrong), None)


async def test_pages_hold_everything_once_even_with_equal_times(engine: AsyncEngine) -> None:
    patrol = await crew(engine)
    moments = [datetime(2026, 5, 1, tzinfo=UTC) + timedelta(microseconds=n // 3) for n in range(25)]
    async with work_of(engine, patrol.actor) as work:
        made = {(await violations.record(work, found(occurred_at=at), None))["id"] for at in moments}
    seen, times, after = [], [], None
    while True:
        async with work_of(engine, patrol.actor) as work:
            page, after = await violations.listed(work, Filter(), limit=4, after=after)
        seen += [feature["id"] for feature in page]
        times += [feature["properties"]["occurred_at"] for feature in page]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 25
    assert set(seen) == made
    assert times == sorted(times, reverse=True)
    for wrong in ("x", "12", "12.nonsense", "9" * 30 + f".{seen[0]}"):
        with pytest.raises(Malformed):
            async with work_of(engine, patrol.actor) as work:
                await violations.listed(work, Filter(), limit=4, after=wrong)


async def test_the_box_is_exact_at_its_edges(engine: AsyncEngine) -> None:
    patrol = await crew(engine)
    async with work_of(engine, patrol.actor) as work:
        for lon in (25.0, 25.00001, 24.99999, 26.0, 26.00001):
            await violations.record(work, found(lon=lon), None)
        page, _ = await violations.listed(work, Filter((25.0, 54.0, 26.0, 55.0)), limit=10, after=None)
    assert sorted(f["geometry"]["coordinates"][0] for f in page) == [25.0, 25.00001, 26.0]


async def test_an_officer_reads_own_records_only_and_the_centre_all(engine: AsyncEngine) -> None:
    one, other = await crew(engine), await crew(engine)
    for patrol in (one, other):
        async with work_of(engine, patrol.actor) as work:
            await violations.record(work, found(note=patrol.unit.call_sign), None)
    async with work_of(engine, one.actor) as work:
        page, _ = await violations.listed(work, Filter(), limit=10, after=None)
        assert [f["properties"]["note"] for f in page] == [one.unit.call_sign]
        assert await by_category(work, Filter()) == [("tobacco", 1)]
        bare = await work.session.execute(text("SELECT count(*) FROM violation"))
        assert bare.scalar_one() == 1  # the database itself, without any condition of ours
    async with work_of(engine, actor_of(await person(engine, "dispatcher"))) as work:
        page, _ = await violations.listed(work, Filter(), limit=10, after=None)
        assert len(page) == 2
    async with work_of(engine, actor_of(await person(engine, "administrator"))) as work:
        assert (await violations.listed(work, Filter(), limit=10, after=None))[0] == []


def test_periods_are_ordered_and_ten_years_long_at_most() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    assert Filter(since=now - violations.MAX_RANGE).check(now)
    for since, until in ((now - violations.MAX_RANGE * 1.001, None), (now, now), (now, now - timedelta(days=1))):
        with pytest.raises(Invalid):
            Filter(since=since, until=until).check(now)
