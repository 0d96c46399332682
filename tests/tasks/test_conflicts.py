"""Crews that went on after a cancel: kept, shown, and settled by a dispatcher."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core.errors import NotFound, TransitionNotAllowed
from core.work import open_work
from mobile_contract.resources import ResolveIn
from tasks import alerts, conflicts
from tests.tasks.conftest import Scene


async def settled(scene: Scene, task: dict[str, Any], outcome: str, reason: str = "radio") -> dict[str, Any]:
    async with open_work(scene.engine, scene.dispatcher) as work:
        return await conflicts.resolve(work, UUID(task["id"]), ResolveIn(outcome=outcome, reason=reason))  # type: ignore[arg-type]


async def standing(scene: Scene) -> list[tuple[str, str]]:
    async with open_work(scene.engine, scene.dispatcher) as work:
        return [
            (one["kind"], one["task_id"]) for one in (await alerts.listed(work, is_open=True, limit=9, after=None))[0]
        ]


async def gone_on(scene: Scene) -> dict[str, Any]:
    """A task that was cancelled while its crew, in a dead zone, carried it out."""
    task = await scene.issued()
    await scene.officer(task, "acknowledge")
    await scene.centre(task, "cancel", reason="false alarm")
    offline = datetime.now(UTC) - timedelta(minutes=20)
    for minutes, verb in enumerate(("en_route", "on_scene", "complete")):
        fields = {"result": "violation"} if verb == "complete" else {}
        at = offline + timedelta(minutes=minutes)
        answer = await scene.step(scene.crew.actor, task, verb, at=at, **fields)
        assert (answer["result"], answer["task"]["conflict"]) == ("conflict", "open")
    return task


async def test_late_steps_against_a_cancel_are_one_alert_and_a_dispatcher_settles_it(scene: Scene) -> None:
    task = await gone_on(scene)
    assert await standing(scene) == [("task_conflict", task["id"])]
    kept = [e for e in await scene.events(task) if e["result"] == "conflict"]
    assert [(e["verb"], e["reason_code"]) for e in kept] == [
        ("en_route", None), ("on_scene", None), ("complete", "violation"),
    ]  # fmt: skip
    assert all(e["received_at"] - e["at"] > timedelta(minutes=15) for e in kept)
    now = await settled(scene, task, "work_counts")
    assert (now["status"], now["conflict"], now["result"]) == ("cancelled", "work_counts", "violation")
    assert await standing(scene) == []
    last = (await scene.events(task))[-1]
    assert (last["verb"], last["reason_code"], last["reason"], last["by_name"]) == (
        "resolve", "work_counts", "radio", "Dana Dispatcher",
    )  # fmt: skip
    assert (await scene.inbox(scene.crew.actor))[-1]["body"]["conflict"] == "work_counts", "the crew is told"


async def test_where_the_cancel_stands_nothing_is_taken_over_and_only_one_settles_it(scene: Scene) -> None:
    task = await gone_on(scene)
    now = await settled(scene, task, "cancel_stands")
    assert (now["conflict"], now["result"]) == ("cancel_stands", None)
    with pytest.raises(TransitionNotAllowed) as refused:
        await settled(scene, task, "work_counts")
    assert refused.value.extra["changed_by"] == "Dana Dispatcher"
    assert (await scene.get(task))["conflict"] == "cancel_stands"


async def test_a_step_after_that_opens_it_again(scene: Scene) -> None:
    task = await gone_on(scene)
    await settled(scene, task, "cancel_stands")
    await scene.officer(task, "on_scene")
    assert (await scene.get(task))["conflict"] == "open"
    assert len(await standing(scene)) == 1


async def test_a_confirmed_cancel_and_a_superseded_step_are_no_conflict(scene: Scene) -> None:
    task = await scene.issued()
    await scene.officer(task, "acknowledge")
    cancelled = (await scene.centre(task, "cancel", reason="over"))["task"]
    await scene.step(scene.crew.actor, task, "acknowledge", version=cancelled["version"])
    other = await scene.issued()
    await scene.officer(other, "acknowledge", "on_scene", "complete")
    assert (await scene.officer(other, "en_route"))["result"] == "superseded"
    assert [(await scene.get(one))["conflict"] for one in (task, other)] == [None, None]
    assert await standing(scene) == []
    with pytest.raises(TransitionNotAllowed):
        await settled(scene, task, "work_counts")


async def test_officers_cannot_settle_anything(scene: Scene) -> None:
    task, stranger = await gone_on(scene), await scene.another()
    body = ResolveIn(outcome="work_counts", reason="mine")
    with pytest.raises(NotFound):
        async with open_work(scene.engine, stranger.actor) as work:
            await conflicts.resolve(work, UUID(task["id"]), body)
