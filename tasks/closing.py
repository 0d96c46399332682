"""The end of a panic, and of what else devices told: a dispatcher says why it is over."""

from typing import Any
from uuid import UUID

from sqlmodel import select

from core.audit import Action
from core.bus import TasksChanged
from core.errors import NotFound, TransitionNotAllowed, VersionConflict
from core.work import Work
from mobile_contract.fields import utc_text
from mobile_contract.resources import TransitionIn, Verb
from tasks import alerts, interference
from tasks.models import Alert, Task
from tasks.steps import Was, calm, locked, record
from tasks.transitions import transition

ENDS_WITH_IT: dict[str, Verb] = {"draft": "discard", "completed": "close", "failed": "close"}
"""How the task of a panic is ended together with it; one that a crew is at goes on."""


async def close(work: Work, alert_id: UUID, reason: str) -> dict[str, Any]:
    """The alert, over for the reason a dispatcher gives, and with a panic its draft. One's own close again changes
    nothing.

    Raises NotFound, TransitionNotAllowed for alerts that end by themselves, and VersionConflict, which says who closed
    it and when.
    """
    found: Alert | None = await work.first(select(Alert).where(Alert.id == alert_id))
    if found is None:
        raise NotFound
    if found.kind not in alerts.CLOSED_BY_HAND:
        raise TransitionNotAllowed("It is over by itself once what it tells of is.")
    if found.interference_id:
        await interference.end(work, found.interference_id)
    task = await locked(work, found.task_id) if found.task_id else None
    query = select(Alert).where(Alert.id == alert_id).with_for_update(key_share=True)
    alert: Alert = await work.first(query.execution_options(populate_existing=True))
    if alert.cleared_at is not None and alert.closed_by != work.actor.id:
        who = alert.closed_by_name
        raise VersionConflict(f"{who} has closed it.", changed_by=who, changed_at=utc_text(alert.cleared_at))
    if alert.cleared_at is None:
        await _close(work, alert, task, reason)
    return (await alerts.resources(work, [alert.id]))[0]


async def _close(work: Work, alert: Alert, task: Task | None, reason: str) -> None:
    alert.cleared_at = alert.updated_at = work.now
    alert.closed_by, alert.closed_by_name = work.actor.id, work.actor.name or work.actor.login
    alert.close_reason = reason
    work.session.add(alert)
    work.audit(
        Action.ALTERATION, "alert", alert.id, closed=True, kind=alert.kind, task_id=alert.task_id,
        unit_id=alert.unit_id, reason=reason,
    )  # fmt: skip
    await work.session.flush()
    if alert.kind == alerts.PANIC and alert.unit_id:
        await calm(work, [alert.unit_id])
    if task is None:
        return
    if verb := ENDS_WITH_IT.get(task.status):
        await transition(work, task.id, TransitionIn(verb=verb, version=task.version, reason=reason))
        return
    record(work, task, "close_alarm", Was(task.status, task.status, unit_id=task.unit_id, reason=reason))
    work.publish(TasksChanged, task.id)
