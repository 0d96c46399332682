"""A dispatcher's day (domain.md 4.1), through HTTP and sockets of a real server; the worker's rounds run here."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest_asyncio
import websockets
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import sign_in
from core.actor import Role, system
from core.models import UserAccount
from core.settings import Settings
from core.work import open_work
from dispatch_api.workers import deadlines
from mobile_contract.messages import parse_to_client
from tests import module_wide
from tests.helpers import Crew, Server, crew, person

PLACE = {"lon": 25.279652, "lat": 54.687157}
TASK = {"kind": "stop_vehicle", "priority": "P2", "title": "Grey van", "reason_code": "indicator"} | PLACE
Headers = dict[str, str]

database, server = module_wide.database, module_wide.server


@dataclass
class Socket:
    """One open socket; each message is checked against the contract."""

    ws: websockets.ClientConnection

    async def until(self, kind: str, within_s: float = 10, **holds: Any) -> dict[str, Any]:
        """The next message of this kind whose resource holds these values."""
        async with asyncio.timeout(within_s):
            while True:
                got = await self.ws.recv()
                parse_to_client(got)
                message: dict[str, Any] = json.loads(got)
                about = message.get(kind, message)
                if message["kind"] == kind and all(about.get(name) == value for name, value in holds.items()):
                    return message

    async def shows(self, tasks: dict[str, str], notices: dict[str, str]) -> None:
        """The screen holds these tasks' statuses and notices' headlines: the snapshot may be a second behind."""
        snapshot = await self.until("snapshot")
        seen = {one["id"]: one["status"] for one in snapshot["tasks"]}
        seen |= {one["id"]: one["headline"] for one in snapshot["notices"]}
        async with asyncio.timeout(10):
            while not (tasks | notices).items() <= seen.items():
                message = json.loads(await self.ws.recv())
                if field := {"task": "status", "notice": "headline"}.get(message["kind"]):
                    thing = message[message["kind"]]
                    seen[thing["id"]] = thing[field]


@dataclass
class Desk:
    """The centre of one test: people, crews, requests and sockets."""

    server: Server
    engine: AsyncEngine
    http: httpx.AsyncClient
    settings: Settings

    async def token(self, user: UserAccount) -> str:
        async with open_work(self.engine, system("test")) as work:
            return (await sign_in.open_session(work, user)).token

    async def headers(self, user: UserAccount) -> Headers:
        return {"Authorization": f"Bearer {await self.token(user)}"}

    async def dispatcher(self, name: str) -> tuple[UserAccount, Headers]:
        user = await person(self.engine, Role.DISPATCHER, name=name)
        return user, await self.headers(user)

    async def post(self, who: Headers, path: str, body: dict[str, Any] | None = None, ok: int = 200) -> dict[str, Any]:
        answer = await self.http.post(path, json=body or {}, headers=who)
        assert answer.status_code == ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def issued(self, who: Headers, team: Crew, **fields: Any) -> dict[str, Any]:
        return await self.post(who, "/tasks", TASK | {"unit_id": str(team.unit.id), "issue": True} | fields, ok=201)

    async def step(self, who: Headers, task: dict[str, Any], verb: str, **fields: Any) -> dict[str, Any]:
        return await self.post(who, f"/tasks/{task['id']}/transitions", {"verb": verb} | fields)

    async def report(self, who: Crew, lon: float, lat: float) -> None:
        fix = {"fix_at": datetime.now(UTC).isoformat(), "lon": lon, "lat": lat}
        headers = {"Authorization": f"Bearer {who.device_key}"}
        answer = await self.http.post("/positions", json={"fixes": [fix]}, headers=headers)
        assert answer.json()["accepted"] == 1

    @asynccontextmanager
    async def live(self, path: str, user: UserAccount, **hello: Any) -> AsyncIterator[Socket]:
        async with websockets.connect(f"{self.server.ws}/api/v1{path}") as ws:
            await ws.send(json.dumps({"kind": "hello", "token": await self.token(user)} | hello))
            yield Socket(ws)

    async def rounds(self) -> None:
        """The worker's next second."""
        await deadlines.round_(self.engine, self.settings)
        await deadlines.areas_round(self.engine)


@pytest_asyncio.fixture
async def desk(server: Server, engine: AsyncEngine, settings: Settings) -> AsyncIterator[Desk]:
    """An empty desk."""
    async with httpx.AsyncClient(base_url=f"{server.url}/api/v1", timeout=20) as http:
        yield Desk(server, engine, http, settings)


async def test_d1_what_is_issued_is_on_the_tablet_within_five_seconds(desk: Desk) -> None:
    team = await crew(desk.engine)
    _, rasa = await desk.dispatcher("Rasa")
    took = []
    async with desk.live("/inbox/live", team.officer, after=0) as tablet:
        await tablet.until("welcome")
        for _ in range(20):
            draft = await desk.post(rasa, "/tasks", TASK, ok=201)
            begun = time.monotonic()
            await desk.step(rasa, draft, "issue", unit_id=str(team.unit.id), version=draft["version"])
            (item,) = (await tablet.until("inbox"))["items"]
            took.append(time.monotonic() - begun)
            assert item["body"]["id"] == draft["id"]
    assert sorted(took)[18] < 5, took


async def test_d3_a_stream_that_was_lost_brings_what_was_missed_and_nothing_twice(desk: Desk) -> None:
    team = await crew(desk.engine)
    user, rasa = await desk.dispatcher("Rasa")
    async with desk.live("/live", user) as centre, desk.live("/inbox/live", team.officer, after=0) as tablet:
        await centre.until("snapshot")
        first = await desk.issued(rasa, team)
        (item,) = (await tablet.until("inbox"))["items"]
        await centre.until("task", id=first["id"])
    # Nobody listens: a task moves on, another comes, a notice is sent.
    await desk.step(await desk.headers(team.officer), first, "acknowledge")
    second = await desk.issued(rasa, team)
    notice: dict[str, Any] = {
        "kind": "information",
        "priority": "P3",
        "headline": "Ice",
        "to": {"units": [str(team.unit.id)]},
    }
    sent = await desk.post(rasa, "/notices", notice, ok=201)
    async with desk.live("/live", user) as centre, desk.live("/inbox/live", team.officer, after=item["seq"]) as tablet:
        await centre.shows(
            tasks={first["id"]: "acknowledged", second["id"]: "issued"},
            notices={sent["id"]: notice["headline"]},
        )
        missed: list[dict[str, Any]] = []
        while len(missed) < 3:
            missed += (await tablet.until("inbox"))["items"]
    assert [one["seq"] for one in missed] == [item["seq"] + n for n in (1, 2, 3)]
    assert [one["body"]["id"] for one in missed] == [first["id"], second["id"], sent["id"]]


async def test_d4_an_alarm_stands_on_every_screen_until_one_takes_it(desk: Desk) -> None:
    team, deputy = await crew(desk.engine), await crew(desk.engine)
    (one, rasa), (two, jonas) = await desk.dispatcher("Rasa"), await desk.dispatcher("Jonas")
    chief = await person(desk.engine, Role.SUPERVISOR, name="Chief")

    async def passes(statement: str) -> None:
        async with open_work(desk.engine, system("test")) as work:
            values = {"deputy": deputy.unit.id, "unit": team.unit.id, "by": timedelta(seconds=61)}
            await work.session.execute(text(statement), {k: v for k, v in values.items() if f":{k}" in statement})
        await desk.rounds()

    await passes("UPDATE unit SET deputy_unit_id = :deputy WHERE id = :unit")
    async with AsyncExitStack() as stack:
        screens = [await stack.enter_async_context(desk.live("/live", user)) for user in (one, two, chief)]
        tablet = await stack.enter_async_context(desk.live("/inbox/live", deputy.officer, after=0))
        for screen in screens:
            await screen.until("snapshot")
        task = await desk.issued(rasa, team, priority="P1")
        await passes("UPDATE task SET ack_due_at = ack_due_at - CAST(:by AS interval)")
        for screen in screens:
            alarm = (await screen.until("alert", task_id=task["id"]))["alert"]
            assert (alarm["kind"], alarm["reached"], alarm["taken_at"]) == ("task_unacknowledged", "dispatchers", None)
        await passes("UPDATE alert SET raised_at = raised_at - CAST(:by AS interval)")
        (item,) = (await tablet.until("inbox"))["items"]
        assert (item["body"]["id"], item["body"]["support_unit_ids"]) == (task["id"], [str(deputy.unit.id)])
        await passes("UPDATE alert SET raised_at = raised_at - CAST(:by AS interval)")
        called = await screens[2].until("alert", task_id=task["id"], reached="supervisors")
        assert str(chief.id) in called["alert"]["called"]
        taken = await desk.post(jonas, f"/alerts/{alarm['id']}/take")
        for screen in screens:
            seen = (await screen.until("alert", id=alarm["id"], taken_by_name="Jonas", within_s=3))["alert"]
            assert seen["taken_at"] == taken["taken_at"]
        late = await desk.post(rasa, f"/alerts/{alarm['id']}/take", ok=409)
        assert (late["code"], late["changed_by"], late["changed_at"]) == (
            "version_conflict", "Jonas", taken["taken_at"],
        )  # fmt: skip
        await desk.step(await desk.headers(team.officer), task, "acknowledge")
        cleared = await screens[0].until("alert", id=alarm["id"], within_s=3)
        while not cleared["alert"]["cleared_at"]:
            cleared = await screens[0].until("alert", id=alarm["id"], within_s=3)
    listed = (await desk.http.get("/alerts", params={"open": False}, headers=rasa)).json()["items"]
    assert alarm["id"] in {entry["id"] for entry in listed}


async def test_d5_of_two_simultaneous_assignments_one_wins_and_the_other_learns_who_and_when(desk: Desk) -> None:
    teams = [await crew(desk.engine) for _ in range(2)]
    people = [await desk.dispatcher(name) for name in ("Rasa", "Jonas")]
    draft = await desk.post(people[0][1], "/tasks", TASK, ok=201)
    body = {"verb": "issue", "version": draft["version"]}
    answers = await asyncio.gather(
        *(desk.http.post(f"/tasks/{draft['id']}/transitions", json=body | {"unit_id": str(team.unit.id)}, headers=who)
          for (_, who), team in zip(people, teams, strict=True))
    )  # fmt: skip
    won = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    lost = answers[1 - won]
    refusal = lost.json()
    assert (lost.status_code, refusal["code"]) == (409, "version_conflict")
    assert (refusal["changed_by"], refusal["changed_verb"]) == (people[won][0].name, "issue")
    assert abs(datetime.fromisoformat(refusal["changed_at"]) - datetime.now(UTC)) < timedelta(seconds=10)
    assert (await desk.http.get(f"/tasks/{draft['id']}", headers=people[0][1])).json()["unit_id"] == str(
        teams[won].unit.id
    )


async def test_d7_a_cancel_after_acknowledgement_stays_open_until_the_officer_confirms(desk: Desk) -> None:
    team = await crew(desk.engine)
    user, rasa = await desk.dispatcher("Rasa")
    officer = await desk.headers(team.officer)
    task = await desk.issued(rasa, team)
    await desk.step(officer, task, "acknowledge")
    cancelled = (await desk.step(rasa, task, "cancel", reason="false alarm", version=3))["task"]

    async def is_open(expected: bool) -> bool:
        """A screen opened now lists the task or not; the server's view may be a second behind."""
        async with asyncio.timeout(10):
            while True:
                async with desk.live("/live", user) as screen:
                    listed = task["id"] in {one["id"] for one in (await screen.until("snapshot"))["tasks"]}
                if listed is expected:
                    return listed

    assert await is_open(True)
    late = await desk.step(officer, task, "en_route", at="2026-01-02T03:04:05Z")
    assert (late["result"], late["task"]["conflict"]) == ("conflict", "open")
    confirmed = await desk.step(officer, task, "acknowledge", version=cancelled["version"])
    assert confirmed["result"] == "applied"
    assert await is_open(True), "the conflict is still to be settled"
    body = {"outcome": "cancel_stands", "reason": "called by radio"}
    assert (await desk.post(rasa, f"/tasks/{task['id']}/resolve", body))["conflict"] == "cancel_stands"
    again = await desk.post(rasa, f"/tasks/{task['id']}/resolve", body, ok=409)
    assert (again["code"], again["changed_by"]) == ("transition_not_allowed", "Rasa")
    await desk.post(officer, f"/tasks/{task['id']}/resolve", body, ok=403)
    assert not await is_open(False)


async def test_d8_an_areas_notice_finds_who_enters_and_the_screen_sees_each_receipt(desk: Desk) -> None:
    inside, enters = await crew(desk.engine), await crew(desk.engine)
    user, rasa = await desk.dispatcher("Rasa")
    await desk.report(inside, 24.05, 55.05)
    await desk.report(enters, 24.10001, 55.05)
    ring = [[24.0, 55.0], [24.1, 55.0], [24.1, 55.1], [24.0, 55.1], [24.0, 55.0]]
    body = {
        "kind": "be_on_lookout", "priority": "P2", "headline": "Grey van",
        "to": {"area": {"type": "Polygon", "coordinates": [ring]}},
    }  # fmt: skip
    async with desk.live("/live", user) as screen, desk.live("/inbox/live", enters.officer, after=0) as tablet:
        await screen.until("snapshot")
        sent = await desk.post(rasa, "/notices", body, ok=201)
        assert sent["recipients"] == 1
        await asyncio.sleep(0.01)
        await desk.report(enters, 24.09999, 55.05)
        await desk.rounds()
        (item,) = (await tablet.until("inbox", within_s=5))["items"]
        assert item["body"]["id"] == sent["id"]
        await screen.until("notice", id=sent["id"], recipients=2)
        await tablet.ws.send(json.dumps({"kind": "ack", "upto": item["seq"]}))
        await screen.until("notice", id=sent["id"], delivered=1)
        officer = await desk.headers(enters.officer)
        await desk.post(officer, f"/notices/{sent['id']}/reply", {"text": "I see it"}, ok=201)
        await screen.until("notice", id=sent["id"], replied=1)


async def test_d9_a_hand_over_waits_on_every_screen_until_another_dispatcher_confirms_it(desk: Desk) -> None:
    (one, rasa), (two, jonas) = await desk.dispatcher("Rasa"), await desk.dispatcher("Jonas")
    team = await crew(desk.engine)
    task = await desk.issued(rasa, team)
    async with desk.live("/live", one) as first, desk.live("/live", two) as second:
        for screen in (first, second):
            assert (await screen.until("snapshot"))["handovers"] == []
        given = await desk.post(rasa, "/handovers", {"note": "Ferry at nine."}, ok=201)
        assert task["id"] in {left["id"] for left in given["tasks"]}
        for screen in (first, second):
            told = (await screen.until("handover", id=given["id"], within_s=3))["handover"]
            assert (told["note"], told["given_by_name"], told["confirmed_at"]) == ("Ferry at nine.", "Rasa", None)
        async with desk.live("/live", two) as later:
            assert [left["id"] for left in (await later.until("snapshot"))["handovers"]] == [given["id"]]
        await desk.post(rasa, f"/handovers/{given['id']}/confirm", ok=403)
        await desk.post(jonas, f"/handovers/{given['id']}/confirm")
        for screen in (first, second):
            told = (await screen.until("handover", id=given["id"], within_s=3))["handover"]
            assert told["confirmed_by_name"] == "Jonas"
        async with desk.live("/live", two) as later:
            assert (await later.until("snapshot"))["handovers"] == []
    async with open_work(desk.engine, system("test")) as work:
        logged = "SELECT actor_login FROM audit_event WHERE object_kind = 'handover' AND action = 'alteration'"
        assert await work.all(text(logged)) == [two.login]
