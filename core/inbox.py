"""What is owed to each person, in order: a sequence without gaps, raised in the transaction of what it tells of.

A cursor over one shared counter loses what commits out of order; so each recipient has a counter row, locked in id
order (group notices cannot deadlock) until the commit, and commit order is `seq` order (reliability.md 2.2).
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import col, select

from core.bus import InboxGrew
from core.errors import Invalid
from core.models import InboxCursor, InboxItem, Recipient
from core.work import Work

BROWSER = UUID(int=0)
"""The installation of whoever has none: a page in a browser."""

MAX_CURSORS = 20
"""A person's installations of which it is known how far they are: those that stored something last."""

Stored = Callable[[Work, dict[UUID, datetime]], Awaitable[None]]
ON_STORED: dict[str, Stored] = {}
"""By kind of item: told, in the transaction of an `ack`, which objects it covered and when the newest was sent."""

_HOLD = text("SELECT hold_inboxes(:ids)")
_PUSH = text("SELECT push_inboxes(:ids, :event_id, :kind, :object_id, :body, :at)").bindparams(
    bindparam("body", type_=JSONB)
)
_OLDEST_GIVES_WAY = text(
    "UPDATE inbox_cursor SET install_id = :install_id, upto = 0, at = :now WHERE user_id = :user_id"
    " AND (SELECT count(*) FROM inbox_cursor WHERE user_id = :user_id) >= :most AND install_id ="
    " (SELECT install_id FROM inbox_cursor WHERE user_id = :user_id ORDER BY at, install_id LIMIT 1)"
)


async def hold(work: Work, user_ids: Iterable[UUID]) -> None:
    """Lock these people's counters, in id order: before several pushes in one transaction to different people."""
    await work.session.execute(_HOLD, {"ids": sorted(set(user_ids))})


async def push(
    work: Work, user_ids: Iterable[UUID], event_id: UUID, kind: str, object_id: UUID, body: dict[str, Any]
) -> None:
    """Put one item into each of these people's inboxes; `event_id` is unique per recipient, `body` JSON-ready."""
    ids = sorted(set(user_ids))
    if not ids:
        return
    item = {"event_id": event_id, "kind": kind, "object_id": object_id, "body": body, "at": work.now}
    await work.session.execute(_PUSH, {"ids": ids} | item)
    work.publish(InboxGrew, *ids)


async def head(work: Work) -> int:
    """The newest `seq` of the actor's inbox; 0 when nothing was ever sent."""
    return await work.first(select(Recipient.seq).where(Recipient.user_id == work.actor.id)) or 0


async def fetch(work: Work, after: int, limit: int) -> dict[str, Any]:
    """The actor's items later than `after`, oldest first: `{items, next, head_seq}`; `next` is null at the head."""
    query = select(InboxItem).where(InboxItem.user_id == work.actor.id, InboxItem.seq > after)
    rows = await work.all(query.order_by(col(InboxItem.seq)).limit(limit))
    newest = await head(work)  # read after the items, so that it never lies before one of them
    items = [
        {"seq": row.seq, "event_id": row.event_id, "kind": row.kind, "at": row.at, "body": row.body} for row in rows
    ]
    return {"items": items, "next": rows[-1].seq if rows and rows[-1].seq < newest else None, "head_seq": newest}


async def ack(work: Work, install_id: UUID | None, upto: int) -> int:
    """Note that an installation of the actor stored everything up to `upto`; its cursor, which never moves back.

    Raises Invalid for a number that was never sent. What is covered for the first time counts as delivered.
    """
    if upto > await head(work):
        raise Invalid.at("upto", "unknown", "Nothing with this number was sent.")
    key = {"user_id": work.actor.id, "install_id": install_id or work.actor.install_id or BROWSER}
    query = select(InboxCursor).filter_by(**key).with_for_update(key_share=True)
    cursor: InboxCursor | None = await work.first(query)
    if cursor is None:
        # Apps name themselves, so there is no end of names.
        await work.session.execute(_OLDEST_GIVES_WAY, key | {"most": MAX_CURSORS, "now": work.now})
        await work.session.execute(insert(InboxCursor).values(**key, upto=0, at=work.now).on_conflict_do_nothing())
        cursor = (await work.session.execute(query)).scalar_one()
    if upto <= cursor.upto:
        return cursor.upto
    covered = (
        select(InboxItem.kind, InboxItem.object_id, func.max(InboxItem.at))
        .where(InboxItem.user_id == work.actor.id, InboxItem.seq > cursor.upto, InboxItem.seq <= upto)
        .group_by(col(InboxItem.kind), col(InboxItem.object_id))
    )
    by_kind: dict[str, dict[UUID, datetime]] = {}
    for kind, object_id, sent_at in (await work.session.execute(covered)).all():
        by_kind.setdefault(kind, {})[object_id] = sent_at
    cursor.upto, cursor.at = upto, work.now
    work.session.add(cursor)
    for kind in sorted(by_kind.keys() & ON_STORED.keys(), reverse=True):  # tasks before notices: one lock order
        await ON_STORED[kind](work, by_kind[kind])
    return upto
