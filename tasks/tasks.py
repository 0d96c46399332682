"""Tasks: drafted, changed, read, and handed to whoever joins a unit."""

from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2.shape import from_shape
from shapely.geometry import Point
from sqlalchemy import and_, or_, tuple_
from sqlmodel import col, select

from core import codes, inbox
from core.actor import May
from core.audit import Action
from core.bus import TasksChanged
from core.errors import Invalid, Malformed, NotAllowed, NotFound, TransitionNotAllowed
from core.ids import new_id
from core.models import InboxItem
from core.work import Work
from mobile_contract.resources import ReceiptIn, SelfTaskIn, TaskChange, TaskIn, TransitionIn
from tasks import audience, guards, states
from tasks.limits import STANDARD, Limits
from tasks.models import Task, TaskEvent, TaskSupport
from tasks.resource import lon_lat, one, polygon_of, supports_of
from tasks.resource import resources as resources
from tasks.steps import News, Was, follow, locked, move, not_ahead, record, stand, tell
from tasks.transitions import Outcome, acting_unit, assign, check_version

_COMMAND = {"id", "version", "issue", "override_reason", "divert", "lon", "lat", "point", "area"}
_SMALL_EDITS = frozenset({"priority", "title", "instruction", "point", "area", "address", "window_from", "window_to"})
_REQUIRED = frozenset({"kind", "priority", "title", "instruction", "reason_code", "exercise", "required_capabilities"})


def _values(body: TaskIn | TaskChange) -> dict[str, Any]:
    values = body.model_dump(exclude_unset=True, exclude=_COMMAND)
    sent = body.model_fields_set
    if "point" in sent or "lon" in sent:
        lon, lat = body.point.coordinates if body.point else (body.lon, body.lat)
        values["point"] = None if lon is None else from_shape(Point(lon, lat), srid=4326)
    if "area" in sent:
        values["area"] = polygon_of(body.area) if body.area else None
    guards.check_codes(values)
    return {name: value for name, value in values.items() if value is not None or name not in _REQUIRED}


async def create(work: Work, body: TaskIn, limits: Limits = STANDARD) -> dict[str, Any]:
    """A new draft as a resource; with `issue` it is issued in the same transaction, by those who may dispatch.

    Raises NotAllowed, Invalid, IdReused, and what `issue` raises.
    """
    if body.issue:
        work.actor.demand(May.DISPATCH_TASKS)
    values = _values(body)
    values.setdefault("required_capabilities", guards.NEEDED_BY_KIND.get(body.kind, []))
    now = work.now
    task = Task(id=body.id or new_id(), **values, created_by=work.actor.user_id, created_at=now, updated_at=now)
    if body.issue:
        return await _issued(work, task, body, limits)
    await guards.check_unit(work, body.unit_id)
    await work.add(task)
    record(work, task, "create", Was(None, "draft"))
    work.audit(Action.COLLECTION, "task", task.id, number=task.number, issue=False)
    work.publish(TasksChanged, task.id)
    return await one(work, task)


async def _issued(work: Work, task: Task, body: TaskIn, limits: Limits) -> dict[str, Any]:
    """A new task issued at once: draft and issue are written together, after the unit was found fit."""
    record(work, task, "create", Was(None, "draft"))
    command = TransitionIn(verb="issue", override_reason=body.override_reason, divert=body.divert)
    with work.session.no_autoflush:
        news = await assign(work, task, command, limits)
    work.audit(Action.COLLECTION, "task", task.id, number=task.number, issue=True)
    work.audit(Action.ALTERATION, "task", task.id, verb="issue", to="issued", unit_id=task.unit_id)
    return (await tell(work, *news))[0]


async def self_initiated(work: Work, body: SelfTaskIn) -> dict[str, Any]:
    """A stop an officer began by themselves: on scene at once, shown to the dispatchers.

    Raises NotFound for a unit that is not theirs, Invalid without a unit or for an unknown kind.
    """
    guards.known("kind", body.kind, codes.TASK_KIND)
    own = work.actor.unit_ids
    if body.unit_id and body.unit_id not in own:
        raise NotFound
    unit_id = body.unit_id or (next(iter(own)) if len(own) == 1 else None)
    if unit_id is None:
        raise Invalid.at("unit_id", "missing", "Name the unit you act for.")
    at = not_ahead(work, body.at)
    task = Task(
        id=body.id or new_id(), kind=body.kind, priority="P3", status="on_scene", unit_id=unit_id,
        title=body.title or body.kind, reason_code=body.reason_code, reason=body.reason,
        point=from_shape(Point(body.lon, body.lat), srid=4326), created_by=work.actor.user_id,
        created_at=work.now, updated_at=work.now, on_scene_at=at,
    )  # fmt: skip
    await work.add(task)
    work.audit(Action.COLLECTION, "task", task.id, number=task.number, self_initiated=True)
    command = TransitionIn(
        verb="on_scene", at=body.at, lon=body.lon, lat=body.lat, accuracy_m=body.accuracy_m,
        reason_code=body.reason_code, reason=body.reason,
    )  # fmt: skip
    event = record(work, task, "self_initiate", Was(None, "on_scene", unit_id=unit_id), command)
    await follow(work, [unit_id], at)
    return (await tell(work, News(task, event)))[0]


async def _found(work: Work, task_id: UUID) -> Task:
    task: Task | None = await work.first(select(Task).where(Task.id == task_id))
    if task is None:
        raise NotFound
    return task


async def change(work: Work, task_id: UUID, body: TaskChange) -> dict[str, Any]:
    """The task with new values: anything of a draft (by its author or a dispatcher), small edits of one at work.

    Raises NotFound, NotAllowed, VersionConflict, TransitionNotAllowed, Invalid.
    """
    task = await locked(work, task_id)
    if task is None:
        raise NotFound
    dispatches = work.actor.may(May.DISPATCH_TASKS)
    if not dispatches and not (task.status == "draft" and task.created_by == work.actor.user_id):
        raise NotAllowed
    await check_version(work, task, body.version)
    values = _values(body)
    if task.status != "draft" and (task.status not in guards.OCCUPYING | {"declined"} or values.keys() - _SMALL_EDITS):
        raise TransitionNotAllowed(f"A task that is {task.status} keeps these values.", current_version=task.version)
    if "unit_id" in values:
        await guards.check_unit(work, values["unit_id"])
    for name, value in values.items():
        setattr(task, name, value)
    if task.window_from and task.window_to and task.window_to <= task.window_from:
        raise Invalid.at("window_to", "order", "The window must end after it begins.")
    move(work, task, "update", task.status, work.now)
    event = record(work, task, "update", Was(task.status, task.status))
    work.audit(Action.ALTERATION, "task", task.id, changed=sorted(values))
    if task.status == "draft":
        work.publish(TasksChanged, task.id)
    else:
        await tell(work, News(task, event))
    return await one(work, task)


async def seen(work: Work, task_id: UUID, body: ReceiptIn) -> Outcome:
    """Note that an officer of the unit has seen the task; only a unit's first time counts. Raises NotFound."""
    unit_id, task = await acting_unit(work, task_id, await locked(work, task_id))
    if task is None:
        raise NotFound
    leads = unit_id is not None and unit_id == task.unit_id
    supports = unit_id if not leads else None
    if (leads and task.seen_at is not None) or (supports and await _seen_in_support(work, task_id, supports)):
        return {"result": "applied", "task": await one(work, task)}
    if leads:
        task.seen_at = not_ahead(work, body.at)
    result = "applied" if unit_id else "superseded"
    command = TransitionIn(verb="acknowledge", at=body.at)
    async with work.elevated():  # the task may be another unit's by now
        record(work, task, "seen", Was(task.status, task.status, result, unit_id), command)
    work.publish(TasksChanged, task.id)
    return {"result": result, "task": await one(work, task)}


async def _seen_in_support(work: Work, task_id: UUID, unit_id: UUID) -> bool:
    """Whether a supporting unit has seen the task since it was sent."""
    sent = select(TaskSupport.added_at).where(TaskSupport.task_id == task_id, TaskSupport.unit_id == unit_id)
    query = select(TaskEvent.id).where(
        TaskEvent.task_id == task_id, TaskEvent.unit_id == unit_id, TaskEvent.verb == "seen",
        col(TaskEvent.received_at) >= sent.scalar_subquery(),
    )  # fmt: skip
    return await work.first(query) is not None


async def get(work: Work, task_id: UUID) -> dict[str, Any]:
    """One task as a resource; raises NotFound. The look is audited."""
    task = await _found(work, task_id)
    work.audit(Action.CONSULTATION, "task", task.id)
    return await one(work, task)


async def listed(
    work: Work, *, is_open: bool | None, where: dict[str, Any], limit: int, after: int | None
) -> tuple[list[dict[str, Any]], int | None]:
    """A page of tasks as resources, newest number first, and where the next one starts.

    `where` maps columns to wanted values. A cancelled task stays open until who had acknowledged it confirms.
    """
    query = select(Task).order_by(col(Task.number).desc()).limit(limit + 1)
    if not work.actor.sees_all("tasks"):
        supported = select(TaskSupport.task_id).where(col(TaskSupport.unit_id).in_(work.actor.unit_ids))
        query = query.where(or_(col(Task.unit_id).in_(work.actor.unit_ids), col(Task.id).in_(supported)))
    for name, value in where.items():
        query = query.where(getattr(Task, name) == value)
    if is_open is not None:
        unconfirmed = (
            (col(Task.status) == "cancelled")
            & col(Task.acknowledged_at).is_not(None)
            & col(Task.cancel_confirmed_at).is_(None)
        )
        still = or_(col(Task.status).in_(states.OPEN), unconfirmed)
        query = query.where(still if is_open else ~still)
    if after is not None:
        query = query.where(Task.number < after)
    rows = await work.all(query)
    page = rows[:limit]
    work.audit(Action.CONSULTATION, "task", None, n=len(page), open=is_open, filter=where)
    return await resources(work, page), page[-1].number if len(rows) > limit else None


async def events(work: Work, task_id: UUID, limit: int, after: UUID | None) -> tuple[list[dict[str, Any]], UUID | None]:
    """A page of a task's history in the order the server got it, JSON-ready but for moments; and where the next starts.

    Raises NotFound, Malformed.
    """
    task = await _found(work, task_id)
    work.audit(Action.CONSULTATION, "task", task.id, history=True)
    order = (col(TaskEvent.received_at), col(TaskEvent.version), col(TaskEvent.id))
    query = select(TaskEvent).where(TaskEvent.task_id == task.id).order_by(*order).limit(limit + 1)
    if after:
        last: TaskEvent | None = await work.first(query.where(TaskEvent.id == after))
        if last is None:
            raise Malformed("after must be the `next` of an earlier page")
        query = query.where(tuple_(*order) > tuple_(last.received_at, last.version, last.id))
    rows = await work.all(query)
    shown = []
    for row in rows[:limit]:
        lon, lat = lon_lat(row.point)
        shown.append(row.model_dump(exclude={"point", "task_id"}) | {"lon": lon, "lat": lat})
    return shown, rows[limit - 1].id if len(rows) > limit else None


async def open_for_unit(work: Work, unit_id: UUID, user_id: UUID) -> None:
    """Put the unit's open tasks and valid notices into the inbox of who joins its shift, unless they are there.

    A unit that comes on duty with open tasks is assigned, not available. For several people call it in id order.
    """
    await follow(work, [unit_id], work.now)
    supported = select(TaskSupport.task_id).where(TaskSupport.unit_id == unit_id)
    query = (
        select(Task)
        .where(or_(col(Task.unit_id) == unit_id, col(Task.id).in_(supported)), col(Task.status).in_(guards.OCCUPYING))
        .order_by(col(Task.number))
    )
    async with work.elevated():  # who joins is owed what the unit has, whoever lets them join
        tasks = await work.all(query)
        had = select(InboxItem.object_id, InboxItem.body["version"].as_integer()).where(
            InboxItem.user_id == user_id, col(InboxItem.object_id).in_([task.id for task in tasks])
        )
        present = set(map(tuple, (await work.session.execute(had)).all()))
    missing = [task for task in tasks if (task.id, task.version) not in present]
    for task, body in zip(missing, await resources(work, missing), strict=True):
        await inbox.push(work, [user_id], new_id(), "task", task.id, body)
    await audience.open_for_unit(work, unit_id, user_id)


async def _delivered(work: Work, covered: dict[UUID, datetime]) -> None:
    own = work.actor.unit_ids
    supported = select(TaskSupport.task_id).where(col(TaskSupport.unit_id).in_(own), TaskSupport.status == "issued")
    waiting = or_(col(Task.delivered_at).is_(None), col(Task.status) == "issued")
    owed = or_(and_(col(Task.issued_at).is_not(None), waiting), col(Task.id).in_(supported))
    query = select(Task).where(col(Task.id).in_(list(covered)), owed)
    tasks = await work.all(query.order_by(col(Task.id)).with_for_update(key_share=True))
    supports = await supports_of(work, [task.id for task in tasks]) if tasks else {}
    for task in tasks:
        # An item older than the issue told of an earlier assignment.
        if task.unit_id in own and task.issued_at and task.issued_at <= covered[task.id]:
            _deliver(work, task)
        for support in supports.get(task.id, []):
            mine = support.unit_id in own and support.status == "issued"
            if mine and support.added_at <= covered[task.id]:
                stand(work, support, "delivered", work.now)
                record(work, task, "deliver", Was("issued", "delivered", unit_id=support.unit_id))
                work.publish(TasksChanged, task.id)


def _deliver(work: Work, task: Task) -> None:
    """The lead's tablet has stored the task, for the first time since it was issued."""
    if task.delivered_at is not None and task.status != "issued":
        return
    task.delivered_at = task.delivered_at or work.now
    arrow = states.step(task.status, "deliver", states.Who.SYSTEM)
    before, to = task.status, arrow.to if arrow else task.status
    move(work, task, "deliver", to, work.now)
    record(work, task, "deliver", Was(before, to, unit_id=task.unit_id))
    work.publish(TasksChanged, task.id)


inbox.ON_STORED["task"] = _delivered
