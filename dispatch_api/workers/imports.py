"""Import jobs, one after another."""

from collections.abc import Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from core import jobs
from core.actor import system
from core.settings import Settings
from core.work import open_work
from geo import violation_import, violations

log = structlog.get_logger()


async def round_(engine: AsyncEngine, settings: Settings, stopping: Callable[[], bool]) -> bool:
    """Do the oldest import job that waits; false when there is none."""
    async with open_work(engine, system("imports")) as work:
        held = await jobs.take(work, violation_import.KIND)
    if held is None:
        return False
    area = violations.parse_area(settings.operating_bbox)
    try:
        await violation_import.run(engine, held, settings.data_dir / "imports", area, stopping)
    except jobs.JobLost:
        log.warning("job_lost", job_id=str(held.id))
    return True
