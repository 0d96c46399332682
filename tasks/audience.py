"""Whom a notice goes to: crews of units and offices, everyone, and whoever is in an area or enters it in its time.

A unit's crew is who is on its shift, else all its members. Each person gets a notice once, by the first unit it
reached them through.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from core import inbox
from core.audit import Action
from core.bus import NoticesChanged
from core.errors import Invalid
from core.ids import new_id
from core.models import Office
from core.work import Work
from geo.models import Unit
from mobile_contract import resources as contract
from tasks.models import Notice, NoticeRecipient
from tasks.notice_resource import item

Audience = dict[UUID, UUID | None]
"""People, and the unit through which a notice reaches each."""

OVERLAP = timedelta(seconds=10)
"""A fix is committed later than it was received: so much is looked at again."""
STEP = timedelta(seconds=10)
"""How far the place from which fixes are looked at may lie behind; so a quiet area is not written each second."""

_ACTIVE = "s.on_at IS NOT NULL AND s.off_at IS NULL"
_CREWS = f"""
SELECT u.id AS unit_id, u.office_id, coalesce(s.user_id, m.user_id) AS user_id FROM unit u
LEFT JOIN (SELECT s.unit_id, sm.user_id FROM shift s JOIN shift_member sm ON sm.shift_id = s.id WHERE {_ACTIVE}) s
  ON s.unit_id = u.id
LEFT JOIN unit_member m ON m.unit_id = u.id AND s.user_id IS NULL
"""  # noqa: S608
_AUDIENCE = text(f"""
SELECT DISTINCT ON (user_id) user_id, unit_id FROM (
  SELECT user_id, unit_id FROM ({_CREWS}) c WHERE user_id IS NOT NULL AND (
    unit_id = ANY(:units) OR office_id = ANY(:offices)
    OR unit_id IN (SELECT l.unit_id FROM unit_latest l JOIN unit u ON u.id = l.unit_id WHERE u.status <> 'off_duty'
                   AND ST_Covers((SELECT area FROM notice WHERE id = :notice_id), l.point)))
  UNION ALL
  SELECT a.id, (SELECT s.unit_id FROM shift s JOIN shift_member sm ON sm.shift_id = s.id
                WHERE sm.user_id = a.id AND {_ACTIVE} LIMIT 1)
  FROM user_account a
  WHERE (:everyone OR a.office_id = ANY(:offices)) AND 'officer' = ANY(a.roles) AND a.disabled_at IS NULL
  UNION ALL
  SELECT r.user_id, r.unit_id FROM notice_recipient r WHERE r.notice_id = :supersedes
) t ORDER BY user_id, unit_id NULLS LAST
""")  # noqa: S608
"""Who gets a notice now; whoever got the one it supersedes is among them."""

_JOINED = text("""
SELECT id FROM notice n WHERE state = 'sent' AND valid_to > :now
AND (addressed->'units' ? :unit OR (addressed->>'everyone')::boolean
     OR addressed->'offices' ? (SELECT office_id::text FROM unit WHERE id = CAST(:unit AS uuid))
     OR EXISTS (SELECT FROM notice_recipient r WHERE r.notice_id = n.id AND r.unit_id = CAST(:unit AS uuid)))
AND NOT EXISTS (SELECT FROM notice_recipient r WHERE r.notice_id = n.id AND r.user_id = :user_id)
ORDER BY number
""")
"""What who joins a unit is owed: what was sent to it, its office or everyone, and what reached it in an area."""

# A unit that was heard of since is inside when one of the fixes that came since lies there. They are those after the
# newest that came before, so that few are read whatever the length of the track; those of a buffer count by their own
# time, and what crossed the area while nobody looked still counts.
_ENTERED = text(f"""
WITH heard AS MATERIALIZED (
  SELECT l.unit_id, l.device_id, l.fix_at, l.received_at FROM unit_latest l JOIN unit u ON u.id = l.unit_id
  WHERE l.received_at > :since AND u.status <> 'off_duty'),
entered AS MATERIALIZED (
  SELECT n.id AS notice_id, h.unit_id
  FROM notice n JOIN heard h ON h.received_at > n.watched_to - CAST(:overlap AS interval)
  WHERE n.id = ANY(:ids)
  AND NOT EXISTS (SELECT FROM notice_recipient r WHERE r.notice_id = n.id AND r.unit_id = h.unit_id)
  AND EXISTS (
    SELECT FROM position p WHERE p.device_id = h.device_id AND p.unit_id = h.unit_id AND p.suspect IS NULL
    AND p.fix_at <= h.fix_at AND p.fix_at < n.valid_to AND p.fix_at >= greatest(n.created_at, (
      SELECT o.fix_at + interval '1 microsecond' FROM position o
      WHERE o.device_id = h.device_id AND o.fix_at < h.fix_at AND o.fix_at >= n.created_at
      AND o.received_at <= n.watched_to - CAST(:overlap AS interval) ORDER BY o.fix_at DESC LIMIT 1))
    AND ST_Covers(n.area, p.point)))
SELECT DISTINCT ON (e.notice_id, c.user_id) e.notice_id, c.user_id, e.unit_id
FROM entered e JOIN ({_CREWS}) c ON c.unit_id = e.unit_id
WHERE c.user_id IS NOT NULL AND NOT EXISTS (
  SELECT FROM notice_recipient r WHERE r.notice_id = e.notice_id AND r.user_id = c.user_id)
ORDER BY e.notice_id, c.user_id, e.unit_id
""")  # noqa: S608


async def check(work: Work, to: contract.NoticeTo) -> None:
    """Raises Invalid for units or offices that do not exist."""
    for field, ids, table in (("to.units", to.units, Unit), ("to.offices", to.offices, Office)):
        if ids and set(ids) - set(await work.all(select(table.id).where(col(table.id).in_(ids)))):
            raise Invalid.at(field, "unknown", "One of these does not exist.")


async def reached(work: Work, notice: Notice, to: contract.NoticeTo) -> Audience:
    """Write down who gets a notice that is sent now; for the system's eyes, since they need not be the sender's."""
    values = {
        "units": to.units or [], "offices": to.offices or [], "everyone": to.everyone, "notice_id": notice.id,
        "supersedes": notice.supersedes,
    }  # fmt: skip
    rows = (await work.session.execute(_AUDIENCE, values)).all()
    return await _receive(work, notice, {row.user_id: row.unit_id for row in rows})


async def _receive(work: Work, notice: Notice, audience: Audience) -> Audience:
    """Write down that these people are sent the notice; those of them who were not before."""
    if not audience:
        return {}
    rows = [
        {"notice_id": notice.id, "user_id": user_id, "unit_id": unit_id, "channel": "inbox", "queued_at": work.now}
        for user_id, unit_id in sorted(audience.items())
    ]
    query = insert(NoticeRecipient).values(rows).on_conflict_do_nothing().returning(col(NoticeRecipient.user_id))
    new = set((await work.session.execute(query)).scalars())
    return {user_id: unit_id for user_id, unit_id in audience.items() if user_id in new}


async def open_for_unit(work: Work, unit_id: UUID, user_id: UUID) -> None:
    """Give who joins a unit the valid notices that reached it, or that its office or everyone got before."""
    async with work.elevated():  # owed to the person, whoever lets them join
        found = await work.session.execute(_JOINED, {"unit": str(unit_id), "user_id": user_id, "now": work.now})
        # Kept from being ended until the commit: who ends one tells those who are written down as having it.
        query = select(Notice).where(col(Notice.id).in_(found.scalars().all()), Notice.state == "sent")
        missing: list[Notice] = await work.all(query.order_by(col(Notice.id)).with_for_update(read=True))
        for notice in missing:
            await _receive(work, notice, {user_id: unit_id})
    for notice in sorted(missing, key=lambda one: one.number):
        await inbox.push(work, [user_id], new_id(), "notice", notice.id, item(notice, work.now))
    work.publish(NoticesChanged, *(notice.id for notice in missing))


async def watch(work: Work) -> None:
    """Send the notices to areas to the units that have entered theirs since they were last looked at.

    For the system's actor, again and again: how far it looked is written in the transaction that sends, so that a
    killed worker's successor goes on from there, and two of them never look at the same notice at once.
    """
    query = select(Notice).where(
        Notice.state == "sent", col(Notice.valid_to) > work.now, col(Notice.watched_to).is_not(None)
    )
    open_now = await work.all(query.order_by(col(Notice.id)).with_for_update(key_share=True, skip_locked=True))
    news = await _entered(work, open_now) if open_now else []
    await inbox.hold(work, {user_id for _, new in news for user_id in new})
    for notice, new in news:
        notice.updated_at = work.now
        work.session.add(notice)
        work.audit(Action.DISCLOSURE, "notice", notice.id, number=notice.number, recipients=len(new), entered=True)
        await inbox.push(work, new, new_id(), "notice", notice.id, item(notice, work.now))
        work.publish(NoticesChanged, notice.id)
    if late := [notice.id for notice in open_now if notice.watched_to < work.now - STEP]:
        await work.session.execute(update(Notice).where(col(Notice.id).in_(late)).values(watched_to=work.now))


async def _entered(work: Work, watched: list[Notice]) -> list[tuple[Notice, Audience]]:
    """Write down who has entered the area of each; those of them that somebody has."""
    since = min(notice.watched_to for notice in watched if notice.watched_to) - OVERLAP
    values = {"ids": [notice.id for notice in watched], "since": since, "overlap": OVERLAP}
    found: dict[UUID, Audience] = {}
    for row in await work.session.execute(_ENTERED, values):
        found.setdefault(row.notice_id, {})[row.user_id] = row.unit_id
    news = [(notice, await _receive(work, notice, found.get(notice.id, {}))) for notice in watched]
    return [(notice, new) for notice, new in news if new]
