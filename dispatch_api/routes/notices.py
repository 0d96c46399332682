"""Notices: sent by the centre, acknowledged by each person they reach."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response

from core.actor import May
from core.work import Work
from dispatch_api.deps import After, Limit, working
from dispatch_api.idempotent import once
from dispatch_api.paging import Page
from dispatch_api.routes.tasks import number_after
from mobile_contract.resources import (
    Notice,
    NoticeAckIn,
    NoticeIn,
    NoticeMade,
    NoticeSummary,
    ReceiptIn,
    Reply,
    ReplyIn,
)
from tasks import notices

router = APIRouter(tags=["notices"])
Reading = Annotated[Work, working(May.READ_NOTICES)]
Sending = Annotated[Work, working(May.SEND_NOTICES)]
Cancelling = Annotated[Work, working(May.CANCEL_NOTICES)]
Own = Annotated[Work, working(May.OWN_INBOX)]


@router.post("/notices", status_code=201, response_model=NoticeMade)
async def send(body: NoticeIn, response: Response, work: Sending) -> Any:
    """Send a notice to units, offices, every officer, or whoever is in an area now or enters it while it is valid."""
    return await once(work, response, "notices.send", body.id, body, lambda: notices.send(work, body), status=201)


@router.get("/notices", response_model=Page[NoticeSummary])
async def listed(work: Reading, valid: bool | None = None, limit: Limit = 100, after: After = None) -> Any:
    """Notices, newest first; officers see those sent to them."""
    page, following = await notices.listed(work, valid=valid, limit=limit, after=number_after(after))
    return {"items": page, "next": following and str(following)}


@router.get("/notices/{notice_id}", response_model=Notice)
async def one(notice_id: UUID, work: Reading) -> Any:
    """One notice with its receipts; officers see their own."""
    return await notices.get(work, notice_id)


@router.post("/notices/{notice_id}/cancel", response_model=NoticeSummary)
async def cancel(notice_id: UUID, response: Response, work: Cancelling, body: ReceiptIn | None = None) -> Any:
    """Cancel a notice; those who got it are told, those who had acknowledged it are to confirm that."""
    body = body or ReceiptIn()
    return await once(
        work, response, f"notices.cancel:{notice_id}", body.id, body, lambda: notices.cancel(work, notice_id)
    )


@router.post("/notices/{notice_id}/seen", response_model=Notice)
async def seen(notice_id: UUID, response: Response, work: Own, body: ReceiptIn | None = None) -> Any:
    """Note that the officer has seen the notice."""
    body = body or ReceiptIn()
    return await once(
        work, response, f"notices.seen_at:{notice_id}", body.id, body, lambda: notices.seen(work, notice_id, body.at)
    )


@router.post("/notices/{notice_id}/acknowledge", response_model=Notice)
async def acknowledge(notice_id: UUID, response: Response, work: Own, body: NoticeAckIn | None = None) -> Any:
    """Acknowledge the notice; with `state: "cancelled"` confirm that its cancel was read."""
    body = body or NoticeAckIn()
    return await once(
        work, response, f"notices.acknowledged_at:{notice_id}", body.id, body,
        lambda: notices.acknowledge(work, notice_id, body),
    )  # fmt: skip


@router.post("/notices/{notice_id}/reply", status_code=201, response_model=Reply)
async def reply(notice_id: UUID, body: ReplyIn, response: Response, work: Own) -> Any:
    """Answer a notice; the centre sees it at once."""
    return await once(
        work, response, f"notices.reply:{notice_id}", body.id, body,
        lambda: notices.reply(work, notice_id, body), status=201,
    )  # fmt: skip
