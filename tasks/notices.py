"""Notices: information for units, offices, an area or everyone, which each person acknowledges for themselves."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from core import codes, inbox
from core.audit import Action
from core.bus import NoticesChanged
from core.errors import IdReused, Invalid, NotFound
from core.ids import new_id
from core.models import Office
from core.work import Work
from geo.models import Unit
from mobile_contract import resources as contract
from tasks import guards
from tasks.models import Notice, NoticeRecipient
from tasks.resource import polygon_of
from tasks.steps import not_ahead

VALID_FOR = timedelta(hours=24)
"""How long a notice is valid that does not say."""

_ACTIVE = "s.on_at IS NOT NULL AND s.off_at IS NULL"
_CREWS = f"""
SELECT u.id AS unit_id, coalesce(s.user_id, m.user_id) AS user_id FROM unit u
LEFT JOIN (SELECT s.unit_id, sm.user_id FROM shift s JOIN shift_member sm ON sm.shift_id = s.id WHERE {_ACTIVE}) s
  ON s.unit_id = u.id
LEFT JOIN unit_member m ON m.unit_id = u.id AND s.user_id IS NULL
"""  # noqa: S608
_AUDIENCE = text(f"""
SELECT DISTINCT ON (user_id) user_id, unit_id FROM (
  SELECT user_id, unit_id FROM ({_CREWS}) c WHERE user_id IS NOT NULL AND (
    unit_id = ANY(:units)
    OR unit_id IN (SELECT id FROM unit WHERE office_id = ANY(:offices))
    OR unit_id IN (SELECT l.unit_id FROM unit_latest l JOIN unit u ON u.id = l.unit_id WHERE u.status <> 'off_duty'
                   AND ST_Covers(ST_SetSRID(CAST(CAST(:area AS text) AS geometry), 4326), l.point)))
  UNION ALL
  SELECT a.id, (SELECT s.unit_id FROM shift s JOIN shift_member sm ON sm.shift_id = s.id
                WHERE sm.user_id = a.id AND {_ACTIVE} LIMIT 1)
  FROM user_account a WHERE :everyone AND 'officer' = ANY(a.roles) AND a.disabled_at IS NULL
) t ORDER BY user_id, unit_id NULLS LAST
""")  # noqa: S608
"""Who gets a notice and through which unit: crews on shift (else all members), units inside the area now."""

_JOINED = text("""
SELECT id FROM notice WHERE state = 'sent' AND valid_to > :now
AND (addressed->'units' ? :unit OR (addressed->>'everyone')::boolean
     OR addressed->'offices' ? (SELECT office_id::text FROM unit WHERE id = CAST(:unit AS uuid)))
AND NOT EXISTS (SELECT FROM notice_recipient r WHERE r.notice_id = notice.id AND r.user_id = :user_id)
ORDER BY number
""")


_COUNTS = text("""
SELECT notice_id, count(*) AS recipients, count(delivered_at) AS delivered, count(seen_at) AS seen,
       count(acknowledged_at) AS acknowledged
FROM notice_recipient WHERE notice_id = ANY(:ids) GROUP BY notice_id
""")


def state_of(notice: Notice, now: datetime) -> str:
    """sent, cancelled, or expired when its time is over."""
    over = notice.state == "sent" and notice.valid_to is not None and notice.valid_to <= now
    return "expired" if over else notice.state


def item(notice: Notice, now: datetime) -> dict[str, Any]:
    """The notice as its recipients get it, JSON-ready."""
    fields = notice.model_dump() | {"state": state_of(notice, now)}
    return contract.NoticeItem.model_validate(fields).model_dump(mode="json")


async def send(work: Work, body: contract.NoticeIn) -> dict[str, Any]:
    """Send a notice: `{id, number, recipients}`. Raises Invalid for unknown codes, units or offices, IdReused."""
    guards.known("kind", body.kind, codes.NOTICE_KIND)
    if body.valid_to is not None and body.valid_to <= work.now:
        raise Invalid.at("valid_to", "past", "The notice would be over before it is sent.")
    await _check(work, body.to)
    notice = Notice(
        id=body.id or new_id(), kind=body.kind, priority=body.priority, headline=body.headline, body=body.body,
        instruction=body.instruction, addressed=body.to.model_dump(mode="json", exclude_none=True),
        valid_to=body.valid_to or work.now + VALID_FOR, created_by=work.actor.user_id,
        created_at=work.now, updated_at=work.now,
    )  # fmt: skip
    async with work.elevated():  # the sender need not see positions, crews or inboxes
        try:
            work.session.add(notice)
            await work.session.flush()
        except IntegrityError as error:
            raise IdReused from error
        audience = await _audience(work, body.to)
        await _receive(work, notice, audience)
    work.audit(Action.DISCLOSURE, "notice", notice.id, number=notice.number, recipients=len(audience))
    await inbox.push(work, audience, new_id(), "notice", notice.id, item(notice, work.now))
    work.publish(NoticesChanged, notice.id)
    return {"id": notice.id, "number": notice.number, "recipients": len(audience)}


async def _check(work: Work, to: contract.NoticeTo) -> None:
    for field, ids, table in (("to.units", to.units, Unit), ("to.offices", to.offices, Office)):
        if ids and set(ids) - set(await work.all(select(table.id).where(col(table.id).in_(ids)))):
            raise Invalid.at(field, "unknown", "One of these does not exist.")


async def _audience(work: Work, to: contract.NoticeTo) -> dict[UUID, UUID | None]:
    area = polygon_of(to.area).desc if to.area else None
    values = {"units": to.units or [], "offices": to.offices or [], "area": area, "everyone": to.everyone}
    rows = (await work.session.execute(_AUDIENCE, values)).all()
    return {row.user_id: row.unit_id for row in rows}


async def _receive(work: Work, notice: Notice, audience: dict[UUID, UUID | None]) -> None:
    rows = [
        {"notice_id": notice.id, "user_id": user_id, "unit_id": unit_id, "channel": "inbox", "queued_at": work.now}
        for user_id, unit_id in sorted(audience.items())
    ]
    if rows:
        await work.session.execute(insert(NoticeRecipient).on_conflict_do_nothing(), rows)


async def open_for_unit(work: Work, unit_id: UUID, user_id: UUID) -> None:
    """Give who joins a unit the valid notices that were sent to it, to its office or to everyone before."""
    async with work.elevated():  # owed to the person, whoever lets them join
        found = await work.session.execute(_JOINED, {"unit": str(unit_id), "user_id": user_id, "now": work.now})
        ids = found.scalars().all()
        missing = await work.all(select(Notice).where(col(Notice.id).in_(ids)).order_by(col(Notice.number)))
        for notice in missing:
            await _receive(work, notice, {user_id: unit_id})
    for notice in missing:
        await inbox.push(work, [user_id], new_id(), "notice", notice.id, item(notice, work.now))
    work.publish(NoticesChanged, *ids)


async def cancel(work: Work, notice_id: UUID) -> dict[str, Any]:
    """Cancel a notice and tell its recipients; cancelling again changes nothing. Raises NotFound."""
    notice: Notice | None = await work.first(
        select(Notice).where(Notice.id == notice_id).with_for_update(key_share=True)
    )
    if notice is None:
        raise NotFound
    if notice.state == "sent":
        notice.state, notice.cancelled_at, notice.updated_at = "cancelled", work.now, work.now
        work.session.add(notice)
        work.audit(Action.ALTERATION, "notice", notice.id, state="cancelled")
        receivers = await work.all(select(NoticeRecipient.user_id).where(NoticeRecipient.notice_id == notice.id))
        await inbox.push(work, receivers, new_id(), "notice", notice.id, item(notice, work.now))
        work.publish(NoticesChanged, notice.id)
    return (await resources(work, [notice]))[0]


async def receipt(work: Work, notice_id: UUID, what: str, at: datetime | None) -> dict[str, Any]:
    """Note that the actor has seen or acknowledged (`what`: seen_at, acknowledged_at) a notice sent to them.

    The first time stays; acknowledging is seeing too. Raises NotFound when it was not sent to them.
    """
    key = NoticeRecipient.notice_id == notice_id, NoticeRecipient.user_id == work.actor.id
    mine: NoticeRecipient | None = await work.first(select(NoticeRecipient).where(*key).with_for_update(key_share=True))
    if mine is None:
        raise NotFound
    moment = not_ahead(work, at)
    for column in {what, "seen_at"}:
        if getattr(mine, column) is None:
            setattr(mine, column, moment)
    work.session.add(mine)
    await _touch(work, [notice_id])
    return await get(work, notice_id)


async def _touch(work: Work, ids: Sequence[UUID]) -> None:
    """Mark notices as changed by a receipt; locked in id order, since one tablet may bring receipts of many."""
    query = select(Notice).where(col(Notice.id).in_(ids)).order_by(col(Notice.id)).with_for_update(key_share=True)
    for notice in await work.all(query):
        notice.updated_at = work.now
        work.session.add(notice)
    work.publish(NoticesChanged, *ids)


async def resources(work: Work, notices: Sequence[Notice]) -> list[dict[str, Any]]:
    """Notices with how many people have them, JSON-ready; counts cover the receipts the actor may see."""
    await work.session.flush()
    counted = (await work.session.execute(_COUNTS, {"ids": [notice.id for notice in notices]})).mappings().all()
    by_id = {row["notice_id"]: row for row in counted}
    none = {"recipients": 0, "delivered": 0, "seen": 0, "acknowledged": 0}
    return [
        contract.NoticeSummary.model_validate(
            notice.model_dump() | {"state": state_of(notice, work.now)} | dict(by_id.get(notice.id, none))
        ).model_dump(mode="json")
        for notice in notices
    ]


async def get(work: Work, notice_id: UUID) -> dict[str, Any]:
    """One notice with the receipts the actor may see, JSON-ready; raises NotFound. The look is audited."""
    notice: Notice | None = await work.first(select(Notice).where(Notice.id == notice_id))
    if notice is None:
        raise NotFound
    work.audit(Action.CONSULTATION, "notice", notice.id)
    query = select(NoticeRecipient).where(NoticeRecipient.notice_id == notice_id)
    if not work.actor.sees_all("notices"):
        query = query.where(NoticeRecipient.user_id == work.actor.id)
    rows = await work.all(query.order_by(col(NoticeRecipient.user_id)))
    receipts = [contract.Receipt.model_validate(row).model_dump(mode="json") for row in rows]
    return (await resources(work, [notice]))[0] | {"receipts": receipts}


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


async def _delivered(work: Work, covered: dict[UUID, datetime]) -> None:
    query = select(NoticeRecipient).where(
        NoticeRecipient.user_id == work.actor.id,
        col(NoticeRecipient.notice_id).in_(list(covered)),
        col(NoticeRecipient.delivered_at).is_(None),
    )
    rows = await work.all(query.with_for_update(key_share=True))
    for row in rows:
        row.delivered_at = work.now
        work.session.add(row)
    await _touch(work, [row.notice_id for row in rows])


inbox.ON_STORED["notice"] = _delivered
