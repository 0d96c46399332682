"""What the hub reads: each function one or a few short queries, for all sockets together."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from core.actor import Role
from core.work import Work
from dispatch_api.live import wire
from dispatch_api.live.board import Board, Thing
from dispatch_api.live.fleet import Standing
from geo.delivery import Latest
from geo.where import ON_DUTY
from mobile_contract.fields import utc_text
from tasks import alerts, handovers, notice_resource, states
from tasks.models import Notice, Task
from tasks.notice_resource import UNCONFIRMED_SHOWN_FOR
from tasks.resource import resources

PAGE = 200
"""Inbox items in one message."""

_STANDINGS = text(
    f"SELECT u.id, u.status, {ON_DUTY} FROM unit u WHERE u.id = ANY(:ids) OR u.updated_at > :since"  # noqa: S608
    " OR u.id IN (SELECT unit_id FROM shift WHERE updated_at > :since)"
)
_LATEST = text(
    "SELECT unit_id, device_id, fix_at, received_at, ST_X(point), ST_Y(point), accuracy_m, speed_mps, heading_deg,"
    " battery_pct FROM unit_latest WHERE unit_id = ANY(:ids)"
)
# Columns in one row: on a busy server nearly every unit moved, and is known from this process's own writer.
_MOVED = text(
    "SELECT array_agg(unit_id), array_agg(fix_at), array_agg(moved_back_at) FROM unit_latest"
    " WHERE received_at > :since OR moved_back_at > :since"
)
_TASKS = text(f"SELECT id, updated_at FROM task WHERE updated_at > :since OR (:whole AND {states.STILL_OPEN})")  # noqa: S608
_NOTICES = text(
    "SELECT id, updated_at FROM notice WHERE updated_at > :since OR id IN (SELECT id FROM notice WHERE :whole"
    " AND (state = 'sent' AND valid_to > now()"
    " OR state = 'cancelled' AND ended_at > now() - CAST(:shown_for AS interval)"
    " AND EXISTS (SELECT FROM notice_recipient r WHERE r.notice_id = notice.id AND r.acknowledged_at IS NOT NULL"
    " AND r.cancel_confirmed_at IS NULL)) ORDER BY number DESC LIMIT :n)"
)
_ALERTS = text(
    "SELECT id, updated_at FROM alert WHERE updated_at > :since OR id IN ("
    "SELECT id FROM alert WHERE :whole AND cleared_at IS NULL ORDER BY task_id IS NULL, raised_at DESC LIMIT :n)"
)
_HANDOVERS = text(
    "SELECT id, coalesce(confirmed_at, given_at) AS changed_at FROM handover WHERE given_at > :from"
    " AND (given_at > :since OR confirmed_at > :since OR (:whole AND confirmed_at IS NULL))"
)
_OF_TASKS = 1 << 50
"""More than any moment in milliseconds."""
_HEADS = text("SELECT user_id, seq FROM recipient WHERE user_id = ANY(:ids)")
_ITEMS = text(
    "SELECT w.user_id, w.after, i.seq, i.event_id, i.kind, i.at, CAST(i.body AS text) AS body"
    " FROM unnest(CAST(:users AS uuid[]), CAST(:afters AS bigint[])) AS w(user_id, after)"
    " CROSS JOIN LATERAL (SELECT * FROM inbox WHERE user_id = w.user_id AND seq > w.after ORDER BY seq LIMIT :n) i"
    " ORDER BY w.user_id, w.after, i.seq"
)
_RIGHTS = text(
    "SELECT s.id, u.roles FROM sign_in s JOIN user_account u ON u.id = s.user_id"
    " LEFT JOIN install i ON i.id = s.install_id"
    " WHERE s.id = ANY(:ids) AND s.expires_at > now() AND u.disabled_at IS NULL AND i.revoked_at IS NULL"
)


async def standings(work: Work, since: datetime, ids: Iterable[UUID] = ()) -> list[Standing]:
    """These units, and those that changed or whose shift did."""
    rows = await work.session.execute(_STANDINGS, {"ids": list(ids), "since": since})
    return [Standing(*row) for row in rows]


async def moved(work: Work, since: datetime) -> list[tuple[UUID, datetime, datetime | None]]:
    """Units whose newest fix was received since, or that went back since: when it was taken, when they went back."""
    columns = (await work.session.execute(_MOVED, {"since": since})).one()
    return list(zip(*(column or () for column in columns), strict=True))


async def latest(work: Work, ids: list[UUID]) -> list[Latest]:
    """The newest fixes of these units."""
    return [Latest(*row) for row in await work.session.execute(_LATEST, {"ids": ids})]


async def changed_tasks(work: Work, since: datetime, whole: bool) -> dict[UUID, datetime]:
    """When tasks were changed, of those changed since; with `whole` also of every open one."""
    values = {"since": since, "whole": whole, "open": sorted(states.OPEN)}
    return {row.id: row.updated_at for row in await work.session.execute(_TASKS, values)}


async def changed_notices(work: Work, since: datetime, whole: bool) -> dict[UUID, datetime]:
    """When notices were changed, of those changed since; with `whole` also of the newest valid ones."""
    values = {"since": since, "whole": whole, "n": Board.NOTICES, "shown_for": UNCONFIRMED_SHOWN_FOR}
    return {row.id: row.updated_at for row in await work.session.execute(_NOTICES, values)}


async def tasks(work: Work, ids: Iterable[UUID]) -> dict[UUID, Thing]:
    """These tasks as things."""
    rows: Sequence[Task] = await work.all(select(Task).where(col(Task.id).in_(list(ids))))
    shown = await resources(work, rows)
    return {
        task.id: Thing(body, task.updated_at, _is_open(task), order=task.number)
        for task, body in zip(rows, shown, strict=True)
    }


def _is_open(task: Task) -> bool:
    unconfirmed = task.status == "cancelled" and task.acknowledged_at and not task.cancel_confirmed_at
    return task.status in states.OPEN or task.conflict == "open" or bool(unconfirmed)


async def notice_things(work: Work, ids: Iterable[UUID]) -> dict[UUID, Thing]:
    """These notices as things."""
    rows: Sequence[Notice] = await work.all(select(Notice).where(col(Notice.id).in_(list(ids))))
    shown = await notice_resource.resources(work, rows)
    return {
        notice.id: Thing(body, notice.updated_at, *_notice_shown(notice, body), order=notice.number)
        for notice, body in zip(rows, shown, strict=True)
    }


def _notice_shown(notice: Notice, body: dict[str, Any]) -> tuple[bool, datetime | None]:
    """Whether a notice is listed and until when; a cancelled one while somebody is still to confirm that."""
    if notice.state == "sent":
        return True, notice.valid_to
    return body["unconfirmed"] > 0, notice.ended_at and notice.ended_at + UNCONFIRMED_SHOWN_FOR


async def changed_alerts(work: Work, since: datetime, whole: bool) -> dict[UUID, datetime]:
    """When alerts were changed, of those changed since; with `whole` also of those that stand, about tasks first."""
    values = {"since": since, "whole": whole, "n": Board.ALERTS}
    return {row.id: row.updated_at for row in await work.session.execute(_ALERTS, values)}


async def alert_things(work: Work, changed: dict[UUID, datetime]) -> dict[UUID, Thing]:
    """These alerts as things; hundreds of silent trackers must not push one about a task out of what is shown."""
    found = {}
    for one in await alerts.resources(work, changed):
        order = int(datetime.fromisoformat(one["raised_at"]).timestamp() * 1000) + _OF_TASKS * bool(one["task_id"])
        alert_id = UUID(one["id"])
        found[alert_id] = Thing(one, changed[alert_id], shown=one["cleared_at"] is None, order=order)
    return found


async def changed_handovers(work: Work, since: datetime, whole: bool) -> dict[UUID, datetime]:
    """When hand-overs were given or confirmed, of those since; with `whole` also of those that wait."""
    values = {"since": since, "whole": whole, "from": work.now - handovers.ANNOUNCED_FOR}
    return {row.id: row.changed_at for row in await work.session.execute(_HANDOVERS, values)}


async def handover_things(work: Work, changed: dict[UUID, datetime]) -> dict[UUID, Thing]:
    """These hand-overs as things; what is confirmed is not shown any more."""
    return {
        one.id: Thing(
            one.model_dump(mode="json"), changed[one.id], shown=one.confirmed_at is None,
            until=one.given_at + handovers.ANNOUNCED_FOR, order=int(one.given_at.timestamp() * 1000),
        )
        for one in await handovers.resources(work, changed)
    }  # fmt: skip


class Want(NamedTuple):
    """A place in one person's inbox to go on from."""

    user_id: UUID
    after: int


async def heads(work: Work, user_ids: Iterable[UUID]) -> dict[UUID, int]:
    """The newest `seq` of these people's inboxes."""
    return {row.user_id: row.seq for row in await work.session.execute(_HEADS, {"ids": list(user_ids)})}


async def items(work: Work, wants: Sequence[Want]) -> dict[Want, list[tuple[int, str]]]:
    """For each place at most PAGE of the items after it: (seq, the item as JSON), in order."""
    found: dict[Want, list[tuple[int, str]]] = {want: [] for want in wants}
    values = {"users": [w.user_id for w in wants], "afters": [w.after for w in wants], "n": PAGE}
    for row in await work.session.execute(_ITEMS, values):
        text_of = (
            f'{{"seq":{row.seq},"event_id":"{row.event_id}","kind":{wire.text(row.kind)},'
            f'"at":"{utc_text(row.at)}","body":{row.body}}}'
        )
        found[Want(row.user_id, row.after)].append((row.seq, text_of))
    return found


async def rights(work: Work, session_ids: Iterable[UUID]) -> dict[UUID, frozenset[Role]]:
    """The roles behind those of these sessions that are still good."""
    rows = await work.session.execute(_RIGHTS, {"ids": list(session_ids)})
    known = {role.value for role in Role}
    return {row.id: frozenset(Role(name) for name in row.roles if name in known) for row in rows}
