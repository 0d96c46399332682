"""What every step of a task has in common: its row is locked, moved, written into the history, and told.

Locks are taken in one order, so that steps wait for each other but never in a circle: tasks, units, inboxes. Rows are
locked FOR NO KEY UPDATE (`key_share`): FOR UPDATE would wait for whoever has just added a row that refers to them, and
who then locks them as well would close the circle.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from core import inbox
from core.bus import TasksChanged
from core.work import Work
from geo import shifts, units
from geo.models import Unit
from mobile_contract.resources import TransitionIn
from tasks import alerts, states
from tasks.models import Alert, Task, TaskEvent, TaskSupport
from tasks.resource import point_of, resources, supports_of

STAMPS = {"acknowledge": "acknowledged_at", "en_route": "en_route_at", "on_scene": "on_scene_at",
          "complete": "completed_at"}  # fmt: skip
OF_ONE_ASSIGNMENT = (
    "delivered_at", "seen_at", "acknowledged_at", "en_route_at", "on_scene_at", "completed_at", "cancel_confirmed_at",
    "result",
)  # fmt: skip
RECEIPTS = ("deliver", "seen", "take", "escalate", "resolve")
"""Steps of the history that decide nothing about the task's way: they do not raise the version."""

KEEPS_STATUS = frozenset({"off_duty", "out_of_service", "emergency"})
PAUSES = frozenset({"break", "paperwork"})
_STANDINGS = text(
    "SELECT unit_id, status FROM task WHERE unit_id = ANY(:ids) AND status = ANY(:binding) UNION ALL"
    " SELECT s.unit_id, s.status FROM task_support s JOIN task t ON t.id = s.task_id"
    " WHERE s.unit_id = ANY(:ids) AND s.status = ANY(:binding) AND t.status = ANY(:open)"
)


async def locked(work: Work, task_id: UUID) -> Task | None:
    """The task, kept from others until the commit; None when the actor sees no such task."""
    query = select(Task).where(Task.id == task_id).with_for_update(key_share=True)
    found: Task | None = await work.first(query.execution_options(populate_existing=True))
    return found


def not_ahead(work: Work, at: datetime | None) -> datetime:
    """When something happened: the device's time, but never later than now (its clock may be wrong)."""
    return work.now if at is None else min(at, work.now)


def move(work: Work, task: Task, verb: str, to: str, at: datetime) -> None:
    """Give the task its new status, with the moment that belongs to the verb; the first such moment stays."""
    task.late = task.late or (task.status == "unacknowledged" and verb == "acknowledge")
    task.status, task.updated_at = to, work.now
    if verb not in RECEIPTS:
        task.version += 1
    stamp = STAMPS.get(verb)
    if stamp and getattr(task, stamp) is None:
        setattr(task, stamp, at)
    if verb == "return":
        task.completed_at = None
    work.session.add(task)


@dataclass
class Was:
    """What a step is recorded with beside the command that asked for it."""

    from_status: str | None
    to_status: str
    result: str = "applied"
    unit_id: UUID | None = None
    reason_code: str | None = None
    reason: str | None = None


def record(work: Work, task: Task, verb: str, was: Was, command: TransitionIn | None = None) -> TaskEvent:
    """Write one step into the history, with the device's own time as it was sent."""
    actor = work.actor
    event = TaskEvent(
        task_id=task.id, verb=verb, from_status=was.from_status, to_status=was.to_status, result=was.result,
        version=task.version, by=actor.user_id, by_name=actor.name or actor.login, unit_id=was.unit_id,
        at=work.now, received_at=work.now, reason_code=was.reason_code, reason=was.reason,
    )  # fmt: skip
    if command is not None:
        event.at = command.at or work.now
        event.point = point_of(command.lon, command.lat)
        event.accuracy_m = command.accuracy_m
        event.clock_off_s = work.clock_off_s
        event.reason_code = was.reason_code or command.reason_code or command.result
        event.reason = was.reason or command.reason
    task.updated_at = work.now
    work.session.add_all([task, event])
    return event


async def follow(work: Work, unit_ids: Iterable[UUID | None], at: datetime) -> None:
    """Let the units' status follow their tasks: on scene before en route before assigned, else available."""
    ids = sorted({unit_id for unit_id in unit_ids if unit_id})
    await work.flush()
    query = select(Unit).where(col(Unit.id).in_(ids)).order_by(col(Unit.id)).with_for_update(key_share=True)
    rows = await work.all(query.execution_options(populate_existing=True))
    values = {"ids": ids, "binding": sorted(states.BINDING), "open": sorted(states.OPEN)}
    standings: dict[UUID, set[str]] = {}
    for unit_id, status in (await work.session.execute(_STANDINGS, values)).all():
        standings.setdefault(unit_id, set()).add(status)
    for unit in rows:
        wanted = unit_status(standings.get(unit.id, set()))
        if unit.status in KEEPS_STATUS or (wanted == "available" and unit.status in PAUSES):
            continue
        units.set_status(work, unit, wanted, at)


def unit_status(standings: set[str]) -> str:
    """The status of a unit whose tasks stand like this."""
    for status in ("on_scene", "en_route"):
        if status in standings:
            return status
    return "assigned" if standings else "available"


@dataclass
class News:
    """A task that moved, the event that tells of it, a unit that no longer has it, and its supports where known."""

    task: Task
    event: TaskEvent
    former_unit_id: UUID | None = None
    supports: list[TaskSupport] | None = None


async def settle(work: Work, task: Task, event: TaskEvent) -> None:
    """Let alerts follow a step; units whose panic it ends stand as their tasks say again."""
    if calmed := await alerts.follow(work, task, event):
        await calm(work, calmed)


async def calm(work: Work, unit_ids: Iterable[UUID]) -> None:
    """Units whose panic is over stand as their tasks say again, if no other panic of theirs stands."""
    calling = select(Alert.unit_id).where(Alert.kind == alerts.PANIC, col(Alert.cleared_at).is_(None))
    query = select(Unit).where(col(Unit.id).in_(list(unit_ids)), Unit.status == "emergency")
    query = query.where(col(Unit.id).not_in(calling.where(col(Alert.unit_id).is_not(None)))).order_by(col(Unit.id))
    async with work.elevated():
        calmed = await work.all(query.with_for_update(key_share=True))
        for unit in calmed:
            units.set_status(work, unit, "available", work.now)
        if calmed:
            await follow(work, [unit.id for unit in calmed], work.now)


async def tell(work: Work, *news: News) -> list[dict[str, Any]]:
    """Send each task to the crews concerned, let its alert follow, and wake the screens; the tasks as resources.

    Crews: the lead's, the supports', the former lead's.
    """
    await work.session.flush()
    for item in news:
        await settle(work, item.task, item.event)
    supports = {item.task.id: item.supports for item in news if item.supports is not None}
    if unknown := [item.task.id for item in news if item.supports is None]:
        supports |= await supports_of(work, unknown)
    concerned = [
        {item.task.unit_id, item.former_unit_id, *(one.unit_id for one in supports.get(item.task.id, ()))} - {None}
        for item in news
    ]
    crews = await shifts.crews_of(work, {unit_id for unit_ids in concerned for unit_id in unit_ids if unit_id})
    people = [{user for unit_id in unit_ids if unit_id for user in crews.get(unit_id, ())} for unit_ids in concerned]
    if len(news) > 1:
        await inbox.hold(work, set().union(*people))
    bodies = await resources(work, [item.task for item in news], supports)
    for item, crew, body in zip(news, people, bodies, strict=True):
        await inbox.push(work, crew, item.event.id, "task", item.task.id, body)
        work.publish(TasksChanged, item.task.id)
    return bodies


def stand(work: Work, support: TaskSupport, status: str, at: datetime) -> None:
    """Let a supporting unit stand so since `at`."""
    support.status, support.since = status, at
    work.session.add(support)


def release_supports(work: Work, supports: Iterable[TaskSupport], to: str) -> None:
    """End the supports of a task that is off: they stand as it does, but for those whose own part was over."""
    for support in supports:
        if support.status not in states.PART_OVER:
            stand(work, support, to, work.now)
