"""Notices: information for units, offices, an area or everyone, which each person acknowledges for themselves.

Recipients tell what became of it: delivered, seen, acknowledged, that its cancel was read; and they may reply.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from core import codes, inbox
from core.actor import May
from core.audit import Action
from core.bus import NoticesChanged
from core.errors import Invalid, NotFound, TransitionNotAllowed
from core.ids import new_id
from core.work import Work
from mobile_contract import resources as contract
from mobile_contract.fields import utc_text
from tasks import audience, guards
from tasks.models import Notice, NoticeRecipient, NoticeReply
from tasks.notice_resource import item, resources, whole
from tasks.resource import polygon_of
from tasks.steps import not_ahead

VALID_FOR = timedelta(hours=24)
"""How long a notice is valid that does not say."""


async def send(work: Work, body: contract.NoticeIn) -> dict[str, Any]:
    """Send a notice: `{id, number, recipients}`; one that `supersedes` another ends it and goes to its recipients too.

    Raises Invalid for unknown codes, units or offices, IdReused; and for what cannot be superseded NotFound, NotAllowed
    (another's, without the right to cancel) and TransitionNotAllowed (it is over), which says who ended it and when.
    """
    guards.known("kind", body.kind, codes.NOTICE_KIND)
    if body.valid_to is not None and body.valid_to <= work.now:
        raise Invalid.at("valid_to", "past", "The notice would be over before it is sent.")
    old = await _replaceable(work, body.supersedes) if body.supersedes else None
    to = body.to or contract.NoticeTo.model_validate(old.addressed if old else {})
    await audience.check(work, to)
    notice = Notice(
        id=body.id or new_id(), kind=body.kind, priority=body.priority, headline=body.headline, body=body.body,
        instruction=body.instruction, addressed=to.model_dump(mode="json", exclude_none=True),
        area=polygon_of(to.area) if to.area else None, watched_to=work.now if to.area else None,
        valid_to=body.valid_to or work.now + VALID_FOR, supersedes=body.supersedes, created_by=work.actor.user_id,
        created_at=work.now, updated_at=work.now,
    )  # fmt: skip
    async with work.elevated():  # the sender need not see positions, crews or inboxes
        await work.add(notice)
        people = await audience.reached(work, notice, to)
    work.audit(Action.DISCLOSURE, "notice", notice.id, number=notice.number, recipients=len(people))
    await inbox.hold(work, people)
    if old:
        await _end(work, old, "superseded", by=notice.id)
    await inbox.push(work, people, new_id(), "notice", notice.id, item(notice, work.now))
    work.publish(NoticesChanged, notice.id)
    return {"id": notice.id, "number": notice.number, "recipients": len(people)}


async def _replaceable(work: Work, notice_id: UUID) -> Notice:
    old = await _locked(work, notice_id)
    if old.created_by != work.actor.user_id:
        work.actor.demand(May.CANCEL_NOTICES)
    if old.state != "sent":
        when = utc_text(old.ended_at) if old.ended_at else None
        raise TransitionNotAllowed(
            f"The notice is {old.state} already.", current_status=old.state, changed_by=old.ended_by_name,
            changed_at=when,
        )  # fmt: skip
    return old


async def _locked(work: Work, notice_id: UUID) -> Notice:
    query = select(Notice).where(Notice.id == notice_id).with_for_update(key_share=True)
    found: Notice | None = await work.first(query)
    if found is None:
        raise NotFound
    return found


async def _end(work: Work, notice: Notice, state: str, by: UUID | None = None) -> None:
    """End a notice and tell all who got it; `by` is the one that takes its place."""
    notice.state, notice.updated_at, notice.ended_at = state, work.now, work.now
    notice.ended_by_name = work.actor.name or work.actor.login
    work.session.add(notice)
    work.audit(Action.ALTERATION, "notice", notice.id, state=state, by=by)
    async with work.elevated():  # told to all who got it, whomever of them the actor sees
        query = select(NoticeRecipient.user_id).where(NoticeRecipient.notice_id == notice.id)
        receivers = await work.all(query)
    await inbox.push(work, receivers, new_id(), "notice", notice.id, item(notice, work.now, by))
    work.publish(NoticesChanged, notice.id)


async def cancel(work: Work, notice_id: UUID) -> dict[str, Any]:
    """Cancel a notice and tell its recipients; whoever had acknowledged it is to confirm that.

    Cancelling again, or what was superseded, changes nothing. Raises NotFound.
    """
    notice = await _locked(work, notice_id)
    if notice.state == "sent":
        await _end(work, notice, "cancelled")
    return (await resources(work, [notice]))[0]


async def get(work: Work, notice_id: UUID) -> dict[str, Any]:
    """One notice with the receipts and replies the actor may see, JSON-ready; raises NotFound. The look is audited."""
    notice: Notice | None = await work.first(select(Notice).where(Notice.id == notice_id))
    if notice is None:
        raise NotFound
    work.audit(Action.CONSULTATION, "notice", notice.id)
    return await whole(work, notice)


async def listed(
    work: Work, *, valid: bool | None, limit: int, after: int | None
) -> tuple[list[dict[str, Any]], int | None]:
    """A page of notices, newest first (officers: those sent to them), and where the next one starts."""
    query = select(Notice).order_by(col(Notice.number).desc()).limit(limit + 1)
    if not work.actor.sees_all("notices"):
        mine = select(NoticeRecipient.notice_id).where(NoticeRecipient.user_id == work.actor.id)
        query = query.where(col(Notice.id).in_(mine))
    if valid:
        query = query.where(Notice.state == "sent", col(Notice.valid_to) > work.now)
    if after is not None:
        query = query.where(Notice.number < after)
    rows = await work.all(query)
    page = rows[:limit]
    work.audit(Action.CONSULTATION, "notice", None, n=len(page))
    return await resources(work, page), page[-1].number if len(rows) > limit else None


async def _mine(work: Work, notice_id: UUID) -> NoticeRecipient:
    key = NoticeRecipient.notice_id == notice_id, NoticeRecipient.user_id == work.actor.id
    found: NoticeRecipient | None = await work.first(
        select(NoticeRecipient).where(*key).with_for_update(key_share=True)
    )
    if found is None:
        raise NotFound
    return found


async def seen(work: Work, notice_id: UUID, at: datetime | None) -> dict[str, Any]:
    """Note that the actor has seen a notice sent to them; the first time stays. Raises NotFound."""
    return await _noted(work, notice_id, ("seen_at",), at)


async def acknowledge(work: Work, notice_id: UUID, body: contract.NoticeAckIn) -> dict[str, Any]:
    """Note that the actor has acknowledged a notice sent to them, or, by its `state`, that it was cancelled.

    Acknowledging is seeing too. An acknowledgement from before the cancel that comes after it counts, but confirms
    nothing. Raises NotFound.
    """
    columns = ("seen_at", "acknowledged_at")
    if body.state == "cancelled" and await _state(work, notice_id) == "cancelled":
        columns = ("seen_at", "cancel_confirmed_at")
    return await _noted(work, notice_id, columns, body.at)


async def _state(work: Work, notice_id: UUID) -> str | None:
    found: str | None = await work.first(select(Notice.state).where(Notice.id == notice_id))
    return found


async def _noted(work: Work, notice_id: UUID, columns: Sequence[str], at: datetime | None) -> dict[str, Any]:
    mine, moment = await _mine(work, notice_id), not_ahead(work, at)
    for column in columns:
        if getattr(mine, column) is None:
            setattr(mine, column, moment)
    work.session.add(mine)
    (notice,) = await _touch(work, [notice_id])
    work.audit(Action.CONSULTATION, "notice", notice_id)
    return await whole(work, notice)


async def reply(work: Work, notice_id: UUID, body: contract.ReplyIn) -> dict[str, Any]:
    """Store what the actor answers to a notice sent to them, whatever became of it since; raises NotFound, IdReused."""
    mine = await _mine(work, notice_id)
    actor = work.actor
    answer = NoticeReply(
        id=body.id or new_id(), notice_id=notice_id, user_id=actor.id, name=actor.name or actor.login,
        unit_id=mine.unit_id, text=body.text, at=body.at or work.now, received_at=work.now,
    )  # fmt: skip
    await work.add(answer)
    work.audit(Action.COLLECTION, "notice", notice_id, reply=answer.id)
    await _touch(work, [notice_id])
    return contract.Reply.model_validate(answer).model_dump(mode="json")


async def _touch(work: Work, ids: Sequence[UUID]) -> list[Notice]:
    """Mark notices as changed by a receipt; locked in id order, since one tablet may bring receipts of many."""
    query = select(Notice).where(col(Notice.id).in_(ids)).order_by(col(Notice.id)).with_for_update(key_share=True)
    touched: list[Notice] = await work.all(query.execution_options(populate_existing=True))
    for notice in touched:
        notice.updated_at = work.now
        work.session.add(notice)
    work.publish(NoticesChanged, *ids)
    return touched


_DELIVERED = text(
    "UPDATE notice_recipient SET delivered_at = :now WHERE user_id = :user_id AND notice_id = ANY(:ids)"
    " AND delivered_at IS NULL RETURNING notice_id"
)
_TOUCHED = text(
    "WITH held AS (SELECT id FROM notice WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE)"
    " UPDATE notice SET updated_at = :now FROM held WHERE notice.id = held.id"
)


async def _delivered(work: Work, covered: dict[UUID, datetime]) -> None:
    """In two statements: after an outage everybody brings receipts of the same notices, and waits for each other."""
    values = {"now": work.now, "user_id": work.actor.id, "ids": sorted(covered)}
    ids = [row.notice_id for row in await work.session.execute(_DELIVERED, values)]
    if ids:
        await work.session.execute(_TOUCHED, {"now": work.now, "ids": sorted(ids)})
        work.publish(NoticesChanged, *ids)


inbox.ON_STORED["notice"] = _delivered
