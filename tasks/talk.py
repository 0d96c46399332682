"""Messages about a task between its crews and the centre: a thread per task, kept with it, in the crews' inboxes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, select

from core import inbox
from core.actor import May
from core.audit import Action
from core.bus import TasksChanged
from core.errors import NotFound
from core.ids import new_id
from core.work import Work
from geo import shifts
from mobile_contract import talk as contract
from tasks.models import Task, TaskMessage
from tasks.resource import supports_of
from tasks.steps import locked, not_ahead
from tasks.transitions import acting_unit


def resource(row: TaskMessage) -> dict[str, Any]:
    """The Message resource, JSON-ready."""
    return contract.Message.model_validate(row).model_dump(mode="json")


async def send(work: Work, task_id: UUID, body: contract.MessageIn) -> dict[str, Any]:
    """A message of the centre, or of a crew that has or had the task; the other crews and the centre get it.

    Raises NotFound for a task that is not theirs and never was.
    """
    task, unit_id = await speaker(work, task_id)
    return await say(work, task, unit_id, body.text, body.at)


async def speaker(work: Work, task_id: UUID) -> tuple[Task, UUID | None]:
    """The task, kept from others, and the unit the actor speaks for; raises NotFound."""
    task, unit_id = await locked(work, task_id), None
    if not work.actor.may(May.DISPATCH_TASKS):
        unit_id, task = await acting_unit(work, task_id, task)
    if task is None:
        raise NotFound
    return task, unit_id


async def say(
    work: Work, task: Task, unit_id: UUID | None, text: str, at: datetime | None, kind: str = "message"
) -> dict[str, Any]:
    """Put a message into the thread of a task that is locked, and into the inboxes of its crews."""
    actor = work.actor
    row = TaskMessage(
        id=new_id(), task_id=task.id, kind=kind, text=text, by=actor.user_id, by_name=actor.name or actor.login,
        unit_id=unit_id, from_centre=actor.may(May.DISPATCH_TASKS), at=not_ahead(work, at), received_at=work.now,
    )  # fmt: skip
    async with work.elevated():  # it may be another unit's task by now; the thread is the task's
        work.session.add(row)
        task.messages += 1
        task.updated_at = work.now
        work.session.add(task)
        await work.session.flush()
        supports = (await supports_of(work, [task.id])).get(task.id, [])
    crews = await shifts.crews_of(work, {u for u in (task.unit_id, *(s.unit_id for s in supports)) if u})
    people = set().union(*crews.values()) - {actor.user_id} if crews else set()
    body = resource(row)
    await inbox.push(work, people, row.id, "message", row.id, body)
    action = Action.DISCLOSURE if row.from_centre else Action.COLLECTION
    work.audit(action, "task", task.id, message=row.id, unit_id=unit_id)
    work.publish(TasksChanged, task.id)
    return body


async def listed(work: Work, task_id: UUID, limit: int, after: UUID | None) -> tuple[list[Any], UUID | None]:
    """A page of a task's thread, the oldest first; and where the next page starts. Raises NotFound; audited."""
    if await work.first(select(Task.id).where(Task.id == task_id)) is None:
        raise NotFound
    query = select(TaskMessage).where(TaskMessage.task_id == task_id).order_by(col(TaskMessage.id)).limit(limit + 1)
    rows = await work.all(query.where(col(TaskMessage.id) > after) if after else query)
    work.audit(Action.CONSULTATION, "task", task_id, messages=len(rows[:limit]))
    return [resource(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None


async def _delivered(work: Work, covered: dict[UUID, datetime]) -> None:
    first = update(TaskMessage).where(col(TaskMessage.id).in_(covered), col(TaskMessage.delivered_at).is_(None))
    async with work.elevated():
        await work.session.execute(first.values(delivered_at=work.now))


inbox.ON_STORED["message"] = _delivered
