"""The counts behind heat, brought up to date."""

from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.work import open_work
from geo import pyramid


async def round_(engine: AsyncEngine) -> bool:
    """Add the changes that wait; true when there may be more."""
    async with open_work(engine, system("heat")) as work:
        return await pyramid.merge(work) >= pyramid.BATCH
