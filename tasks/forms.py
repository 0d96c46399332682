"""Tasks that are not done without a stop form: controls of re-routed declarations (domain.md 1.3, KC-04)."""

from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col

from core import inbox
from core.bus import TasksChanged
from core.errors import FormRequired
from core.work import Work
from geo import shifts
from tasks.models import Task
from tasks.resource import FORM_KIND, FORM_REASON, is_form_required, one
from tasks.steps import locked


def owed() -> ColumnElement[bool]:
    """The condition of a query: the task asks for a stop form and has none."""
    asks = or_(col(Task.kind) == FORM_KIND, col(Task.reason_code) == FORM_REASON)
    return and_(asks, col(Task.stop_forms) == 0)


def check(task: Task) -> None:
    """Raises FormRequired while a stop form is owed."""
    if is_form_required(task) and not task.stop_forms:
        raise FormRequired("A re-routed control is not over without a stop form: record one for this task first.")


async def noted(work: Work, task_id: UUID, form_id: UUID, exercise: bool) -> None:
    """A stop form was recorded for a task: it counts, and a crew that owed it learns that it is there.

    Nothing for a task the actor does not see, such as one that is another unit's by now, and nothing for a form of an
    exercise unless the task is one as well.
    """
    task = await locked(work, task_id)
    if task is None or (exercise and not task.exercise):
        return
    task.stop_forms += 1
    task.updated_at = work.now
    work.session.add(task)
    work.publish(TasksChanged, task.id)
    if is_form_required(task) and task.stop_forms == 1 and task.unit_id:
        await work.session.flush()
        crews = await shifts.crews_of(work, {task.unit_id})
        await inbox.push(work, crews.get(task.unit_id, ()), form_id, "task", task.id, await one(work, task))
