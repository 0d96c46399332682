"""Tasks in the database: issue and its guards, receipts, divert, support, late steps, concurrency."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core.actor import Role
from core.errors import Invalid, NotAllowed, NotFound, TransitionNotAllowed, VersionConflict, WindowOverlap
from core.ids import new_id
from core.work import open_work
from geo import units
from mobile_contract.resources import ReceiptIn, SelfTaskIn, TaskChange, TaskIn
from mobile_contract.supports import SupportIn
from tasks import supports, tasks
from tests.helpers import Crew, actor_of, person
from tests.tasks.conftest import VILNIUS, Scene

NOW = datetime.now(UTC)


def window(start_h: float, end_h: float) -> dict[str, datetime]:
    return {"window_from": NOW + timedelta(hours=start_h), "window_to": NOW + timedelta(hours=end_h)}


async def unit_status(scene: Scene, crew: Crew | None = None) -> str:
    async with open_work(scene.engine, scene.dispatcher) as work:
        return (await units.get(work, (crew or scene.crew).unit.id)).status


async def test_a_draft_has_a_number_a_history_and_no_reader_among_officers(scene: Scene) -> None:
    one, two = await scene.draft(unit_id=scene.crew.unit.id), await scene.draft()
    assert two["number"] > one["number"]
    assert (one["status"], one["version"]) == ("draft", 1)
    assert one["point"] == {"type": "Point", "coordinates": [25.279652, 54.687157]}
    assert [(e["from_status"], e["verb"], e["to_status"]) for e in await scene.events(one)] == [
        (None, "create", "draft")
    ]
    with pytest.raises(NotFound):
        await scene.get(one, scene.crew.actor)
    assert await scene.inbox(scene.crew.actor) == []


async def test_a_risk_analyst_proposes_but_does_not_issue(scene: Scene) -> None:
    analyst = actor_of(await person(scene.engine, Role.RISK_ANALYST))
    body = {"kind": "checkpoint", "priority": "P3", "title": "x", "reason_code": "indicator"} | VILNIUS
    async with open_work(scene.engine, analyst) as work:
        mine = await tasks.create(work, TaskIn.model_validate(body))
    with pytest.raises(NotAllowed):
        async with open_work(scene.engine, analyst) as work:
            await tasks.create(work, TaskIn.model_validate(body | {"unit_id": scene.crew.unit.id, "issue": True}))
    with pytest.raises(NotAllowed):
        await scene.step(analyst, mine, "issue", unit_id=scene.crew.unit.id)
    with pytest.raises(NotAllowed):
        await scene.step(analyst, await scene.draft(), "discard")
    assert (await scene.step(analyst, mine, "discard"))["task"]["status"] == "discarded"


async def test_a_task_goes_its_whole_way_and_the_unit_follows(scene: Scene) -> None:
    task = await scene.issued()
    assert (task["status"], task["version"]) == ("issued", 2)
    assert await unit_status(scene) == "assigned"
    for verb, status, unit in (
        ("acknowledge", "acknowledged", "assigned"), ("en_route", "en_route", "en_route"),
        ("on_scene", "on_scene", "on_scene"), ("complete", "completed", "available"),
    ):  # fmt: skip
        answer = await scene.officer(task, verb)
        assert (answer["result"], answer["task"]["status"]) == ("applied", status)
        assert await unit_status(scene) == unit
    closed = (await scene.centre(task, "close"))["task"]
    assert closed["status"] == "closed"
    assert all(closed[f"{step}_at"] for step in ("issued", "acknowledged", "en_route", "on_scene", "completed"))
    verbs = [event["verb"] for event in await scene.events(task)]
    assert verbs == ["create", "issue", "acknowledge", "en_route", "on_scene", "complete", "close"]


async def test_a_break_is_not_ended_by_a_finished_task(scene: Scene) -> None:
    task = await scene.issued()
    await scene.officer(task, "acknowledge", "en_route", "on_scene")
    async with open_work(scene.engine, scene.dispatcher) as work:
        units.set_status(work, await units.get(work, scene.crew.unit.id), "paperwork", work.now)
    await scene.officer(task, "complete")
    assert await unit_status(scene) == "paperwork"


async def test_what_cannot_be_issued(scene: Scene) -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"lon": None, "lat": None}, {}, "place"),
        ({}, {"on_shift": False}, "shift"),
        ({"required_capabilities": ["dog"]}, {"capabilities": ["xray"]}, "capability"),
        ({"kind": "scan_request"}, {}, "capability"),
    ]
    for fields, unit, guard in cases:
        taker, task = await scene.another(**unit), await scene.draft(**fields)
        with pytest.raises(TransitionNotAllowed) as refused:
            await scene.centre(task, "issue", unit_id=taker.unit.id)
        assert refused.value.extra["guard"] == guard
        assert (await scene.get(task))["status"] == "draft"
        assert await scene.inbox(taker.actor) == []


async def test_a_unit_with_the_capability_takes_a_scan(scene: Scene) -> None:
    scanner = await scene.another(capabilities=["xray"])
    assert (await scene.issued(kind="scan_request", unit_id=scanner.unit.id))["required_capabilities"] == ["xray"]


async def test_overlapping_windows_need_a_reason_which_is_kept(scene: Scene) -> None:
    await scene.issued(**window(0, 2))
    task = await scene.draft(**window(1, 3))
    with pytest.raises(WindowOverlap):
        await scene.centre(task, "issue", unit_id=scene.crew.unit.id)
    assert (await scene.issued(**window(2, 3)))["status"] == "issued", "windows that touch do not overlap"
    await scene.centre(task, "issue", unit_id=scene.crew.unit.id, override_reason="both at one gate")
    last = (await scene.events(task))[-1]
    assert (last["reason_code"], last["reason"]) == ("window_override", "both at one gate")


async def test_the_acknowledgement_is_due_by_priority(scene: Scene) -> None:
    waits = {}
    for priority in ("P1", "P2", "P3", "P4"):
        task = await scene.issued(priority=priority)
        due, issued = (datetime.fromisoformat(task[name]) for name in ("ack_due_at", "issued_at"))
        waits[priority] = (due - issued).total_seconds()
    assert waits == {"P1": 60, "P2": 180, "P3": 900, "P4": 3600}
    planned = await scene.issued(priority="P4", **window(5, 6))
    assert planned["ack_due_at"] == planned["window_from"]


async def test_delivered_is_the_tablets_acknowledgement_of_that_very_issue(scene: Scene) -> None:
    officer = scene.crew.actor
    task = await scene.issued()
    (item,) = await scene.inbox(officer)
    assert (item["kind"], item["body"]) == ("task", task)
    version = task["version"]
    await scene.ack(officer, item["seq"])
    now = await scene.get(task)
    assert (now["status"], now["version"], now["seen_at"]) == ("delivered", version, None)
    assert now["delivered_at"]
    await scene.ack(officer, item["seq"])
    assert [e["verb"] for e in await scene.events(task)].count("deliver") == 1


async def test_an_old_item_does_not_deliver_a_later_issue(scene: Scene) -> None:
    other = await scene.another()
    task = await scene.issued()
    (old,) = await scene.inbox(scene.crew.actor)
    await scene.step(scene.crew.actor, task, "decline", reason_code="busy")
    await scene.centre(task, "reassign", unit_id=other.unit.id)
    await scene.ack(scene.crew.actor, len(await scene.inbox(scene.crew.actor)))
    assert (await scene.get(task))["status"] == "issued"
    (new,) = await scene.inbox(other.actor)
    await scene.ack(other.actor, new["seq"])
    assert (await scene.get(task))["status"] == "delivered"
    assert old["body"]["unit_id"] != new["body"]["unit_id"]


async def test_a_receipt_after_the_deadline_is_kept_without_moving_back(scene: Scene) -> None:
    task = await scene.issued()
    await scene.officer(task, "acknowledge")
    await scene.ack(scene.crew.actor, 1)
    now = await scene.get(task)
    assert now["status"] == "acknowledged"
    assert now["delivered_at"]


async def test_seen_is_its_own_time(scene: Scene) -> None:
    task = await scene.issued()
    at = datetime.now(UTC) - timedelta(minutes=1)
    for body in (ReceiptIn(at=at), ReceiptIn()):
        async with open_work(scene.engine, scene.crew.actor) as work:
            await tasks.seen(work, UUID(task["id"]), body)
    now = await scene.get(task)
    assert (now["status"], now["version"]) == ("issued", task["version"])
    assert abs(datetime.fromisoformat(now["seen_at"]) - at) < timedelta(milliseconds=2)
    assert [e["verb"] for e in await scene.events(task)].count("seen") == 1


async def test_device_time_is_kept_but_a_fast_clock_moves_nothing_into_the_future(scene: Scene) -> None:
    task = await scene.issued()
    ahead = datetime.now(UTC) + timedelta(hours=3)
    await scene.step(scene.crew.actor, task, "acknowledge", at=ahead, lon=25.0, lat=54.5, accuracy_m=12.0)
    event = (await scene.events(task))[-1]
    assert event["at"] == ahead
    assert event["received_at"] < ahead
    assert (event["lon"], event["lat"], event["accuracy_m"]) == (25.0, 54.5, 12.0)
    assert datetime.fromisoformat((await scene.get(task))["acknowledged_at"]) < ahead


async def test_a_late_step_is_kept_and_answered(scene: Scene) -> None:
    task = await scene.issued()
    await scene.officer(task, "acknowledge")
    assert (await scene.officer(task, "acknowledge"))["result"] == "superseded"
    await scene.centre(task, "cancel", reason="false alarm")
    done = datetime.now(UTC) - timedelta(minutes=20)
    late = await scene.step(scene.crew.actor, task, "en_route", at=done)
    assert (late["result"], late["task"]["status"]) == ("conflict", "cancelled")
    event = (await scene.events(task))[-1]
    assert (event["result"], event["verb"], event["at"]) == ("conflict", "en_route", done)
    assert (event["from_status"], event["to_status"]) == ("cancelled", "cancelled")


async def test_a_cancel_after_acknowledgement_stays_open_until_confirmed(scene: Scene) -> None:
    async def open_ids() -> set[str]:
        async with open_work(scene.engine, scene.dispatcher) as work:
            page, _ = await tasks.listed(work, is_open=True, where={}, limit=50, after=None)
            return {task["id"] for task in page}

    known, unknown = await scene.issued(), await scene.issued()
    await scene.officer(known, "acknowledge")
    cancelled = (await scene.centre(known, "cancel", reason="over"))["task"]
    await scene.centre(unknown, "cancel", reason="over")
    assert await open_ids() == {known["id"]}
    assert (await scene.officer(known, "acknowledge"))["result"] == "conflict", "an old outbox confirms nothing"
    answer = await scene.step(scene.crew.actor, known, "acknowledge", version=cancelled["version"])
    assert (answer["result"], answer["task"]["status"]) == ("applied", "cancelled")
    assert await open_ids() == set()


async def test_the_unit_a_task_was_taken_from_gets_an_answer_but_moves_nothing(scene: Scene) -> None:
    other = await scene.another()
    task = await scene.issued()
    await scene.officer(task, "acknowledge")
    await scene.centre(task, "pause", reason="radio")
    await scene.centre(task, "reassign", unit_id=other.unit.id)
    late = await scene.officer(task, "en_route")
    assert (late["result"], late["task"]["unit_id"]) == ("superseded", str(other.unit.id))
    assert (await scene.inbox(scene.crew.actor))[-1]["body"]["unit_id"] == str(other.unit.id)
    assert (await scene.get(task))["status"] == "issued"
    assert (await scene.events(task))[-1]["result"] == "superseded"
    with pytest.raises(NotFound):
        await scene.get(task, scene.crew.actor)


async def test_a_stranger_finds_nothing(scene: Scene) -> None:
    stranger = await scene.another()
    task = await scene.issued()
    with pytest.raises(NotFound):
        await scene.get(task, stranger.actor)
    with pytest.raises(NotFound):
        await scene.officer(task, "acknowledge", crew=stranger)
    async with open_work(scene.engine, stranger.actor) as work:
        assert await tasks.listed(work, is_open=None, where={}, limit=9, after=None) == ([], None)


async def test_a_stale_version_says_who_was_first_and_when(scene: Scene) -> None:
    task = await scene.issued()
    with pytest.raises(VersionConflict) as refused:
        await scene.centre(task, "cancel", version=1, reason="x")
    extra = refused.value.extra
    assert (extra["current_version"], extra["changed_by"]) == (2, "Dana Dispatcher")
    assert str(extra["changed_at"]).endswith("Z")


async def test_steps_need_their_reasons_and_codes(scene: Scene) -> None:
    task = await scene.issued()
    cases: list[tuple[str, dict[str, Any]]] = [
        ("decline", {}), ("decline", {"reason_code": "tired"}), ("pause", {}), ("pause", {"reason_code": "x"}),
        ("fail", {}), ("fail", {"result": "violation"}), ("fail", {"reason_code": "violation"}),
        ("complete", {"result": "x"}), ("cancel", {}), ("return", {}), ("reassign", {}),
    ]  # fmt: skip
    for verb, fields in cases:
        actor = scene.dispatcher if verb in {"cancel", "return", "reassign"} else scene.crew.actor
        with pytest.raises(Invalid):
            await scene.step(actor, task, verb, **fields)
    assert len(await scene.events(task)) == 2, "what was refused left no trace"


async def test_a_failed_task_keeps_its_outcome(scene: Scene) -> None:
    for field in ("result", "reason_code"):
        task = await scene.issued()
        await scene.officer(task, "acknowledge")
        answer = await scene.step(scene.crew.actor, task, "fail", **{field: "not_found"})
        assert (answer["task"]["status"], answer["task"]["result"]) == ("failed", "not_found")


async def test_divert_pauses_and_issues_together(scene: Scene) -> None:
    first = await scene.issued()
    await scene.officer(first, "acknowledge", "en_route")
    urgent = await scene.draft(priority="P1")
    await scene.centre(urgent, "issue", unit_id=scene.crew.unit.id, divert=True)
    assert (await scene.get(first))["status"] == "paused"
    assert (await scene.events(first))[-1]["reason_code"] == "diverted"
    assert (await scene.events(urgent))[-1]["verb"] == "issue"
    assert {item["body"]["status"] for item in (await scene.inbox(scene.crew.actor))[-2:]} == {"paused", "issued"}
    assert await unit_status(scene) == "assigned"


async def test_a_refused_divert_pauses_nothing(scene: Scene) -> None:
    first = await scene.issued()
    await scene.officer(first, "acknowledge")
    with pytest.raises(TransitionNotAllowed):
        await scene.draft(kind="scan_request", unit_id=scene.crew.unit.id, issue=True, divert=True)
    assert (await scene.get(first))["status"] == "acknowledged"


async def test_support_takes_its_own_steps(scene: Scene) -> None:
    helper = await scene.another()
    task = await scene.issued()
    await scene.officer(task, "acknowledge")
    for _ in range(2):
        async with open_work(scene.engine, scene.dispatcher) as work:
            answer = await supports.send(work, UUID(task["id"]), SupportIn(unit_id=helper.unit.id))
    assert answer["support_unit_ids"] == [str(helper.unit.id)]
    assert len(await scene.inbox(helper.actor)) == 1
    await scene.officer(task, "acknowledge", "en_route", "on_scene", "complete", crew=helper)
    now = await scene.get(task, helper.actor)
    assert (now["status"], now["support_unit_ids"]) == ("acknowledged", [str(helper.unit.id)])
    assert await unit_status(scene, helper) == "available"
    assert await unit_status(scene) == "assigned"
    await scene.centre(task, "cancel", reason="over")
    assert (await scene.officer(task, "resume", crew=helper))["result"] == "conflict"
    with pytest.raises(TransitionNotAllowed):
        async with open_work(scene.engine, scene.dispatcher) as work:
            await supports.send(work, UUID(task["id"]), SupportIn(unit_id=helper.unit.id))


async def test_changes_reach_the_crew_and_keep_to_the_small_things(scene: Scene) -> None:
    async def change(task: dict[str, Any], **fields: Any) -> dict[str, Any]:
        async with open_work(scene.engine, scene.dispatcher) as work:
            return await tasks.change(work, UUID(task["id"]), TaskChange.model_validate(fields))

    draft = await scene.draft()
    assert (await change(draft, version=1, kind="escort", lon=None, lat=None))["point"] is None
    task = await scene.issued()
    with pytest.raises(VersionConflict):
        await change(task, version=1, title="New")
    with pytest.raises(TransitionNotAllowed):
        await change(task, version=2, kind="escort")
    await change(task, version=2, title="New")
    assert (await scene.inbox(scene.crew.actor))[-1]["body"]["title"] == "New"
    assert (await scene.events(task))[-1]["verb"] == "update"


async def test_a_self_initiated_stop_is_on_scene_at_once(scene: Scene) -> None:
    body = SelfTaskIn.model_validate({"reason_code": "random", "accuracy_m": 8} | VILNIUS)
    async with open_work(scene.engine, scene.crew.actor) as work:
        task = await tasks.self_initiated(work, body)
    assert (task["status"], task["unit_id"], task["kind"]) == ("on_scene", str(scene.crew.unit.id), "stop_vehicle")
    assert await unit_status(scene) == "on_scene"
    assert (await scene.officer(task, "complete"))["task"]["status"] == "completed"
    with pytest.raises(NotFound):
        async with open_work(scene.engine, scene.crew.actor) as work:
            await tasks.self_initiated(work, body.model_copy(update={"unit_id": new_id()}))


async def test_of_many_dispatchers_who_issue_one_task_exactly_one_wins(scene: Scene) -> None:
    crews = [await scene.another() for _ in range(6)]
    task = await scene.draft()
    outcomes = await asyncio.gather(
        *(scene.centre(task, "issue", unit_id=crew.unit.id, version=1) for crew in crews), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["VersionConflict"] * 5 + ["dict"]
    got = [crew for crew in crews if await scene.inbox(crew.actor)]
    assert [str(crew.unit.id) for crew in got] == [(await scene.get(task))["unit_id"]]


async def test_of_two_overlapping_windows_issued_at_once_one_wins(scene: Scene) -> None:
    drafts = [await scene.draft(**window(0, 2)) for _ in range(5)]
    outcomes = await asyncio.gather(
        *(scene.centre(task, "issue", unit_id=scene.crew.unit.id) for task in drafts), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["WindowOverlap"] * 4 + ["dict"]


async def test_who_joins_a_shift_finds_open_tasks_once(scene: Scene) -> None:
    task = await scene.issued()
    finished = await scene.issued()
    await scene.officer(finished, "acknowledge", "en_route", "on_scene", "complete")
    late = await person(scene.engine, Role.OFFICER)
    async with open_work(scene.engine, scene.dispatcher) as work:
        units.set_status(work, await units.get(work, scene.crew.unit.id), "available", work.now)
    for _ in range(2):
        async with open_work(scene.engine, scene.crew.actor) as work:  # a colleague takes them along
            await tasks.open_for_unit(work, scene.crew.unit.id, late.id)
    assert [item["body"]["id"] for item in await scene.inbox(actor_of(late))] == [task["id"]]
    assert await unit_status(scene) == "assigned", "a unit that comes on duty with an open task is not free"
