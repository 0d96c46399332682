"""Pushes that are owed: at most one for each installation, in the database, until it was sent or is not needed.

A push only says "look into the inbox": it is owed for whatever came into an inbox since the installation last stored
it, and dropped when the installation has everything by itself (over its socket, or by asking). Filled by
`push_inboxes`, in the transaction of what it tells of; emptied by one or several workers.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import text, update
from sqlmodel import col

from core.audit import Action
from core.models import Install
from core.work import Work

LEASE = timedelta(seconds=60)
"""A worker that took one and died keeps it from others for so long."""
LONGEST_WAIT_S = 300.0

_NOT_NEEDED = text("""
DELETE FROM push_owed p USING install i, recipient r
WHERE i.id = p.install_id AND r.user_id = i.user_id AND p.due_at <= :now
AND (i.push IS NULL OR i.revoked_at IS NOT NULL
     OR EXISTS (SELECT FROM inbox_cursor c WHERE c.user_id = i.user_id AND c.install_id = i.id AND c.upto >= r.seq))
""")
_TAKE = text("""
WITH due AS (SELECT o.install_id, to_.service FROM push_owed o JOIN install w ON w.id = o.install_id
  CROSS JOIN LATERAL (SELECT lower(split_part(w.push ->> 'target', '/', 3)) AS service) to_
  WHERE o.due_at <= :now AND w.push ->> 'channel' = :channel AND (to_.service = ANY(:services)) = :only
  ORDER BY o.urgent DESC, o.due_at LIMIT :n FOR UPDATE OF o SKIP LOCKED)
UPDATE push_owed p SET due_at = :leased, tries = p.tries + 1 FROM due, install i
WHERE p.install_id = due.install_id AND i.id = p.install_id
RETURNING p.install_id, i.push, p.urgent, p.owed_at, p.tries, due.service
""")
_SENT = text("DELETE FROM push_owed WHERE install_id = :install_id AND owed_at = :owed_at")
_AGAIN = text("UPDATE push_owed SET due_at = :due_at, tries = :tries WHERE install_id = :install_id")


class Outcome(Enum):
    """What became of a push. LATER: this one waits; DOWN: so would any other to the same service."""

    SENT = "sent"
    DEAD = "dead"
    REFUSED = "refused"
    LATER = "later"
    DOWN = "down"


@dataclass(frozen=True)
class Owed:
    """A push in a worker's hands; `service` is the host that a browser's goes to, empty for an app's."""

    install_id: UUID
    push: dict[str, Any]
    urgent: bool
    owed_at: datetime
    tries: int
    service: str = ""


@dataclass(frozen=True)
class Told:
    """An outcome, and after how many seconds the other side wants to be asked again."""

    outcome: Outcome
    retry_after_s: float | None = None


async def take(work: Work, channel: str, n: int, services: Collection[str] = (), *, only: bool = False) -> list[Owed]:
    """At most `n` pushes of a channel that are due and still needed, held for LEASE, those about tasks first.

    To all services but these; with `only` to these alone.
    """
    await work.session.execute(_NOT_NEEDED, {"now": work.now})
    values = {
        "now": work.now, "leased": work.now + LEASE, "channel": channel, "n": n, "services": list(services),
        "only": only,
    }  # fmt: skip
    return [Owed(*row) for row in (await work.session.execute(_TAKE, values)).all()]


def wait_s(tries: int) -> float:
    """How long to wait before the next try: anything up to twice as long as last time, at most five minutes."""
    return random.uniform(0.5, min(LONGEST_WAIT_S, 2.0**tries))


async def settle(work: Work, owed: Sequence[Owed], told: Sequence[Told]) -> None:
    """Write down what became of pushes that were taken.

    What came into an inbox meanwhile is owed again at once. A dead target is forgotten: the app brings a new one.
    """
    for one, result in zip(owed, told, strict=True):
        if result.outcome in {Outcome.LATER, Outcome.DOWN}:
            due_at = work.now + timedelta(seconds=max(wait_s(one.tries), result.retry_after_s or 0))
            values = {"install_id": one.install_id, "due_at": due_at, "tries": one.tries}
            await work.session.execute(_AGAIN, values)
            continue
        await work.session.execute(_SENT, {"install_id": one.install_id, "owed_at": one.owed_at})
        values = {"install_id": one.install_id, "due_at": work.now, "tries": 0}
        await work.session.execute(_AGAIN, values)
        if result.outcome is Outcome.DEAD:
            same = (col(Install.id) == one.install_id) & (col(Install.push) == one.push)
            await work.session.execute(update(Install).where(same).values(push=None))
            work.audit(Action.ALTERATION, "install", one.install_id, push="dead")
