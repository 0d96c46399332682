"""Messages about tasks, calls for support, panic (mobile_contract/talk.py)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response

from core.actor import May
from core.work import Work
from dispatch_api.deps import After, Limit, working
from dispatch_api.idempotent import once
from dispatch_api.paging import Page, id_after
from mobile_contract.talk import Message, MessageIn, Panic, PanicIn, SupportRequestIn
from tasks import calls, talk

router = APIRouter(tags=["tasks"])
Reading = Annotated[Work, working(May.READ_TASKS)]
Speaking = Annotated[Work, working(May.DISPATCH_TASKS, May.ACT_ON_TASKS)]
Acting = Annotated[Work, working(May.ACT_ON_TASKS)]


@router.get("/tasks/{task_id}/messages", response_model=Page[Message])
async def listed(task_id: UUID, work: Reading, limit: Limit = 100, after: After = None) -> Any:
    """The thread of a task, the oldest first."""
    page, following = await talk.listed(work, task_id, limit, id_after(after))
    return {"items": page, "next": following and str(following)}


@router.post("/tasks/{task_id}/messages", status_code=201, response_model=Message)
async def send(task_id: UUID, body: MessageIn, response: Response, work: Speaking) -> Any:
    """Say something about a task: the crews have it in their inboxes, the centre sees the task change."""
    return await once(
        work, response, f"tasks.message:{task_id}", body.id, body, lambda: talk.send(work, task_id, body), status=201
    )


@router.post("/tasks/{task_id}/support-requests", status_code=201, response_model=Message)
async def support(task_id: UUID, body: SupportRequestIn, response: Response, work: Acting) -> Any:
    """Call for another unit: an alarm at the centre, and a draft for whoever is sent."""
    return await once(
        work, response, f"tasks.call:{task_id}", body.id, body, lambda: calls.support(work, task_id, body), status=201
    )


@router.post("/panic", status_code=201, response_model=Panic)
async def panic(body: PanicIn, response: Response, work: Acting) -> Any:
    """An officer in danger: the alarm of every dispatcher at once, on duty or not."""
    return await once(work, response, "tasks.panic", body.id, body, lambda: calls.panic(work, body), status=201)
