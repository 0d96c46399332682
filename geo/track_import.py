"""Imports of tracks to a device: shown first, then stored by the writer every tracker's fixes go through.

So the duty gate, plausibility and the rule of one fix a moment hold for a file as for a device, and a file that is
imported again, or by a worker that was killed halfway, adds nothing.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from core import jobs
from core.actor import system
from core.audit import Action
from core.errors import Conflict, Malformed, NotFound, Overloaded, TooLarge
from core.work import Work, open_work
from geo.duty import DutyBook, KnownDevice
from geo.fix import Fix
from geo.judging import FUTURE, OLD
from geo.models import Device
from geo.positions import Writer
from geo.protocols.fixes import MAX_FIXES
from geo.protocols.foreign import Wrong
from geo.track_rows import CsvRows, GeoJsonRows, NmeaRows, Numbered, Rows
from geo.track_xml import GpxRows, KmlRows

KIND = "tracks.import"
FORMATS: dict[str, type[Rows]] = {
    "gpx": GpxRows, "kml": KmlRows, "nmea": NmeaRows, "geojson": GeoJsonRows, "csv": CsvRows,
}  # fmt: skip
AT_ONCE = 10_000
"""Rows of a file that is answered at once, and that a preview reads; longer ones become a job."""
MAX_LISTED = 1_000
"""Refused rows that an answer lists; `rejected_total` counts all."""
SAMPLE = 100
"""Fixes that a preview shows."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No tracker's file is older; a year that was taken for seconds is."""
MAX_DAYS = 400
"""Days of one file: each has a partition of its own."""


@dataclass
class Tally:
    """What became of the rows so far; kept with the job between deliveries."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    off_duty: int = 0
    suspect: int = 0
    old: int = 0
    rejected_total: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    days: list[str] = field(default_factory=list)

    def result(self) -> dict[str, Any]:
        """The answer of the import."""
        plain = asdict(self)
        plain["days"] = len(self.days)
        return plain

    def good(self, rows: Iterable[Numbered], now: datetime) -> list[Fix]:
        """The usable fixes of further rows; the others are listed and counted."""
        days, fixes = dict.fromkeys(self.days), []
        for line, outcome in rows:
            self.rows += 1
            wrong = _wrong(outcome, days)
            if wrong is None and isinstance(outcome, Fix):
                fixes.append(outcome)
                self.old += outcome.fix_at < now - OLD
                continue
            self.rejected_total += 1
            if wrong and len(self.rejected) < MAX_LISTED:
                self.rejected.append({"line": line, "code": wrong[0], "detail": wrong[1]})
        self.days = list(days)
        return fixes


def _wrong(outcome: Fix | Wrong, days: dict[str, None]) -> Wrong | None:
    """What is wrong with a row; the day of a good one is added to `days`."""
    if not isinstance(outcome, Fix):
        return outcome
    if outcome.fix_at < EARLIEST:
        return "time", "The time lies before 2000."
    day = outcome.fix_at.date().isoformat()
    if len(days) >= MAX_DAYS and day not in days:
        return "time", f"The file covers more than {MAX_DAYS} days."
    days[day] = None
    return None


async def check_device(work: Work, device_id: UUID) -> None:
    """Nothing when fixes may be stored for this device; raises NotFound, or Conflict when it is revoked."""
    device: Device | None = await work.first(select(Device).where(col(Device.id) == device_id))
    if device is None:
        raise NotFound
    if device.revoked_at:
        raise Conflict("The device is revoked.")


def read_ahead(file: Path, form: str, now: datetime) -> tuple[list[Numbered], bool]:
    """The first AT_ONCE rows of a file, and whether they are all. Raises Malformed, TooLarge.

    Blocks: call it in a thread.
    """
    rows = FORMATS[form](file, now)
    try:
        found = list(islice(rows, AT_ONCE + 1))
    finally:
        rows.close()
    return found[:AT_ONCE], len(found) <= AT_ONCE


async def preview(duty: DutyBook, device: KnownDevice, rows: list[Numbered], now: datetime) -> dict[str, Any]:
    """What an import of these rows would meet. Nothing is stored, and duplicates are not looked for."""
    tally = Tally()
    fixes = tally.good(rows, now)
    units = await duty.units_on_duty(device, [fix.fix_at for fix in fixes])
    lines = {id(outcome): line for line, outcome in rows}
    moments = [fix.fix_at for fix in fixes]
    placed = [fix for fix in fixes if not fix.nowhere]
    return tally.result() | {
        "fixes": len(fixes),
        "off_duty": units.count(None),
        "nowhere": len(fixes) - len(placed),
        "future": sum(at > now + FUTURE for at in moments),
        "first_at": min(moments, default=None),
        "last_at": max(moments, default=None),
        "bbox": _box(placed),
        "sample": [
            _shown(lines[id(fix)], fix, unit is not None)
            for fix, unit in islice(zip(fixes, units, strict=True), SAMPLE)
        ],
    }


def _box(fixes: list[Fix]) -> list[float] | None:
    lons, lats = ([value for fix in fixes if (value := getattr(fix, name)) is not None] for name in ("lon", "lat"))
    return [min(lons), min(lats), max(lons), max(lats)] if lons and lats else None


def _shown(line: int, fix: Fix, on_duty: bool) -> dict[str, Any]:
    names = ("lat", "lon", "altitude_m", "speed_mps", "heading_deg", "accuracy_m")
    return {
        "line": line, "fix_at": fix.fix_at, "on_duty": on_duty,
        **{name: getattr(fix, name) for name in names},
    }  # fmt: skip


async def store(writer: Writer, device: KnownDevice, rows: list[Numbered], tally: Tally, now: datetime) -> None:
    """Store rows, a delivery of the writer at a time, and count what became of them. Raises Overloaded."""
    for start in range(0, len(rows), MAX_FIXES):
        fixes = tally.good(rows[start : start + MAX_FIXES], now)
        stored = await writer.store(device, fixes, is_counted=False)
        tally.accepted += stored.accepted
        tally.duplicates += stored.duplicates
        tally.off_duty += stored.off_duty
        tally.suspect += stored.suspect


def audit(work: Work, device_id: UUID, form: str, tally: Tally, recorded_by: UUID, job_id: UUID | None = None) -> None:
    """Write down that a track was imported."""
    counts = {name: getattr(tally, name) for name in ("accepted", "duplicates", "off_duty", "rejected_total")}
    work.audit(
        Action.COLLECTION, "track", device_id, format=form, recorded_by=recorded_by, job=job_id, **counts
    )  # fmt: skip


def queue(work: Work, device_id: UUID, file_name: str, form: str) -> UUID:
    """A job that imports a file of the imports folder; its id."""
    job = jobs.submit(work, KIND, {"file": file_name, "format": form, "device_id": str(device_id)})
    work.audit(Action.COLLECTION, "job", job.id, job=KIND, device_id=device_id)
    return job.id


async def run(engine: AsyncEngine, held: jobs.Held, folder: Path, url: str, stopping: Callable[[], bool]) -> bool:
    """Whether an import job was done to its end, not given back, as `stopping()` or by an overloaded database.

    Raises JobLost. `url` is the database as the ingest role. The file is removed at the end, also when the job fails.
    """
    file = folder / held.params["file"]
    device_id = UUID(held.params["device_id"])
    try:
        async with DutyBook(url) as duty, Writer(url, duty, on_latest=lambda _: None) as writer:
            device = duty.known(device_id)
            if device is None:
                raise Conflict("The device is revoked.")
            rows = FORMATS[held.params["format"]](file, held.heartbeat_at)
            try:
                is_done = await _deliveries(engine, held, rows, writer, device, stopping)
            finally:
                rows.close()
    except (Conflict, Malformed, TooLarge, OSError) as error:
        async with open_work(engine, system("imports")) as work:
            await jobs.fail(work, held, str(error) if not isinstance(error, OSError) else "The file is gone.")
        is_done = True
    if is_done:
        await asyncio.to_thread(file.unlink, missing_ok=True)
    return is_done


async def _deliveries(
    engine: AsyncEngine, held: jobs.Held, rows: Rows, writer: Writer, device: KnownDevice, stopping: Callable[[], bool]
) -> bool:
    """Whether the file was stored to its end."""
    tally, read, reading = Tally(**held.so_far), 0, iter(rows)
    while chunk := await asyncio.to_thread(lambda: list(islice(reading, MAX_FIXES))):
        read += len(chunk)
        try:
            if read > tally.rows:
                await store(writer, device, chunk, tally, rows.now)
        except Overloaded:
            await _give_back(engine, held)
            return False
        async with open_work(engine, system("imports")) as work:
            await jobs.beat(work, held, rows.done, asdict(tally))
        if stopping():
            await _give_back(engine, held)
            return False
    async with open_work(engine, system("imports")) as work:
        audit(work, device.id, held.params["format"], tally, held.created_by, held.id)
        await jobs.finish(work, held, tally.result())
    return True


async def _give_back(engine: AsyncEngine, held: jobs.Held) -> None:
    async with open_work(engine, system("imports")) as work:
        await jobs.give_back(work, held)
