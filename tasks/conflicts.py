"""Crews that went on with a task after its cancel: their late steps are kept, and a dispatcher says what counts."""

from typing import Any
from uuid import UUID

from sqlmodel import col, select

from core.audit import Action
from core.errors import NotFound, TransitionNotAllowed
from core.work import Work
from mobile_contract.fields import utc_text
from mobile_contract.resources import ResolveIn
from tasks import alerts
from tasks.models import Task, TaskEvent
from tasks.steps import News, Was, locked, record, tell

OPEN = "open"


async def noted(work: Work, task: Task) -> None:
    """Mark that a late step of the task's crew stands against its cancel, and raise the alert."""
    task.conflict = OPEN
    work.session.add(task)
    await alerts.raised(work, alerts.CONFLICT, task)


async def resolve(work: Work, task_id: UUID, body: ResolveIn) -> dict[str, Any]:
    """The task with its conflict settled; its crew is told. If their work counts, so does the result they reported.

    The task stays cancelled: work that goes on is a task of its own. Raises NotFound, and TransitionNotAllowed where
    no conflict is open, which says who settled it and when.
    """
    task = await locked(work, task_id)
    if task is None:
        raise NotFound
    if task.conflict != OPEN:
        raise TransitionNotAllowed("The task has no open conflict.", **await _settled(work, task))
    task.conflict = body.outcome
    if body.outcome == "work_counts":
        task.result = await _result(work, task) or task.result
    was = Was(task.status, task.status, unit_id=task.unit_id, reason_code=body.outcome, reason=body.reason)
    event = record(work, task, "resolve", was)
    work.audit(Action.ALTERATION, "task", task.id, verb="resolve", outcome=body.outcome)
    await alerts.clear(work, task.id, alerts.CONFLICT)
    return (await tell(work, News(task, event)))[0]


async def _newest(work: Work, task: Task, *conditions: Any) -> TaskEvent | None:
    query = select(TaskEvent).where(TaskEvent.task_id == task.id, *conditions)
    found: TaskEvent | None = await work.first(query.order_by(col(TaskEvent.received_at).desc()))
    return found


async def _result(work: Work, task: Task) -> str | None:
    """What the crew reported when it ended the work."""
    ends = col(TaskEvent.verb).in_(["complete", "fail"])
    last = await _newest(work, task, TaskEvent.result == "conflict", ends)
    return last.reason_code if last else None


async def _settled(work: Work, task: Task) -> dict[str, Any]:
    last = await _newest(work, task, TaskEvent.verb == "resolve")
    return {"changed_by": last.by_name, "changed_at": utc_text(last.received_at)} if last else {}
