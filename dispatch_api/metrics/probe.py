"""What belongs to no single process: the database, its queues, the disks and the clocks. Read when somebody asks."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.db import utcnow
from core.settings import Settings
from core.work import open_work
from dispatch_api.errors import from_database
from dispatch_api.process.condition import clock_is_kept, disks, skew_s

ANSWER_WITHIN_S = 4.0
CLOCK = text("SELECT clock_timestamp()")
_STATE = text(
    "SELECT pg_database_size(current_database()) AS size_bytes,"
    " (SELECT count(*) FROM audit_pending) AS unsealed,"
    " (SELECT event_id FROM audit_pending ORDER BY 1 LIMIT 1) AS oldest_unsealed,"
    " (SELECT coalesce(sum(r.seq - coalesce(c.upto, 0)), 0) FROM recipient r LEFT JOIN"
    "   (SELECT user_id, max(upto) AS upto FROM inbox_cursor GROUP BY user_id) c USING (user_id)) AS undelivered,"
    " (SELECT count(*) FROM job WHERE status = 'queued') AS queued,"
    " (SELECT count(*) FROM job WHERE status = 'running') AS running,"
    " (SELECT min(created_at) FROM job WHERE status = 'queued') AS oldest_queued"
)


async def clock_skew_s(engine: AsyncEngine) -> float:
    """By how much the database's clock is ahead of this process's."""
    async with engine.connect() as connection:
        await connection.execute(CLOCK)  # the first answer of a connection is a slow one
        before = utcnow()
        now = (await connection.execute(CLOCK)).scalar_one()
        return skew_s(now, before, utcnow())


async def families(engine: AsyncEngine, settings: Settings) -> list[Metric]:
    """The state of everything; without the database's when it does not answer."""
    begun = time.perf_counter()
    row: Any = None
    skew: float | None = None
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            skew = await clock_skew_s(engine)
            async with open_work(engine, system("metrics")) as work:
                row = (await work.session.execute(_STATE)).mappings().one()
    except Exception as error:
        if from_database(error) is None:
            raise
        row = skew = None
    found = [*_machine(settings), _gauge("database_up", "Whether the database answers.", int(row is not None))]
    if row is not None and skew is not None:
        found += _database(row)
        found.append(_gauge("clock_skew_seconds", "The database's clock less the server's.", skew))
        took = time.perf_counter() - begun
        found.append(_gauge("database_answer_seconds", "Reading what is shown here.", took))
    return found


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"outrider_{name}", text, value)


def _machine(settings: Settings) -> Iterator[Metric]:
    free = GaugeMetricFamily("outrider_disk_free_bytes", "Free space where the data lie.", labels=["place"])
    size = GaugeMetricFamily("outrider_disk_size_bytes", "Whole space where the data lie.", labels=["place"])
    for disk in disks(settings):
        free.add_metric([disk.place], disk.free_bytes)
        size.add_metric([disk.place], disk.size_bytes)
    yield from (free, size)
    if (kept := clock_is_kept()) is not None:
        yield _gauge("clock_synchronised", "Whether a time service keeps this machine's clock.", int(kept))


def _database(row: Any) -> Iterator[Metric]:
    yield _gauge("database_bytes", "Size of the database.", row["size_bytes"])
    yield _gauge("audit_unsealed_events", "Events of the audit that are not in the chain yet.", row["unsealed"])
    oldest = row["oldest_unsealed"]
    since = datetime.fromtimestamp((oldest.int >> 80) / 1000, UTC) if oldest else None
    yield _gauge("audit_seal_lag_seconds", "Age of the oldest of them.", _age_s(since))
    yield _gauge("inbox_undelivered_items", "Inbox items no installation has confirmed.", row["undelivered"])
    jobs = GaugeMetricFamily("outrider_jobs", "Background jobs that wait or run.", labels=["status"])
    for status in ("queued", "running"):
        jobs.add_metric([status], row[status])
    yield jobs
    yield _gauge("job_oldest_queued_seconds", "Age of the oldest job that waits.", _age_s(row["oldest_queued"]))


def _age_s(since: datetime | None) -> float:
    return max((utcnow() - since).total_seconds(), 0.0) if since else 0.0
