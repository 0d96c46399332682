"""Patrol minutes: how long units on shift were in each cell on each day, without saying which units.

Definition. Counted are the fixes of one UTC day that are plausible, have a place known to 500 m or better (or of
unknown accuracy) and lie within a shift of their unit. Of two successive ones of a shift, by whichever of the unit's
devices, half the time between them belongs to the cell of each; nothing when it is longer than the ten minutes after
which a unit counts as lost, and nothing across midnight UTC. A fix belongs to the local day it was made on. So the sum
over all cells is at most the time on shift, however many devices a unit carries and however often they send.

Cells are Web-Mercator tiles at zoom 16 (about 350 m wide in Lithuania). Beside each cell and day stands how many units
were counted there, so that no answer need show the way of one.

A day is counted when it is over, and again whenever late fixes have come or a shift of it was changed. When the first
of its positions are deleted it is closed: what it says then stands, and fixes that come later still add nothing.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.audit import Action
from core.errors import Invalid
from core.work import Work, open_work
from geo import cells, sql
from geo.heat import ACCURACY_LIMIT_M, MAX_CELLS, PIXEL_SHIFT
from geo.units import LOST_AFTER_S

SHIFT = 4
"""Patrol cells are those of geo/cells.py, shifted by this."""
SETTLED_AFTER = timedelta(minutes=15)
"""A day is counted so long after its end: trackers send with delay."""
MAX_DAYS = 3653
FEW_UNITS = 5
"""Cells with fewer units and days than this are not shown one by one."""

ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('outrider.patrol'))")
_WANTED = text(sql.load("patrol_wanted"))
_COUNT = text(sql.load("patrol_day"))
_CLOSED = text("SELECT closed_at IS NOT NULL FROM patrol_day WHERE day = :day")
_FORGET = text("DELETE FROM patrol_minutes WHERE part = :day")
_INSERTED = text("SELECT pg_stat_get_tuples_inserted(to_regclass(:part))")


def begin(day: date) -> datetime:
    """The moment a UTC day begins."""
    return datetime.combine(day, time(), UTC)


async def wanted(work: Work) -> list[date]:
    """The days that are to be counted now, oldest first; the actor must see every row."""
    rows = await work.session.execute(_WANTED, {"today": (work.now - SETTLED_AFTER).date()})
    return [row.day for row in rows]


async def count_day(engine: AsyncEngine, day: date, zone: str) -> bool:
    """Count a UTC day anew from the positions there are; false when it is closed. Local days are those of `zone`."""
    async with open_work(engine, system("patrol-minutes")) as work:
        await work.session.execute(ONE_AT_A_TIME)
        if await work.first(_CLOSED.bindparams(day=day)):
            return False
        part = f"position_{day:%Y%m%d}"
        inserted = await work.first(_INSERTED.bindparams(part=part))  # before counting: what comes meanwhile is seen
        await work.session.execute(_FORGET, {"day": day})
        values = {
            "part": day, "since": begin(day), "until": begin(day + timedelta(days=1)), "zone": zone, "now": work.now,
            "inserted": inserted or 0, "accuracy_m": float(ACCURACY_LIMIT_M), "lost_s": LOST_AFTER_S,
            "side": cells.SIDE >> SHIFT, "max_lat": cells.MAX_LAT,
        }  # fmt: skip
        await work.session.execute(_COUNT, values)
    return True


@dataclass(frozen=True)
class Patrol:
    """Minutes by cell, (lon, lat of the middle, minutes), the most first; `few` are those of the cells not shown.

    `few` is None when even together they are of too few. `counted_to` is the newest UTC day that is counted.
    """

    cell_m: float
    cells: list[tuple[float, float, float]]
    few: float | None
    counted_to: date | None

    @property
    def total(self) -> float:
        """All minutes of the period and the box that may be told."""
        return round(sum(minutes for _, _, minutes in self.cells) + (self.few or 0), 1)


def check_period(since: date, until: date) -> None:
    """Nothing, or Invalid for a period that ends before it begins or is over ten years long."""
    if until <= since:
        raise Invalid.at("to", "order", "The period must end after it begins.")
    if (until - since).days > MAX_DAYS:
        raise Invalid.at("from", "range", "The period may be ten years long at most.")


_READ = text(
    "SELECT cell_x >> :more AS x, cell_y >> :more AS y, sum(seconds) / 60 AS minutes, sum(units) AS units"
    " FROM patrol_minutes WHERE day >= :since AND day < :until AND cell_x BETWEEN :first_x AND :last_x"
    " AND cell_y BETWEEN :first_y AND :last_y GROUP BY 1, 2 ORDER BY minutes DESC LIMIT :limit"
)
_COUNTED_TO = text("SELECT max(day) FROM patrol_day")


async def read(work: Work, since: date, until: date, box: cells.Box | None, zoom: int | None) -> Patrol:
    """The minutes of local days from `since` until before `until`, by cells of about 8 pixels at `zoom` or coarser."""
    check_period(since, until)
    first_x, last_x, first_y, last_y = (
        at >> SHIFT for at in cells.span(box or (-180.0, -cells.MAX_LAT, 180.0, cells.MAX_LAT))
    )
    shift = max(SHIFT, 0 if zoom is None else cells.CELL_ZOOM - zoom - (8 - PIXEL_SHIFT))
    while True:
        values: dict[str, Any] = {
            "since": since, "until": until, "first_x": first_x, "last_x": last_x, "first_y": first_y,
            "last_y": last_y, "more": shift - SHIFT, "limit": MAX_CELLS + 1,
        }  # fmt: skip
        rows = (await work.session.execute(_READ, values)).all()
        if len(rows) <= MAX_CELLS:
            break
        shift += 1
    shown = [(*cells.centre(row.x, row.y, shift), round(row.minutes, 1)) for row in rows if row.units >= FEW_UNITS]
    hidden = [row for row in rows if row.units < FEW_UNITS]
    few = round(sum(row.minutes for row in hidden), 1) if sum(row.units for row in hidden) >= FEW_UNITS else None
    counted_to: date | None = await work.first(_COUNTED_TO)
    told = {"from": since, "to": until, "bbox": box, "cells": len(shown)}
    work.audit(Action.CONSULTATION, "patrol_minutes", None, **told)
    placed = [(round(lon, 6), round(lat, 6), minutes) for lon, lat, minutes in shown]
    return Patrol(round(cells.width_m(shift), 2), placed, few, counted_to)
