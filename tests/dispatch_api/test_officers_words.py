"""What officers write over HTTP: stop forms, messages about a task, calls for support, panic."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from sqlalchemy import text

from core.actor import Role, system
from core.db import make_engine
from core.ids import new_id
from core.settings import Settings
from core.work import open_work
from dispatch_api import retention
from tasks import deadlines
from tests.conftest import cloned, serving
from tests.helpers import Client, Crew, Database, crew
from tests.helpers import person as someone

API = "/api/v1"
FORM: dict[str, Any] = {
    "reason_code": "random", "first_stopped_at": "2026-05-01T12:00:00+03:00", "lon": 25.3, "lat": 54.7,
    "accuracy_m": 12.5, "coord_source": "gps", "result": "violation",
    "vehicle": {"plate": "авс 123", "country": "LT", "containers": ["CSQU3054380"]},
    "persons": [{"role": "driver", "category": "suspect", "basis": "fact", "name": "Jonas Jonaitis",
                 "birth_date": "1980-01-31", "nationality": "LT"}],
    "control_types": ["physical_full", "dog"], "findings": "200 packs", "measures": ["warning"],
    "no_seizure_reason": "handed_over",
    "penalties": [{"kind": "fine", "amount_eur": 120.5}], "copy_given": "yes",
}  # fmt: skip
PLACE = {"lon": 25.31, "lat": 54.71}


@dataclass
class Desk:
    """A server in this process, a dispatcher, and two crews on shift."""

    client: Client
    one: Crew
    other: Crew
    officer: dict[str, str]
    stranger: dict[str, str]
    dispatcher: dict[str, str]
    settings: Settings

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        return await self.client.http.post(f"{API}{path}", json=body, headers=headers or self.officer)

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        return await self.client.http.get(f"{API}{path}", headers=headers or self.officer)

    async def task(self, **fields: Any) -> str:
        body = {
            "kind": "stop_vehicle", "priority": "P3", "title": "Stop it", "reason_code": "indicator",
            "unit_id": str(self.one.unit.id), "issue": True, "override_reason": "more",
        } | PLACE | fields  # fmt: skip
        made = await self.post("/tasks", body, self.dispatcher)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def step(self, task_id: str, verb: str, headers: dict[str, str] | None = None, **fields: Any) -> Any:
        return await self.post(f"/tasks/{task_id}/transitions", {"verb": verb} | fields, headers)

    async def alerts(self, kind: str) -> list[dict[str, Any]]:
        found = (await self.get("/alerts?open=true", self.dispatcher)).json()["items"]
        return [alert for alert in found if alert["kind"] == kind]

    async def rows(self, query: str, **values: Any) -> list[Any]:
        async with open_work(self.client.engine, system("test")) as work:
            return list((await work.session.execute(text(query), values)).mappings())

    async def rows_changed(self, statement: str, **values: Any) -> None:
        async with open_work(self.client.engine, system("test")) as work:
            await work.session.execute(text(statement), values)


@pytest_asyncio.fixture(scope="module")
async def desk(template: Database, tmp_path_factory: Any) -> AsyncIterator[Desk]:
    with cloned(template) as database:
        engine = make_engine(database.app_url)
        settings = Settings(
            database_url=database.app_url, ingest_database_url=database.ingest_url,
            data_dir=tmp_path_factory.mktemp("data"),
        )  # fmt: skip
        async with serving(settings, engine) as client:
            one, other = await crew(engine), await crew(engine)
            headers = [await client.sign_in(each.officer) for each in (one, other)]
            _, dispatcher = await client.new(Role.DISPATCHER)
            yield Desk(client, one, other, *headers, dispatcher, settings)
        await engine.dispose()


async def test_a_form_is_recorded_once_with_what_looks_wrong(desk: Desk) -> None:
    sent = FORM | {"id": str(new_id()), "task_id": str(new_id())}
    first = await desk.post("/stop-forms", sent)
    assert first.status_code == 201, first.text
    made = first.json()
    assert (made["id"], made["unit_id"]) == (sent["id"], str(desk.one.unit.id))
    assert {name: made[name] for name in sent if name not in {"first_stopped_at", "vehicle", "persons"}} == {
        name: value for name, value in sent.items() if name not in {"first_stopped_at", "vehicle", "persons"}
    }
    assert made["first_stopped_at"] == "2026-05-01T09:00:00.000Z"
    assert (made["vehicle"]["plate"], made["plate_key"]) == ("авс 123", "ABC123")
    assert made["persons"][0]["name"] == "Jonas Jonaitis"
    assert [(w["field"], w["code"]) for w in made["warnings"]] == [
        ("vehicle.plate", "look_alike"), ("vehicle.containers.0", "check_digit"),
    ]  # fmt: skip
    again = await desk.post("/stop-forms", sent)
    assert (again.headers["Idempotency-Replayed"], again.json()) == ("true", made)
    assert (await desk.post("/stop-forms", sent | {"result": "nothing_found"})).json()["code"] == "id_reused"
    assert (await desk.get(f"/stop-forms/{made['id']}")).json() == made
    (found,) = (await desk.get("/stop-forms?plate=ABC-123&from=2026-05-01T08:00:00Z", desk.dispatcher)).json()["items"]
    assert found == made
    late = await desk.post("/stop-forms", FORM | {"first_stopped_at": "2199-01-01T00:00:00Z", "vehicle": None})
    assert [w["code"] for w in late.json()["warnings"]] == ["future"], "a wrong clock is told, the form is kept"


async def test_a_rerouted_control_is_completed_only_with_a_stop_form(desk: Desk) -> None:
    """The crew may send the form late and again; a cancel meanwhile is a conflict, form or not."""
    task_id = await desk.task(kind="control_declaration", reason_code="rerouted")
    for verb in ("acknowledge", "en_route", "on_scene"):
        assert (await desk.step(task_id, verb)).json()["task"]["form_required"]
    step = {"id": str(new_id()), "verb": "complete", "result": "nothing_found"}
    refused = await desk.post(f"/tasks/{task_id}/transitions", step)
    assert (refused.status_code, refused.json()["code"]) == (409, "form_required")
    await desk.post("/stop-forms", FORM, desk.stranger)
    of_another = await desk.post("/stop-forms", FORM | {"task_id": task_id}, desk.stranger)
    assert of_another.status_code == 201, "kept as it is sent"
    assert (await desk.post(f"/tasks/{task_id}/transitions", step)).status_code == 409, "another crew's form is none"
    await desk.post("/stop-forms", FORM | {"task_id": task_id, "exercise": True})
    assert (await desk.post(f"/tasks/{task_id}/transitions", step)).status_code == 409, "an exercise is no control"
    form = FORM | {"id": str(new_id()), "task_id": task_id}
    for _ in range(2):
        assert (await desk.post("/stop-forms", form)).status_code == 201
    newest = (await desk.get("/inbox?limit=500")).json()["items"][-1]["body"]
    assert (newest["id"], newest["stop_forms"]) == (task_id, 1), "the rest of the crew learns of it"
    done = await desk.post(f"/tasks/{task_id}/transitions", step)
    assert (done.status_code, done.json()["result"], done.json()["task"]["stop_forms"]) == (200, "applied", 1)
    assert (await desk.step(task_id, "close", headers=desk.dispatcher)).json()["task"]["status"] == "closed"
    called_off = await desk.task(reason_code="rerouted")
    await desk.step(called_off, "acknowledge")
    await desk.step(called_off, "on_scene")
    await desk.step(called_off, "cancel", headers=desk.dispatcher, reason="elsewhere")
    late = await desk.step(called_off, "complete", result="nothing_found")
    assert (late.status_code, late.json()["result"]) == (200, "conflict")


async def test_o3_a_clock_that_is_off_is_told_with_the_step_and_both_times_are_kept(desk: Desk) -> None:
    task_id = await desk.task()
    said = {"acknowledge": 3 * 3600, "en_route": -7200, "on_scene": 60}
    for verb, off_s in said.items():
        clock = (datetime.now(UTC) + timedelta(seconds=off_s)).isoformat()
        answer = await desk.step(task_id, verb, headers=desk.officer | {"X-Device-Time": clock}, at=clock)
        assert answer.json()["result"] == "applied"
    for odd in ("", "yesterday", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00", "2026-01-01T00:00:00"):
        answer = await desk.step(task_id, "pause", headers=desk.officer | {"X-Device-Time": odd}, reason_code="other")
        assert answer.status_code == 200, odd
    events = (await desk.get(f"/tasks/{task_id}/events")).json()["items"]
    steps = [event for event in events if event["verb"] in said]
    assert [event["verb"] for event in steps] == list(said), "in the order in which they were sent"
    for event in steps:
        at, received = (datetime.fromisoformat(event[name]) for name in ("at", "received_at"))
        assert abs((at - received).total_seconds() - said[event["verb"]]) < 60
        flagged = event["clock_off_s"]
        assert flagged is None if event["verb"] == "on_scene" else abs(flagged - said[event["verb"]]) < 60


async def test_a_rerouted_control_that_became_one_after_its_end_waits_for_its_form(desk: Desk) -> None:
    task_id = await desk.task(kind="checkpoint")
    for verb in ("acknowledge", "on_scene", "complete"):
        await desk.step(task_id, verb)
    await desk.rows_changed("UPDATE task SET reason_code = 'rerouted', updated_at = now() - interval '25 hours'"
                            " WHERE id = :id", id=task_id)  # fmt: skip
    async with open_work(desk.client.engine, system("worker")) as work:
        assert await deadlines.due(work) == 0
    refused = await desk.step(task_id, "close", headers=desk.dispatcher)
    assert (refused.status_code, refused.json()["code"]) == (409, "form_required")
    await desk.post("/stop-forms", FORM | {"task_id": task_id})
    assert (await desk.step(task_id, "close", headers=desk.dispatcher)).status_code == 200


async def test_bad_forms_are_refused(desk: Desk) -> None:
    for wrong in (
        {"reason_code": "whim"}, {"result": "fine"}, {"control_types": ["x"]}, {"measures": ["x"]},
        {"no_seizure_reason": "x"}, {"lon": None},
        {"ended_at": "2026-05-01T08:00:00Z"}, {"searched_lon": 25.0}, {"persons": [{"role": "driver"}]},
        {"persons": FORM["persons"] * 21}, {"vehicle": {"plate": "x" * 21}}, {"vehicle": {"country": "Lithuania"}},
        {"copy_given": "perhaps"}, {"ethnicity": "x"}, {"penalties": [{"kind": "x", "amount_eur": -1}]},
        {"persons": [FORM["persons"][0] | {"name": None}]}, {"findings": "x" * 10_001},
    ):  # fmt: skip
        answer = await desk.post("/stop-forms", FORM | wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), wrong
    assert (await desk.get("/stop-forms?from=2026-05-02T00:00:00Z&to=2026-05-01T00:00:00Z")).status_code == 422


async def test_who_reads_forms(desk: Desk) -> None:
    made = (await desk.post("/stop-forms", FORM)).json()
    mate = await someone(desk.client.engine, Role.OFFICER)
    async with open_work(desk.client.engine, system("test")) as work:
        await work.session.execute(
            text("INSERT INTO unit_member (unit_id, user_id) VALUES (:unit, :user)"),
            {"unit": desk.one.unit.id, "user": mate.id},
        )
    wanted = {"dispatcher": 200, "supervisor": 200, "investigator": 200, "auditor": 200, "administrator": 403,
              "internal_affairs": 403}  # fmt: skip
    headers = {role: (await desk.client.new(role))[1] for role in wanted}
    headers |= {"mate": await desk.client.sign_in(mate), "stranger": desk.stranger}
    for who, status in (wanted | {"mate": 200, "stranger": 404}).items():
        assert (await desk.get(f"/stop-forms/{made['id']}", headers[who])).status_code == status, who
        if who in wanted:
            assert (await desk.post("/stop-forms", FORM, headers[who])).status_code == 403
    assert made["id"] not in (await desk.get("/stop-forms?limit=500", desk.stranger)).text
    told = await desk.rows(
        "SELECT action, count(*) FROM audit_event WHERE object_id = :id GROUP BY 1 ORDER BY 1", id=made["id"]
    )
    assert [tuple(row.values()) for row in told] == [("collection", 1), ("consultation", 5)]


async def test_names_leave_forms_that_found_nothing_after_a_year_and_the_rest_stays(desk: Desk) -> None:
    nothing = FORM | {"result": "nothing_found", "grounds": "g", "id": str(new_id())}
    due, found = (await desk.post("/stop-forms", nothing)).json(), (await desk.post("/stop-forms", FORM)).json()
    fresh = (await desk.post("/stop-forms", nothing | {"id": str(new_id())})).json()
    on_task = await desk.task()
    held = (await desk.post("/stop-forms", nothing | {"id": str(new_id()), "task_id": on_task})).json()
    _, investigator = await desk.client.new(Role.INVESTIGATOR)
    hold = {"kind": "task", "object_id": on_task, "reason": "case"}
    assert (await desk.post("/holds", hold, investigator)).status_code == 201
    owner_ids = [due["id"], found["id"], held["id"]]
    owner = await database_of(desk).owner()
    await owner.execute(
        "UPDATE stop_form SET recorded_at = now() - interval '366 days' WHERE id = ANY($1::uuid[])", owner_ids
    )
    await owner.close()
    assert await retention.run(desk.client.engine, desk.settings) == []
    now = {form["id"]: (await desk.get(f"/stop-forms/{form['id']}")).json() for form in (due, found, fresh, held)}
    bare = now[due["id"]]
    assert (bare["persons"], bare["vehicle"], bare["plate_key"], bare["grounds"]) == ([], None, None, "")
    assert (bare["lon"], bare["result"], bare["number"]) == (25.3, "nothing_found", due["number"])
    for form in (found, fresh, held):
        assert now[form["id"]] == form | {"recorded_at": now[form["id"]]["recorded_at"]}
    again = await desk.post("/stop-forms", nothing)
    assert (again.status_code, again.json()["persons"]) == (201, []), "nor are they in the answer that is kept"
    assert await retention.run(desk.client.engine, desk.settings) == []


def database_of(desk: Desk) -> Database:
    url = desk.client.engine.url
    return Database(str(url.database), str(url.query["host"]), int(str(url.query["port"])))


async def test_a_thread_between_a_crew_and_the_centre(desk: Desk) -> None:
    task_id = await desk.task()
    url = f"/tasks/{task_id}/messages"
    head = (await desk.get("/inbox?limit=1")).json()["head_seq"]
    body = {"id": str(new_id()), "text": "Where is <b>it</b>?", "at": "2026-05-01T12:00:00Z"}
    first = await desk.post(url, body)
    assert first.status_code == 201, first.text
    asked = first.json()
    assert (asked["from_centre"], asked["unit_id"], asked["at"]) == (
        False,
        str(desk.one.unit.id),
        "2026-05-01T12:00:00.000Z",
    )
    assert (await desk.post(url, body)).json() == asked
    answered = (await desk.post(url, {"text": "At the bridge"}, desk.dispatcher)).json()
    assert (answered["from_centre"], answered["delivered_at"]) == (True, None)
    page = (await desk.get(f"/inbox?after={head}")).json()
    (item,) = [item for item in page["items"] if item["kind"] == "message"]
    assert item["body"] == answered, "one's own message is not sent back"
    await desk.post("/inbox/ack", {"upto": page["head_seq"]})
    thread = (await desk.get(url, desk.dispatcher)).json()["items"]
    assert [message["text"] for message in thread] == ["Where is <b>it</b>?", "At the bridge"]
    assert thread[1]["delivered_at"] is not None
    assert (await desk.get(f"/tasks/{task_id}", desk.dispatcher)).json()["messages"] == 2
    for path, headers in ((url, desk.stranger), (f"/tasks/{new_id()}/messages", desk.officer)):
        assert (await desk.get(path, headers)).status_code == 404
        assert (await desk.post(path, {"text": "x"}, headers)).status_code == 404
    for wrong in ({"text": ""}, {"text": "x" * 2_001}, {"text": "a\x00"}, {}):
        assert (await desk.post(url, wrong)).status_code == 422
    _, supervisor = await desk.client.new(Role.SUPERVISOR)
    assert (await desk.get(url, supervisor)).status_code == 200
    assert (await desk.post(url, {"text": "x"}, supervisor)).status_code == 403


async def test_a_message_of_a_crew_that_lost_the_task_is_still_taken(desk: Desk) -> None:
    task_id = await desk.task()
    steps = f"/tasks/{task_id}/transitions"
    await desk.post(steps, {"verb": "decline", "reason_code": "busy"})
    moved = await desk.post(steps, {"verb": "reassign", "unit_id": str(desk.other.unit.id)}, desk.dispatcher)
    assert moved.status_code == 200, moved.text
    assert (await desk.post(f"/tasks/{task_id}/messages", {"text": "It went north"})).status_code == 201
    inbox = (await desk.get("/inbox?limit=500", desk.stranger)).json()["items"]
    assert [item["body"]["text"] for item in inbox if item["kind"] == "message"] == ["It went north"]


async def test_a_call_for_support_is_a_draft_with_an_alarm_until_somebody_is_sent(desk: Desk) -> None:
    task_id = await desk.task(priority="P2")
    call = {"id": str(new_id()), "capability": "xray", "text": "lorry", "priority": "P2"}
    answer = await desk.post(f"/tasks/{task_id}/support-requests", call)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["kind"], answer.json()["text"]) == ("support", "xray lorry")
    await desk.post(f"/tasks/{task_id}/support-requests", call)
    (alert,) = await desk.alerts("support_requested")
    assert alert["unit_id"] == str(desk.one.unit.id)
    draft = (await desk.get(f"/tasks/{alert['task_id']}", desk.dispatcher)).json()
    assert (draft["status"], draft["kind"], draft["required_capabilities"]) == ("draft", "scan_request", ["xray"])
    assert draft["point"]["coordinates"] == [PLACE["lon"], PLACE["lat"]]
    assert (await desk.get(f"/tasks/{draft['id']}")).status_code == 404, "a draft is the centre's"
    scanner = await crew(desk.client.engine, capabilities=["xray"])
    issue = {"verb": "issue", "version": draft["version"], "unit_id": str(scanner.unit.id)}
    issued = await desk.post(f"/tasks/{draft['id']}/transitions", issue, desk.dispatcher)
    assert issued.status_code == 200, issued.text
    assert await desk.alerts("support_requested") == []
    assert (await desk.post(f"/tasks/{task_id}/support-requests", {"capability": "magic"})).status_code == 422
    assert (await desk.post(f"/tasks/{task_id}/support-requests", {}, desk.stranger)).status_code == 404


async def test_panic_reaches_every_dispatcher_and_stands_until_it_is_closed(desk: Desk) -> None:
    """T10."""
    unit = f"SELECT status FROM unit WHERE id = '{desk.other.unit.id}'"
    body = {"id": str(new_id()), "at": "2026-05-01T12:00:00Z", "accuracy_m": 30} | PLACE
    answer = await desk.post("/panic", body, desk.stranger)
    assert answer.status_code == 201, answer.text
    assert (await desk.post("/panic", body, desk.stranger)).json() == answer.json()
    (alert,) = await desk.alerts("panic")
    assert (alert["task_id"], alert["unit_id"]) == (body["id"], str(desk.other.unit.id))
    task = (await desk.get(f"/tasks/{body['id']}", desk.dispatcher)).json()
    assert (task["priority"], task["status"], task["point"]["coordinates"]) == ("P1", "draft", [25.31, 54.71])
    assert desk.other.unit.call_sign in task["title"]
    assert (await desk.rows(unit))[0]["status"] == "emergency"
    taken = await desk.post(f"/alerts/{alert['id']}/take", {}, desk.dispatcher)
    assert taken.status_code == 200
    assert len(await desk.alerts("panic")) == 1, "taking it does not close it"
    discard = {"verb": "discard", "version": task["version"]}
    assert (await desk.post(f"/tasks/{task['id']}/transitions", discard, desk.dispatcher)).status_code == 200
    assert await desk.alerts("panic") == []
    assert (await desk.rows(unit))[0]["status"] in {"available", "assigned"}, "as its tasks say"


async def test_panic_counts_off_duty_too_and_leaves_one_place(desk: Desk) -> None:
    off = await crew(desk.client.engine, on_shift=False)
    headers = await desk.client.sign_in(off.officer)
    answer = await desk.post("/panic", {"id": str(new_id())} | PLACE, headers)
    assert answer.status_code == 201
    assert (await desk.rows("SELECT status FROM unit WHERE id = :id", id=off.unit.id))[0]["status"] == "off_duty"
    assert await desk.rows("SELECT 1 FROM position WHERE unit_id = :id", id=off.unit.id) == []
    told = await desk.rows("SELECT fields FROM audit_event WHERE object_kind = 'panic' AND object_id = :id",
                           id=answer.json()["id"])  # fmt: skip
    assert (told[0]["fields"]["lon"], told[0]["fields"]["lat"]) == (PLACE["lon"], PLACE["lat"])
    assert (await desk.post("/panic", {"id": str(new_id())}, desk.dispatcher)).status_code == 403
