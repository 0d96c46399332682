"""The inbox: what is owed to the caller, in order, and how far their installation has stored it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from core import inbox
from core.actor import May
from core.work import Work
from dispatch_api.deps import Limit, working
from dispatch_api.idempotent import once
from mobile_contract.resources import InboxAck, InboxAckIn, InboxPage

router = APIRouter(tags=["inbox"])
Own = Annotated[Work, working(May.OWN_INBOX)]


@router.get("/inbox", response_model=InboxPage)
async def fetch(work: Own, after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0, limit: Limit = 100) -> Any:
    """Everything later than `after`, oldest first."""
    return await inbox.fetch(work, after, limit)


@router.post("/inbox/ack", response_model=InboxAck)
async def ack(body: InboxAckIn, response: Response, work: Own) -> Any:
    """Note that everything up to `upto` is stored; what is covered for the first time counts as delivered."""

    async def effect() -> dict[str, int]:
        return {"upto": await inbox.ack(work, body.install_id, body.upto)}

    return await once(work, response, "inbox.ack", body.id, body, effect)
