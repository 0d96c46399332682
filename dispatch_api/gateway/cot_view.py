"""What tablets are shown: their unit's tasks and notices, and where the units are that are on those tasks.

The rule is the officers': nothing while the unit is off duty, and of others only whom one works with. It is read for
all tablets together, and each is sent what changed for it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from core.actor import system
from core.audit import Action
from core.db import make_engine, utcnow
from core.work import Work, open_work
from dispatch_api.gateway.cot import CotLine
from geo.protocols import cot_events
from geo.units import stale_after_s
from geo.where import ON_DUTY
from tasks import notice_resource
from tasks.guards import OCCUPYING
from tasks.models import Notice, Task
from tasks.resource import resources
from tasks.states import PART_OVER

log = structlog.get_logger()

EVERY_S = 2.0
TASK_FOR = NOTICE_FOR = timedelta(days=1)
_TASKS = text("""
SELECT id, unit_id FROM task WHERE status = ANY(:shown) AND unit_id = ANY(:units)
UNION SELECT t.id, s.unit_id FROM task t JOIN task_support s ON s.task_id = t.id
WHERE t.status = ANY(:shown) AND s.unit_id = ANY(:units) AND s.status <> ALL(:over)
""")
_NOTICES = text("""
SELECT DISTINCT n.id, r.unit_id FROM notice n JOIN notice_recipient r ON r.notice_id = n.id
WHERE n.state = 'sent' AND n.valid_to > :now AND r.unit_id = ANY(:units)
""")
_PLACES = text(f"""
SELECT u.id, u.call_sign, l.device_id, l.fix_at, ST_X(l.point) AS lon, ST_Y(l.point) AS lat, l.accuracy_m, l.speed_mps,
  l.heading_deg, (SELECT d.interval_s FROM device d WHERE d.id = l.device_id) AS interval_s
FROM unit u JOIN unit_latest l ON l.unit_id = u.id WHERE u.id = ANY(:units) AND {ON_DUTY}
""")  # noqa: S608 - a constant of ours
Sent = dict[str, tuple[object, bytes]]
"""What one is to see: by the name of the event, its version and the event."""


@dataclass
class Picture:
    """What each unit of some is to see."""

    tasks: dict[UUID, Sent] = field(default_factory=lambda: defaultdict(dict))
    notices: dict[UUID, Sent] = field(default_factory=lambda: defaultdict(dict))
    near: dict[UUID, set[UUID]] = field(default_factory=lambda: defaultdict(set))
    places: dict[UUID, tuple[UUID, datetime, bytes]] = field(default_factory=dict)

    def of(self, unit_id: UUID, device_id: UUID) -> Sent:
        """The events for a tablet of a unit, which need not be told where it is itself."""
        found = self.tasks[unit_id] | self.notices[unit_id]
        for other in self.near[unit_id] | {unit_id}:
            if other in self.places and self.places[other][0] != device_id:
                _, fix_at, event = self.places[other]
                found[f"{cot_events.SENDER}.unit.{other}"] = fix_at, event
        return found


class CotView:
    """Sends tablets what they are to see, and takes away what they are not any more."""

    def __init__(self, url: str) -> None:
        """`url` is the database as the app role."""
        self._url = url
        self._lines: dict[CotLine, Sent] = {}
        self._audited: dict[CotLine, UUID] = {}

    async def __aenter__(self) -> Self:
        self._engine: AsyncEngine = make_engine(self._url, pool_size=2)
        self._going = asyncio.create_task(self._go_on(), name="cot-view")
        return self

    async def __aexit__(self, *error: object) -> None:
        self._going.cancel()
        await asyncio.gather(self._going, return_exceptions=True)
        await self._engine.dispose()

    def show(self, line: CotLine) -> None:
        """From the next round on this tablet is sent what it is to see."""
        self._lines[line] = {}

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.round_()
            except (OSError, TimeoutError, SQLAlchemyError) as failure:
                log.warning("cot_not_shown", error=type(failure).__name__)

    async def round_(self) -> None:
        """Bring every tablet up to date."""
        for line in [line for line in self._lines if not line.is_open]:
            del self._lines[line]
            self._audited.pop(line, None)
        units = {line: self._unit(line) for line in self._lines}
        wanted = {unit_id for unit_id in units.values() if unit_id is not None}
        picture = Picture()
        if wanted:
            async with open_work(self._engine, system("cot")) as work:
                self._audit(work, units)
                picture = await read(work, wanted)
        for line, unit_id in units.items():
            device = line.device
            self._send(line, picture.of(unit_id, device.id) if unit_id and device else {})

    def _unit(self, line: CotLine) -> UUID | None:
        """The unit a tablet belongs to, while that is on duty."""
        device = line.device
        return line.desk.duty.unit_on_duty(device, utcnow()) if device else None

    def _audit(self, work: Work, units: dict[CotLine, UUID | None]) -> None:
        """Write down who begins to be shown what."""
        for line, unit_id in units.items():
            if unit_id is not None and self._audited.get(line) != unit_id and line.device:
                self._audited[line] = unit_id
                work.audit(Action.CONSULTATION, "position", "cot", device=line.device.id, unit=unit_id)

    def _send(self, line: CotLine, wanted: Sent) -> None:
        known, now = self._lines[line], utcnow()
        for uid, (version, event) in wanted.items():
            if uid not in known or known[uid][0] != version:
                line.answer(event)
        for uid in known.keys() - wanted.keys():
            if ".notice." not in uid:
                line.answer(cot_events.deletion(uid, now))
        self._lines[line] = wanted


async def read(work: Work, units: set[UUID]) -> Picture:
    """What these units are to see now."""
    picture = Picture()
    values = {"units": list(units), "shown": sorted(OCCUPYING), "over": sorted(PART_OVER), "now": work.now}
    await _read_tasks(work, picture, list(await work.session.execute(_TASKS, values)))
    await _read_notices(work, picture, list(await work.session.execute(_NOTICES, values)))
    seen = units.union(*picture.near.values())
    for row in await work.session.execute(_PLACES, {"units": list(seen)}):
        event = cot_events.unit(
            row.id, row.call_sign, row.fix_at, (row.lon, row.lat), work.now,
            timedelta(seconds=stale_after_s(row.interval_s)), accuracy_m=row.accuracy_m, speed_mps=row.speed_mps,
            heading_deg=row.heading_deg,
        )  # fmt: skip
        picture.places[row.id] = row.device_id, row.fix_at, event
    return picture


async def _read_tasks(work: Work, picture: Picture, rows: Iterable[Any]) -> None:
    units: dict[UUID, list[UUID]] = defaultdict(list)
    for task_id, unit_id in rows:
        units[task_id].append(unit_id)
    found = await work.all(select(Task).where(col(Task.id).in_(list(units))))
    for task, shown in zip(found, await resources(work, found), strict=True):
        event = cot_events.task(shown, work.now, TASK_FOR)
        together = {UUID(each) for each in (shown["unit_id"], *shown["support_unit_ids"]) if each}
        for unit_id in units[task.id]:
            picture.tasks[unit_id][cot_events.task_uid(task.id)] = task.version, event
            picture.near[unit_id] |= together


async def _read_notices(work: Work, picture: Picture, rows: Iterable[Any]) -> None:
    units: dict[UUID, list[UUID]] = defaultdict(list)
    for notice_id, unit_id in rows:
        units[notice_id].append(unit_id)
    found = await work.all(select(Notice).where(col(Notice.id).in_(list(units))))
    for notice in found:
        event = cot_events.notice(notice_resource.item(notice, work.now), work.now, NOTICE_FOR)
        for unit_id in units[notice.id]:
            picture.notices[unit_id][f"{cot_events.SENDER}.notice.{notice.id}"] = notice.updated_at, event
