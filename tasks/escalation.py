"""What becomes of an alarm: every dispatcher is told until one takes it, then the deputy unit, then supervisors.

The last step, where a channel is set up for it, are e-mails and SMS to the supervisors.

Each step is given as long as the task's priority may wait for its acknowledgement. It happens once, under the lock on
the task, and is in the task's history; a taken or cleared alarm goes no further, nor one that the deputy has answered.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import col, select

from core.audit import Action
from core.bus import TasksChanged
from core.errors import NotFound, VersionConflict
from core.work import Work
from geo.models import Shift, Unit
from mobile_contract.fields import utc_text
from tasks import alert_messages, alerts, states
from tasks.limits import Limits
from tasks.models import Alert, Task, TaskSupport
from tasks.resource import supports_of
from tasks.steps import News, Was, follow, record, tell

BATCH = 100
ANSWERED = states.AT_WORK | {"paused", "completed"}
STEPS = {"dispatchers": 1, "deputy": 2, "supervisors": 3}
"""After how many times its limit an alarm goes on from where it is."""
STALE = timedelta(days=2)
"""Nobody is written to about an alarm that reached the supervisors longer ago: a channel may be set up any time."""
SIGNED_IN = timedelta(minutes=15)
"""Who used a session in this time counts as on duty, where no supervisor is on a shift."""

_OPEN = text("""
SELECT t.id FROM alert a JOIN task t ON t.id = a.task_id
WHERE a.kind = ANY(:kinds) AND a.cleared_at IS NULL AND a.taken_at IS NULL
AND a.raised_at + make_interval(secs => (:steps ->> a.reached)::float8 * (:seconds ->> t.priority)::float8) <= :now
AND (a.reached <> 'supervisors' OR a.updated_at > :stale)
AND NOT EXISTS (SELECT FROM task_support s WHERE s.task_id = t.id AND s.status = ANY(:answered))
ORDER BY t.id LIMIT :n FOR NO KEY UPDATE OF t SKIP LOCKED
""").bindparams(bindparam("seconds", type_=JSONB), bindparam("steps", type_=JSONB))
_SUPERVISORS = text("""
SELECT u.id, u.name, CASE
  WHEN EXISTS (SELECT FROM shift_member m JOIN shift s ON s.id = m.shift_id
               WHERE m.user_id = u.id AND s.on_at IS NOT NULL AND s.off_at IS NULL) THEN 1
  WHEN EXISTS (SELECT FROM sign_in i WHERE i.user_id = u.id AND i.expires_at > :now AND i.used_at > :lately) THEN 2
  ELSE 3 END AS rank
FROM user_account u WHERE 'supervisor' = ANY(u.roles) AND u.disabled_at IS NULL ORDER BY rank, u.name, u.id
""")


async def take(work: Work, alert_id: UUID) -> dict[str, Any]:
    """The alert, taken by the actor: it sounds no longer and goes no further. Taking one's own again changes nothing.

    Raises NotFound, and VersionConflict, which says who took it and when, for one that another has taken.
    """
    found: Alert | None = await work.first(select(Alert).where(Alert.id == alert_id))
    if found is None:
        raise NotFound
    task = await _locked(work, [found.task_id]) if found.task_id else []
    query = select(Alert).where(Alert.id == alert_id).with_for_update(key_share=True)
    alert: Alert = await work.first(query.execution_options(populate_existing=True))
    if alert.taken_at is not None and alert.taken_by != work.actor.id:
        when = utc_text(alert.taken_at)
        raise VersionConflict(f"{alert.taken_by_name} has taken it.", changed_by=alert.taken_by_name, changed_at=when)
    if alert.taken_at is None:
        alert.taken_by, alert.taken_by_name = work.actor.id, work.actor.name or work.actor.login
        alert.taken_at = alert.updated_at = work.now
        work.session.add(alert)
        work.audit(Action.ALTERATION, "alert", alert.id, taken=True, task_id=alert.task_id)
        for one in task:
            record(work, one, "take", Was(one.status, one.status, unit_id=one.unit_id))
            work.publish(TasksChanged, one.id)
    return (await alerts.resources(work, [alert.id]))[0]


async def _locked(work: Work, task_ids: list[UUID]) -> list[Task]:
    query = select(Task).where(col(Task.id).in_(task_ids)).order_by(col(Task.id)).with_for_update(key_share=True)
    return await work.all(query.execution_options(populate_existing=True))


async def due(work: Work, limits: Limits, channels: Collection[str] = ()) -> int:
    """Take every step of escalation whose time has come, at most BATCH of them; how many tasks had one.

    The last one is taken only where there are `channels` for it.
    """
    steps = {reached: n for reached, n in STEPS.items() if channels or reached != "supervisors"}
    seconds = {priority: limit.total_seconds() for priority, limit in limits.items()}
    kinds = [*alerts.OF_STATUS.values(), alerts.PANIC]
    values = {"kinds": kinds, "seconds": seconds, "steps": steps, "stale": work.now - STALE, "now": work.now,
              "n": BATCH, "answered": sorted(ANSWERED)}  # fmt: skip
    locked = list((await work.session.execute(_OPEN, values)).scalars())
    if not locked:
        return 0
    tasks = await _locked(work, locked)
    supports = await supports_of(work, locked)
    # Read only now: another worker may have done the step between the search and the lock.
    query = select(Alert).where(col(Alert.task_id).in_(locked), col(Alert.cleared_at).is_(None))
    standing = await work.all(query.execution_options(populate_existing=True))
    by_task = {alert.task_id: alert for alert in standing if alert.kind in kinds}
    news: list[News] = []
    done = 0
    for task in tasks:
        alert = by_task.get(task.id)
        limit = limits[task.priority] * steps.get(alert.reached, 0) if alert else None
        if alert is None or not limit or not _is_due(work, alert, limit, supports.get(task.id, [])):
            continue
        done += 1
        if alert.reached == "supervisors":
            await _write(work, task, alert, channels)
        else:
            news += await _step(work, task, alert, supports.get(task.id, []))
    if news:
        await follow(work, [item.event.unit_id for item in news], work.now)
        await tell(work, *news)
    return done


def _is_due(work: Work, alert: Alert, limit: timedelta, supports: list[TaskSupport]) -> bool:
    if alert.taken_at is not None or alert.raised_at + limit > work.now:
        return False
    return not any(support.status in ANSWERED for support in supports)


async def _step(work: Work, task: Task, alert: Alert, supports: list[TaskSupport]) -> list[News]:
    """Go one step further; where there is no deputy on shift, at once to the supervisors. What a crew is to be told."""
    alert.updated_at = work.now
    work.session.add(alert)
    work.publish(TasksChanged, task.id)
    if alert.reached == "dispatchers":
        deputy = await _deputy(work, task, supports)
        if deputy is not None:
            alert.reached = "deputy"
            work.session.add(TaskSupport(task_id=task.id, unit_id=deputy.id, added_at=work.now, since=work.now))
            was = Was(task.status, task.status, unit_id=deputy.id, reason_code="deputy", reason=deputy.call_sign)
            work.audit(Action.ALTERATION, "task", task.id, verb="escalate", support=deputy.id)
            return [News(task, record(work, task, "escalate", was))]
        record(work, task, "escalate", Was(task.status, task.status, unit_id=task.unit_id, reason_code="no_deputy"))
    alert.reached = "supervisors"
    rows = (await work.session.execute(_SUPERVISORS, {"now": work.now, "lately": work.now - SIGNED_IN})).all()
    called = [row for row in rows if row.rank == rows[0].rank]
    alert.called = [row.id for row in called]
    names = ", ".join(row.name for row in called) or None
    was = Was(task.status, task.status, unit_id=task.unit_id, reason=names)
    was.reason_code = "supervisors" if called else "no_supervisor"
    record(work, task, "escalate", was)
    work.audit(Action.ALTERATION, "task", task.id, verb="escalate", called=alert.called)
    return []


async def _write(work: Work, task: Task, alert: Alert, channels: Collection[str]) -> None:
    """The last step: the supervisors who were called are written to."""
    names = await alert_messages.owe(work, alert, channels)
    alert.reached = "messages" if names else "no_address"
    alert.updated_at = work.now
    work.session.add(alert)
    work.publish(TasksChanged, task.id)
    was = Was(task.status, task.status, unit_id=task.unit_id, reason=", ".join(names) or None)
    was.reason_code = alert.reached
    record(work, task, "escalate", was)
    work.audit(Action.ALTERATION, "task", task.id, verb="escalate", reached=alert.reached)


async def _deputy(work: Work, task: Task, supports: list[TaskSupport]) -> Unit | None:
    """The deputy of the task's unit, if it is on shift and does not have the task yet."""
    unit = await work.session.get(Unit, task.unit_id) if task.unit_id else None
    if unit is None or unit.deputy_unit_id in {None, unit.id, *(support.unit_id for support in supports)}:
        return None
    on_shift = select(Shift.unit_id).where(col(Shift.on_at).is_not(None), col(Shift.off_at).is_(None))
    query = select(Unit).where(Unit.id == unit.deputy_unit_id, col(Unit.id).in_(on_shift))
    found: Unit | None = await work.first(query)
    return found
