"""Hotspot runs, one after another."""

from collections.abc import Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from core import jobs
from core.actor import system
from core.work import open_work
from geo.hotspots.runs import KIND

log = structlog.get_logger()


async def round_(engine: AsyncEngine, stopping: Callable[[], bool]) -> bool:
    """Make the oldest forecast that waits; false when there is none."""
    async with open_work(engine, system("hotspots")) as work:
        held = await jobs.take(work, KIND)
    if held is None:
        return False
    from geo.hotspots import making  # scipy takes a second, and most workers never forecast

    try:
        await making.run(engine, held, stopping)
    except jobs.JobLost:
        log.info("hotspot_run_left", job_id=str(held.id))
    return True
