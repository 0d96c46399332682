"""Silent units and trackers: told once, and cleared when they are heard again or off duty."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from geoalchemy2.shape import from_shape
from shapely.geometry import Point
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.ids import new_id
from core.work import open_work
from geo.device_models import IngestCount
from geo.models import Device, DeviceAssignment, UnitLatest
from tasks import alerts, silence
from tests.helpers import Crew, crew

AFTER = timedelta(minutes=10)


async def heard(engine: AsyncEngine, who: Crew, ago_s: float, *, fix: bool = True, device: UUID | None = None) -> None:
    """The unit's tracker sent something so long ago, a fix unless said otherwise."""
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    device_id = device or who.device.id
    async with open_work(engine, system("test")) as work:
        await work.session.merge(
            IngestCount(device_id=device_id, day=at.replace(hour=0, minute=0, second=0, microsecond=0), seen_at=at)
        )
        if fix:
            place = from_shape(Point(25, 54), srid=4326)
            await work.session.merge(
                UnitLatest(unit_id=who.unit.id, device_id=device_id, fix_at=at, received_at=at, point=place)
            )


async def watch(engine: AsyncEngine) -> tuple[int, int]:
    async with open_work(engine, system("worker")) as work:
        return await silence.watch(work, AFTER)


async def standing(engine: AsyncEngine) -> list[tuple[str, str]]:
    async with open_work(engine, system("test")) as work:
        return [
            (one["kind"], one["unit_id"]) for one in (await alerts.listed(work, is_open=True, limit=50, after=None))[0]
        ]


async def second_tracker(engine: AsyncEngine, who: Crew, **fields: Any) -> UUID:
    async with open_work(engine, system("test")) as work:
        made = Device(protocol="http", key_digest=new_id().bytes, created_at=datetime.now(UTC) - AFTER * 2, **fields)
        work.session.add(made)
        await work.session.flush()
        work.session.add(DeviceAssignment(device_id=made.id, unit_id=who.unit.id))
    return made.id


async def test_a_silent_unit_is_told_once_until_it_is_heard_again(engine: AsyncEngine) -> None:
    silent, lively, fresh = await crew(engine), await crew(engine), await crew(engine, since="1 minute")
    await heard(engine, silent, 700)
    await heard(engine, lively, 500)
    await heard(engine, fresh, 9_000)  # its last place of yesterday; its shift has only begun
    for expected in ((1, 0), (0, 0), (0, 0)):
        assert await watch(engine) == expected
    assert await standing(engine) == [("unit_silent", str(silent.unit.id))]
    async with open_work(engine, system("test")) as work:
        (alert,) = (await alerts.listed(work, is_open=True, limit=9, after=None))[0]
    assert datetime.now(UTC) - datetime.fromisoformat(alert["since"]) > timedelta(seconds=690)
    await heard(engine, silent, 1)
    assert await watch(engine) == (0, 1)
    assert await standing(engine) == []


async def test_a_unit_off_shift_or_without_a_tracker_is_not_silent(engine: AsyncEngine) -> None:
    off, bare, silent = await crew(engine, on_shift=False), await crew(engine), await crew(engine)
    for who in (off, bare, silent):
        await heard(engine, who, 5_000)
    async with open_work(engine, system("test")) as work:
        await work.session.execute(text("UPDATE device SET revoked_at = now() WHERE id = :id"), {"id": bare.device.id})
    assert await watch(engine) == (1, 0)
    async with open_work(engine, system("test")) as work:
        await work.session.execute(text("UPDATE shift SET off_at = now()"))
    assert await watch(engine) == (0, 1)


async def test_a_silent_tracker_is_told_while_its_unit_is_heard_by_another(engine: AsyncEngine) -> None:
    one, slow = await crew(engine), await crew(engine)
    first, second = one.device.id, await second_tracker(engine, one)
    rare = await second_tracker(engine, slow, interval_s=3_600)
    await heard(engine, one, 10)
    await heard(engine, one, 900, fix=False, device=second)
    await heard(engine, slow, 10)
    await heard(engine, slow, 3_700, fix=False, device=rare)  # it reports once an hour
    assert await watch(engine) == (1, 0)
    assert await standing(engine) == [("tracker_silent", str(one.unit.id))]
    await heard(engine, one, 800, device=first)
    async with open_work(engine, system("test")) as work:
        await work.session.execute(text("UPDATE ingest_count SET seen_at = now() - interval '15 minutes'"))
    await watch(engine)
    assert await standing(engine) == [("unit_silent", str(one.unit.id))], "one failure is one alert"
