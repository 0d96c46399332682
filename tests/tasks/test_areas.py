"""Notices to areas: exactly who is inside when they are sent, and who enters while they are valid, each once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import inbox
from core.actor import Actor, Role, system
from core.bus import DutyChanged
from core.work import open_work
from geo.fix import Fix
from mobile_contract.resources import NoticeIn
from tasks import audience, notices
from tests.geo.fleet import Ingest
from tests.helpers import Crew, Database, actor_of, crew, person

BOX = {"type": "Polygon", "coordinates": [[[25.0, 54.5], [25.1, 54.5], [25.1, 54.6], [25.0, 54.6], [25.0, 54.5]]]}
LAT, IN, OUT = 54.55, 25.099, 25.101
"""Two places 130 m apart, so that no way between them is too fast to be true."""


class Field:
    """Crews whose trackers report, a dispatcher, and the worker's round."""

    def __init__(self, engine: AsyncEngine, ingest: Ingest, sender: Actor) -> None:
        self.engine, self.ingest, self.sender = engine, ingest, sender

    async def crew(self, **fields: Any) -> Crew:
        made = await crew(self.engine, **fields)
        await self.ingest.duty.changed(DutyChanged(frozenset({made.unit.id, made.device.id})))
        return made

    async def at(self, who: Crew, *places: float, first_s: float = 0) -> None:
        """One delivery of fixes at these longitudes, a minute apart, the first so many seconds from now."""
        start = datetime.now(UTC) + timedelta(seconds=first_s)
        fixes = [Fix(fix_at=start + timedelta(minutes=n), lon=lon, lat=LAT) for n, lon in enumerate(places)]
        stored = await self.ingest.writer.store(await self.ingest.device(who.device_key), fixes)
        assert (stored.accepted, stored.suspect) == (len(fixes), 0)

    async def send(self, **fields: Any) -> dict[str, Any]:
        body = {"kind": "be_on_lookout", "priority": "P2", "headline": "Grey van", "to": {"area": BOX}} | fields
        async with open_work(self.engine, self.sender) as work:
            return await notices.send(work, NoticeIn.model_validate(body))

    async def round(self) -> None:
        async with open_work(self.engine, system("worker")) as work:
            await audience.watch(work)

    async def got(self, *crews: Crew) -> list[int]:
        """How many items each crew's officer has."""
        found = []
        for one in crews:
            async with open_work(self.engine, one.actor) as work:
                found.append(await inbox.head(work))
        return found


@pytest_asyncio.fixture
async def field(engine: AsyncEngine, database: Database) -> AsyncIterator[Field]:
    """A field without crews."""
    async with Ingest(database) as ingest:
        yield Field(engine, ingest, actor_of(await person(engine, Role.DISPATCHER)))


async def test_d8_a_notice_to_an_area_reaches_who_is_inside_and_who_enters_in_time_and_nobody_else(
    field: Field,
) -> None:
    inside, enters, stays_out, leaves, passes = [await field.crew() for _ in range(5)]
    for who, lon in ((inside, IN), (enters, OUT), (stays_out, OUT), (leaves, IN), (passes, OUT)):
        await field.at(who, lon, first_s=-60)
    await field.at(leaves, OUT, first_s=-30)
    made = await field.send()
    assert made["recipients"] == 1
    everybody = (inside, enters, stays_out, leaves, passes)
    await field.round()
    assert await field.got(*everybody) == [1, 0, 0, 0, 0]
    await field.at(enters, IN, first_s=1)
    await field.at(stays_out, OUT, first_s=1)
    await field.at(passes, IN, OUT, first_s=1)  # one delivery: it was inside and is out again
    await field.round()
    assert await field.got(*everybody) == [1, 1, 0, 0, 1]
    await field.at(enters, OUT, IN, first_s=20)  # out and in again: told once
    await field.at(inside, OUT, IN, first_s=20)
    for _ in range(2):
        await field.round()
    assert await field.got(*everybody) == [1, 1, 0, 0, 1]
    async with open_work(field.engine, field.sender) as work:
        whole = await notices.get(work, made["id"])
    assert {r["unit_id"] for r in whole["receipts"]} == {str(c.unit.id) for c in (inside, enters, passes)}
    assert [r["queued_at"] > whole["created_at"] for r in whole["receipts"]].count(True) == 2


async def test_what_was_over_or_before_is_not_told(field: Field) -> None:
    before, after, cancelled, off = [await field.crew() for _ in range(4)]
    await field.at(before, IN, OUT, first_s=-90)
    made = await field.send()
    await field.round()
    assert await field.got(before) == [0]
    async with open_work(field.engine, system("test")) as work:
        await work.session.execute(text("UPDATE notice SET valid_to = now() + interval '30 seconds'"))
    await field.at(after, IN, first_s=60)  # by its own clock it enters when the notice is over
    async with open_work(field.engine, system("test")) as work:
        await work.session.execute(text("UPDATE unit SET status = 'off_duty' WHERE id = :id"), {"id": off.unit.id})
    await field.at(off, IN, first_s=1)
    await field.round()
    async with open_work(field.engine, field.sender) as work:
        await notices.cancel(work, made["id"])
    await field.at(cancelled, IN, first_s=1)
    await field.round()
    assert await field.got(before, after, cancelled, off) == [0, 0, 0, 0]


async def test_what_was_missed_while_no_worker_ran_is_made_up_for(field: Field) -> None:
    passed, later = await field.crew(), await field.crew()
    await field.at(passed, OUT, first_s=-60)
    await field.send()
    await field.round()
    await field.at(passed, IN, OUT, first_s=1)  # through, and far away, before any worker is back
    for n in range(30):
        await field.at(passed, OUT + 0.00001 * n, first_s=70 + n)
    async with open_work(field.engine, system("test")) as work:  # an hour passes
        await work.session.execute(text("UPDATE notice SET watched_to = watched_to - interval '1 hour'"))
    await field.round()
    assert await field.got(passed) == [1]
    async with open_work(field.engine, system("test")) as work:
        assert await work.all(text("SELECT watched_to > now() - interval '20 seconds' FROM notice")) == [True]
    await field.at(later, IN, first_s=1)
    await field.round()
    assert await field.got(passed, later) == [1, 1]


async def test_several_workers_at_once_tell_each_unit_once(field: Field) -> None:
    crews = [await field.crew() for _ in range(4)]
    for _ in range(3):
        await field.send()
    for one in crews:
        await field.at(one, IN, first_s=1)
    for _ in range(3):
        await asyncio.gather(*(field.round() for _ in range(4)))
    assert await field.got(*crews) == [3, 3, 3, 3]


async def test_who_joins_a_unit_that_was_reached_gets_the_notice_too(field: Field) -> None:
    one, joins = await field.crew(), await field.crew(on_shift=False)
    made = await field.send()
    await field.at(one, IN, first_s=1)
    await field.round()
    for _ in range(2):
        async with open_work(field.engine, one.actor) as work:
            await audience.open_for_unit(work, one.unit.id, joins.officer.id)
    assert await field.got(one, joins) == [1, 1]
    async with open_work(field.engine, field.sender) as work:
        new = await notices.send(work, NoticeIn.model_validate(
            {"kind": "recall", "priority": "P2", "headline": "Over", "supersedes": str(made["id"])}
        ))  # fmt: skip
    assert new["recipients"] == 2, "the area's notice is replaced for all it reached"
    enters = await field.crew()
    await field.at(enters, IN, first_s=2)
    await field.round()
    assert await field.got(enters) == [1], "and the new one is watched as the old one was"
