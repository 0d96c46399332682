"""Imports of violations: small files at once, large ones as a job, in chunks that a killed worker repeats unharmed."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import jobs
from core.actor import system
from core.audit import Action
from core.errors import OutriderError
from core.ids import new_id
from core.work import Work, open_work
from geo import cells, sql
from geo.violation_rows import Good, Refused, Row, Rows, open_rows
from geo.violations import FUTURE_SLACK, in_area

KIND = "violations.import"
AT_ONCE = 10_000
"""Rows of a file that is answered at once; longer ones become a job."""
CHUNK = 5_000
MAX_LISTED = 1_000
"""Refused rows (and new categories, and ignored columns) that an answer lists; `rejected_total` counts all."""

_STAGED = (
    "id", "external_id", "category", "occurred_at", "lon", "lat", "cell_x", "cell_y", "accuracy_m", "coord_source",
    "in_area", "method", "goods_category", "quantity", "evaded_duties_eur", "note", "task_id",
)  # fmt: skip
_STAGE, _CATEGORIES, _STORE = (
    text(sql.load(name)) for name in ("violation_stage", "violation_categories", "violation_store")
)
# Two imports that meet the same new categories or ids in another order would wait for each other for ever.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('outrider.violations.import'))")


@dataclass
class Tally:
    """What became of the rows so far; kept with the job between chunks."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected_total: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    new_categories: list[str] = field(default_factory=list)

    def result(self, ignored: dict[str, None]) -> dict[str, Any]:
        """The answer of the import."""
        plain = asdict(self)
        del plain["rows"]
        return plain | {"ignored_columns": list(ignored)[:MAX_LISTED]}


@dataclass(frozen=True)
class Batch:
    """Whose rows are stored, from which source, and the operating area that flags them."""

    source: str
    recorded_by: UUID
    area: cells.Box | None = None


async def store(work: Work, batch: Batch, rows: list[Good | Refused], tally: Tally) -> None:
    """Store these rows in the transaction of `work` (once per transaction) and count them in `tally`."""
    good, refused = _sorted_out(work, rows)
    accepted = 0
    if good:
        await work.session.execute(_ONE_AT_A_TIME)
        await work.session.execute(_STAGE)
        raw = await (await work.session.connection()).get_raw_connection()
        assert raw.driver_connection is not None  # an open connection has its driver
        records = [_record(found, batch.area) for found in good]
        await raw.driver_connection.copy_records_to_table("violation_staged", records=records, columns=_STAGED)
        new = (await work.session.execute(_CATEGORIES, {"now": work.now})).scalars().all()
        values = {"source": batch.source, "recorded_by": batch.recorded_by, "now": work.now}
        stored = await work.session.execute(_STORE, values)
        accepted = int(stored.rowcount)  # type: ignore[attr-defined]  # a cursor result, as text() gives
        tally.new_categories += sorted(new)[: MAX_LISTED - len(tally.new_categories)]
    tally.rows += len(rows)
    tally.accepted += accepted
    tally.duplicates += len(good) - accepted
    tally.rejected_total += len(refused)
    tally.rejected += [asdict(fault) for fault in refused[: MAX_LISTED - len(tally.rejected)]]


def _sorted_out(work: Work, rows: list[Good | Refused]) -> tuple[list[Good], list[Refused]]:
    good, refused = [], []
    for found in rows:
        if isinstance(found, Refused):
            refused.append(found)
        elif found.row.occurred_at > work.now + FUTURE_SLACK:
            refused.append(Refused(found.line, "time", "occurred_at: lies in the future"))
        else:
            good.append(found)
    return good, refused


def _record(found: Good, area: cells.Box | None) -> tuple[Any, ...]:
    row: Row = found.row
    return (
        found.key or new_id(), row.id or None, row.category, row.occurred_at, row.lon, row.lat,
        cells.column(row.lon), cells.row(row.lat), row.accuracy_m, row.coord_source,
        in_area(row.lon, row.lat, area), row.method, row.goods_category, row.quantity, row.evaded_duties_eur,
        row.note or None, row.task_id,
    )  # fmt: skip


def read_ahead(file: Path, media_type: str, source: str) -> tuple[list[Good | Refused] | None, dict[str, None]]:
    """All rows of a short file with its ignored columns; None for the rows of one of more than AT_ONCE.

    Raises Malformed, TooLarge. Blocks: call it in a thread.
    """
    rows = open_rows(file, media_type, source)
    try:
        found = list(islice(rows, AT_ONCE + 1))
    finally:
        rows.close()
    return (found if len(found) <= AT_ONCE else None), rows.ignored


async def store_now(work: Work, batch: Batch, rows: list[Good | Refused], ignored: dict[str, None]) -> dict[str, Any]:
    """Import the rows of a short file in this transaction; the answer of the import."""
    tally = Tally()
    await store(work, batch, rows, tally)
    _audit(work, batch, tally, None)
    return tally.result(ignored)


def _audit(work: Work, batch: Batch, tally: Tally, job_id: UUID | None) -> None:
    counts = {name: getattr(tally, name) for name in ("accepted", "duplicates", "rejected_total")}
    work.audit(
        Action.COLLECTION, "violation", job_id, source=batch.source, recorded_by=batch.recorded_by, **counts
    )  # fmt: skip


def queue(work: Work, file_name: str, media_type: str, source: str) -> UUID:
    """A job that imports a file of the imports folder; its id."""
    job = jobs.submit(work, KIND, {"file": file_name, "media_type": media_type, "source": source})
    work.audit(Action.COLLECTION, "job", job.id, job=KIND, source=source)
    return job.id


async def run(
    engine: AsyncEngine, held: jobs.Held, folder: Path, area: cells.Box | None, stopping: Callable[[], bool]
) -> None:
    """Do an import job to its end, or give it back when `stopping()`; raises JobLost.

    Each chunk is one transaction with the job's tally, so whoever takes up a left job goes on behind the last one.
    """
    file = folder / held.params["file"]
    try:
        rows = await asyncio.to_thread(open_rows, file, held.params["media_type"], held.params["source"])
    except (OutriderError, OSError) as error:
        async with open_work(engine, system("imports")) as work:
            await jobs.fail(work, held, str(error) if isinstance(error, OutriderError) else "The file is gone.")
        return
    batch = Batch(held.params["source"], held.created_by, area)
    try:
        done = await _chunks(engine, held, rows, batch, stopping)
    finally:
        rows.close()
    if done:
        await asyncio.to_thread(file.unlink, missing_ok=True)


async def _chunks(engine: AsyncEngine, held: jobs.Held, rows: Rows, batch: Batch, stopping: Callable[[], bool]) -> bool:
    tally, read, reading = Tally(**held.so_far), 0, iter(rows)
    while chunk := await asyncio.to_thread(lambda: list(islice(reading, CHUNK))):
        read += len(chunk)
        async with open_work(engine, system("imports")) as work:
            if read > tally.rows:
                await store(work, batch, chunk, tally)
            await jobs.beat(work, held, rows.done, asdict(tally))
        if stopping():
            async with open_work(engine, system("imports")) as work:
                await jobs.give_back(work, held)
            return False
    async with open_work(engine, system("imports")) as work:
        _audit(work, batch, tally, held.id)
        await jobs.finish(work, held, tally.result(rows.ignored))
    return True
