"""Steps that time takes: each once, in the history, and told."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import col

from core.actor import system
from core.bus import Bus, TasksChanged, Wake
from core.work import open_work
from tasks import deadlines
from tasks.models import Task
from tests.tasks.conftest import Scene


async def _age(scene: Scene, task: dict[str, Any], **fields: Any) -> None:
    async with open_work(scene.engine, system("test")) as work:
        await work.session.execute(update(Task).where(col(Task.id) == task["id"]).values(**fields))


async def _due(scene: Scene, bus: Bus | None = None) -> int:
    async with open_work(scene.engine, system("worker"), bus) as work:
        return await deadlines.due(work)


def past(seconds: float = 1) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


async def test_an_unacknowledged_task_is_reported_once_and_its_late_acknowledgement_is_marked(scene: Scene) -> None:
    task = await scene.issued(priority="P1")
    assert await _due(scene) == 0
    await _age(scene, task, ack_due_at=past())
    woken: list[Wake] = []
    bus = Bus()
    bus.on(TasksChanged, woken.append)
    assert [await _due(scene, bus), await _due(scene, bus)] == [1, 0]
    assert len(woken) == 1
    now = await scene.get(task)
    assert (now["status"], now["priority"], now["late"]) == ("unacknowledged", "P1", False)
    await scene.officer(task, "acknowledge")
    assert (await scene.get(task))["late"] is True
    assert [e["verb"] for e in await scene.events(task)] == ["create", "issue", "unacknowledge", "acknowledge"]


async def test_a_delivered_task_is_reported_too_and_an_acknowledged_one_is_not(scene: Scene) -> None:
    delivered, acknowledged = await scene.issued(), await scene.issued()
    await scene.ack(scene.crew.actor, 1)
    await scene.officer(acknowledged, "acknowledge")
    for task in (delivered, acknowledged):
        await _age(scene, task, ack_due_at=past())
    assert await _due(scene) == 1
    assert (await scene.get(delivered))["status"] == "unacknowledged"
    assert (await scene.get(acknowledged))["status"] == "acknowledged"


async def test_a_window_that_passed_expires_what_nobody_took(scene: Scene) -> None:
    waiting, overdue, taken = await scene.issued(), await scene.issued(), await scene.issued()
    await scene.officer(taken, "acknowledge")
    await _age(scene, overdue, ack_due_at=past(60))
    await _due(scene)
    for task in (waiting, overdue, taken):
        await _age(scene, task, window_to=past(), ack_due_at=past())
    assert await _due(scene) == 2
    assert [(await scene.get(task))["status"] for task in (waiting, overdue, taken)] == [
        "expired", "expired", "acknowledged",
    ]  # fmt: skip
    assert {i["body"]["status"] for i in (await scene.inbox(scene.crew.actor))[-2:]} == {"expired"}
    assert await _due(scene) == 0


async def test_finished_tasks_close_after_a_day(scene: Scene) -> None:
    done, failed = await scene.issued(), await scene.issued()
    await scene.officer(done, "acknowledge", "on_scene", "complete")
    await scene.officer(failed, "acknowledge")
    await scene.step(scene.crew.actor, failed, "fail", result="not_found")
    assert await _due(scene) == 0
    for task in (done, failed):
        await _age(scene, task, updated_at=past(24 * 3600 + 1))
    assert await _due(scene) == 2
    for task in (done, failed):
        last = (await scene.events(task))[-1]
        assert (last["verb"], last["to_status"], last["by"]) == ("close", "closed", None)
