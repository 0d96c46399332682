"""How long positions, and what is made or counted from them, shifts and violations are kept."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.audit import Action
from core.retention import (
    PURPOSE,
    RecordClass,
    Rows,
    Tally,
    answers,
    any_of,
    duty,
    held_object,
    held_place,
    held_unit,
    of_days,
)
from core.settings import Settings
from core.work import Work, open_work
from geo import patrol_minutes

position_period = of_days("retention_days")
patrol_period = of_days("retention_patrol_days")
violation_period = of_days("retention_violation_days")

_FIXED_AT, _FOUND_AT = ("r.fix_at", "r.fix_at"), ("r.occurred_at", "r.occurred_at")
_ON_DUTY = ("r.on_at", "coalesce(r.off_at, 'infinity')")
_HELD_FIX = any_of(held_unit("r.unit_id", *_FIXED_AT), held_place("r.point", *_FIXED_AT))
_HELD_DAY = (
    "EXISTS (SELECT FROM device_assignment a WHERE a.device_id = r.device_id AND "  # nosec B608: constants only
    + held_unit("a.unit_id", "r.day", "r.day + interval '1 day'") + ")"
)  # fmt: skip


class Positions:
    """Raw positions, day by day: what of a day is due goes when the day lies before the period as a whole.

    That is counted from receipt: what came late stays for its own time, and so does what is held. A fix dated ahead
    by a wrong clock goes with the day it names, or at once when that day is not even near.
    """

    name, before = "positions", staticmethod(position_period)
    _DUE = (
        "(r.fix_at < date_trunc('day', :before AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"
        " OR r.fix_at > now() + interval '3 days')"
    )
    # Deleting waits for the day's readers, and every fix that arrives would wait behind it: rather try again later.
    _NO_LONG_WAIT = text("SET LOCAL lock_timeout = '2s'")
    _DAYS = text(
        "SELECT to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') AS day FROM pg_inherits"
        " WHERE inhparent = 'position'::regclass ORDER BY 1"
    )
    _UNITS = text("SELECT unit_id, since, until FROM held_span WHERE since < :until AND until >= :since")
    _AREAS = text(
        "SELECT ST_AsEWKT(area) AS area, since, until FROM active_hold"
        " WHERE kind = 'area' AND since < :until AND until >= :since"
    )
    _ERASE = text(
        "SELECT * FROM erase_position_day(:day, :before, CAST(:units AS uuid[]), CAST(:starts AS timestamptz[]),"
        " CAST(:ends AS timestamptz[]), CAST(:areas AS text[]), CAST(:area_starts AS timestamptz[]),"
        " CAST(:area_ends AS timestamptz[]))"
    )

    async def tally(self, work: Work, before: datetime) -> Tally:
        """What is past its time; the actor must see every row."""
        rows = Rows(self.name, "position", "r.received_at", self.before, held=_HELD_FIX, due=self._DUE)
        return await rows.tally(work, before)

    async def erase(self, engine: AsyncEngine, settings: Settings, before: datetime) -> AsyncIterator[int]:
        """Delete what is due, a day in each step, after its patrol minutes were counted."""
        async with open_work(engine, system(PURPOSE)) as work:
            days: list[date] = await work.all(self._DAYS)
            ahead = (work.now + timedelta(days=2)).date()
        for day in days:
            if day < before.date() or day > ahead:
                n = await self._erase_day(engine, day, before)
                if n is None:
                    await patrol_minutes.count_day(engine, day, settings.timezone)
                    n = await self._erase_day(engine, day, before)
                if n:
                    yield n

    async def _erase_day(self, engine: AsyncEngine, day: date, before: datetime) -> int | None:
        """How many fixes of the day are deleted; None, and nothing deleted, when its patrol minutes do not stand."""
        span = {"since": patrol_minutes.begin(day), "until": patrol_minutes.begin(day + timedelta(days=1))}
        async with open_work(engine, system(PURPOSE)) as work:
            await work.session.execute(self._NO_LONG_WAIT)
            await work.session.execute(patrol_minutes.ONE_AT_A_TIME)
            units = (await work.session.execute(self._UNITS, span)).all()
            areas = (await work.session.execute(self._AREAS, span)).all()
            values: dict[str, Any] = {
                "day": day, "before": before,
                "units": [row.unit_id for row in units], "starts": [row.since for row in units],
                "ends": [row.until for row in units], "areas": [row.area for row in areas],
                "area_starts": [row.since for row in areas], "area_ends": [row.until for row in areas],
            }  # fmt: skip
            done = (await work.session.execute(self._ERASE, values)).one()
            if done.erased:
                work.audit(
                    Action.ERASURE, self.name, f"{day}", n=done.erased, held=done.held, later=done.later, before=before
                )
            return done.erased if done.stands else None


_HELD_SIGN = (
    "EXISTS (SELECT FROM interference_sign w WHERE w.interference_id = r.id"  # nosec B608: the condition is our own
    f" AND {held_unit('w.unit_id', 'w.since', 'r.seen_at')})"
)

CLASSES: tuple[RecordClass, ...] = (
    Positions(),
    Rows("last_places", "unit_latest", "r.received_at", position_period, held=_HELD_FIX),
    Rows(
        "raw_frames", "raw_frame", "r.received_at", of_days("retention_raw_days"),
        held=held_unit("r.unit_id", "r.received_at", "r.received_at"),
    ),
    Rows("unknown_devices", "unknown_device", "r.last_seen", position_period),
    Rows("patrol_minutes", "patrol_minutes", "(r.part::timestamp AT TIME ZONE 'UTC')", patrol_period),
    Rows(
        "violations", "violation", "r.recorded_at", violation_period,
        held=any_of(
            held_object("violation", "r.id"), held_object("task", "r.task_id"), held_object("person", "r.recorded_by"),
            held_unit("r.unit_id", *_FOUND_AT), held_place("r.point", *_FOUND_AT),
        ),
    ),
    answers("violations", "violation", violation_period),
    Rows(
        "shifts", "shift", "r.updated_at", duty,
        held=held_unit("r.unit_id", *_ON_DUTY), due="(r.on_at IS NULL OR r.off_at IS NOT NULL)",
    ),
    answers("shifts", "shift", duty),
    Rows("ingest_counts", "ingest_count", "r.day", patrol_period, held=_HELD_DAY),
    Rows("fix_intervals", "fix_interval", "r.day", patrol_period, held=_HELD_DAY),
    Rows(
        "interferences", "interference", "r.seen_at", duty, due="r.ended_at IS NOT NULL",
        held=any_of(
            held_place("r.area", "r.begun_at", "r.seen_at"),
            _HELD_SIGN,
        ),
    ),
)  # fmt: skip
