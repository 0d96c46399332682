"""Import jobs, one after another."""

from collections.abc import Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from core import jobs
from core.actor import system
from core.settings import Settings
from core.work import open_work
from dispatch_api.commands.database import with_database
from geo import track_import, violation_import, violations

log = structlog.get_logger()


async def tracks_round(engine: AsyncEngine, settings: Settings, stopping: Callable[[], bool]) -> bool:
    """Do the oldest import of a track that waits; false when there is none, or the database is overloaded."""
    async with open_work(engine, system("imports")) as work:
        held = await jobs.take(work, track_import.KIND)
    if held is None:
        return False
    url = with_database(settings).ingest_database_url
    try:
        if url is None:
            async with open_work(engine, system("imports")) as work:
                await jobs.fail(work, held, "OUTRIDER_INGEST_DATABASE_URL is not set for the worker.")
            return True
        return await track_import.run(engine, held, settings.data_dir / "imports", url, stopping)
    except jobs.JobLost:
        log.warning("job_lost", job_id=str(held.id))
    return True


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
