"""Retention put together: every class of records, what of it is due, and the run that deletes it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

import casework.retention
import core.retention
import geo.retention
import tasks.retention
from core.audit import Action
from core.db import utcnow
from core.retention import RecordClass, Tally
from core.settings import Settings
from core.work import Work

log = structlog.get_logger()

CLASSES: tuple[RecordClass, ...] = (
    *tasks.retention.CLASSES, *casework.retention.CLASSES, *geo.retention.CLASSES, *core.retention.CLASSES,
)  # fmt: skip
"""In the order in which they go: answers after what they tell of."""

Told = Callable[[RecordClass, int], None]
"""Hears of a class how many rows are deleted so far; 0 at its beginning."""


async def tallies(work: Work, settings: Settings) -> list[tuple[RecordClass, datetime, Tally]]:
    """Of each class: from before when it is past its time, and what is; deletes nothing. The look is audited."""
    found = []
    async with work.elevated():  # numbers only
        for one in CLASSES:
            before = one.before(settings, work.now)
            found.append((one, before, await one.tally(work, before)))
    work.audit(Action.CONSULTATION, "retention", None, due={one.name: tally.due for one, _, tally in found})
    return found


def resource(one: RecordClass, before: datetime, tally: Tally) -> dict[str, Any]:
    """A class's line as the API shows it."""
    return {"name": one.name, "before": before, "due": tally.due, "held": tally.held, "oldest": tally.oldest}


async def run(
    engine: AsyncEngine,
    settings: Settings,
    stopping: Callable[[], bool] = lambda: False,
    told: Told = lambda _one, _n: None,
) -> list[str]:
    """Delete what is due, class after class; the names of those that failed, which the next run tries again."""
    failed = []
    for one in CLASSES:
        try:
            await _erase(one, engine, settings, stopping, told)
        except Exception:
            failed.append(one.name)
            log.exception("retention_failed", records=one.name)
    return failed


async def _erase(
    one: RecordClass, engine: AsyncEngine, settings: Settings, stopping: Callable[[], bool], told: Told
) -> None:
    before, n = one.before(settings, utcnow()), 0
    told(one, n)
    async for gone in one.erase(engine, settings, before):
        n += gone
        told(one, n)
        if stopping():
            break
    if n:
        log.info("erased", records=one.name, n=n, before=before.isoformat())
