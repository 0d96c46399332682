"""Hand-overs from one dispatcher to the next."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response

from core.actor import May
from core.work import Work
from dispatch_api.deps import After, Limit, working
from dispatch_api.idempotent import Once, once
from dispatch_api.paging import Page
from mobile_contract.handovers import Handover, HandoverIn, OpenNow, WholeHandover
from tasks import handovers

router = APIRouter(tags=["handovers"])
Reading = Annotated[Work, working(May.READ_HANDOVERS)]
Giving = Annotated[Work, working(May.HAND_OVER)]


@router.get("/handovers", response_model=Page[Handover])
async def listed(work: Reading, limit: Limit = 100, after: After = None) -> Any:
    """Hand-overs, newest first, confirmed or not."""
    page, following = await handovers.listed(work, limit, after)
    return {"items": page, "next": following}


@router.get("/handovers/now", response_model=OpenNow)
async def now(work: Annotated[Work, working(May.WATCH_LIVE)]) -> Any:
    """What a hand-over at this moment would list: open tasks, notices not confirmed by everybody, who is silent."""
    return await handovers.now(work)


@router.post("/handovers", status_code=201, response_model=WholeHandover)
async def give(body: HandoverIn, response: Response, work: Giving) -> Any:
    """Hand over: the server notes what is open, and it waits until another dispatcher confirms it."""
    return await once(work, response, "handovers.give", body.id, body, lambda: handovers.give(work, body), status=201)


@router.get("/handovers/{handover_id}", response_model=WholeHandover)
async def one(handover_id: UUID, work: Reading) -> Any:
    """One hand-over with what it lists, as it stood then."""
    return await handovers.get(work, handover_id)


@router.post("/handovers/{handover_id}/confirm", response_model=WholeHandover)
async def confirm(handover_id: UUID, response: Response, work: Giving, body: Once | None = None) -> Any:
    """Confirm a hand-over: another dispatcher than who gave it. 409 says who was first, and when."""
    body = body or Once()
    return await once(
        work, response, f"handovers.confirm:{handover_id}", body.id, body, lambda: handovers.confirm(work, handover_id)
    )
