"""Units, devices and shifts over HTTP: who may, what is refused, and what becomes of a fix."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.actor import Role, system
from core.ids import new_id
from core.work import open_work
from geo.models import UnitMember
from tests.helpers import Client, Database, crew, eventually

Headers = dict[str, str]


def at(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


async def posted(client: Client, path: str, body: Any, headers: Headers, status: int) -> Any:
    answer = await client.http.post(f"/api/v1{path}", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def sent(client: Client, key: str, *fixes: dict[str, Any]) -> Any:
    return await posted(client, "/positions", {"fixes": list(fixes)}, {"Authorization": f"Bearer {key}"}, 200)


async def test_a_unit_from_making_to_change(client: Client) -> None:
    _, admin = await client.new(Role.ADMINISTRATOR)
    officer, _ = await client.new(Role.OFFICER)
    body = {
        "id": str(new_id()), "call_sign": "V-7", "kind": "dog", "capabilities": ["dog", "language:ru"],
        "members": [str(officer.id)],
    }  # fmt: skip
    made = await posted(client, "/units", body, admin, 201)
    assert (made["status"], made["tracking"], made["shift"], made["stale_after_s"]) == (
        "off_duty",
        "on_shift",
        None,
        60,
    )
    assert made["members"] == [str(officer.id)]
    assert await posted(client, "/units", body, admin, 201) == made  # once, however often it is sent
    assert (await posted(client, "/units", body | {"kind": "boat"}, admin, 409))["code"] == "id_reused"
    taken = await posted(client, "/units", {"call_sign": "V-7", "kind": "patrol"}, admin, 409)
    assert taken["code"] == "conflict"
    path = f"/api/v1/units/{made['id']}"
    changed = await client.http.patch(path, json={"version": 1, "kind": "fast", "members": []}, headers=admin)
    assert (changed.json()["kind"], changed.json()["version"], changed.json()["members"]) == ("fast", 2, [])
    stale = await client.http.patch(path, json={"version": 1, "kind": "dog"}, headers=admin)
    assert (stale.json()["code"], stale.json()["current_version"]) == ("version_conflict", 2)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "tank"}, "kind"),
        ({"capabilities": ["flying"]}, "capabilities.0"),
        ({"tracking": "never"}, "tracking"),
        ({"office_id": str(new_id())}, "office_id"),
        ({"deputy_unit_id": str(new_id())}, "deputy_unit_id"),
        ({"members": [str(new_id())]}, "members"),
    ],
)
async def test_what_a_unit_may_not_be(client: Client, change: dict[str, Any], field: str) -> None:
    _, admin = await client.new(Role.ADMINISTRATOR)
    refused = await posted(client, "/units", {"call_sign": "V-7", "kind": "patrol"} | change, admin, 422)
    assert refused["errors"][0]["field"] == field


@pytest.mark.parametrize(("intervals", "stale_after_s"), [([10], 60), ([40], 60), ([100], 150), ([10, 100], 150)])
async def test_a_place_is_stale_after_one_and_a_half_intervals(
    client: Client, intervals: list[int], stale_after_s: float
) -> None:
    _, admin = await client.new(Role.ADMINISTRATOR)
    unit = await posted(client, "/units", {"call_sign": "V-7", "kind": "patrol"}, admin, 201)
    for interval_s in intervals:
        device = {"unit_id": unit["id"], "protocol": "http", "interval_s": interval_s}
        await posted(client, "/devices", device, admin, 201)
    shown = (await client.http.get(f"/api/v1/units/{unit['id']}", headers=admin)).json()
    assert shown["stale_after_s"] == stale_after_s


async def test_lists_come_in_pages(client: Client) -> None:
    _, admin = await client.new(Role.ADMINISTRATOR)
    for n in range(5):
        await posted(client, "/units", {"call_sign": f"V-{n}", "kind": "patrol"}, admin, 201)
    seen, after = [], ""
    while True:
        page = (await client.http.get(f"/api/v1/units?limit=2{after}", headers=admin)).json()
        seen += [unit["call_sign"] for unit in page["items"]]
        if not page["next"]:
            break
        after = f"&after={page['next']}"
    assert seen == [f"V-{n}" for n in range(5)]


async def test_an_officer_sees_own_units_only(client: Client) -> None:
    mine, theirs = await crew(client.engine), await crew(client.engine)
    headers = await client.sign_in(mine.officer)
    listed = (await client.http.get("/api/v1/units", headers=headers)).json()["items"]
    assert [unit["id"] for unit in listed] == [str(mine.unit.id)]
    foreign = await client.http.get(f"/api/v1/units/{theirs.unit.id}", headers=headers)
    unknown = await client.http.get(f"/api/v1/units/{new_id()}", headers=headers)
    assert (foreign.status_code, foreign.json()) == (404, unknown.json())


async def test_the_duty_gate_follows_the_shift(client: Client) -> None:
    made = await crew(client.engine, on_shift=False)
    officer = await client.sign_in(made.officer)
    fix = {"lat": 54.7, "lon": 25.3}
    assert (await sent(client, made.device_key, fix | {"fix_at": at(seconds=30)}))["off_duty"] == 1
    started = await posted(client, "/shifts/start", {"unit_id": str(made.unit.id), "at": at(minutes=10)}, officer, 200)
    again = await posted(client, "/shifts/start", {"unit_id": str(made.unit.id)}, officer, 200)
    assert again["id"] == started["id"]  # joins the one that runs
    got = await sent(client, made.device_key, fix | {"fix_at": at(minutes=5)}, fix | {"fix_at": at(minutes=15)})
    assert (got["accepted"], got["off_duty"]) == (1, 1)  # by the time of the fix, not of its arrival
    ended = await posted(client, f"/shifts/{started['id']}/end", {}, officer, 200)
    assert ended["off_at"]
    late = await sent(client, made.device_key, fix | {"fix_at": at(minutes=4)}, fix | {"fix_at": at(seconds=-30)})
    assert (late["accepted"], late["off_duty"]) == (1, 1)
    assert (await client.http.get("/api/v1/shifts/mine", headers=officer)).json() is None


async def test_a_dispatcher_plans_and_begins_a_shift(client: Client) -> None:
    made = await crew(client.engine, on_shift=False)
    _, dispatcher = await client.new(Role.DISPATCHER)
    body = {"unit_id": str(made.unit.id), "members": [str(made.officer.id)], "from": at(hours=-1), "to": at(hours=-9)}
    planned = await posted(client, "/shifts", body, dispatcher, 201)
    assert planned["on_at"] is None
    begun = await posted(client, f"/shifts/{planned['id']}/start", {}, dispatcher, 200)
    assert begun["on_at"]
    active = (await client.http.get("/api/v1/shifts?active=true", headers=dispatcher)).json()["items"]
    assert [shift["id"] for shift in active] == [planned["id"]]
    next_one = body | {"from": at(hours=-9), "to": at(hours=-17)}
    other = await posted(client, "/shifts", next_one, dispatcher, 201)
    assert (await posted(client, f"/shifts/{other['id']}/start", {}, dispatcher, 409))["code"] == "conflict"
    backwards = body | {"from": body["to"], "to": body["from"]}
    assert (await posted(client, "/shifts", backwards, dispatcher, 422))["errors"][0]["field"] == "to"


async def test_whoever_comes_onto_a_shift_finds_what_the_unit_is_owed(client: Client) -> None:
    made = await crew(client.engine)
    unit_id = str(made.unit.id)
    _, dispatcher = await client.new(Role.DISPATCHER)
    _, admin = await client.new(Role.ADMINISTRATOR)
    people = [await client.new(Role.OFFICER) for _ in range(3)]
    (_, joins), (taken, takes), (planned_for, planned) = people
    members = [str(made.officer.id), *(str(user.id) for user, _ in people)]
    changed = await client.http.patch(f"/api/v1/units/{unit_id}", json={"members": members}, headers=admin)
    assert changed.status_code == 200, changed.text
    task = {"kind": "other", "priority": "P3", "title": "T", "reason_code": "random", "lon": 25.3, "lat": 54.7}
    notice = {"kind": "information", "priority": "P3", "headline": "N", "to": {"units": [unit_id]}}
    owed = [
        ("task", (await posted(client, "/tasks", task | {"unit_id": unit_id, "issue": True}, dispatcher, 201))["id"]),
        ("notice", (await posted(client, "/notices", notice, dispatcher, 201))["id"]),
    ]

    async def inbox(headers: Headers) -> list[tuple[str, str]]:
        items = (await client.http.get("/api/v1/inbox", headers=headers)).json()["items"]
        return sorted(((item["kind"], item["body"]["id"]) for item in items), reverse=True)

    assert [await inbox(headers) for headers in (joins, takes, planned)] == [[], [], []]
    start = {"unit_id": unit_id, "members": [str(taken.id)]}
    running = await posted(client, "/shifts/start", start, joins, 200)
    assert [await inbox(headers) for headers in (joins, takes, planned)] == [owed, owed, []]
    await posted(client, f"/shifts/{running['id']}/end", {}, joins, 200)
    window = {"from": at(hours=1), "to": at(hours=-7)}
    next_one = {"unit_id": unit_id, "members": [str(planned_for.id)]} | window
    shift = await posted(client, "/shifts", next_one, dispatcher, 201)
    assert await inbox(planned) == [], "a planned shift owes nothing yet"
    await posted(client, f"/shifts/{shift['id']}/start", {}, dispatcher, 200)
    assert await inbox(planned) == owed
    assert await inbox(joins) == owed, "once"


async def test_a_crew_that_starts_together_waits_for_nobody_crosswise(client: Client, database: Database) -> None:
    """Their inboxes are locked in id order, as a notice to all locks them: else each would wait for the other."""
    made = await crew(client.engine)
    starter = await client.sign_in(made.officer)
    _, dispatcher = await client.new(Role.DISPATCHER)
    notice = {"kind": "information", "priority": "P3", "headline": "N", "to": {"units": [str(made.unit.id)]}}
    await posted(client, "/notices", notice, dispatcher, 201)
    others = [(await client.new(Role.OFFICER))[0].id for _ in range(6)]
    async with open_work(client.engine, system("test")) as work:
        work.session.add_all([UnitMember(unit_id=made.unit.id, user_id=each) for each in others])
    least, *rest = sorted(others)
    owner = await database.owner()
    async with owner.transaction():
        await owner.execute("SELECT hold_inboxes($1)", [least])
        body = {"unit_id": str(made.unit.id), "members": [str(each) for each in reversed(others)]}
        asked = asyncio.create_task(client.http.post("/api/v1/shifts/start", json=body, headers=starter))

        async def waits() -> bool:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = $1"
            return bool(await owner.fetchval(waiting, database.name))

        await eventually(waits)
        await owner.execute("SELECT FROM recipient WHERE user_id = ANY($1) FOR UPDATE NOWAIT", rest)
    await owner.close()
    assert (await asked).status_code == 200


async def test_an_officer_puts_people_of_the_own_unit_on_its_shift(client: Client) -> None:
    """Whoever is on a shift gets its tasks, and their phone reports: a dispatcher alone lends people to others."""
    mine, theirs = await crew(client.engine, on_shift=False), await crew(client.engine, on_shift=False)
    officer, (_, dispatcher) = await client.sign_in(mine.officer), await client.new(Role.DISPATCHER)
    unit_id, lent = str(mine.unit.id), str(theirs.officer.id)
    start = {"unit_id": unit_id, "members": [lent]}
    for members in ([lent], [str(new_id())], [str(mine.officer.id), lent]):
        refused = await posted(client, "/shifts/start", start | {"members": members}, officer, 422)
        assert [error["field"] for error in refused["errors"]] == ["members"]
    assert (await client.http.get("/api/v1/shifts/mine", headers=officer)).json() is None
    planned = {"unit_id": unit_id, "members": [lent], "from": at(hours=1), "to": at(hours=-7)}
    shift = await posted(client, "/shifts", planned, dispatcher, 201)
    await posted(client, f"/shifts/{shift['id']}/start", {}, officer, 200)
    joined = await posted(client, "/shifts/start", start, officer, 200)
    assert sorted(joined["members"]) == sorted([lent, str(mine.officer.id)]), "who is on it already may be named"


async def test_nobody_starts_a_shift_of_a_foreign_unit(client: Client) -> None:
    mine, theirs = await crew(client.engine, on_shift=False), await crew(client.engine)
    officer = await client.sign_in(mine.officer)
    assert theirs.shift
    await posted(client, "/shifts/start", {"unit_id": str(theirs.unit.id)}, officer, 404)
    await posted(client, f"/shifts/{theirs.shift.id}/end", {}, officer, 404)
    ahead = {"unit_id": str(mine.unit.id), "at": at(minutes=-10)}
    await posted(client, "/shifts/start", ahead, officer, 422)


async def test_a_device_moves_to_another_unit_from_a_time_on(client: Client) -> None:
    """T9: old history stays with the old unit."""
    old, new = await crew(client.engine), await crew(client.engine)
    _, admin = await client.new(Role.ADMINISTRATOR)
    _, dispatcher = await client.new(Role.DISPATCHER)
    body = {"unit_id": str(new.unit.id), "valid_from": at(minutes=10)}
    await posted(client, f"/devices/{old.device.id}/assign", body, admin, 200)
    fixes = [{"fix_at": at(minutes=m), "lat": 54.7, "lon": 25.3} for m in (20, 5)]
    assert (await sent(client, old.device_key, *fixes))["accepted"] == 2
    for unit in (old.unit, new.unit):
        track = await client.http.get(f"/api/v1/units/{unit.id}/track", headers=dispatcher)
        assert len(track.json()["features"]) == 1


async def test_keys_are_shown_once_rotated_and_revoked(client: Client) -> None:
    made = await crew(client.engine)
    _, admin = await client.new(Role.ADMINISTRATOR)
    items = [{"unit_id": str(made.unit.id), "protocol": "http", "identifier": f"d{n}"} for n in range(3)]
    devices = (await posted(client, "/devices/bulk", {"items": items}, admin, 201))["items"]
    assert len({device["key"] for device in devices}) == 3
    listed = (await client.http.get("/api/v1/devices", headers=admin)).json()["items"]
    assert not any(device["key"] for device in listed)
    await posted(client, "/devices/bulk", {"items": items[:1]}, admin, 409)  # the identifier is taken
    path = f"/devices/{devices[0]['id']}"
    rotated = await posted(client, f"{path}/rotate-key", {"overlap_s": 60}, admin, 200)
    fix = {"lat": 54.7, "lon": 25.3}
    for n, key in enumerate((devices[0]["key"], rotated["key"])):
        assert (await sent(client, key, fix | {"fix_at": at(seconds=30 + n)}))["accepted"] == 1
    final = await posted(client, f"{path}/rotate-key", {}, admin, 200)
    for key in (devices[0]["key"], rotated["key"]):
        await posted(client, "/positions", {"fixes": []}, {"Authorization": f"Bearer {key}"}, 401)
    await posted(client, f"{path}/revoke", {}, admin, 200)
    refused = await posted(client, "/positions", {"fixes": []}, {"Authorization": f"Bearer {final['key']}"}, 401)
    assert refused["code"] == "bad_device_key"
    await posted(client, f"{path}/rotate-key", {}, admin, 409)
