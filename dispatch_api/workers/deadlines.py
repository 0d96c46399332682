"""What becomes of tasks by time alone."""

from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.work import open_work
from tasks import deadlines


async def round_(engine: AsyncEngine) -> bool:
    """Take the steps whose time has come; true when a full batch was taken."""
    async with open_work(engine, system("deadlines")) as work:
        return await deadlines.due(work) >= deadlines.BATCH
