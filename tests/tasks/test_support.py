"""Units in support of a task: sent on what the dispatcher saw, moving by their own steps, seen by all at the task."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core.errors import NotFound, TransitionNotAllowed, VersionConflict
from core.work import open_work
from geo import units
from mobile_contract.resources import ReceiptIn, SelfTaskIn
from mobile_contract.supports import SupportIn, WithdrawIn
from tasks import supports, tasks
from tests.helpers import Crew
from tests.tasks.conftest import VILNIUS, Scene


async def send(scene: Scene, task: dict[str, Any], helper: Crew, **fields: Any) -> dict[str, Any]:
    async with open_work(scene.engine, scene.dispatcher) as work:
        return await supports.send(work, UUID(task["id"]), SupportIn(unit_id=helper.unit.id, **fields))


def standings(task: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["call_sign"], one["status"]) for one in task["supports"]]


async def store(scene: Scene, helper: Crew) -> None:
    """The helper's tablet stores what came."""
    await scene.ack(helper.actor, (await scene.inbox(helper.actor))[-1]["seq"])


async def test_both_crews_and_the_centre_see_how_a_support_stands_and_since_when(scene: Scene) -> None:
    helper, task = await scene.another(), await scene.issued()
    sign = helper.unit.call_sign
    made = await send(scene, task, helper)
    assert made["unit_call_sign"] == scene.crew.unit.call_sign
    assert standings(made) == [(sign, "issued")]
    for _ in range(2):
        await store(scene, helper)
    stored = await scene.get(task)
    assert standings(stored) == [(sign, "delivered")]
    assert stored["supports"][0]["since"] > made["supports"][0]["since"]
    assert (stored["status"], stored["delivered_at"], stored["version"]) == ("issued", None, made["version"])
    for _ in range(2):
        async with open_work(scene.engine, helper.actor) as work:
            assert (await tasks.seen(work, UUID(task["id"]), ReceiptIn()))["task"]["seen_at"] is None, (
                "the lead's alone"
            )
    told = [(e["verb"], e["unit_id"]) for e in await scene.events(task)][2:]
    assert told == [(verb, helper.unit.id) for verb in ("support", "deliver", "seen")]
    done = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    await scene.step(helper.actor, task, "acknowledge", at=done)
    for actor in (scene.crew.actor, helper.actor):
        body = (await scene.inbox(actor))[-1]["body"]
        assert (body["unit_call_sign"], body["status"]) == (scene.crew.unit.call_sign, "issued")
        assert standings(body) == [(sign, "acknowledged")]
        assert datetime.fromisoformat(body["supports"][0]["since"]) == done
        assert await scene.get(task, actor) == await scene.get(task)


async def test_what_supports_a_stop_begun_on_own_observation_is_delivered_too(scene: Scene) -> None:
    body = SelfTaskIn.model_validate({"reason_code": "random"} | VILNIUS)
    async with open_work(scene.engine, scene.crew.actor) as work:
        task = await tasks.self_initiated(work, body)
    helper = await scene.another()
    await send(scene, task, helper)
    await store(scene, helper)
    assert standings(await scene.get(task)) == [(helper.unit.call_sign, "delivered")]


async def test_a_support_is_not_sent_on_what_the_centre_has_decided_otherwise(scene: Scene) -> None:
    first, second = await scene.another(), await scene.another()
    task = await scene.issued()
    await scene.officer(task, "acknowledge", "en_route")
    assert standings(await send(scene, task, first, version=task["version"])) == [(first.unit.call_sign, "issued")]
    for helper in (first, second):
        with pytest.raises(VersionConflict) as refused:
            await send(scene, task, helper, version=task["version"])
        assert (refused.value.extra["changed_by"], refused.value.extra["changed_verb"]) == (
            "Dana Dispatcher",
            "support",
        )
    now = await scene.get(task)
    await scene.officer(task, "on_scene")
    await scene.officer(task, "acknowledge", crew=first)
    both = await send(scene, now, second, version=now["version"])
    assert standings(both) == [(first.unit.call_sign, "acknowledged"), (second.unit.call_sign, "issued")]


async def test_who_cannot_be_sent_in_support(scene: Scene) -> None:
    task = await scene.issued()
    for helper, guard in ((scene.crew, "lead"), (await scene.another(on_shift=False), "shift")):
        with pytest.raises(TransitionNotAllowed) as refused:
            await send(scene, task, helper)
        assert refused.value.extra["guard"] == guard
    await scene.centre(task, "cancel", reason="over")
    with pytest.raises(TransitionNotAllowed) as refused:
        await send(scene, task, await scene.another())
    assert (refused.value.extra["changed_by"], refused.value.extra["changed_verb"]) == ("Dana Dispatcher", "cancel")
    assert (await scene.get(task))["supports"] == []


async def test_a_unit_whose_part_is_over_is_sent_again(scene: Scene) -> None:
    helper, task = await scene.another(), await scene.issued()
    await send(scene, task, helper)
    await scene.step(helper.actor, task, "decline", reason_code="busy")
    assert standings(await scene.get(task)) == [(helper.unit.call_sign, "declined")]
    again = await send(scene, task, helper)
    assert standings(again) == [(helper.unit.call_sign, "issued")]
    assert (await scene.inbox(helper.actor))[-1]["body"] == again
    await store(scene, helper)
    assert standings(await scene.get(task)) == [(helper.unit.call_sign, "delivered")]


async def test_a_cancel_takes_supports_along_and_their_crews_confirm_without_a_conflict(scene: Scene) -> None:
    going, done = await scene.another(), await scene.another()
    task = await scene.issued()
    for helper in (going, done):
        await send(scene, task, helper)
        await scene.officer(task, "acknowledge", "on_scene", crew=helper)
    await scene.officer(task, "complete", crew=done)
    await scene.officer(task, "acknowledge")
    cancelled = (await scene.centre(task, "cancel", reason="over"))["task"]
    assert standings(cancelled) == [(going.unit.call_sign, "cancelled"), (done.unit.call_sign, "completed")]
    for crew, confirmed in ((going, False), (scene.crew, True), (scene.crew, True)):
        answer = await scene.step(crew.actor, task, "acknowledge", version=cancelled["version"])
        assert answer["result"] == "applied"
        assert (answer["task"]["cancel_confirmed_at"] is not None) == confirmed, "the lead's alone is waited for"
    assert (await scene.get(task))["conflict"] is None


async def test_a_support_is_withdrawn_and_its_crew_confirms(scene: Scene) -> None:
    async def withdraw(unit: Crew, **fields: Any) -> dict[str, Any]:
        async with open_work(scene.engine, scene.dispatcher) as work:
            body = WithdrawIn.model_validate({"reason": "wrong unit"} | fields)
            return await supports.withdraw(work, UUID(task["id"]), unit.unit.id, body)

    helper, task = await scene.another(), await scene.issued()
    sent = await send(scene, task, helper)
    await scene.officer(task, "acknowledge", "en_route", crew=helper)
    with pytest.raises(VersionConflict):
        await withdraw(helper, version=task["version"])
    with pytest.raises(NotFound):
        await withdraw(scene.crew)
    off = await withdraw(helper, version=sent["version"])
    assert await withdraw(helper) == off
    assert (off["status"], off["version"]) == ("issued", sent["version"] + 1)
    assert standings(off) == [(helper.unit.call_sign, "cancelled")]
    assert (await scene.inbox(helper.actor))[-1]["body"] == off
    async with open_work(scene.engine, scene.dispatcher) as work:
        assert (await units.get(work, helper.unit.id)).status == "available"
    last = (await scene.events(task))[-1]
    assert (last["verb"], last["unit_id"], last["reason"]) == ("withdraw", helper.unit.id, "wrong unit")
    await scene.officer(task, "acknowledge")
    assert (await scene.officer(task, "on_scene", crew=helper))["result"] == "superseded", "an old outbox moves nothing"
    read = await scene.step(helper.actor, task, "acknowledge", version=off["version"])
    assert (read["result"], read["task"]["conflict"]) == ("applied", None)
    assert standings(await send(scene, task, helper)) == [(helper.unit.call_sign, "issued")]
    await scene.centre(task, "cancel", reason="over")
    with pytest.raises(TransitionNotAllowed):
        await withdraw(helper)
