"""What one caller hands to the writer of positions, and what they are told of it."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import msgspec
import structlog

from geo.commit_line import Row

log = structlog.get_logger()


class Stored(msgspec.Struct, frozen=True, gc=False):
    """What became of one delivery; `suspect` ones are among the `accepted`."""

    accepted: int
    duplicates: int
    off_duty: int
    suspect: int


class Latest(msgspec.Struct, frozen=True, gc=False):
    """A unit's newest plausible fix that just moved."""

    unit_id: UUID
    device_id: UUID
    fix_at: datetime
    received_at: datetime
    lon: float
    lat: float
    accuracy_m: float | None
    speed_mps: float | None
    heading_deg: float | None
    battery_pct: float | None


Told = Callable[[Stored | Exception], None]
"""Hears once what became of a delivery, or why it was refused."""


class Delivery(msgspec.Struct):
    """One caller's rows on their way to the database, the newest plausible of them, and what became of the others."""

    device_id: UUID
    rows: list[Row]
    newest: Row | None
    off_duty: int
    suspect: int
    rejected: int
    received_at: datetime
    told: Told
    is_counted: bool = True


def hand_over(done: asyncio.Future[Stored], outcome: Stored | Exception) -> None:
    """Tell a future what became of a delivery; nobody when whoever waited has gone."""
    if done.done():
        return
    if isinstance(outcome, Stored):
        done.set_result(outcome)
    else:
        done.set_exception(outcome)


def newest_of(taken: list[Delivery]) -> dict[UUID, Row]:
    """Each unit's newest plausible row; of devices that report the same moment, the one `positions_store.sql` takes."""
    newest: dict[UUID, Row] = {}
    for delivery in taken:
        row = delivery.newest
        if row is None:
            continue
        known = newest.get(row[3])
        if known is None or row[1] > known[1] or (row[1] == known[1] and row[0] < known[0]):
            newest[row[3]] = row
    return newest


def tell(delivery: Delivery, outcome: Stored | Exception) -> None:
    """Tell its caller what became of a delivery."""
    try:
        delivery.told(outcome)
    except Exception:  # one caller's trouble is not the others'
        log.exception("answer_failed")
