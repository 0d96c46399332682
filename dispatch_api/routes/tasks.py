"""Tasks: drafted and issued by the centre, moved on by officers."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from core.actor import May
from core.errors import Malformed
from core.work import Work
from dispatch_api.deps import After, GetState, Limit, working
from dispatch_api.idempotent import once
from dispatch_api.paging import Page, id_after
from mobile_contract.fields import Code
from mobile_contract.resources import (
    Priority,
    ReceiptIn,
    ResolveIn,
    SelfTaskIn,
    Status,
    Task,
    TaskChange,
    TaskEvent,
    TaskIn,
    Transition,
    TransitionIn,
)
from mobile_contract.supports import SupportIn, WithdrawIn
from tasks import conflicts, states, supports, tasks
from tasks.limits import limits_of
from tasks.transitions import transition

router = APIRouter(tags=["tasks"])
Reading = Annotated[Work, working(May.READ_TASKS)]
Drafting = Annotated[Work, working(May.DRAFT_TASKS)]
Dispatching = Annotated[Work, working(May.DISPATCH_TASKS)]
Acting = Annotated[Work, working(May.ACT_ON_TASKS)]
Moving = Annotated[Work, working(May.DISPATCH_TASKS, May.ACT_ON_TASKS, May.DRAFT_TASKS)]

TRANSITION = f"""Take one step of a task's lifecycle.

Dispatchers' steps are refused with 409 when `version` is stale or the table has no arrow. Officers' steps are never
refused for the state: they answer 200 with `superseded`, or with `conflict` against a cancel, and moved nothing. An
officer confirms a cancel by `acknowledge` with the cancelled task's `version`.

{states.as_markdown()}
"""


def number_after(after: str | None) -> int | None:
    """The number a page starts below; raises Malformed."""
    if after is not None and not (after.isascii() and after.isdigit() and len(after) <= 18):
        raise Malformed("after must be the `next` of an earlier page")
    return None if after is None else int(after)


@router.post("/tasks", status_code=201, response_model=Task)
async def create(body: TaskIn, response: Response, work: Drafting, state: GetState) -> Any:
    """Draft a task; with `unit_id` and `issue: true` it is issued in the same transaction."""
    limits = limits_of(state.settings)
    return await once(
        work, response, "tasks.create", body.id, body, lambda: tasks.create(work, body, limits), status=201
    )


@router.post("/tasks/self", status_code=201, response_model=Task)
async def self_initiated(body: SelfTaskIn, response: Response, work: Acting) -> Any:
    """Begin a stop on one's own observation: on scene at once."""
    return await once(work, response, "tasks.self", body.id, body, lambda: tasks.self_initiated(work, body), status=201)


@router.get("/tasks", response_model=Page[Task])
async def listed(
    work: Reading,
    is_open: Annotated[bool | None, Query(alias="open")] = None,
    status: Status | None = None,
    unit_id: UUID | None = None,
    kind: Code | None = None,
    priority: Priority | None = None,
    limit: Limit = 100,
    after: After = None,
) -> Any:
    """Tasks, newest first; officers see those of their units."""
    asked = {"status": status, "unit_id": unit_id, "kind": kind, "priority": priority}
    where = {name: value for name, value in asked.items() if value is not None}
    page, following = await tasks.listed(work, is_open=is_open, where=where, limit=limit, after=number_after(after))
    return {"items": page, "next": following and str(following)}


@router.get("/tasks/{task_id}", response_model=Task)
async def one(task_id: UUID, work: Reading) -> Any:
    """One task."""
    return await tasks.get(work, task_id)


@router.patch("/tasks/{task_id}", response_model=Task)
async def change(task_id: UUID, body: TaskChange, response: Response, work: Drafting) -> Any:
    """Change a draft, or the small things of a task at work; the crew gets the change."""
    return await once(
        work, response, f"tasks.change:{task_id}", body.id, body, lambda: tasks.change(work, task_id, body)
    )


@router.get("/tasks/{task_id}/events", response_model=Page[TaskEvent])
async def events(task_id: UUID, work: Reading, limit: Limit = 100, after: After = None) -> Any:
    """The history of a task, oldest first, also the steps that came too late."""
    page, following = await tasks.events(work, task_id, limit, id_after(after))
    return {"items": page, "next": following and str(following)}


@router.post("/tasks/{task_id}/transitions", response_model=Transition, description=TRANSITION)
async def step(task_id: UUID, body: TransitionIn, response: Response, work: Moving, state: GetState) -> Any:
    """Take one step of a task's lifecycle."""
    limits = limits_of(state.settings)
    return await once(
        work, response, f"tasks.step:{task_id}", body.id, body, lambda: transition(work, task_id, body, limits)
    )


@router.post("/tasks/{task_id}/resolve", response_model=Task)
async def resolve(task_id: UUID, body: ResolveIn, response: Response, work: Dispatching) -> Any:
    """Settle that a crew went on with a cancelled task: the cancel stands, or their work counts; the crew is told."""
    return await once(
        work, response, f"tasks.resolve:{task_id}", body.id, body, lambda: conflicts.resolve(work, task_id, body)
    )


@router.post("/tasks/{task_id}/support", response_model=Task)
async def support(task_id: UUID, body: SupportIn, response: Response, work: Dispatching) -> Any:
    """Send a further unit in support."""
    return await once(
        work, response, f"tasks.support:{task_id}", body.id, body, lambda: supports.send(work, task_id, body)
    )


@router.post("/tasks/{task_id}/support/{unit_id}/withdraw", response_model=Task)
async def withdraw(task_id: UUID, unit_id: UUID, body: WithdrawIn, response: Response, work: Dispatching) -> Any:
    """Withdraw a unit from a task it supports; its crew is told."""
    return await once(
        work, response, f"tasks.withdraw:{task_id}:{unit_id}", body.id, body,
        lambda: supports.withdraw(work, task_id, unit_id, body),
    )  # fmt: skip


@router.post("/tasks/{task_id}/seen", response_model=Transition)
async def seen(task_id: UUID, response: Response, work: Acting, body: ReceiptIn | None = None) -> Any:
    """Note that the officer has seen the task."""
    body = body or ReceiptIn()
    return await once(work, response, f"tasks.seen:{task_id}", body.id, body, lambda: tasks.seen(work, task_id, body))
