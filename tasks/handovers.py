"""Hand-overs: a dispatcher leaves a note, the server adds what is open, and another dispatcher confirms both."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text, tuple_, update
from sqlmodel import col, select

from core import pages
from core.audit import Action
from core.bus import HandoversChanged
from core.errors import NotAllowed, NotFound, OwnHandover, VersionConflict
from core.ids import new_id
from core.work import Work
from mobile_contract import handovers as contract
from mobile_contract.fields import utc_text
from tasks import states
from tasks.models import Handover
from tasks.notice_resource import UNCONFIRMED_SHOWN_FOR

LISTED = 1_000
"""So many tasks, notices and silent ones are listed at most; all are counted."""
ANNOUNCED_FOR = UNCONFIRMED_SHOWN_FOR
"""How long screens say that a hand-over waits; it may be confirmed at any time."""

_TASKS = text(f"""
SELECT t.id, t.number, t.priority, t.status, t.title, t.unit_id, u.call_sign, count(*) OVER () AS n,
  coalesce(t.issued_at, t.created_at) AS since,
  coalesce(CASE WHEN t.status IN ('issued', 'delivered', 'unacknowledged') THEN t.ack_due_at END, t.window_to) AS due_at
FROM (SELECT * FROM task WHERE {states.STILL_OPEN}) t LEFT JOIN unit u ON u.id = t.unit_id
ORDER BY t.priority, t.number LIMIT :limit
""")  # noqa: S608
_NOTICES = text("""
SELECT n.id, n.number, n.priority, n.state, n.headline, n.created_at, r.confirmed, r.of, count(*) OVER () AS n
FROM notice n CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE n.state = 'sent' OR acknowledged_at IS NOT NULL) AS of,
    count(*) FILTER (WHERE acknowledged_at IS NOT NULL AND (n.state = 'sent' OR cancel_confirmed_at IS NOT NULL))
    AS confirmed FROM notice_recipient WHERE notice_id = n.id) r
WHERE (n.state = 'sent' AND n.valid_to > :now OR n.state = 'cancelled' AND n.ended_at > :cancelled_after)
  AND r.confirmed < r.of
ORDER BY n.priority, n.number LIMIT :limit
""")
_SILENT = text("""
SELECT a.unit_id, a.device_id, a.since, u.call_sign, nullif(concat_ws(' ', d.protocol, d.identifier), '') AS device,
  a.taken_by_name, count(*) OVER () AS n
FROM alert a JOIN unit u ON u.id = a.unit_id LEFT JOIN device d ON d.id = a.device_id
WHERE a.kind IN ('unit_silent', 'tracker_silent') AND a.cleared_at IS NULL
ORDER BY a.device_id IS NOT NULL, a.since, u.call_sign LIMIT :limit
""")
_SHOWN = text("""
SELECT h.*, g.name AS given_by_name, c.name AS confirmed_by_name FROM handover h
JOIN user_account g ON g.id = h.given_by LEFT JOIN user_account c ON c.id = h.confirmed_by
WHERE h.id = ANY(:ids) ORDER BY h.given_at DESC, h.id DESC
""")


async def now(work: Work) -> contract.OpenNow:
    """What a hand-over at this moment would list: open tasks, notices not confirmed by everybody, who is silent."""
    found = await _open(work)
    work.audit(
        Action.CONSULTATION, "handover", None, tasks=found.n_tasks, notices=found.n_notices, silent=found.n_silent
    )
    return found


async def _open(work: Work) -> contract.OpenNow:
    await work.session.flush()
    tasks = await _rows(work, _TASKS, open=sorted(states.OPEN))
    notices = await _rows(work, _NOTICES, now=work.now, cancelled_after=work.now - UNCONFIRMED_SHOWN_FOR)
    silent = await _rows(work, _SILENT)
    return contract.OpenNow(
        as_of=work.now, n_tasks=_n(tasks), n_notices=_n(notices), n_silent=_n(silent),
        tasks=[contract.OpenTask.model_validate(row) for row in tasks],
        notices=[contract.OpenNotice.model_validate(row) for row in notices],
        silent=[contract.OpenSilent.model_validate(row) for row in silent],
    )  # fmt: skip


async def _rows(work: Work, query: Any, **values: Any) -> list[Mapping[str, Any]]:
    found = await work.session.execute(query, values | {"limit": LISTED})
    return [dict(row) for row in found.mappings()]


def _n(rows: list[Mapping[str, Any]]) -> int:
    return int(rows[0]["n"]) if rows else 0


async def give(work: Work, body: contract.HandoverIn) -> contract.WholeHandover:
    """A new hand-over by the actor, with what is open now; raises IdReused."""
    found = await _open(work)
    left = contract.Left(
        tasks=[contract.LeftTask.model_validate(one) for one in found.tasks],
        notices=[contract.LeftNotice.model_validate(one) for one in found.notices],
        silent=[contract.Silent.model_validate(one) for one in found.silent],
    )
    made = Handover(
        id=body.id or new_id(), given_by=work.actor.id, given_at=work.now, note=body.note.strip(),
        n_tasks=found.n_tasks, n_notices=found.n_notices, n_silent=found.n_silent, listed=left.model_dump(mode="json"),
    )  # fmt: skip
    await work.add(made)
    told = {"tasks": made.n_tasks, "notices": made.n_notices, "silent": made.n_silent}
    work.audit(Action.COLLECTION, "handover", made.id, **told)
    work.publish(HandoversChanged, made.id)
    return await _whole(work, made.id)


async def confirm(work: Work, handover_id: UUID) -> contract.WholeHandover:
    """The hand-over, confirmed by the actor; what they confirmed already stays as it is.

    Raises NotFound, OwnHandover for who gave it, and VersionConflict, which says who confirmed it first and when.
    """
    shown = await _whole(work, handover_id)
    if shown.given_by == work.actor.id:
        raise OwnHandover
    waits = update(Handover).where(col(Handover.id) == handover_id, col(Handover.confirmed_by).is_(None))
    done: Any = await work.session.execute(waits.values(confirmed_by=work.actor.id, confirmed_at=work.now))
    shown = await _whole(work, handover_id)
    if shown.confirmed_by is None:  # by the database's own rule: the role was taken away meanwhile
        raise NotAllowed
    if shown.confirmed_by != work.actor.id:
        at = shown.confirmed_at and utc_text(shown.confirmed_at)
        raise VersionConflict(
            f"{shown.confirmed_by_name} has confirmed it.", changed_by=shown.confirmed_by_name, changed_at=at
        )
    if done.rowcount:
        work.audit(Action.ALTERATION, "handover", handover_id, confirmed=True, given_by=shown.given_by)
        work.publish(HandoversChanged, handover_id)
    return shown


async def get(work: Work, handover_id: UUID) -> contract.WholeHandover:
    """One hand-over with what it lists; raises NotFound. The look is audited."""
    shown = await _whole(work, handover_id)
    work.audit(Action.CONSULTATION, "handover", handover_id)
    return shown


async def _whole(work: Work, handover_id: UUID) -> contract.WholeHandover:
    row = (await work.session.execute(_SHOWN, {"ids": [handover_id]})).mappings().first()
    if row is None:
        raise NotFound
    return contract.WholeHandover.model_validate({**row, **row["listed"]})


async def resources(work: Work, ids: Iterable[UUID]) -> list[contract.Handover]:
    """These hand-overs, the newest first, without what they list."""
    rows = (await work.session.execute(_SHOWN, {"ids": list(ids)})).mappings()
    return [contract.Handover.model_validate(dict(row)) for row in rows]


async def listed(work: Work, limit: int, after: str | None) -> tuple[list[contract.Handover], str | None]:
    """A page of the hand-overs, the newest first, and where the next one starts."""
    given_at, handover_id = col(Handover.given_at), col(Handover.id)
    query = select(Handover.given_at, Handover.id).order_by(given_at.desc(), handover_id.desc()).limit(limit + 1)
    if after:
        query = query.where(tuple_(given_at, handover_id) < tuple_(*pages.marked(after)))
    rows = (await work.session.execute(query)).all()
    ids = [row.id for row in rows[:limit]]
    work.audit(Action.CONSULTATION, "handover", None, n=len(ids))
    return await resources(work, ids), pages.mark(*rows[limit - 1]) if len(rows) > limit else None
