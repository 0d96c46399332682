"""Units in support of a task beside the one that has it: sent and withdrawn by the centre.

They take the same steps as the lead (tasks/transitions.py), each for itself, without moving the task.
"""

from typing import Any
from uuid import UUID

from core.audit import Action
from core.errors import NotFound, TransitionNotAllowed
from core.work import Work
from mobile_contract.supports import SupportIn, WithdrawIn
from tasks import guards, states
from tasks.models import TaskSupport
from tasks.resource import one
from tasks.steps import News, Was, follow, locked, move, record, stand, tell
from tasks.transitions import check_decided, stale


async def send(work: Work, task_id: UUID, body: SupportIn) -> dict[str, Any]:
    """The task with one more supporting unit, which gets it.

    One that supports it already changes nothing, unless its own part is over: then it is sent again.

    Raises NotFound, VersionConflict, Invalid, TransitionNotAllowed for a task that no unit has, for its lead, or for a
    unit off duty.
    """
    task = await locked(work, task_id)
    if task is None:
        raise NotFound
    await check_decided(work, task, body.version)
    unit = await guards.check_unit(work, body.unit_id)
    if task.status not in guards.OCCUPYING:
        raise TransitionNotAllowed("Another unit can support a task that a unit has.", **await stale(work, task))
    if body.unit_id == task.unit_id:
        raise TransitionNotAllowed("The unit has the task itself.", guard="lead", current_version=task.version)
    known = await work.session.get(TaskSupport, (task.id, body.unit_id))
    if unit and (known is None or known.status in states.PART_OVER):
        await guards.check_on_shift(work, unit)
        sent = known or TaskSupport(task_id=task.id, unit_id=unit.id)
        sent.added_at = work.now
        stand(work, sent, "issued", work.now)
        move(work, task, "support", task.status, work.now)
        event = record(work, task, "support", Was(task.status, task.status, unit_id=body.unit_id))
        work.audit(Action.ALTERATION, "task", task.id, support=body.unit_id)
        await follow(work, [body.unit_id], work.now)
        await tell(work, News(task, event))
    return await one(work, task)


async def withdraw(work: Work, task_id: UUID, unit_id: UUID, body: WithdrawIn) -> dict[str, Any]:
    """The task without that unit's support: its crew is told, and confirms. Who has left it already changes nothing.

    Raises NotFound, also for a unit that was not sent; VersionConflict, TransitionNotAllowed for a task that is over.
    """
    task = await locked(work, task_id)
    support = await work.session.get(TaskSupport, (task_id, unit_id)) if task else None
    if task is None or support is None:
        raise NotFound
    await check_decided(work, task, body.version)
    if task.status in states.TERMINAL:
        raise TransitionNotAllowed("The task is over, and its supports with it.", **await stale(work, task))
    if support.status not in states.PART_OVER:
        was = Was(support.status, "cancelled", unit_id=unit_id, reason=body.reason)
        stand(work, support, "cancelled", work.now)
        move(work, task, "withdraw", task.status, work.now)
        event = record(work, task, "withdraw", was)
        work.audit(Action.ALTERATION, "task", task.id, withdrawn=unit_id)
        await follow(work, [unit_id], work.now)
        await tell(work, News(task, event))
    return await one(work, task)
