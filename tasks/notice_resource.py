"""Notices as the API, inboxes and live screens show them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from core.work import Work
from mobile_contract import resources as contract
from tasks.models import Notice, NoticeReply

UNCONFIRMED_SHOWN_FOR = timedelta(hours=24)
"""How long a cancelled notice is listed for those who have not confirmed it."""

_COUNTS = text("""
SELECT notice_id, count(*) AS recipients, count(delivered_at) AS delivered, count(seen_at) AS seen,
       count(acknowledged_at) AS acknowledged,
       count(*) FILTER (WHERE acknowledged_at IS NOT NULL AND cancel_confirmed_at IS NULL) AS unconfirmed
FROM notice_recipient WHERE notice_id = ANY(:ids) GROUP BY notice_id
""")
_REPLIED = text("SELECT notice_id, count(*) AS n FROM notice_reply WHERE notice_id = ANY(:ids) GROUP BY notice_id")
_SUPERSEDED = text("SELECT supersedes, id FROM notice WHERE supersedes = ANY(:ids)")
_NO_RECEIPTS = {"recipients": 0, "delivered": 0, "seen": 0, "acknowledged": 0, "unconfirmed": 0}
_RECEIPTS = text("""
SELECT r.*, u.name FROM notice_recipient r JOIN user_account u ON u.id = r.user_id
LEFT JOIN unit n ON n.id = r.unit_id
WHERE r.notice_id = :notice_id AND (:all OR r.user_id = :user_id) ORDER BY n.call_sign NULLS LAST, u.name, r.user_id
""")


def state_of(notice: Notice, now: datetime) -> str:
    """sent, superseded or cancelled; expired when its time is over."""
    over = notice.state == "sent" and notice.valid_to is not None and notice.valid_to <= now
    return "expired" if over else notice.state


def item(notice: Notice, now: datetime, superseded_by: UUID | None = None) -> dict[str, Any]:
    """The notice as its recipients get it, JSON-ready."""
    fields = _fields(notice, now) | {"superseded_by": superseded_by}
    return contract.NoticeItem.model_validate(fields).model_dump(mode="json")


def _fields(notice: Notice, now: datetime) -> dict[str, Any]:
    cancelled_at = notice.ended_at if notice.state == "cancelled" else None
    return notice.model_dump(exclude={"area"}) | {"state": state_of(notice, now), "cancelled_at": cancelled_at}


async def resources(work: Work, notices: Sequence[Notice]) -> list[dict[str, Any]]:
    """Notices with how many people have them, JSON-ready; counts cover the receipts the actor may see."""
    await work.session.flush()
    ids = {"ids": [notice.id for notice in notices]}
    counts = {row["notice_id"]: dict(row) for row in (await work.session.execute(_COUNTS, ids)).mappings()}
    replied = {row.notice_id: row.n for row in await work.session.execute(_REPLIED, ids)}
    successors = {row.supersedes: row.id for row in await work.session.execute(_SUPERSEDED, ids)}
    shown = []
    for notice in notices:
        fields = _fields(notice, work.now) | counts.get(notice.id, _NO_RECEIPTS)
        if notice.state != "cancelled":
            fields["unconfirmed"] = 0
        fields |= {"replied": replied.get(notice.id, 0), "superseded_by": successors.get(notice.id)}
        shown.append(contract.NoticeSummary.model_validate(fields).model_dump(mode="json"))
    return shown


async def whole(work: Work, notice: Notice) -> dict[str, Any]:
    """The notice with the receipts and replies the actor may see, JSON-ready."""
    summary = (await resources(work, [notice]))[0]
    every = work.actor.sees_all("notices")
    values = {"notice_id": notice.id, "all": every, "user_id": work.actor.user_id}
    receipts = (await work.session.execute(_RECEIPTS, values)).mappings()
    query = select(NoticeReply).where(NoticeReply.notice_id == notice.id)
    if not every:
        query = query.where(NoticeReply.user_id == work.actor.id)
    replies = await work.all(query.order_by(col(NoticeReply.received_at), col(NoticeReply.id)))
    return summary | {
        "receipts": [contract.Receipt.model_validate(dict(row)).model_dump(mode="json") for row in receipts],
        "replies": [contract.Reply.model_validate(row).model_dump(mode="json") for row in replies],
    }
