"""The plan of shifts: changed, cancelled, read by window; what may overlap, and who takes what was planned on."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import delete
from sqlmodel import col

from core.actor import Actor, Role
from core.ids import new_id
from core.work import open_work
from geo.models import ShiftMember
from tests.helpers import Client, Crew, Database, actor_of, crew

Headers = dict[str, str]


def at(**later: float) -> str:
    return (datetime.now(UTC) + timedelta(**later)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Desk:
    """A dispatcher, and a unit with its officer."""

    client: Client
    headers: Headers
    name: str
    crew: Crew

    async def ask(self, method: str, path: str, status: int, body: Any = None, headers: Headers | None = None) -> Any:
        url, who = f"/api/v1{path}", headers or self.headers
        answer = await self.client.http.request(method, url, json=body, headers=who)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def planned(self, begin_h: float = 1, end_h: float = 9, status: int = 201, **fields: Any) -> Any:
        """A shift planned for so many hours from now."""
        unit = {"unit_id": str(self.crew.unit.id), "members": [str(self.crew.officer.id)]}
        window = {"from": at(hours=begin_h), "to": at(hours=end_h)}
        return await self.ask("POST", "/shifts", status, unit | window | fields)


@pytest_asyncio.fixture
async def desk(client: Client) -> Desk:
    user, headers = await client.new(Role.DISPATCHER)
    return Desk(client, headers, user.name, await crew(client.engine, on_shift=False))


async def test_a_planned_shift_is_changed_until_it_begins(desk: Desk) -> None:
    made = await desk.planned()
    (other, _), path = await desk.client.new(Role.OFFICER), f"/shifts/{made['id']}"
    window = {"from": at(hours=2), "to": at(hours=12)}
    changed = await desk.ask("PATCH", path, 200, {"version": 1, **window, "members": [str(other.id)]})
    assert (changed["from"], changed["to"], changed["members"]) == (window["from"], window["to"], [str(other.id)])
    assert (changed["version"], await desk.ask("GET", path, 200)) == (2, changed)
    assert await desk.ask("PATCH", path, 200, {"version": 2, "members": [str(other.id)]}) == changed, "nothing differs"
    stale = await desk.ask("PATCH", path, 409, {"version": 1, "members": []})
    assert (stale["code"], stale["current_version"], stale["changed_by"]) == ("version_conflict", 2, desk.name)
    for body, field in (
        ({"to": window["from"]}, "to"),
        ({"members": [str(new_id())]}, "members"),
        ({"from": "2026-11-30T07:00"}, "from"),
    ):
        assert (await desk.ask("PATCH", path, 422, body))["errors"][0]["field"] == field
    assert (await desk.ask("GET", path, 200)) == changed


async def test_two_shifts_of_a_unit_are_not_planned_for_one_time(desk: Desk) -> None:
    day = await desk.planned(1, 9)
    night = await desk.planned(9, 17)  # one ends when the other begins
    refused = await desk.planned(8, 10, 409)
    assert (refused["code"], [one["field"] for one in refused["errors"]]) == ("window_overlap", ["from"])
    assert refused["overlaps"] == {name: day[name] for name in ("id", "from", "to")}
    moved = await desk.ask("PATCH", f"/shifts/{night['id']}", 409, {"from": at(hours=8)})
    assert moved["overlaps"]["id"] == day["id"]
    another = await crew(desk.client.engine, on_shift=False)
    await desk.planned(8, 10, unit_id=str(another.unit.id))
    await desk.ask("POST", f"/shifts/{day['id']}/cancel", 200)
    assert (await desk.ask("PATCH", f"/shifts/{night['id']}", 200, {"from": at(hours=8)}))["version"] == 2


async def test_of_shifts_planned_at_once_for_one_time_one_is_made(desk: Desk) -> None:
    body = {"unit_id": str(desk.crew.unit.id), "from": at(hours=1), "to": at(hours=9)}
    url = "/api/v1/shifts"
    made = await asyncio.gather(*[desk.client.http.post(url, json=body, headers=desk.headers) for _ in range(4)])
    assert sorted(answer.status_code for answer in made) == [201, 409, 409, 409]


async def test_of_a_shift_that_has_begun_the_end_moves_and_people_join(desk: Desk) -> None:
    made = await desk.planned(-1, 7)
    path, officer = f"/shifts/{made['id']}", str(desk.crew.officer.id)
    lent, lent_headers = await desk.client.new(Role.OFFICER)
    await desk.ask("POST", f"{path}/start", 200)
    task = {"kind": "other", "priority": "P3", "title": "T", "reason_code": "random", "lon": 25.3, "lat": 54.7}
    unit = {"unit_id": str(desk.crew.unit.id), "issue": True}
    issued = await desk.ask("POST", "/tasks", 201, task | unit)
    later = at(hours=8)
    changed = await desk.ask("PATCH", path, 200, {"to": later, "members": [officer, str(lent.id)]})
    assert (changed["to"], sorted(changed["members"])) == (later, sorted([officer, str(lent.id)]))
    inbox = (await desk.ask("GET", "/inbox", 200, headers=lent_headers))["items"]
    assert [item["body"]["id"] for item in inbox] == [issued["id"]], "who joins is owed what the unit has"
    assert (await desk.ask("GET", "/shifts/mine", 200, headers=lent_headers))["id"] == made["id"]
    for body, field in (({"from": at(hours=-2)}, "from"), ({"members": [officer]}, "members")):
        refused = await desk.ask("PATCH", path, 422, body)
        assert [(one["field"], one["code"]) for one in refused["errors"]] == [(field, "begun")]
    assert (await desk.ask("POST", f"{path}/cancel", 409))["code"] == "transition_not_allowed"
    await desk.ask("POST", f"{path}/end", 200)
    assert (await desk.ask("PATCH", path, 409, {"to": later}))["code"] == "transition_not_allowed"


async def test_a_cancelled_shift_stays_in_the_plan_and_never_begins(desk: Desk, database: Database) -> None:
    made, officer = await desk.planned(-1, 7), await desk.client.sign_in(desk.crew.officer)
    path, sent = f"/shifts/{made['id']}", {"id": str(new_id())}
    gone = await desk.ask("POST", f"{path}/cancel", 200, sent)
    assert (bool(gone["cancelled_at"]), gone["version"]) == (True, 2)
    assert await desk.ask("POST", f"{path}/cancel", 200, sent) == gone, "sent again"
    assert await desk.ask("POST", f"{path}/cancel", 200) == gone, "cancelled again"
    assert (await desk.ask("POST", f"{path}/start", 409))["code"] == "transition_not_allowed"
    assert (await desk.ask("PATCH", path, 409, {"members": []}))["code"] == "transition_not_allowed"
    own = await desk.ask("POST", "/shifts/start", 200, {"unit_id": made["unit_id"]}, officer)
    assert own["id"] != made["id"]
    owner = await database.owner()
    query = "SELECT count(*) FROM audit_event WHERE object_id = $1 AND fields ? 'cancelled_at'"
    assert await owner.fetchval(query, made["id"]) == 1
    await owner.close()


@pytest.mark.parametrize(
    ("begin_h", "end_h", "taken"), [(0.9, 9, True), (-3, 5, True), (1.1, 11, False), (-9, -1, False)]
)
async def test_officers_begin_the_shift_that_is_planned_for_now(
    desk: Desk, begin_h: float, end_h: float, taken: bool
) -> None:
    """Else the plan would never come true, and beside it there would be shifts that nobody planned."""
    lent, lent_headers = await desk.client.new(Role.OFFICER)
    people = [str(desk.crew.officer.id), str(lent.id)]
    made = await desk.planned(begin_h, end_h, members=people[1:])
    headers = await desk.client.sign_in(desk.crew.officer)
    own = {"id": str(new_id()), "unit_id": made["unit_id"], "odometer_from_km": 7}
    begun = await desk.ask("POST", "/shifts/start", 200, own, headers)
    assert (begun["id"], begun["odometer_from_km"]) == (made["id"] if taken else own["id"], 7)
    assert sorted(begun["members"]) == sorted(people if taken else people[:1])
    assert await desk.ask("POST", "/shifts/start", 200, own, headers) == begun, "sent again"
    mine = await desk.ask("GET", "/shifts/mine", 200, headers=lent_headers)
    assert (mine and mine["id"]) == (made["id"] if taken else None)


async def test_of_two_that_are_due_the_later_is_begun(desk: Desk) -> None:
    """A night that nobody came to is not taken for the day that begins."""
    await desk.planned(-9, 0.5)
    day = await desk.planned(0.5, 8)
    headers = await desk.client.sign_in(desk.crew.officer)
    assert (await desk.ask("POST", "/shifts/start", 200, {"unit_id": day["unit_id"]}, headers))["id"] == day["id"]


async def test_shifts_are_read_by_window(desk: Desk) -> None:
    over, soon, late = [await desk.planned(*hours) for hours in ((-9, -5), (1, 9), (9, 17))]
    running = await crew(desk.client.engine)

    async def ids(begin_h: float, end_h: float) -> list[str]:
        query = f"from={at(hours=begin_h)}&to={at(hours=end_h)}"
        return [one["id"] for one in (await desk.ask("GET", f"/shifts?{query}", 200))["items"]]

    assert running.shift
    on = str(running.shift.id)
    assert await ids(-6, 2) == [soon["id"], over["id"], on]
    assert await ids(-4.9, 0.9) == [on]
    assert await ids(8, 10) == [late["id"], soon["id"]], "nobody knows how long one without a planned end runs"
    assert (await desk.ask("GET", "/shifts?from=2026-11-30T07:00", 422))["errors"][0]["field"] == "from"


async def test_the_plan_names_officers_and_whoever_is_on_a_shift(desk: Desk) -> None:
    desks, _ = await desk.client.new(Role.SUPERVISOR, name="Vida")
    gone, _ = await desk.client.new(Role.OFFICER, name="Jonas", badge_no="V7")
    _, admin = await desk.client.new(Role.ADMINISTRATOR)
    await desk.ask("POST", f"/users/{gone.id}/disable", 200, headers=admin)

    async def people() -> dict[str, Any]:
        found, after = {}, ""
        while True:
            page = await desk.ask("GET", f"/shifts/people?limit=1{after}", 200)
            found |= {one["id"]: one for one in page["items"]}
            if not page["next"]:
                return found
            after = f"&after={page['next']}"

    named = await people()
    assert named[str(gone.id)] == {"id": str(gone.id), "name": "Jonas", "badge_no": "V7", "available": False}
    assert named[str(desk.crew.officer.id)]["available"]
    assert str(desks.id) not in named
    await desk.planned(members=[str(desks.id)])
    assert (await people())[str(desks.id)]["available"] is False


async def test_the_database_itself_takes_nobody_off_a_shift_that_has_begun(desk: Desk) -> None:
    """Whoever was on duty stays on the record; and officers take nobody off any."""
    begun, next_one = await desk.planned(1, 9), await desk.planned(9, 17)
    user, _ = await desk.client.new(Role.DISPATCHER)
    await desk.ask("POST", f"/shifts/{begun['id']}/start", 200)

    async def taken_off(actor: Actor, shift: Any) -> int:
        leaving = (
            delete(ShiftMember).where(col(ShiftMember.shift_id) == shift["id"]).returning(col(ShiftMember.user_id))
        )
        async with open_work(desk.client.engine, actor) as work:
            return len(await work.all(leaving))

    assert await taken_off(actor_of(user), begun) == 0
    assert await taken_off(desk.crew.actor, next_one) == 0
    assert await taken_off(actor_of(user), next_one) == 1


async def test_officers_neither_read_the_plan_nor_change_it(desk: Desk) -> None:
    made, officer = await desk.planned(), await desk.client.sign_in(desk.crew.officer)
    path = f"/shifts/{made['id']}"
    for method, at_path, body in (
        ("GET", path, None),
        ("GET", "/shifts/people", None),
        ("PATCH", path, {"members": []}),
        ("POST", f"{path}/cancel", {}),
    ):
        assert (await desk.ask(method, at_path, 403, body, officer))["code"] == "not_allowed"
