"""Alarms: every dispatcher until one takes it, then the deputy unit, then supervisors; each step once and told."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Actor, Role, system
from core.errors import NotFound, VersionConflict
from core.ids import new_id
from core.models import SignIn
from core.settings import Settings
from core.work import open_work
from dispatch_api.workers import deadlines
from geo.models import Shift, ShiftMember
from tasks import alerts, escalation
from tasks.limits import STANDARD, limits_of
from tests.helpers import Crew, actor_of, person
from tests.tasks.conftest import Scene


async def sql(scene: Scene, statement: str, **values: Any) -> None:
    async with open_work(scene.engine, system("test")) as work:
        await work.session.execute(text(statement), values)


async def later(scene: Scene, seconds: float) -> None:
    """Time passes: everything that is waited for lies so much further back."""
    ago = {"by": timedelta(seconds=seconds)}
    await sql(scene, "UPDATE task SET ack_due_at = ack_due_at - CAST(:by AS interval)", **ago)
    await sql(scene, "UPDATE alert SET raised_at = raised_at - CAST(:by AS interval)", **ago)


async def rounds(scene: Scene, settings: Settings) -> None:
    await deadlines.round_(scene.engine, settings)


async def standing(scene: Scene, actor: Actor | None = None) -> list[dict[str, Any]]:
    async with open_work(scene.engine, actor or scene.dispatcher) as work:
        return list((await alerts.listed(work, is_open=True, limit=50, after=None))[0])


async def take(scene: Scene, alert: dict[str, Any], actor: Actor | None = None) -> dict[str, Any]:
    async with open_work(scene.engine, actor or scene.dispatcher) as work:
        return await escalation.take(work, UUID(alert["id"]))


async def history(scene: Scene, task: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(e["verb"], e["reason_code"]) for e in await scene.events(task)]


async def deputised(scene: Scene) -> Crew:
    """The crew's deputy unit, on shift."""
    deputy = await scene.another()
    await sql(scene, "UPDATE unit SET deputy_unit_id = :deputy WHERE id = :id", deputy=deputy.unit.id,
              id=scene.crew.unit.id)  # fmt: skip
    return deputy


async def test_an_alarm_goes_from_dispatchers_to_the_deputy_to_supervisors_each_once(
    scene: Scene, settings: Settings
) -> None:
    deputy = await deputised(scene)
    chief = await person(scene.engine, Role.SUPERVISOR, name="Chief Čepas")
    task = await scene.issued(priority="P1")
    await rounds(scene, settings)
    assert await standing(scene) == []
    reached = []
    for _ in range(5):
        await later(scene, 61)
        for _ in range(2):
            await rounds(scene, settings)
        (alert,) = await standing(scene)
        reached.append(alert["reached"])
    assert reached == ["dispatchers", "deputy", "supervisors", "supervisors", "supervisors"]
    assert (alert["kind"], alert["task_id"], alert["called"]) == ("task_unacknowledged", task["id"], [str(chief.id)])
    assert await history(scene, task) == [
        ("create", None), ("issue", None), ("unacknowledge", None), ("escalate", "deputy"),
        ("escalate", "supervisors"),
    ]  # fmt: skip
    last = (await scene.events(task))[-1]
    assert (last["by"], last["reason"]) == (None, "Chief Čepas")
    (item,) = await scene.inbox(deputy.actor)
    assert item["body"]["support_unit_ids"] == [str(deputy.unit.id)]
    await scene.officer(task, "acknowledge")
    assert await standing(scene) == []


async def test_d4_who_takes_an_alarm_stops_it_for_all_and_everybody_sees_who_and_when(
    scene: Scene, settings: Settings
) -> None:
    await deputised(scene)
    task = await scene.issued(priority="P2")
    await later(scene, 181)
    await rounds(scene, settings)
    (alert,) = await standing(scene)
    taken = await take(scene, alert)
    assert (taken["taken_by"], taken["taken_by_name"]) == (str(scene.dispatcher.id), "Dana Dispatcher")
    assert await take(scene, alert) == taken, "taking one's own again changes nothing"
    other = actor_of(await person(scene.engine, Role.DISPATCHER, name="Other"))
    with pytest.raises(VersionConflict) as refused:
        await take(scene, alert, other)
    assert (refused.value.extra["changed_by"], refused.value.extra["changed_at"]) == (
        "Dana Dispatcher", taken["taken_at"],
    )  # fmt: skip
    await later(scene, 10_000)
    await rounds(scene, settings)
    (now,) = await standing(scene, other)
    assert (now["reached"], now["taken_by_name"]) == ("dispatchers", "Dana Dispatcher")
    assert (await history(scene, task))[-1] == ("take", None)
    assert (await scene.get(task))["version"] == 3, "taking decides nothing: what others hold stays good"
    with pytest.raises(NotFound):
        await take(scene, alert, scene.crew.actor)


async def test_of_many_who_take_it_at_once_one_has_it(scene: Scene, settings: Settings) -> None:
    await scene.issued(priority="P1")
    await later(scene, 61)
    await rounds(scene, settings)
    (alert,) = await standing(scene)
    people = [actor_of(await person(scene.engine, Role.DISPATCHER)) for _ in range(6)]
    outcomes = await asyncio.gather(*(take(scene, alert, one) for one in people), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["VersionConflict"] * 5 + ["dict"]


async def test_a_deputy_who_answers_spares_the_supervisors(scene: Scene, settings: Settings) -> None:
    deputy = await deputised(scene)
    await person(scene.engine, Role.SUPERVISOR)
    task = await scene.issued(priority="P1")
    for _ in range(2):
        await later(scene, 61)
        await rounds(scene, settings)
    await scene.officer(task, "acknowledge", crew=deputy)
    await later(scene, 1_000)
    await rounds(scene, settings)
    (alert,) = await standing(scene)
    assert (alert["reached"], alert["taken_at"]) == ("deputy", None), "the dispatchers are still called"


async def test_without_a_deputy_on_shift_the_supervisors_are_called_at_once(scene: Scene, settings: Settings) -> None:
    deputy = await deputised(scene)
    await sql(scene, "UPDATE shift SET off_at = now() WHERE unit_id = :id", id=deputy.unit.id)
    task = await scene.issued(priority="P1")
    for _ in range(2):
        await later(scene, 61)
        await rounds(scene, settings)
    (alert,) = await standing(scene)
    assert (alert["reached"], alert["called"]) == ("supervisors", [])
    assert (await history(scene, task))[-2:] == [("escalate", "no_deputy"), ("escalate", "no_supervisor")]
    assert await scene.inbox(deputy.actor) == []


async def test_supervisors_on_shift_before_those_signed_in_before_all(scene: Scene, settings: Settings) -> None:
    away, here, on_shift = [await person(scene.engine, Role.SUPERVISOR, name=f"S{n}") for n in range(3)]
    called = []
    for _ in range(3):
        await scene.issued(priority="P1")
        for _ in range(2):
            await later(scene, 61)
            await rounds(scene, settings)
        (alert,) = await standing(scene)
        called.append(set(alert["called"]))
        await take(scene, alert)
        await sql(scene, "UPDATE alert SET cleared_at = now()")
        async with open_work(scene.engine, system("test")) as work:
            if len(called) == 1:
                until = datetime.now(UTC) + timedelta(hours=1)
                work.session.add(SignIn(token_digest=b"x", csrf_token="x", user_id=here.id, expires_at=until))
            else:
                shift = Shift(unit_id=(await scene.another(on_shift=False)).unit.id, on_at=datetime.now(UTC))
                work.session.add(shift)
                await work.session.flush()
                work.session.add(ShiftMember(shift_id=shift.id, user_id=on_shift.id))
    assert called == [{str(away.id), str(here.id), str(on_shift.id)}, {str(here.id)}, {str(on_shift.id)}]


async def test_a_declined_task_is_an_alarm_and_a_new_assignment_ends_it(scene: Scene, settings: Settings) -> None:
    other = await scene.another()
    await person(scene.engine, Role.SUPERVISOR)
    task = await scene.issued(priority="P1")
    await scene.step(scene.crew.actor, task, "decline", reason_code="busy")
    (alert,) = await standing(scene)
    assert (alert["kind"], alert["unit_id"]) == ("task_declined", str(scene.crew.unit.id))
    await later(scene, 61)
    await rounds(scene, settings)
    assert [one["reached"] for one in await standing(scene)] == ["supervisors"]
    await scene.centre(task, "reassign", unit_id=other.unit.id)
    assert await standing(scene) == []
    for _ in range(2):
        await later(scene, 61)
        await rounds(scene, settings)
    (again,) = await standing(scene)
    assert (again["kind"], again["id"] != alert["id"]) == ("task_unacknowledged", True)


async def test_a_supports_own_decline_is_no_alarm_of_the_task(scene: Scene, settings: Settings) -> None:
    deputy = await deputised(scene)
    task = await scene.issued(priority="P1")
    for _ in range(2):
        await later(scene, 61)
        await rounds(scene, settings)
    await scene.step(deputy.actor, task, "decline", reason_code="busy")
    (alert,) = await standing(scene)
    assert alert["kind"] == "task_unacknowledged"


async def test_the_limits_are_settings(scene: Scene, settings: Settings) -> None:
    assert limits_of(Settings(_env_file=None)) == STANDARD  # type: ignore[call-arg]
    quick = settings.model_copy(update={"ack_p4_s": 7})
    assert limits_of(quick)["P4"] == timedelta(seconds=7)
    await scene.issued(priority="P4")
    await later(scene, 3_601)
    await rounds(scene, quick)
    await later(scene, 8)
    await rounds(scene, settings)
    assert [one["reached"] for one in await standing(scene)] == ["dispatchers"]
    await rounds(scene, quick)
    assert [one["reached"] for one in await standing(scene)] == ["supervisors"]


async def test_workers_that_run_at_once_and_die_take_each_step_once(scene: Scene, settings: Settings) -> None:
    deputy = await deputised(scene)
    await person(scene.engine, Role.SUPERVISOR)
    issued = [await scene.issued(priority="P1") for _ in range(12)]

    async def dying() -> None:
        async with open_work(scene.engine, system("worker")) as work:
            await escalation.due(work, STANDARD)
            raise RuntimeError("killed before the commit")

    for _ in range(4):
        await later(scene, 61)
        outcomes = await asyncio.gather(
            *(rounds(scene, settings) for _ in range(4)), dying(), dying(), return_exceptions=True
        )
        assert {str(outcome) for outcome in outcomes if outcome} == {"killed before the commit"}
        await asyncio.gather(*(rounds(scene, settings) for _ in range(4)))  # what the dying held before
    steps = [("unacknowledge", None), ("escalate", "deputy"), ("escalate", "supervisors")]
    assert [(await history(scene, task))[2:] for task in issued] == [steps] * len(issued)
    assert len(await standing(scene)) == len(await scene.inbox(deputy.actor)) == len(issued)


async def test_an_unknown_alert_is_not_found(engine: AsyncEngine, scene: Scene) -> None:
    with pytest.raises(NotFound):
        await take(scene, {"id": str(new_id())})
