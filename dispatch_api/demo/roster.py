"""The demonstration's plan of shifts: when those of now are to end, and a week to come by day and by night."""

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from core.actor import Actor
from core.db import utcnow
from core.work import open_work
from geo import shift_plans
from geo.models import Shift, UnitMember

VILNIUS = ZoneInfo("Europe/Vilnius")
DAYS, REST = 7, 2
LENGTH = timedelta(hours=12)


async def plan(engine: AsyncEngine, unit_ids: Sequence[UUID], dispatcher: Actor) -> None:
    """Plan for these units as the dispatcher: two of three by day, the third by night, each with days off."""
    now = utcnow()
    async with open_work(engine, dispatcher) as work:
        crews: dict[UUID, list[UUID]] = {unit_id: [] for unit_id in unit_ids}
        for row in await work.all(select(UnitMember).where(col(UnitMember.unit_id).in_(unit_ids))):
            crews[row.unit_id].append(row.user_id)
        running = {shift.unit_id: shift for shift in await work.all(select(Shift).where(col(Shift.off_at).is_(None)))}
        for number, (unit_id, members) in enumerate(crews.items()):
            free_from = now
            if shift := running.get(unit_id):
                assert shift.on_at is not None
                free_from = (shift.on_at + LENGTH).replace(minute=0, second=0, microsecond=0)
                await shift_plans.change(work, shift.id, {"planned_to": free_from}, None, None)
            for begin in _begins(now, number):
                if begin >= free_from:
                    await shift_plans.plan(work, unit_id, members, begin, begin + LENGTH)


def _begins(now: datetime, number: int) -> Iterator[datetime]:
    today = now.astimezone(VILNIUS).date()
    for n in range(DAYS):
        if (n + number) % DAYS < DAYS - REST:
            hour = time(19 if number % 3 == 2 else 7, tzinfo=VILNIUS)
            yield datetime.combine(today + timedelta(days=n), hour)
