"""Calls of crews: for support, and for help in danger. Each becomes a draft on top of the dispatchers' queue.

Only a person issues it; the alarm stands until one takes it, and goes to the supervisors when nobody does.
"""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import select

from core import codes
from core.audit import Action
from core.bus import TasksChanged
from core.errors import Invalid
from core.ids import new_id
from core.models import UserAccount
from core.work import Work
from geo import shifts, units
from geo.models import Device, Unit, UnitLatest
from mobile_contract import talk as contract
from mobile_contract.fields import utc_text
from tasks import alerts, talk
from tasks.models import Alert, Task
from tasks.resource import lon_lat, point_of
from tasks.steps import Was, not_ahead, record


async def support(work: Work, task_id: UUID, body: contract.SupportRequestIn) -> dict[str, Any]:
    """The call in the task's thread; a draft for the unit that is asked for, and an alarm. Raises NotFound, Invalid."""
    wanted = [body.capability] if body.capability else []
    if body.capability and not re.match(codes.CAPABILITY_PATTERN, body.capability):
        raise Invalid.at("capability", "unknown", "There is no such capability.")
    task, unit_id = await talk.speaker(work, task_id)
    async with work.elevated():  # officers see no drafts
        call_sign = await work.first(select(Unit.call_sign).where(Unit.id == unit_id)) if unit_id else None
        draft = await _draft(
            work, new_id(), point_of(body.lon, body.lat) or task.point, unit_id,
            kind="scan_request" if body.capability == "xray" else "support_unit", priority=body.priority,
            title=f"{call_sign or task.title}: support for task {task.number}"[:200], instruction=body.text,
            address=task.address, exercise=task.exercise, required_capabilities=wanted,
        )  # fmt: skip
        await alerts.raised(work, alerts.SUPPORT, draft, unit_id)
    work.audit(Action.COLLECTION, "task", draft.id, number=draft.number, support_for=task.id, unit_id=unit_id)
    said = " ".join(filter(None, (body.capability, body.text))) or "support"
    return await talk.say(work, task, unit_id, said, body.at, kind="support")


async def panic(work: Work, body: contract.PanicIn) -> dict[str, Any]:
    """The alarm of an officer in danger, on duty or not: a draft P1 with the place that was sent, or the last known.

    Their unit, if on duty, stands as in emergency until the alarm's task has ended. Raises IdReused.
    """
    shift = await shifts.active_of_user(work, work.actor.id)
    own = sorted(work.actor.unit_ids)
    unit_id = shift.shift.unit_id if shift else (own[0] if len(own) == 1 else None)
    async with work.elevated():
        unit = await _locked(work, unit_id)
        place = point_of(body.lon, body.lat) or await work.first(
            select(UnitLatest.point).where(UnitLatest.unit_id == unit_id)
        )
        draft = await _in_danger(work, body.id, unit, place, work.actor.name or work.actor.login, body.at)
        await alerts.raised(work, alerts.PANIC, draft, unit_id)
    work.audit(Action.COLLECTION, "panic", draft.id, unit_id=unit_id, lon=body.lon, lat=body.lat, at=body.at)
    return {"id": draft.id, "number": draft.number, "raised_at": utc_text(work.now)}


async def panic_of_device(work: Work, alert: Alert, place: Any) -> Alert:
    """The same for the panic that a device sent, to be raised as `alert`: its place, or the unit's last known one."""
    unit = await _locked(work, alert.unit_id)
    place = place or await work.first(select(UnitLatest.point).where(UnitLatest.unit_id == alert.unit_id))
    draft = await _in_danger(work, new_id(), unit, place, await _carrier(work, alert.device_id), alert.since)
    alert.task_id, alert.point, alert.raised_at, alert.updated_at = draft.id, place, work.now, work.now
    work.session.add(alert)
    lon, lat = lon_lat(place)
    work.audit(
        Action.COLLECTION, "panic", draft.id, unit_id=alert.unit_id, device_id=alert.device_id, lon=lon, lat=lat,
        at=alert.since,
    )  # fmt: skip
    return alert


async def _carrier(work: Work, device_id: UUID | None) -> str:
    """Whose phone it is; what a tracker is called that is nobody's."""
    device = await work.session.get(Device, device_id)
    if device is None:
        return "?"
    person = await work.session.get(UserAccount, device.user_id) if device.user_id else None
    return person.name if person else " ".join(filter(None, (device.protocol, device.identifier)))


async def _in_danger(
    work: Work, task_id: UUID, unit: Unit | None, place: Any, who: str, at: datetime | None
) -> Task:  # fmt: skip
    """The draft; the unit, if on duty, stands as in emergency."""
    title = f"SOS {unit.call_sign} · {who}" if unit else f"SOS {who}"
    draft = await _draft(
        work, task_id, place, unit.id if unit else None, kind="support_unit", priority="P1", title=title[:200]
    )
    if unit and unit.status != "off_duty":
        units.set_status(work, unit, "emergency", not_ahead(work, at))
    return draft


async def _locked(work: Work, unit_id: UUID | None) -> Unit | None:
    found: Unit | None = await work.first(select(Unit).where(Unit.id == unit_id).with_for_update(key_share=True))
    return found


async def _draft(work: Work, task_id: UUID, point: Any, unit_id: UUID | None, **fields: Any) -> Task:
    draft = Task(
        id=task_id, **fields, point=point, reason_code="officer_observation", created_by=work.actor.user_id,
        created_at=work.now, updated_at=work.now,
    )  # fmt: skip
    await work.add(draft)
    record(work, draft, "create", Was(None, "draft", unit_id=unit_id))
    await work.session.flush()
    work.publish(TasksChanged, draft.id)
    return draft
