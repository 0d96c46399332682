"""E-mails and SMS about alarms that nobody took: each owed once, in the database until it was sent.

They tell the task's number, its priority and where to look, and nothing else: no more is ever read here. What is owed
to one person on one channel goes in its order; whoever's way is blocked holds up nobody else.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import text

from core.audit import Action
from core.pushes import wait_s
from core.work import Work
from tasks.models import Alert, AlertMessage

LEASE = timedelta(minutes=2)
"""A worker that took one and died keeps it from others for so long; more than all the waits of one try."""
LATE = timedelta(hours=24)
"""What could not be sent in this time is not sent any more."""


class Channel(StrEnum):
    """A way to a person that does not need a page of ours."""

    EMAIL = "email"
    SMS = "sms"


class Outcome(StrEnum):
    """What became of a message; DOWN: nothing gets through, whatever the message."""

    SENT = "sent"
    REFUSED = "refused"
    LATER = "later"
    DOWN = "down"


_ADDRESSED = text("""
WITH addressed AS (
  SELECT u.id, u.name, c.channel, u.id = ANY(:called) AS is_called
  FROM user_account u CROSS JOIN unnest(CAST(:channels AS text[])) c (channel)
  WHERE 'supervisor' = ANY(u.roles) AND u.disabled_at IS NULL
  AND CASE c.channel WHEN 'sms' THEN u.phone ELSE u.email END <> ''
)
SELECT id, name, channel FROM addressed WHERE is_called OR NOT EXISTS (SELECT FROM addressed WHERE is_called)
ORDER BY name, id, channel
""")
_GIVE_UP = text("""
UPDATE alert_message SET done_at = :now, outcome = 'late'
WHERE channel = :channel AND done_at IS NULL AND owed_at <= :oldest RETURNING id
""")
_TAKE = text("""
WITH next AS (
  SELECT m.id FROM alert_message m
  WHERE m.channel = :channel AND m.done_at IS NULL AND m.due_at <= :now AND NOT EXISTS (
    SELECT FROM alert_message e WHERE e.channel = m.channel AND e.user_id = m.user_id AND e.done_at IS NULL
    AND (e.owed_at, e.id) < (m.owed_at, m.id))
  ORDER BY m.owed_at, m.id LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE alert_message m SET due_at = :leased, tries = m.tries + 1
FROM next, user_account u, alert a, task t
WHERE m.id = next.id AND u.id = m.user_id AND a.id = m.alert_id AND t.id = a.task_id
RETURNING m.id, m.alert_id, m.user_id, m.tries, t.id AS task_id, t.number, t.priority,
  CASE WHEN u.disabled_at IS NULL THEN CASE m.channel WHEN 'sms' THEN u.phone ELSE u.email END END AS address
""")
_DONE = text("UPDATE alert_message SET done_at = :now, outcome = :outcome WHERE id = :id")
_AGAIN = text("UPDATE alert_message SET due_at = :due_at WHERE id = :id")


@dataclass(frozen=True)
class Owed:
    """A message in a worker's hands."""

    id: UUID
    alert_id: UUID
    user_id: UUID
    tries: int
    task_id: UUID
    number: int
    priority: str
    address: str | None


@dataclass(frozen=True)
class Told:
    """An outcome, and after how many seconds the other side wants to be asked again."""

    outcome: Outcome
    retry_after_s: float | None = None


async def owe(work: Work, alert: Alert, channels: Collection[str]) -> list[str]:
    """Owe the called supervisors a message on each channel they have an address for; the names of who gets one.

    Where none of them has any, all supervisors who do.
    """
    values = {"called": alert.called, "channels": sorted(channels)}
    rows = (await work.session.execute(_ADDRESSED, values)).all()
    for row in rows:
        work.session.add(
            AlertMessage(
                alert_id=alert.id, channel=row.channel, user_id=row.id, owed_at=work.now, due_at=work.now
            )
        )  # fmt: skip
        await work.session.flush()  # their ids tell their order
    return list(dict.fromkeys(row.name for row in rows))


async def give_up(work: Work, channel: Channel) -> int:
    """Owe no longer what is LATE; how many."""
    values = {"now": work.now, "channel": channel.value, "oldest": work.now - LATE}
    return len((await work.session.execute(_GIVE_UP, values)).all())


async def take(work: Work, channel: Channel) -> Owed | None:
    """The message of this channel that is next, held for LEASE; None when none is due."""
    values = {"channel": channel.value, "now": work.now, "leased": work.now + LEASE}
    while row := (await work.session.execute(_TAKE, values)).one_or_none():
        owed = Owed(**row._mapping)
        if owed.address:
            return owed
        await _done(work, owed, "no_address")
    return None


async def settle(work: Work, owed: Owed, told: Told) -> None:
    """Write down what became of a message that was taken."""
    if told.outcome in {Outcome.SENT, Outcome.REFUSED}:
        await _done(work, owed, told.outcome.value)
        return
    # While nothing gets through, the channel waits and not the message: so they go in their order afterwards.
    pause_s = max(wait_s(owed.tries), told.retry_after_s or 0) if told.outcome is Outcome.LATER else 0
    await work.session.execute(_AGAIN, {"id": owed.id, "due_at": work.now + timedelta(seconds=pause_s)})


async def _done(work: Work, owed: Owed, outcome: str) -> None:
    await work.session.execute(_DONE, {"id": owed.id, "now": work.now, "outcome": outcome})
    work.audit(Action.ALTERATION, "alert", owed.alert_id, message=str(owed.id), to=str(owed.user_id), outcome=outcome)
