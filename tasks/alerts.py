"""Alerts: what a dispatcher must look at. Each is raised once, shown to all until one takes it, and cleared when over.

An alert about a task changes only under the lock on that task.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from core import pages
from core.audit import Action
from core.work import Work
from geo import device_events
from geo.doubt import INTERFERENCE
from mobile_contract.fields import utc_text
from tasks.models import Alert, Task, TaskEvent
from tasks.states import TERMINAL

OF_STATUS = {"unacknowledged": "task_unacknowledged", "declined": "task_declined"}
"""The alert that stands as long as a task stands like this."""
CONFLICT, SUPPORT, PANIC, PANIC_LATE = "task_conflict", "support_requested", "panic", "panic_late"
CLOSED_BY_HAND = frozenset({*device_events.ALARMS, PANIC_LATE, INTERFERENCE})
"""Alerts that nothing ends but a dispatcher with a reason."""
CALLS = frozenset({"support_unit", "scan_request"})
"""Kinds of tasks that crews' calls become."""
_TEXTS = {
    "task_unacknowledged": "Task {number} was not acknowledged in time: {title}",
    "task_declined": "Task {number} was declined: {title}",
    "support_requested": "Support is asked for: {title}",
    "panic": "{title}",
    "task_conflict": "Task {number} was cancelled, but its crew went on: {title}",
    "unit_silent": "{whose} sends no position",
    "tracker_silent": "A tracker of {whose} is silent",
    "tracker_frozen": "A tracker of {whose} says that it moves and stays on one spot",
    "tracker_doubled": "Two send as the same tracker of {whose}",
    "tracker_apart": "A tracker of {whose} is far from its others",
    "interference": "Satellite navigation is disturbed: {n_units} units",
    "panic_late": "{whose}: a panic that came late",
    "crash": "{whose}: crash",
    "fall": "{whose}: fall",
    "tow": "{whose}: towed or moved while parked",
    "tamper": "{whose}: a tracker was tampered with",
    "power_cut": "{whose}: a tracker's power was cut",
    "jamming": "{whose}: a tracker is jammed",
    "low_battery": "{whose}: the battery of a tracker is low",
}
_MOMENTS = ("since", "raised_at", "taken_at", "withdrawn_at", "cleared_at")
_IDS = ("id", "task_id", "unit_id", "device_id", "taken_by", "closed_by")
_WORDS = ("kind", "whose", "reached", "taken_by_name", "closed_by_name", "close_reason")
_SHOWN = text("""
SELECT a.*, ST_X(a.point) AS lon, ST_Y(a.point) AS lat, t.number, t.title,
  coalesce(u.call_sign, p.name, concat_ws(' ', d.protocol, d.identifier)) AS whose,
  ST_AsGeoJSON(i.area, 5) AS area, s.units, s.n_units
FROM alert a LEFT JOIN task t ON t.id = a.task_id LEFT JOIN unit u ON u.id = a.unit_id
LEFT JOIN device d ON d.id = a.device_id LEFT JOIN user_account p ON p.id = d.user_id
LEFT JOIN interference i ON i.id = a.interference_id
LEFT JOIN LATERAL (
  SELECT json_agg(json_build_object('unit_id', w.unit_id, 'sign', w.sign, 'since', w.since) ORDER BY w.since) AS units,
    count(*) AS n_units FROM (
    SELECT unit_id, min(kind) AS sign, min(since) AS since -- jumped before lost
    FROM interference_sign WHERE interference_id = i.id GROUP BY unit_id) w
) s ON true WHERE a.id = ANY(:ids) ORDER BY a.raised_at DESC, a.id DESC
""")


async def follow(work: Work, task: Task, event: TaskEvent) -> list[UUID]:
    """Let the task's alerts follow a step just recorded; most steps have none and cost nothing.

    The units whose panic is over by it.
    """
    before, now = event.from_status, task.status
    if before in OF_STATUS and before != now:
        await clear(work, task.id, OF_STATUS[before])
    if now in OF_STATUS and before != now and event.to_status == now:
        await raised(work, OF_STATUS[now], task)
    if task.kind not in CALLS:
        return []
    if before == "draft" and now != "draft":
        await clear(work, task.id, SUPPORT)
    return await _end_panic(work, task, event) if now in TERMINAL else []


async def _end_panic(work: Work, task: Task, event: TaskEvent) -> list[UUID]:
    """A panic ends with its task, unless that ended by itself; a device's, which nobody answers for, with a reason."""
    if event.by is None:
        return []
    of_whom = [] if event.reason else [col(Alert.device_id).is_(None)]
    values = {"closed_by": event.by, "closed_by_name": event.by_name, "close_reason": event.reason}
    return await clear(work, task.id, PANIC, *of_whom, **values)


async def raised(work: Work, kind: str, task: Task, unit_id: UUID | None = None) -> None:
    """Raise an alert about a task and its unit, or the unit that calls; nothing if it stands already."""
    whose = unit_id or task.unit_id
    row = Alert(kind=kind, task_id=task.id, unit_id=whose, raised_at=work.now, updated_at=work.now)
    async with work.elevated():  # officers raise what they do not see
        await work.session.execute(insert(Alert).values(row.model_dump()).on_conflict_do_nothing())


async def clear(work: Work, task_id: UUID, kind: str, *also: Any, **values: Any) -> list[UUID]:
    """The task's alert of this kind is over, if it is one of `also`; the units it was about."""
    query = update(Alert).where(col(Alert.task_id) == task_id, col(Alert.kind) == kind, col(Alert.cleared_at).is_(None))
    async with work.elevated():
        ended = query.where(*also).values(cleared_at=work.now, updated_at=work.now, **values)
        ended = ended.returning(col(Alert.unit_id))
        return [unit_id for unit_id in (await work.session.execute(ended)).scalars() if unit_id]


async def resources(work: Work, ids: Iterable[UUID]) -> list[dict[str, Any]]:
    """These alerts, JSON-ready, newest first."""
    await work.session.flush()
    rows = (await work.session.execute(_SHOWN, {"ids": list(ids)})).mappings()
    return [_resource(dict(row)) for row in rows]


def _resource(row: dict[str, Any]) -> dict[str, Any]:
    moments = {name: row[name] and utc_text(row[name]) for name in _MOMENTS}
    ids = {name: row[name] and str(row[name]) for name in _IDS}
    return ids | moments | {name: row[name] for name in _WORDS} | {
        "text": _TEXTS[row["kind"]].format(**row), "called": [str(user_id) for user_id in row["called"]],
        "point": None if row["lon"] is None else {"type": "Point", "coordinates": [row["lon"], row["lat"]]},
        "area": row["area"] and json.loads(row["area"]),
        "units": [one | {"since": utc_text(datetime.fromisoformat(one["since"]))} for one in row["units"] or ()],
    }  # fmt: skip


async def listed(
    work: Work, *, is_open: bool | None, limit: int, after: str | None
) -> tuple[Sequence[dict[str, Any]], str | None]:
    """A page of the alerts, newest first, of those that stand or of those that are over; and where the next starts."""
    raised_at, alert_id = col(Alert.raised_at), col(Alert.id)
    query = select(Alert.raised_at, Alert.id).order_by(raised_at.desc(), alert_id.desc()).limit(limit + 1)
    if is_open is not None:
        query = query.where(col(Alert.cleared_at).is_(None) if is_open else col(Alert.cleared_at).is_not(None))
    if after:
        query = query.where(tuple_(raised_at, alert_id) < tuple_(*pages.marked(after)))
    rows = (await work.session.execute(query)).all()
    ids = [row.id for row in rows[:limit]]
    work.audit(Action.CONSULTATION, "alert", None, n=len(ids), open=is_open)
    return await resources(work, ids), pages.mark(*rows[limit - 1]) if len(rows) > limit else None
