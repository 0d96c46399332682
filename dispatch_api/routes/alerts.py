"""Alerts: what the centre must look at until somebody takes it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from core.actor import May
from core.work import Work
from dispatch_api.deps import After, Limit, working
from dispatch_api.idempotent import once
from dispatch_api.paging import Page
from mobile_contract.messages import Alert
from mobile_contract.resources import CloseIn, TakeIn
from tasks import alerts, closing, escalation

router = APIRouter(tags=["alerts"])
Watching = Annotated[Work, working(May.WATCH_LIVE)]
Closing = Annotated[Work, working(May.DISPATCH_TASKS)]


@router.get("/alerts", response_model=Page[Alert])
async def listed(
    work: Watching,
    is_open: Annotated[bool | None, Query(alias="open")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Any:
    """Alerts, newest first; the live socket tells of each as it comes and goes."""
    page, following = await alerts.listed(work, is_open=is_open, limit=limit, after=after)
    return {"items": page, "next": following}


@router.post("/alerts/{alert_id}/take", response_model=Alert)
async def take(alert_id: UUID, response: Response, work: Watching, body: TakeIn | None = None) -> Any:
    """Take an alert: it sounds no longer and is not escalated further. 409 says who took it first, and when."""
    body = body or TakeIn()
    return await once(work, response, f"alerts.take:{alert_id}", body.id, body, lambda: escalation.take(work, alert_id))


@router.post("/alerts/{alert_id}/close", response_model=Alert)
async def close(alert_id: UUID, response: Response, work: Closing, body: CloseIn) -> Any:
    """Close a panic, or what else a device told, with a reason; the draft that a panic made is discarded with it.

    409 `transition_not_allowed` for alerts that end by themselves; `version_conflict` says who was first, and when.
    """
    return await once(
        work, response, f"alerts.close:{alert_id}", body.id, body, lambda: closing.close(work, alert_id, body.reason)
    )
