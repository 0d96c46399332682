"""Retention on real PostGIS: each class leaves on its day and not before, and what a legal hold names stays."""

import asyncio
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import audit, holds
from core.actor import system
from core.audit import Action
from core.ids import new_id
from core.models import ClientWrite, Job, LegalHold, RoleGrant, UserAccount
from core.retention import SECRETS, RecordClass, Tally, without_secrets
from core.settings import Settings
from core.work import open_work
from dispatch_api import retention
from dispatch_api.routes import ROUTERS
from geo.device_models import FixInterval
from mobile_contract.resources import GeoPolygon, NoticeIn, TaskIn
from tasks import notices, tasks
from tasks.models import Handover
from tests import module_wide
from tests.helpers import Crew, Database, actor_of, crew, person, work_of

MINUTE = timedelta(minutes=1)
SQUARE = GeoPolygon(coordinates=[[(25.2, 54.6), (25.4, 54.6), (25.4, 54.8), (25.2, 54.8), (25.2, 54.6)]])

database = module_wide.database


@dataclass
class World:
    """One of everything that is kept for a time."""

    engine: AsyncEngine
    database: Database
    settings: Settings
    crew: Crew
    dispatcher: UserAccount
    task_id: UUID
    notice_id: UUID
    violation_id: UUID

    async def do(self, statement: str, *values: Any) -> None:
        owner: asyncpg.Connection = await self.database.owner()
        await owner.execute(statement, *values)
        await owner.close()

    async def n(self, table: str) -> int:
        async with open_work(self.engine, system("test")) as work:
            return int(await work.first(text(f"SELECT count(*) FROM {table}")))

    async def tally(self, one: RecordClass) -> Tally:
        async with open_work(self.engine, system("test")) as work:
            return await one.tally(work, one.before(self.settings, work.now))

    async def erase(self) -> None:
        assert await retention.run(self.engine, self.settings) == []

    async def hold(self, **values: Any) -> LegalHold:
        investigator = await person(self.engine, "investigator")
        async with work_of(self.engine, actor_of(investigator)) as work:
            return await holds.place(work, reason="case 17", **values)

    async def release(self, hold: LegalHold) -> None:
        affairs = await person(self.engine, "internal_affairs")
        async with work_of(self.engine, actor_of(affairs)) as work:
            await holds.release(work, hold.id, "closed")


async def made(engine: AsyncEngine, database: Database, settings: Settings) -> World:
    one, dispatcher = await crew(engine), await person(engine, "dispatcher")
    async with work_of(engine, actor_of(dispatcher)) as work:
        point = {"type": "Point", "coordinates": [25.3, 54.7]}
        body = {"kind": "checkpoint", "priority": "P3", "title": "t", "reason_code": "random", "point": point}
        task = await tasks.create(work, TaskIn.model_validate(body | {"issue": True, "unit_id": one.unit.id}))
        sent = {"kind": "information", "priority": "P3", "headline": "h", "body": "b", "to": {"units": [one.unit.id]}}
        notice = await notices.send(work, NoticeIn.model_validate(sent))
    found, grant = new_id(), RoleGrant(user_id=one.officer.id, roles=["auditor"], proposed_by=dispatcher.id)
    grant.outcome, grant.decided_at = "refused", grant.proposed_at
    left = {"tasks": [{"id": task["id"]}], "notices": [], "silent": []}
    handover = Handover(given_by=one.officer.id, note="n", n_tasks=1, n_notices=0, n_silent=0, listed=left)
    async with open_work(engine, system("test")) as work:
        work.session.add_all([grant, handover])
        await work.session.execute(text("INSERT INTO violation_category VALUES ('fuel', now()) ON CONFLICT DO NOTHING"))
        await work.session.execute(
            text(
                "INSERT INTO violation (id, source, category, occurred_at, recorded_at, point, cell_x, cell_y,"
                " coord_source, in_area, task_id, unit_id, recorded_by) VALUES (:id, 'officer', 'fuel', now(), now(),"
                " ST_Point(25.3, 54.7, 4326), 1, 1, 'gps', true, :task_id, :unit_id, :by)"
            ),
            {"id": found, "task_id": UUID(task["id"]), "unit_id": one.unit.id, "by": one.officer.id},
        )
        for route, answer in (
            ("tasks.create", {"id": task["id"]}), (f"tasks.step:{task['id']}", {}), ("inbox.ack", {}),
            ("notices.send", {"id": str(notice["id"])}), ("violations.record", {"id": str(found)}),
            (f"shifts.end:{one.shift.id if one.shift else 0}", {}), ("units.create", {"id": "x"}),
            (f"role_grants.refuse:{grant.id}", {}), ("handovers.give", {"id": str(handover.id)}),
        ):  # fmt: skip
            work.session.add(
                ClientWrite(id=new_id(), user_id=one.officer.id, route=route, body_digest=b"", answer=answer)
            )
        work.session.add(Job(kind="k", status="done", created_by=one.officer.id, finished_at=work.now))
        await work.session.execute(
            text("INSERT INTO ingest_count (device_id, day, accepted, duplicates, off_duty, suspect, rejected, seen_at)"
                 " VALUES (:id, now(), 1, 0, 0, 0, 0, now())"), {"id": one.device.id},
        )  # fmt: skip
        work.session.add(
            FixInterval(device_id=one.device.id, day=work.now, gaps=[], heard_s=0, silent_s=0, counted_at=work.now)
        )
    owner: asyncpg.Connection = await database.owner()  # what the gateway writes
    await owner.execute("INSERT INTO unknown_device VALUES ('teltonika', $1, now(), now(), 1, '')", new_id().hex)
    await owner.execute(
        "INSERT INTO interference (id, area, begun_at, seen_at, ended_at)"
        " VALUES ($1, ST_Buffer(ST_Point(25.3, 54.7, 4326), 1), now(), now(), now())", new_id(),
    )  # fmt: skip
    frame = "INSERT INTO raw_frame VALUES ($1, $2, $3, now(), '', '', '')"
    await owner.execute(frame, new_id(), one.device.id, one.unit.id)
    await owner.close()
    return World(engine, database, settings, one, dispatcher, UUID(task["id"]), notice["id"], found)


@pytest.fixture
async def world(engine: AsyncEngine, database: Database, settings: Settings) -> World:
    return await made(engine, database, settings)


ACKS = "client_write WHERE route = 'inbox.ack'"
AGES = {
    "tasks": ("task", "UPDATE task SET created_at = $1, issued_at = $1, updated_at = $1"),
    "notices": ("notice", "UPDATE notice SET created_at = $1, updated_at = $1, valid_to = $1"),
    "violations": ("violation", "UPDATE violation SET occurred_at = $1, recorded_at = $1"),
    "shifts": ("shift", "UPDATE shift SET on_at = $1, off_at = $1, updated_at = $1"),
    "inbox": ("inbox", "UPDATE inbox SET at = $1"),
    "inbox_answers": (ACKS, f"UPDATE {ACKS.replace(' WHERE', ' SET at = $1 WHERE')}"),
    "ingest_counts": ("ingest_count", "UPDATE ingest_count SET day = $1"),
    "fix_intervals": ("fix_interval", "UPDATE fix_interval SET day = $1"),
    "raw_frames": ("raw_frame", "UPDATE raw_frame SET received_at = $1"),
    "interferences": ("interference", "UPDATE interference SET begun_at = $1, seen_at = $1, ended_at = $1"),
    "unknown_devices": ("unknown_device", "UPDATE unknown_device SET last_seen = $1"),
    "jobs": ("job", "UPDATE job SET finished_at = $1"),
    "role_grants": ("role_grant", "UPDATE role_grant SET decided_at = $1"),
    "handovers": ("handover", "UPDATE handover SET given_at = $1"),
}  # fmt: skip
"""How a row of a class is made as old as needed."""


def of(name: str) -> RecordClass:
    return next(one for one in retention.CLASSES if one.name == name)


@pytest.mark.parametrize("name", AGES)
async def test_a_class_leaves_on_its_day_and_not_before(world: World, name: str) -> None:
    table, age = AGES[name]
    one, rows = of(name), await world.n(table)
    assert rows > 0
    before = one.before(world.settings, datetime.now(UTC))
    await world.do(age, before + MINUTE)
    await world.erase()
    assert (await world.n(table), await world.tally(one)) == (rows, Tally(0, 0, None))
    await world.do(age, before - MINUTE)
    assert await world.tally(one) == Tally(rows, 0, before - MINUTE)
    assert await world.n(table) == rows  # looking deletes nothing
    await world.erase()
    assert (await world.n(table), await world.tally(one)) == (0, Tally(0, 0, None))
    await world.erase()  # a second run changes nothing
    async with open_work(world.engine, system("test")) as work:
        told = "SELECT fields ->> 'n' FROM audit_event WHERE action = 'erasure' AND object_kind = :name"
        assert (await work.all(text(told).bindparams(name=name)))[-1:] == [str(rows)]


async def age_all(world: World) -> None:
    for name, (_, age) in AGES.items():
        await world.do(age, of(name).before(world.settings, datetime.now(UTC)) - timedelta(days=2))
    await world.do("UPDATE client_write SET at = now() - interval '40 years'")


KEPT_BY = {
    "unit": {"task", "notice", "violation", "shift", "ingest_count", "fix_interval", "raw_frame"},
    "person": {"task", "notice", "violation", "shift", "ingest_count", "fix_interval", "inbox", "job", "role_grant",
               "handover"},
    "task": {"task", "notice", "violation", "shift", "ingest_count", "fix_interval", "inbox", "raw_frame", "handover"},
    "violation": {"violation", "task"},
    "area": {"task", "violation", "interference"},
}  # fmt: skip
"""What a hold of a kind keeps of a world that is past its time wholly."""


@pytest.mark.parametrize("kind", KEPT_BY)
async def test_what_is_held_stays_until_it_is_released(world: World, kind: str) -> None:
    await made(world.engine, world.database, world.settings)  # goes although the first is held
    await age_all(world)
    # As in life: a shift begins before the task does, and the violation is found within both.
    await world.do(
        "UPDATE task SET created_at = created_at - interval '1 hour', issued_at = issued_at - interval '1 hour'"
    )
    shift = of("shifts").before(world.settings, datetime.now(UTC)) - timedelta(days=2)
    await world.do("UPDATE shift SET on_at = $1, off_at = $2", shift - timedelta(hours=2), shift)
    await world.do("UPDATE ingest_count SET day = $1", shift)
    await world.do("UPDATE fix_interval SET day = $1", shift)
    ids = {"unit": world.crew.unit.id, "person": world.crew.officer.id, "task": world.task_id,
           "violation": world.violation_id}  # fmt: skip
    if kind == "area":
        # The other's, and whatever tests before this one have left in the file's database.
        await world.do("UPDATE task SET point = ST_Point(20, 50, 4326) WHERE id <> $1", world.task_id)
        await world.do("UPDATE violation SET point = ST_Point(20, 50, 4326) WHERE id <> $1", world.violation_id)
        long_ago, now = datetime(1990, 1, 1, tzinfo=UTC), datetime.now(UTC)
        hold = await world.hold(kind="area", area=SQUARE, since=long_ago, until=now)
    else:
        hold = await world.hold(kind=kind, object_id=ids[kind])
    tables = [table for table, _ in AGES.values() if "WHERE" not in table]
    held = {one.name: (await world.tally(one)).held for one in retention.CLASSES}
    await world.erase()
    kept = {table: await world.n(table) for table in tables}
    assert {table for table, n in kept.items() if n} == KEPT_BY[kind]
    answers = {ACKS} if kind == "person" else set()
    assert {name for name in AGES if held[name]} == {n for n in AGES if AGES[n][0] in KEPT_BY[kind] | answers}
    assert kept["task"] in {0, 1}
    assert await world.n(f"task_event WHERE task_id = '{world.task_id}'") == (2 if kept["task"] else 0)
    if kept["task"]:  # the answer that made it is kept as long as it is
        assert await world.n(f"client_write WHERE route LIKE 'tasks.%' AND answer ->> 'id' = '{world.task_id}'") == 1
    await world.release(hold)
    await world.erase()
    assert {table: await world.n(table) for table in tables} == dict.fromkeys(tables, 0)
    assert await world.n("task_event") + await world.n("notice_recipient") + await world.n("shift_member") == 0
    async with open_work(world.engine, system("test")) as work:
        left = "SELECT DISTINCT route FROM client_write"
        assert await work.all(text(left)) == ["units.create"]  # units stay, and so do the ids that made them
    await world.do("DELETE FROM client_write")


async def test_a_hold_that_came_to_its_end_holds_no_more(world: World) -> None:
    await age_all(world)
    hold = await world.hold(kind="task", object_id=world.task_id, ends_at=datetime.now(UTC) + timedelta(days=1))
    await world.erase()
    assert await world.n("task") == 1
    await world.do("UPDATE legal_hold SET ends_at = now() WHERE id = $1", hold.id)
    await world.erase()
    assert await world.n("task") == 0


async def test_only_the_system_deletes_and_only_what_is_old(world: World) -> None:
    await world.do("UPDATE task SET updated_at = now() - interval '29 days' WHERE id = $1", world.task_id)
    for actor in (system("any"), actor_of(world.dispatcher)):
        async with work_of(world.engine, actor) as work:
            done: Any = await work.session.execute(text("DELETE FROM task"))
            assert done.rowcount == 0
    await world.do("UPDATE task SET updated_at = now() - interval '31 days' WHERE id = $1", world.task_id)
    async with work_of(world.engine, actor_of(world.dispatcher)) as work:
        done = await work.session.execute(text("DELETE FROM task"))
        assert done.rowcount == 0
    await age_all(world)
    await world.erase()


async def test_a_run_that_is_broken_off_is_ended_by_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.retention.BATCH", 10)
    async with open_work(world.engine, system("test")) as work:
        for _ in range(45):
            work.session.add(Job(kind="k", status="done", created_by=world.dispatcher.id, finished_at=work.now))
    await age_all(world)
    seen: list[int] = []

    def told(one: RecordClass, n: int) -> None:
        if one.name == "jobs":
            seen.append(n)

    await retention.run(world.engine, world.settings, stopping=lambda: seen[-1:] == [20], told=told)
    assert (seen, await world.n("job")) == ([0, 10, 20], 26)
    await asyncio.gather(*(retention.run(world.engine, world.settings) for _ in range(3)))
    assert await world.n("job") == 0


async def seal_all(engine: AsyncEngine) -> None:
    while await audit.seal(engine):
        pass


async def written(world: World, at: datetime, kind: str, object_id: UUID | str, by: UserAccount | None = None) -> None:
    async with work_of(world.engine, actor_of(by) if by else system("test")) as work:
        work.now = at
        work.audit(Action.CONSULTATION, kind, object_id)


async def test_the_audit_goes_by_whole_years_and_the_rest_is_still_proved(world: World, tmp_path: Path) -> None:
    await age_all(world)
    await world.erase()
    await world.do("DELETE FROM audit_pending; DELETE FROM audit_chain; DELETE FROM audit_event")
    year = datetime.now(UTC).year
    last, first = datetime(year - 2, 12, 31, 23, 59, tzinfo=UTC), datetime(year - 1, 1, 1, tzinfo=UTC)
    await written(world, last, "unit", "old")
    await written(world, last, "unit", world.crew.unit.id)
    await written(world, last, "unit", "by whom", world.crew.officer)
    await written(world, first, "unit", "young")
    await seal_all(world.engine)
    await audit.export_head(world.engine, tmp_path)
    by_unit = await world.hold(kind="unit", object_id=world.crew.unit.id)
    by_person = await world.hold(kind="person", object_id=world.crew.officer.id)
    assert await world.tally(of("audit_event")) == Tally(1, 2, last)
    await world.erase()
    await seal_all(world.engine)
    assert await world.n("audit_event WHERE object_id = 'old'") == 0
    assert await world.n("audit_event WHERE object_kind = 'unit'") == 3
    assert await audit.verify(world.engine, tmp_path) == []
    for hold in (by_unit, by_person):
        await world.release(hold)
    await world.erase()
    await seal_all(world.engine)
    assert await world.n("audit_event WHERE object_kind = 'unit'") == 1
    assert await audit.verify(world.engine, tmp_path) == []
    await world.do("DELETE FROM audit_event WHERE object_id = 'young'")  # not retention's doing
    assert any("is gone" in fault for fault in await audit.verify(world.engine, tmp_path))
    await world.do("DELETE FROM audit_pending; DELETE FROM audit_chain; DELETE FROM audit_event")


async def test_nobody_erases_the_audit_early(world: World) -> None:
    early = datetime(datetime.now(UTC).year - 1, 1, 1, 0, 0, 1, tzinfo=UTC)
    with pytest.raises(Exception, match="kept to the end of the year"):
        _ = [n async for n in of("audit_event").erase(world.engine, world.settings, early)]
    await age_all(world)
    await world.erase()


def test_secrets_are_forgotten_wherever_they_stand() -> None:
    answer = {"items": [{"id": 1, "key": "od_x"}, {"id": 2, "key": None}], "next": None}
    for blank in (None, ""):
        gone = {"items": [{"id": 1, "key": blank}, {"id": 2, "key": blank}], "next": None}
        assert without_secrets(answer, ("key",), blank) == gone


KEPT_BY_ROUTE = {
    "/devices": "devices.create", "/devices/bulk": "devices.bulk", "/devices/unknown/register": "devices.register",
    "/devices/{device_id}/rotate-key": "devices.rotate_key",
    "/installs": "installs.enrol", "/phones": "phones.pair", "/users": "users.create",
    "/users/{user_id}/reset-password": "users.reset_password",
}  # fmt: skip
NOT_KEPT = {"/session", "/session/factor", "/session/socket-ticket"}
WITHOUT_KEY = {"/devices/{device_id}/assign", "/devices/{device_id}/revoke"}
"""Show a device, whose key only the answer that made it holds."""


def test_every_answer_that_holds_a_secret_is_known() -> None:
    """A new route with one is to be named in SECRETS, or here, if its answers are not kept."""
    secret = re.compile(r'"(?:key|credential|one_time_password|password|token|ticket|secret|code_svg)": \{')
    found = {
        route.path
        for _, router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.methods - {"GET"} and route.response_model is not None
        and secret.search(json.dumps(TypeAdapter(route.response_model).json_schema(mode="serialization")))
    }  # fmt: skip
    assert found == NOT_KEPT | WITHOUT_KEY | KEPT_BY_ROUTE.keys()
    assert set(KEPT_BY_ROUTE.values()) == set(SECRETS)
