"""Tasks over HTTP: every cell of the lifecycle, replays, pages, scope, and two dispatchers at once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest_asyncio
from fastapi.routing import APIRoute
from sqlmodel import select

from core.actor import Role, system
from core.ids import new_id
from core.models import AuditEvent
from core.work import open_work
from dispatch_api.routes.tasks import router
from tasks import states
from tasks.models import Task, TaskEvent
from tasks.resource import point_of
from tests.helpers import Client, Crew, crew

PLACE = {"lon": 25.279652, "lat": 54.687157}
DRAFT = {"kind": "checkpoint", "priority": "P2", "title": "Look", "reason_code": "random"} | PLACE
URL = "/api/v1/tasks"

# domain.md 2.4 for people, typed off by hand: status -> verb -> new status.
DISPATCHERS: dict[str, dict[str, str]] = {
    "draft": {"issue": "issued", "discard": "discarded"},
    "issued": {"cancel": "cancelled"},
    "delivered": {"cancel": "cancelled"},
    "unacknowledged": {"reassign": "issued", "cancel": "cancelled"},
    "acknowledged": {"pause": "paused", "cancel": "cancelled"},
    "declined": {"reassign": "issued", "cancel": "cancelled"},
    "en_route": {"pause": "paused", "cancel": "cancelled"},
    "on_scene": {"pause": "paused", "cancel": "cancelled"},
    "paused": {"reassign": "issued", "resume": "acknowledged", "cancel": "cancelled"},
    "completed": {"close": "closed", "return": "on_scene"},
    "failed": {"close": "closed"},
    "closed": {}, "cancelled": {}, "expired": {}, "discarded": {},
}  # fmt: skip
OFFICERS: dict[str, dict[str, str]] = {
    "issued": {"acknowledge": "acknowledged", "decline": "declined"},
    "delivered": {"acknowledge": "acknowledged", "decline": "declined"},
    "unacknowledged": {"acknowledge": "acknowledged"},
    "acknowledged": {
        "decline": "declined", "en_route": "en_route", "on_scene": "on_scene", "pause": "paused", "fail": "failed",
    },
    "en_route": {"on_scene": "on_scene", "pause": "paused", "fail": "failed"},
    "on_scene": {"complete": "completed", "pause": "paused", "fail": "failed"},
    "paused": {"resume": "acknowledged"},
    "declined": {}, "completed": {}, "failed": {}, "closed": {}, "cancelled": {}, "expired": {},
}  # fmt: skip
DISPATCHER_VERBS = ("issue", "reassign", "pause", "resume", "cancel", "close", "return", "discard")
OFFICER_VERBS = ("acknowledge", "decline", "en_route", "on_scene", "pause", "resume", "complete", "fail")
EXTRA: dict[str, dict[str, str]] = {
    "pause": {"reason": "x"}, "cancel": {"reason": "x"}, "return": {"reason": "x"},
    "decline": {"reason_code": "busy"}, "fail": {"result": "not_found"},
}  # fmt: skip


@dataclass
class Stage:
    """An app, a signed-in dispatcher and a signed-in officer of a crew on shift."""

    client: Client
    crew: Crew
    dispatcher: dict[str, str]
    officer: dict[str, str]

    async def post(self, headers: dict[str, str], path: str, body: Any) -> Any:
        return await self.client.http.post(f"{URL}{path}", json=body, headers=headers)

    async def get(self, headers: dict[str, str], path: str = "", **params: Any) -> Any:
        return await self.client.http.get(f"{URL}{path}", params=params, headers=headers)

    async def step(self, headers: dict[str, str], task_id: Any, verb: str, **body: Any) -> Any:
        return await self.post(headers, f"/{task_id}/transitions", {"verb": verb} | body)

    async def issued(self, **fields: Any) -> dict[str, Any]:
        body = DRAFT | {"unit_id": str(self.crew.unit.id), "issue": True} | fields
        made = await self.post(self.dispatcher, "", body)
        assert made.status_code == 201, made.text
        task: dict[str, Any] = made.json()
        return task

    async def standing(self, status: str) -> Task:
        """A task straight in the database in this status, with one applied event of the past."""
        async with open_work(self.client.engine, system("test")) as work:
            task = Task(kind="checkpoint", priority="P2", title="x", reason_code="random", status=status, version=7)
            task.unit_id, task.point = self.crew.unit.id, point_of(25.0, 54.0)
            work.session.add(task)
            await work.session.flush()
            work.session.add(TaskEvent(task_id=task.id, verb="x", to_status=status, version=7, by_name="Before"))
        return task


@pytest_asyncio.fixture
async def stage(client: Client) -> AsyncIterator[Stage]:
    """One dispatcher and one crew, signed in."""
    team = await crew(client.engine)
    _, dispatcher = await client.new(Role.DISPATCHER)
    yield Stage(client, team, dispatcher, await client.sign_in(team.officer))


def test_the_copies_here_name_every_cell_of_the_table() -> None:
    copied = {
        (status, verb, to) for table in (DISPATCHERS, OFFICERS) for status, row in table.items()
        for verb, to in row.items()
    }  # fmt: skip
    people = {"dispatcher", "officer", "author"}
    assert copied == {
        (status, verb, arrow.to) for (status, verb), arrow in states.TABLE.items()
        if status != states.NEW and people & arrow.who
    }  # fmt: skip
    assert set(DISPATCHERS) == set(states.STATUSES)


def test_the_api_shows_the_table() -> None:
    (route,) = [route for route in router.routes if isinstance(route, APIRoute) and "transitions" in route.path]
    assert states.as_markdown() in route.description


async def test_every_step_of_a_dispatcher(stage: Stage) -> None:
    wanted, got = {}, {}
    for status, verb in ((status, verb) for status in DISPATCHERS for verb in DISPATCHER_VERBS):
        task = await stage.standing(status)
        unit = {"unit_id": str(stage.crew.unit.id)} if verb in {"issue", "reassign"} else {}
        answer = await stage.step(stage.dispatcher, task.id, verb, version=7, **unit, **EXTRA.get(verb, {}))
        to, body = DISPATCHERS[status].get(verb), answer.json()
        wanted[status, verb] = (200, "applied", to, 8) if to else (409, "transition_not_allowed", "Before", 7)
        if answer.status_code == 200:
            got[status, verb] = (200, body["result"], body["task"]["status"], body["task"]["version"])
        else:
            got[status, verb] = (answer.status_code, body["code"], body.get("changed_by"), body.get("current_version"))
    assert got == wanted


async def test_every_step_of_an_officer(stage: Stage) -> None:
    wanted, got = {}, {}
    at = "2026-01-02T03:04:05.678Z"
    for status, verb in ((status, verb) for status in OFFICERS for verb in OFFICER_VERBS):
        task = await stage.standing(status)
        answer = await stage.step(stage.officer, task.id, verb, at=at, **EXTRA.get(verb, {}))
        last = (await stage.get(stage.dispatcher, f"/{task.id}/events")).json()["items"][-1]
        to, late = OFFICERS[status].get(verb), "conflict" if status == "cancelled" else "superseded"
        result, version = ("applied", 8) if to else (late, 7)
        wanted[status, verb] = (200, result, to or status, version), (verb, result, at)
        body = answer.json()
        shown = body.get("task", {})
        answered = (answer.status_code, body.get("result"), shown.get("status"), shown.get("version"))
        got[status, verb] = answered, (last["verb"], last["result"], last["at"])
    assert got == wanted


async def test_verbs_of_the_others_are_not_allowed(stage: Stage) -> None:
    task = await stage.issued()
    for headers, verbs in ((stage.officer, ("cancel", "close")), (stage.dispatcher, ("acknowledge", "complete"))):
        for verb in verbs:
            answer = await stage.step(headers, task["id"], verb, **EXTRA.get(verb, {}))
            assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    for verb in ("deliver", "expire", "unacknowledge", "create", "self_initiate", "dance"):
        assert (await stage.step(stage.dispatcher, task["id"], verb)).status_code == 422


async def test_an_officer_of_another_unit_finds_nothing(stage: Stage) -> None:
    task = await stage.issued()
    stranger = await stage.client.sign_in((await crew(stage.client.engine)).officer)
    unknown = await stage.get(stranger, f"/{new_id()}")
    for answer in (
        await stage.get(stranger, f"/{task['id']}"),
        await stage.get(stranger, f"/{task['id']}/events"),
        await stage.step(stranger, task["id"], "acknowledge"),
        await stage.post(stranger, f"/{task['id']}/seen", {}),
    ):
        assert (answer.status_code, answer.json()) == (404, unknown.json())
    assert (await stage.get(stranger)).json()["items"] == []
    assert [t["id"] for t in (await stage.get(stage.officer)).json()["items"]] == [task["id"]]


async def test_a_repeated_request_gets_the_first_answer_and_changes_nothing(stage: Stage) -> None:
    body = DRAFT | {"id": str(new_id())}
    first, again = [await stage.post(stage.dispatcher, "", body) for _ in range(2)]
    assert (first.status_code, first.json()["id"]) == (201, body["id"])
    assert (again.status_code, again.json(), again.headers["Idempotency-Replayed"]) == (201, first.json(), "true")
    other = await stage.post(stage.dispatcher, "", body | {"title": "Other"})
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")
    task = await stage.issued()
    step = {"id": str(new_id()), "at": "2026-01-02T03:04:05Z"}
    answers = [await stage.step(stage.officer, task["id"], "acknowledge", **step) for _ in range(5)]
    assert {(a.status_code, a.json()["result"], a.json()["task"]["version"]) for a in answers} == {(200, "applied", 3)}
    events = (await stage.get(stage.dispatcher, f"/{task['id']}/events")).json()["items"]
    assert [event["verb"] for event in events].count("acknowledge") == 1
    assert (await stage.step(stage.officer, task["id"], "en_route", **step)).status_code == 409


async def test_the_id_of_a_stored_task_is_not_taken_again(stage: Stage) -> None:
    task = await stage.issued()
    taken = await stage.post(stage.dispatcher, "", DRAFT | {"id": task["id"]})
    assert (taken.status_code, taken.json()["code"]) == (409, "id_reused")


async def test_two_dispatchers_issue_one_task_and_one_wins(stage: Stage) -> None:
    draft = (await stage.post(stage.dispatcher, "", DRAFT)).json()
    _, second = await stage.client.new(Role.DISPATCHER)
    crews = [stage.crew, await crew(stage.client.engine)]
    one, two = await asyncio.gather(
        *(stage.step(headers, draft["id"], "issue", version=1, unit_id=str(team.unit.id))
          for headers, team in zip((stage.dispatcher, second), crews, strict=True))
    )  # fmt: skip
    won, lost = sorted((one, two), key=lambda answer: int(answer.status_code))
    assert (won.status_code, lost.status_code, lost.json()["code"]) == (200, 409, "version_conflict")
    assert lost.json()["current_version"] == won.json()["task"]["version"] == 2
    assert lost.json()["changed_by"]
    assert lost.json()["changed_at"]


async def test_off_shift_overlap_and_a_missing_place_say_what_is_wrong(stage: Stage) -> None:
    off = await crew(stage.client.engine, on_shift=False)
    refused = await stage.post(stage.dispatcher, "", DRAFT | {"unit_id": str(off.unit.id), "issue": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "transition_not_allowed")
    assert off.unit.call_sign in refused.json()["detail"]
    window = {"window_from": "2198-01-01T10:00:00+02:00", "window_to": "2198-01-01T12:00:00+02:00"}
    await stage.issued(**window)
    body = DRAFT | window | {"unit_id": str(stage.crew.unit.id), "issue": True}
    overlap = await stage.post(stage.dispatcher, "", body)
    assert (overlap.status_code, overlap.json()["code"]) == (409, "window_overlap")
    assert (await stage.post(stage.dispatcher, "", body | {"override_reason": "known"})).status_code == 201
    assert (await stage.get(stage.dispatcher, open=True)).json()["next"] is None
    assert len((await stage.get(stage.dispatcher)).json()["items"]) == 2, "what was refused left no draft behind"


async def test_lists_filter_and_page(stage: Stage) -> None:
    made = [await stage.issued(priority=priority) for priority in ("P1", "P2", "P2")]
    await stage.step(stage.dispatcher, made[0]["id"], "cancel", reason="x")
    first = (await stage.get(stage.dispatcher, limit=2)).json()
    rest = (await stage.get(stage.dispatcher, limit=2, after=first["next"])).json()
    numbers = [task["number"] for task in first["items"] + rest["items"]]
    assert numbers == sorted((task["number"] for task in made), reverse=True)
    assert rest["next"] is None

    async def count(**params: Any) -> int:
        return len((await stage.get(stage.dispatcher, **params)).json()["items"])

    assert [await count(open=True), await count(open=False), await count(status="cancelled")] == [2, 1, 1]
    assert [await count(priority="P2"), await count(kind="escort"), await count(unit_id=str(new_id()))] == [2, 0, 0]
    for bad, status in (
        ({"after": "x"}, 400),
        ({"limit": 501}, 422),
        ({"status": "lost"}, 422),
        ({"kind": "a\0"}, 422),
    ):
        assert (await stage.get(stage.dispatcher, **bad)).status_code == status


async def test_a_history_comes_in_pages(stage: Stage) -> None:
    task, other = await stage.issued(), await stage.issued()
    for verb in ("acknowledge", "en_route", "on_scene", "acknowledge"):
        assert (await stage.step(stage.officer, task["id"], verb)).status_code == 200
    path = f"/{task['id']}/events"
    whole = (await stage.get(stage.dispatcher, path)).json()
    assert [event["verb"] for event in whole["items"]][-4:] == ["acknowledge", "en_route", "on_scene", "acknowledge"]
    assert whole["next"] is None
    found, asked = [], {}
    while True:
        page = (await stage.get(stage.dispatcher, path, limit=2, **asked)).json()
        assert len(page["items"]) <= 2
        found += page["items"]
        if page["next"] is None:
            break
        asked = {"after": page["next"]}
    assert found == whole["items"]
    theirs = (await stage.get(stage.dispatcher, f"/{other['id']}/events")).json()["items"][0]["id"]
    for wrong in ("x", str(new_id()), theirs):
        answer = await stage.get(stage.dispatcher, path, after=wrong)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_a_proposal_a_change_and_support_over_http(stage: Stage) -> None:
    _, analyst = await stage.client.new(Role.RISK_ANALYST)
    proposed = await stage.post(analyst, "", DRAFT)
    assert proposed.status_code == 201
    direct = await stage.post(analyst, "", DRAFT | {"unit_id": str(stage.crew.unit.id), "issue": True})
    assert direct.status_code == 403
    path, helper = f"/{proposed.json()['id']}", await crew(stage.client.engine)
    headers = stage.dispatcher
    changed = await stage.client.http.patch(f"{URL}{path}", json={"version": 1, "title": "New"}, headers=headers)
    assert (changed.status_code, changed.json()["title"], changed.json()["version"]) == (200, "New", 2)
    stale = await stage.client.http.patch(f"{URL}{path}", json={"version": 1, "title": "Old"}, headers=headers)
    assert (stale.status_code, stale.json()["code"]) == (409, "version_conflict")
    await stage.step(headers, proposed.json()["id"], "issue", unit_id=str(stage.crew.unit.id))
    supported = await stage.post(headers, f"{path}/support", {"unit_id": str(helper.unit.id)})
    assert supported.json()["support_unit_ids"] == [str(helper.unit.id)]
    assert [one["status"] for one in supported.json()["supports"]] == ["issued"]
    stale = await stage.post(headers, f"{path}/support", {"unit_id": str(helper.unit.id), "version": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "version_conflict")
    assert stale.json()["changed_verb"] == "support"
    mine = await stage.get(await stage.client.sign_in(helper.officer), path)
    assert mine.json() == supported.json()
    off = await crew(stage.client.engine, on_shift=False)
    refused = await stage.post(headers, f"{path}/support", {"unit_id": str(off.unit.id)})
    assert (refused.status_code, refused.json()["code"], refused.json()["guard"]) == (
        409, "transition_not_allowed", "shift",
    )  # fmt: skip
    assert (await stage.get(headers, path)).json() == supported.json(), "nobody would be told"


async def test_an_own_stop_and_seen_over_http(stage: Stage) -> None:
    own = await stage.post(stage.officer, "/self", {"reason_code": "random", "kind": "stop_vehicle"} | PLACE)
    assert (own.status_code, own.json()["status"]) == (201, "on_scene")
    assert (await stage.post(stage.dispatcher, "/self", {"reason_code": "random"} | PLACE)).status_code == 403
    assert (await stage.post(stage.officer, "/self", {"reason_code": "rerouted"} | PLACE)).status_code == 422
    task = await stage.issued()
    for body in ({"at": "2026-01-02T03:04:05Z"}, {}):
        seen = await stage.post(stage.officer, f"/{task['id']}/seen", body)
        assert seen.json()["task"]["seen_at"] == "2026-01-02T03:04:05.000Z"
    bare = await stage.client.http.post(f"{URL}/{task['id']}/seen", headers=stage.officer)
    assert bare.status_code == 200


async def test_reads_and_writes_are_audited(stage: Stage) -> None:

    task = await stage.issued()
    await stage.get(stage.dispatcher, f"/{task['id']}")
    await stage.step(stage.officer, task["id"], "acknowledge")
    async with open_work(stage.client.engine, system("test")) as work:
        query = select(AuditEvent.action).where(AuditEvent.object_id == task["id"])
        assert sorted(await work.all(query)) == ["alteration", "alteration", "collection", "consultation"]
