"""Warnings in the log of what runs short or goes wrong on this machine, repeated each minute while it lasts."""

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from core.settings import Settings
from dispatch_api.metrics.probe import clock_skew_s
from dispatch_api.process.condition import SKEW_BORNE_S, Clock, disks

log = structlog.get_logger()
_clock = Clock()


async def round_(engine: AsyncEngine, settings: Settings, clock: Clock = _clock) -> bool:
    """Look at the disks, at this clock and at the database's."""
    for disk in disks(settings):
        if disk.is_low:
            log.warning("disk_low", place=disk.place, free_bytes=disk.free_bytes, size_bytes=disk.size_bytes)
    if abs(stepped_s := clock.stepped_s()) > SKEW_BORNE_S:
        log.warning("clock_stepped", seconds=round(stepped_s, 1))
    if abs(skew_s := await clock_skew_s(engine)) > SKEW_BORNE_S:
        log.warning("clock_skew", database_ahead_s=round(skew_s, 1))
    return False
