"""Patrol minutes: each day counted when it is over, and again when it changed."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.settings import Settings
from core.work import open_work
from geo import patrol_minutes


async def round_(engine: AsyncEngine, settings: Settings, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Count the days that are to be counted, each in a transaction of its own; false, since none is left."""
    async with open_work(engine, system("patrol-minutes")) as work:
        days = await patrol_minutes.wanted(work)
    for day in days:
        if stopping():
            break
        await patrol_minutes.count_day(engine, day, settings.timezone)
    return False
