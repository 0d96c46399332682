"""Steps of a task, by dispatchers and by officers.

A dispatcher's step is refused when it comes on a stale version or has no arrow. An officer's step is never refused
for the state (a 4xx would block a tablet's outbox for ever): it is kept as superseded or conflict, and shown. Only the
stop form that a task asks for must be there before it is completed; a tablet sends it first, also after an outage.
"""

from typing import Any
from uuid import UUID

from sqlmodel import col, select

from core.actor import May
from core.audit import Action
from core.bus import TasksChanged
from core.errors import Invalid, NotAllowed, NotFound, TransitionNotAllowed, VersionConflict
from core.work import Work
from mobile_contract.fields import utc_text
from mobile_contract.resources import TransitionIn
from tasks import conflicts, forms, guards, states
from tasks.limits import STANDARD, Limits
from tasks.models import Task, TaskEvent, TaskSupport
from tasks.resource import one, supports_of
from tasks.states import Who
from tasks.steps import (
    OF_ONE_ASSIGNMENT,
    RECEIPTS,
    News,
    Was,
    follow,
    locked,
    move,
    not_ahead,
    record,
    release_supports,
    settle,
    stand,
    tell,
)

Outcome = dict[str, Any]
DECISIONS = states.CENTRE_VERBS | {"update", "support", "withdraw"}


async def transition(work: Work, task_id: UUID, command: TransitionIn, limits: Limits = STANDARD) -> Outcome:
    """Take one step: `{result, task}`; what is issued is to be acknowledged within the limit of its priority.

    Raises NotAllowed, NotFound and Invalid; for dispatchers also VersionConflict, TransitionNotAllowed and
    WindowOverlap, each with `current_version` or the `guard` that refused; FormRequired.
    """
    verb, actor = command.verb, work.actor
    guards.check_command(command)
    centre = verb in states.CENTRE_VERBS and (
        actor.may(May.DISPATCH_TASKS) or (verb == "discard" and actor.may(May.DRAFT_TASKS))
    )
    officer = verb in states.OFFICER_VERBS and actor.may(May.ACT_ON_TASKS)
    if not (centre or officer):
        raise NotAllowed
    task = await locked(work, task_id)
    if officer:
        unit_id, theirs = await acting_unit(work, task_id, task)
        if theirs is not None and (unit_id or not centre):
            return await _by_officer(work, theirs, unit_id, command)
    if task is None or not centre:
        raise NotFound
    return await _by_centre(work, task, command, limits)


async def acting_unit(work: Work, task_id: UUID, task: Task | None) -> tuple[UUID | None, Task | None]:
    """The actor's unit on this task and the task; the unit is None when the task was theirs and is no more.

    Both are None for a task that never was theirs: they must not learn that it exists.
    """
    own = work.actor.unit_ids
    if task is not None and task.unit_id in own:
        return task.unit_id, task
    if task is not None:
        for support in (await supports_of(work, [task.id])).get(task.id, []):
            if support.unit_id in own:
                return support.unit_id, task
    had = select(TaskEvent.id).where(TaskEvent.task_id == task_id, col(TaskEvent.unit_id).in_(list(own)))
    async with work.elevated():  # a task given to another unit is out of sight, yet its late steps are owed an answer
        was_theirs = await work.first(had) is not None
        found = await locked(work, task_id) if was_theirs else None
    return None, found


async def _by_officer(work: Work, task: Task, unit_id: UUID | None, command: TransitionIn) -> Outcome:
    supports = (await supports_of(work, [task.id])).get(task.id, [])
    support = next((s for s in supports if s.unit_id == unit_id and unit_id != task.unit_id), None)
    stands = support or task
    arrow = states.step(stands.status, command.verb, Who.OFFICER) if unit_id else None
    if support and task.status in states.TERMINAL:
        arrow = None
    if arrow is None:
        return await _too_late(work, task, unit_id, command, support)
    before, at = stands.status, not_ahead(work, command.at)
    if support:
        stand(work, support, arrow.to, at)
    else:
        if command.verb == "complete":
            forms.check(task)
        move(work, task, command.verb, arrow.to, at)
        if command.verb in {"complete", "fail"}:
            task.result = command.result or command.reason_code
    event = record(work, task, command.verb, Was(before, arrow.to, unit_id=unit_id), command)
    await follow(work, [unit_id], at)
    return await _told(work, "applied", News(task, event, supports=supports))


def _has_read_cancel(task: Task, command: TransitionIn, support: TaskSupport | None) -> bool:
    """Whether the crew confirms that the task, or their support of it, is off: they name the version they saw."""
    if command.verb != "acknowledge" or command.version is None:
        return False
    return support.status == "cancelled" if support else (task.status, task.version) == ("cancelled", command.version)


async def _too_late(
    work: Work, task: Task, unit_id: UUID | None, command: TransitionIn, support: TaskSupport | None
) -> Outcome:
    if unit_id and _has_read_cancel(task, command, support):
        if support is None and task.cancel_confirmed_at is None:
            task.cancel_confirmed_at = not_ahead(work, command.at)
        result = "applied"
    else:
        result = states.too_late(task.status) if unit_id else "superseded"
    async with work.elevated():  # the task may be another unit's by now
        record(work, task, command.verb, Was(task.status, task.status, result, unit_id), command)
        if result == "conflict":
            await conflicts.noted(work, task)
    work.audit(Action.ALTERATION, "task", task.id, verb=command.verb, result=result)
    work.publish(TasksChanged, task.id)
    return {"result": result, "task": await one(work, task)}


async def _told(work: Work, result: str, *news: News) -> Outcome:
    for item in news:
        event = item.event
        work.audit(Action.ALTERATION, "task", item.task.id, verb=event.verb, to=event.to_status, unit_id=event.unit_id)
    return {"result": result, "task": (await tell(work, *news))[0]}


async def stale(work: Work, task: Task, *where: Any) -> dict[str, Any]:
    """Who decided last, what and when, and the version since then: what a refused dispatcher is told."""
    query = select(TaskEvent).where(
        TaskEvent.task_id == task.id, TaskEvent.result == "applied", col(TaskEvent.verb).not_in(RECEIPTS), *where
    )
    newest = query.order_by(col(TaskEvent.received_at).desc(), col(TaskEvent.version).desc())
    last: TaskEvent | None = await work.first(newest)
    told: dict[str, Any] = {"current_version": task.version, "current_status": task.status}
    if last is not None:
        told |= {"changed_by": last.by_name, "changed_at": utc_text(last.received_at), "changed_verb": last.verb}
    return told


async def check_version(work: Work, task: Task, version: int | None) -> None:
    """Raises VersionConflict when somebody decided something since `version`."""
    if version is not None and version != task.version:
        raise VersionConflict(**await stale(work, task))


async def check_decided(work: Work, task: Task, version: int | None) -> None:
    """Raises VersionConflict when the centre decided something since `version`; a crew's way to the place is none."""
    if version is None or version == task.version:
        return
    told = await stale(work, task, col(TaskEvent.version) > version, col(TaskEvent.verb).in_(DECISIONS))
    if "changed_by" in told:
        raise VersionConflict(**told)


async def _by_centre(work: Work, task: Task, command: TransitionIn, limits: Limits) -> Outcome:
    verb = command.verb
    who = Who.DISPATCHER if work.actor.may(May.DISPATCH_TASKS) else Who.AUTHOR
    if who is Who.AUTHOR and not guards.may_discard(work, task):
        raise NotAllowed
    await check_version(work, task, command.version)
    arrow = states.step(task.status, verb, who)
    if arrow is None:
        detail = f"A task that is {task.status} has no step {verb}."
        raise TransitionNotAllowed(detail, **await stale(work, task))
    if arrow.to == "issued":
        return await _told(work, "applied", *await assign(work, task, command, limits))
    before = task.status
    if (before, verb) == ("completed", "close"):
        forms.check(task)
    move(work, task, verb, arrow.to, work.now)
    event = record(work, task, verb, Was(before, arrow.to, unit_id=task.unit_id), command)
    if arrow.to == "discarded":
        await settle(work, task, event)
        work.audit(Action.ALTERATION, "task", task.id, verb=verb, to=arrow.to)
        work.publish(TasksChanged, task.id)
        return {"result": "applied", "task": await one(work, task)}
    supports = (await supports_of(work, [task.id])).get(task.id, [])
    if arrow.to in states.TERMINAL:
        release_supports(work, supports, arrow.to)
    await follow(work, [task.unit_id, *(s.unit_id for s in supports)], work.now)
    return await _told(work, "applied", News(task, event, supports=supports))


async def assign(work: Work, task: Task, command: TransitionIn, limits: Limits = STANDARD) -> list[News]:
    """Issue the task to the command's unit (or the one it proposes), pausing that unit's task if `divert`.

    A planned one (P4) need not be acknowledged before its window opens.
    """
    unit_id = command.unit_id or task.unit_id
    leaving = await _current(work, task, unit_id) if command.divert and unit_id else []
    # The unit's row makes two issues to one unit wait for each other, so that both see the other's window.
    unit = await guards.check_unit(work, unit_id, lock=True)
    if unit is None:
        raise Invalid.at("unit_id", "missing", "Name the unit that takes the task.")
    await guards.check_issue(work, task, unit, command.override_reason)
    news = [_pause(work, other) for other in leaving]
    before, former = task.status, task.unit_id
    for name in OF_ONE_ASSIGNMENT:
        setattr(task, name, None)
    task.unit_id, task.issued_at, task.late = unit.id, work.now, False
    task.ack_due_at = work.now + limits[task.priority]
    if task.priority == "P4" and task.window_from:
        task.ack_due_at = max(task.ack_due_at, task.window_from)
    move(work, task, command.verb, "issued", work.now)
    overridden = "window_override" if command.override_reason else None
    was = Was(before, "issued", "applied", unit.id, overridden, command.override_reason)
    event = record(work, task, command.verb, was, command)
    if before != "draft":
        await _leave_support(work, task, unit.id)
    await follow(work, [unit.id, former], work.now)
    return [News(task, event, former if former != unit.id and before != "draft" else None), *news]


async def _current(work: Work, task: Task, unit_id: UUID) -> list[Task]:
    query = (
        select(Task)
        .where(Task.unit_id == unit_id, col(Task.status).in_(states.AT_WORK), Task.id != task.id)
        .order_by(col(Task.id))
        .with_for_update(key_share=True)
    )
    return await work.all(query)


def _pause(work: Work, task: Task) -> News:
    before = task.status
    move(work, task, "pause", "paused", work.now)
    was = Was(before, "paused", unit_id=task.unit_id, reason_code="diverted")
    return News(task, record(work, task, "pause", was))


async def _leave_support(work: Work, task: Task, unit_id: UUID) -> None:
    support = await work.session.get(TaskSupport, (task.id, unit_id))
    if support is not None:
        await work.session.delete(support)
