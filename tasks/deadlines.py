"""What becomes of tasks by time alone: not acknowledged, expired, closed."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import and_, not_, or_
from sqlmodel import col, select

from core.audit import Action
from core.bus import TasksChanged
from core.work import Work
from tasks import alerts, forms, states
from tasks.models import Task
from tasks.resource import supports_of
from tasks.steps import News, Was, follow, move, record, release_supports, tell

CLOSE_AFTER = timedelta(hours=24)
BATCH = 200


def _verb(task: Task, work: Work) -> str:
    if task.status in {"completed", "failed"}:
        return "close"
    return "expire" if task.window_to and task.window_to <= work.now else "unacknowledge"


async def due(work: Work) -> int:
    """Take every step whose time has come, at most BATCH of them; how many. Steps of tasks in use wait a turn."""
    waiting = col(Task.status).in_(["issued", "delivered"])
    query = select(Task).where(
        or_(
            and_(waiting, col(Task.ack_due_at) <= work.now),
            and_(or_(waiting, col(Task.status) == "unacknowledged"), col(Task.window_to) <= work.now),
            and_(
                or_(col(Task.status) == "failed", and_(col(Task.status) == "completed", not_(forms.owed()))),
                col(Task.updated_at) <= work.now - CLOSE_AFTER,
            ),
        )
    )
    tasks = await work.all(query.order_by(col(Task.id)).limit(BATCH).with_for_update(skip_locked=True))
    news, freed = [], set[UUID | None]()
    supports = await supports_of(work, [task.id for task in tasks])
    for task in tasks:
        verb, before = _verb(task, work), task.status
        arrow = states.TABLE[before, verb]
        move(work, task, verb, arrow.to, work.now)
        event = record(work, task, verb, Was(before, arrow.to, unit_id=task.unit_id))
        work.audit(Action.ALTERATION, "task", task.id, verb=verb, to=arrow.to)
        work.publish(TasksChanged, task.id)
        if arrow.to not in states.TERMINAL:
            await alerts.follow(work, task, event)
        else:
            supporting = supports.get(task.id, [])
            release_supports(work, supporting, arrow.to)
            freed |= {task.unit_id, *(support.unit_id for support in supporting)}
            news.append(News(task, event))
    if news:
        await follow(work, freed, work.now)
        await tell(work, *news)
    return len(tasks)
