"""The times between devices' fixes, counted as they come."""

from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.work import open_work
from geo import intervals


async def round_(engine: AsyncEngine) -> bool:
    """Count for some hundred devices; whether more wait."""
    async with open_work(engine, system("intervals")) as work:
        return await intervals.count(work)
