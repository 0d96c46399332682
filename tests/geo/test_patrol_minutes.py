"""Patrol minutes on real PostGIS: what is counted, late fixes, and that raw positions wait for them."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import holds
from core.actor import system
from core.ids import new_id
from core.settings import Settings
from core.work import open_work
from dispatch_api import retention
from dispatch_api.workers import patrol
from geo import cells, patrol_minutes
from mobile_contract.resources import GeoPolygon
from tests import module_wide
from tests.helpers import Client, Database, actor_of, person, work_of

HERE, NEAR, FAR, AWAY = (25.30, 54.70), (25.31, 54.70), (25.50, 54.70), (24.50, 54.70)
SPOT = GeoPolygon(coordinates=[[(25.29, 54.69), (25.305, 54.69), (25.305, 54.71), (25.29, 54.71), (25.29, 54.69)]])

database = module_wide.database


@dataclass
class Day:
    """A UTC day, and the owner's hand in its positions."""

    engine: AsyncEngine
    database: Database
    ago: int
    unit_id: UUID = field(default_factory=new_id)
    device_id: UUID = field(default_factory=new_id)

    @property
    def day(self) -> date:
        return datetime.now(UTC).date() - timedelta(days=self.ago)

    def at(self, clock: str) -> datetime:
        return datetime.fromisoformat(f"{self.day}T{clock}+00:00")

    async def do(self, statement: str, *values: Any) -> None:
        owner: asyncpg.Connection = await self.database.owner()
        await owner.execute(statement, *values)
        await owner.execute("SELECT pg_stat_force_next_flush()")
        await owner.close()

    async def shift(self, on_at: str, off_at: str | None, unit_id: UUID | None = None) -> UUID:
        made = unit_id or self.unit_id
        await self.do(
            "INSERT INTO unit (id, call_sign, kind, capabilities, tracking, status, status_at, version, created_at,"
            " updated_at) VALUES ($1, $2, 'patrol', '{}', 'on_shift', 'off_duty', now(), 1, now(), now())"
            " ON CONFLICT DO NOTHING", made, made.hex,
        )  # fmt: skip
        shift_id = new_id()
        await self.do(
            "INSERT INTO shift (id, unit_id, on_at, off_at, version, updated_at) VALUES ($1, $2, $3, $4, 1, $3)",
            shift_id, made, self.at(on_at), off_at and self.at(off_at),
        )  # fmt: skip
        return shift_id

    async def fix(
        self, clock: str, place: tuple[float, float] = HERE, *, unit_id: UUID | None = None,
        device_id: UUID | None = None, late: timedelta = timedelta(0), **values: Any,
    ) -> None:  # fmt: skip
        fix_at = self.at(clock)
        await self.do("SELECT ensure_position_day($1)", self.day)
        await self.do(
            "INSERT INTO position (device_id, unit_id, fix_at, received_at, point, accuracy_m, suspect)"
            " VALUES ($1, $2, $3, $4, ST_Point($5, $6, 4326), $7, $8)",
            device_id or self.device_id, unit_id or self.unit_id, fix_at, fix_at + late, *place,
            values.get("accuracy_m"), values.get("suspect"),
        )  # fmt: skip

    async def count(self, zone: str = "UTC") -> bool:
        return await patrol_minutes.count_day(self.engine, self.day, zone)

    async def minutes(self) -> dict[tuple[int, int, date], tuple[float, int]]:
        """Minutes and units by cell and local day."""
        async with open_work(self.engine, system("test")) as work:
            rows = await work.session.execute(
                text("SELECT * FROM patrol_minutes WHERE part = :day").bindparams(day=self.day)
            )
            return {(r.cell_x, r.cell_y, r.day): (round(r.seconds / 60, 3), r.units) for r in rows}

    async def fixes(self) -> int:
        async with open_work(self.engine, system("test")) as work:
            query = text("SELECT count(*) FROM position WHERE fix_at >= :a AND fix_at < :b")
            span = {"a": self.at("00:00"), "b": self.at("00:00") + timedelta(days=1)}
            return int(await work.first(query.bindparams(**span)))


def cell(place: tuple[float, float]) -> tuple[int, int]:
    return cells.column(place[0]) >> patrol_minutes.SHIFT, cells.row(place[1]) >> patrol_minutes.SHIFT


async def test_half_of_each_step_belongs_to_each_end(engine: AsyncEngine, database: Database) -> None:
    day = Day(engine, database, 10)
    await day.shift("08:00", "12:00")
    for clock, place in (("08:00", HERE), ("08:04", HERE), ("08:06", NEAR), ("08:16", NEAR)):
        await day.fix(clock, place)
    await day.fix("08:27", FAR)  # eleven minutes on: the unit was lost between
    await day.fix("08:29", FAR)
    await day.count()
    assert cell(HERE) != cell(NEAR)
    assert await day.minutes() == {
        (*cell(HERE), day.day): (5.0, 1), (*cell(NEAR), day.day): (11.0, 1), (*cell(FAR), day.day): (2.0, 1),
    }  # fmt: skip


async def test_only_plausible_fixes_on_shift_count(engine: AsyncEngine, database: Database) -> None:
    day = Day(engine, database, 11)
    await day.shift("08:00", "08:10")
    await day.shift("08:20", None)
    for clock in ("07:58", "08:00", "08:02", "08:10", "08:12", "08:20", "08:21"):  # an end is not within
        await day.fix(clock)
    await day.fix("08:03", FAR, suspect="jump")
    await day.fix("08:04", FAR, accuracy_m=501)
    await day.fix("08:04:30", accuracy_m=500)
    await day.fix("08:00", unit_id=new_id(), device_id=new_id())  # tracked always, never on shift
    await day.count()
    assert await day.minutes() == {(*cell(HERE), day.day): (4.5 + 1, 1)}


async def test_two_devices_of_a_unit_count_once_and_two_units_twice(engine: AsyncEngine, database: Database) -> None:
    day, other = Day(engine, database, 12), new_id()
    await day.shift("08:00", "12:00")
    await day.shift("08:00", "12:00", other)
    for minute in range(11):
        await day.fix(f"08:{minute:02}")
        await day.fix(f"08:{minute:02}:30", device_id=other)
    for minute in range(0, 11, 5):
        await day.fix(f"08:{minute:02}", unit_id=other, device_id=new_id())
    await day.count()
    assert await day.minutes() == {(*cell(HERE), day.day): (10.5 + 10, 2)}


async def test_local_days_and_no_step_across_midnight_utc(engine: AsyncEngine, database: Database) -> None:
    day = Day(engine, database, 15)
    after = Day(engine, database, 14, unit_id=day.unit_id, device_id=day.device_id)
    offset = day.at("12:00").astimezone(ZoneInfo("Europe/Vilnius")).utcoffset()
    assert offset
    hour = 24 - offset.seconds // 3600  # of midnight in Vilnius
    await day.shift("20:00", None)
    for clock in (f"{hour - 1}:58", f"{hour}:00", "23:58", "23:59"):
        await day.fix(clock)
    for clock in ("00:00", "00:01"):
        await after.fix(clock)
    for one in (day, after):
        await one.count("Europe/Vilnius")
    assert await day.minutes() == {
        (*cell(HERE), day.day): (1.0, 1), (*cell(HERE), after.day): (1.0 + 1.0, 0),  # the unit is told once
    }  # fmt: skip
    assert await after.minutes() == {(*cell(HERE), after.day): (1.0, 1)}


async def test_days_are_counted_when_over_and_again_when_they_changed(
    engine: AsyncEngine, database: Database, settings: Settings
) -> None:
    async def wanted() -> set[date]:
        async with open_work(engine, system("test")) as work:
            return set(await patrol_minutes.wanted(work))

    day, today = Day(engine, database, 20), Day(engine, database, 0)
    shift = await day.shift("08:00", "12:00")
    await day.fix("08:00")
    await day.fix("08:02")
    await today.fix("00:00")
    assert day.day in await wanted()
    assert today.day not in await wanted()
    await patrol.round_(engine, settings)
    assert await wanted() == set()
    first = await day.minutes()
    assert first[*cell(HERE), day.day] == (2.0, 1)
    await day.fix("08:05", late=timedelta(days=5))
    assert await wanted() == {day.day}
    await patrol.round_(engine, settings)
    assert (await day.minutes())[*cell(HERE), day.day] == (5.0, 1)
    await day.do("UPDATE shift SET off_at = $1, updated_at = now() WHERE id = $2", day.at("08:04"), shift)
    assert await wanted() == {day.day}
    await patrol.round_(engine, settings)
    assert await day.minutes() == first


async def erase(engine: AsyncEngine, settings: Settings) -> None:
    assert await retention.run(engine, settings) == []


async def test_positions_go_only_when_their_minutes_stand_and_late_ones_change_nothing_then(
    engine: AsyncEngine, database: Database, settings: Settings
) -> None:
    day = Day(engine, database, 200)
    await day.shift("08:00", "12:00")
    await day.fix("08:00")
    await day.fix("08:02")
    await day.count()
    await day.fix("08:05", late=timedelta(days=1))  # after the count, before the deletion
    await erase(engine, settings)
    assert (await day.fixes(), (await day.minutes())[*cell(HERE), day.day]) == (0, (5.0, 1))
    await day.fix("09:00", late=timedelta(days=101))
    await day.fix("09:01", late=timedelta(days=199))
    assert not await day.count()
    await erase(engine, settings)
    assert (await day.fixes(), (await day.minutes())[*cell(HERE), day.day]) == (1, (5.0, 1))  # 90 days from receipt


async def test_held_positions_stay_and_the_rest_of_their_day_goes(
    engine: AsyncEngine, database: Database, settings: Settings
) -> None:
    day, other = Day(engine, database, 150), new_id()
    await day.shift("08:00", "12:00")
    for clock, place in (("08:00", HERE), ("09:00", FAR), ("10:00", HERE)):
        await day.fix(clock, place)
        await day.fix(clock, place, unit_id=other, device_id=other)
    investigator = actor_of(await person(engine, "investigator"))
    async with work_of(engine, investigator) as work:
        unit = await holds.place(
            work, kind="unit", object_id=day.unit_id, since=day.at("08:30"), until=day.at("23:00"), reason="r"
        )
        await holds.place(work, kind="area", area=SPOT, since=day.at("07:00"), until=day.at("08:30"), reason="r")
    positions = next(one for one in retention.CLASSES if one.name == "positions")
    async with open_work(engine, system("test")) as work:
        tally = await positions.tally(work, positions.before(settings, work.now))
    assert (tally.due, tally.held) == (2, 4)
    await erase(engine, settings)
    await erase(engine, settings)
    async with open_work(engine, system("test")) as work:
        query = text(
            "SELECT unit_id, to_char(fix_at AT TIME ZONE 'UTC', 'HH24') FROM position WHERE fix_at::date = :day"
        )
        left = await work.session.execute(query.bindparams(day=day.day))
        assert {tuple(row) for row in left} == {
            (day.unit_id, "08"), (other, "08"), (day.unit_id, "09"), (day.unit_id, "10"),
        }  # fmt: skip
    async with work_of(engine, investigator) as work:
        await holds.release(work, unit.id, "closed")
    await erase(engine, settings)
    assert await day.fixes() == 2


async def test_a_fix_dated_far_ahead_goes_by_its_receipt(
    engine: AsyncEngine, database: Database, settings: Settings
) -> None:
    ahead = Day(engine, database, -40_000)
    await ahead.fix("08:00", late=-timedelta(days=40_000 + 89), suspect="future")
    await ahead.fix("09:00", late=-timedelta(days=40_000 + 91), suspect="future")
    await erase(engine, settings)
    assert await ahead.fixes() == 1


async def test_minutes_are_kept_for_their_own_time(engine: AsyncEngine, database: Database, settings: Settings) -> None:
    for ago in (1_095, 1_097):
        day = Day(engine, database, ago)
        await day.do("INSERT INTO patrol_minutes VALUES ($1, $1, 1, 1, 60, 1)", day.day)
    await erase(engine, settings)
    async with open_work(engine, system("test")) as work:
        kept = await work.all(text("SELECT current_date - part FROM patrol_minutes WHERE part < current_date - 1000"))
    assert kept == [1_095]


async def test_a_silent_unit_keeps_no_last_place(engine: AsyncEngine, database: Database, settings: Settings) -> None:
    day = Day(engine, database, 1)
    for ago in (89, 91):
        await day.do(
            "INSERT INTO unit_latest (unit_id, device_id, fix_at, received_at, point)"
            " VALUES ($1, $1, now(), now() - make_interval(days => $2), ST_Point(25, 54, 4326))", new_id(), ago,
        )  # fmt: skip
    await erase(engine, settings)
    async with open_work(engine, system("test")) as work:
        assert await work.all(text("SELECT count(*) FROM unit_latest")) == [1]


async def test_analysts_read_minutes_and_no_way_of_one_unit(client: Client, database: Database) -> None:
    day = Day(client.engine, database, 30)
    for n in range(5):
        unit = new_id()
        await day.shift("08:00", "12:00", unit)
        for clock in ("08:00", "08:06"):
            await day.fix(clock, HERE, unit_id=unit, device_id=unit)
        if n:  # four of them were here too, and two there
            for clock, place in (("09:00", FAR), ("09:05", FAR), ("10:00", AWAY), ("10:05", AWAY))[: 4 if n < 3 else 2]:
                await day.fix(clock, place, unit_id=unit, device_id=unit)
    await day.count()
    period = f"from={day.day}&to={day.day + timedelta(days=1)}"
    for role in ("supervisor", "risk_analyst"):
        _, headers = await client.new(role)
        answer = await client.http.get(f"/api/v1/patrol-minutes?{period}", headers=headers)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        (shown,) = found["cells"]
        assert (shown[2], found["few"], found["total"]) == (30.0, 30.0, 60.0)
        assert (cells.column(shown[0]) >> 4, cells.row(shown[1]) >> 4) == cell(HERE)
        assert found["counted_to"] >= f"{day.day}"
    _, supervisor = await client.new("supervisor")
    for query, n, total in (("&bbox=25.4,54,26,55", 0, 0), ("&bbox=25,54,25.4,55", 1, 30), ("&zoom=0", 1, 60)):
        found = (await client.http.get(f"/api/v1/patrol-minutes?{period}{query}", headers=supervisor)).json()
        assert (len(found["cells"]), found["few"], found["total"]) == (n, None, total), query  # four alone are not told
    for query in (f"from={day.day}&to={day.day}", "from=2000-01-01&to=2026-01-01", "from=x&to=y", ""):
        assert (await client.http.get(f"/api/v1/patrol-minutes?{query}", headers=supervisor)).status_code == 422
    async with open_work(client.engine, system("test")) as work:
        told = text("SELECT count(*) FROM audit_event WHERE object_kind = 'patrol_minutes' AND action = 'consultation'")
        assert await work.all(told) == [5]
