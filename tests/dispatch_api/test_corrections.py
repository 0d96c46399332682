"""Corrections by addendum over HTTP: heat and lists show what is right, the original stays, nobody can rewrite it."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.actor import system
from core.ids import new_id
from core.work import open_work
from tests import module_wide
from tests.helpers import Client, Crew, Database, crew

API = "/api/v1/violations"
ELSEWHERE = "bbox=23.8,54.8,24.0,55.0"
HERE = "bbox=25.2,54.6,25.4,54.8"

database = module_wide.database


async def recorded(client: Client, patrol: Crew | None = None, **changes: Any) -> tuple[str, dict[str, str]]:
    patrol = patrol or await crew(client.engine)
    officer = await client.sign_in(patrol.officer)
    body = {
        "category": "tobacco", "occurred_at": "2026-05-01T09:00:00Z", "lon": 25.279652, "lat": 54.687157,
        "coord_source": "gps", "accuracy_m": 8, "quantity": 600.5, "note": "<b>`${x}`",
    }  # fmt: skip
    answer = await client.http.post(API, json=body | changes, headers=officer)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"]), officer


def correction(version: int = 1, **changes: Any) -> dict[str, Any]:
    return {"version": version, "reason_code": "place", "reason": "wrong parking lot", "changes": changes}


async def heat(client: Client, headers: dict[str, str], query: str) -> int:
    return int((await client.http.get(f"{API}/heat?{query}", headers=headers)).json()["total"])


async def test_lists_and_heat_show_the_corrected_and_the_original_stays_readable(client: Client) -> None:
    found, officer = await recorded(client)
    supervisor_user, supervisor = await client.new("supervisor", name="Ona Vyresnioji")
    original = (await client.http.get(f"{API}/{found}", headers=supervisor)).json()
    assert (original["properties"]["version"], original["properties"]["corrected_at"]) == (1, None)
    before = await heat(client, supervisor, HERE), await heat(client, supervisor, ELSEWHERE)
    moved = correction(lon=23.9, lat=54.9, category="cash", accuracy_m=None, quantity=1_000_000.125)
    answer = await client.http.post(f"{API}/{found}/corrections", json=moved, headers=supervisor)
    assert answer.status_code == 201, answer.text
    right = answer.json()
    assert right["geometry"]["coordinates"] == [23.9, 54.9]
    changed = {"category": "cash", "accuracy_m": None, "quantity": 1_000_000.125, "version": 2}
    moment = right["properties"]["corrected_at"]
    assert right["properties"] == original["properties"] | changed | {"corrected_at": moment}
    assert (await heat(client, supervisor, HERE), await heat(client, supervisor, ELSEWHERE)) == (
        before[0] - 1, before[1] + 1,
    )  # fmt: skip
    listed = (await client.http.get(f"{API}?{ELSEWHERE}", headers=officer)).json()["features"]
    assert [feature for feature in listed if feature["id"] == found] == [right]
    again = correction(version=2, note=None) | {"reason_code": "text", "reason": "names a witness"}
    assert (await client.http.post(f"{API}/{found}/corrections", json=again, headers=supervisor)).status_code == 201
    versions = (await client.http.get(f"{API}/{found}/versions", headers=officer)).json()["items"]
    assert [one["version"] for one in versions] == [1, 2, 3]
    assert [one["feature"] for one in versions[:2]] == [original, right]
    assert versions[2]["corrected"] is None
    assert versions[2]["feature"]["properties"]["note"] is None
    why = versions[0]["corrected"]
    assert (why["by"], why["by_name"], why["reason_code"], why["reason"]) == (
        str(supervisor_user.id), "Ona Vyresnioji", "place", "wrong parking lot",
    )  # fmt: skip
    assert why["changes"] == moved["changes"]


async def test_a_correction_is_done_once_and_of_what_was_read(client: Client) -> None:
    found, _ = await recorded(client)
    _, one = await client.new("supervisor")
    _, two = await client.new("investigator")
    sent = correction(category="cash") | {"id": str(new_id())}
    first = await client.http.post(f"{API}/{found}/corrections", json=sent, headers=one)
    again = await client.http.post(f"{API}/{found}/corrections", json=sent, headers=one)
    assert (again.status_code, again.headers["Idempotency-Replayed"], again.json()) == (201, "true", first.json())
    late = await client.http.post(f"{API}/{found}/corrections", json=correction(note="x"), headers=two)
    assert (late.status_code, late.json()["code"], late.json()["current_version"]) == (409, "version_conflict", 2)
    assert (await client.http.post(f"{API}/{found}/corrections", json=correction(2, note="x"), headers=two)).is_success


WRONG: list[dict[str, Any]] = [
    {}, {"lon": 25.0}, {"lat": 54.0}, {"lon": 25.0, "lat": 91}, {"lon": None, "lat": None}, {"category": None},
    {"category": "gossip"}, {"occurred_at": None}, {"occurred_at": "2199-01-01T00:00:00Z"}, {"coord_source": None},
    {"method": "magic"}, {"quantity": -1}, {"recorded_by": str(new_id())}, {"version": 7}, {"note": "\x00"},
    {"category": "tobacco"}, {"lon": 25.279652, "lat": 54.687157, "quantity": 600.5},
]  # fmt: skip


async def test_what_is_no_correction_is_refused_and_changes_nothing(client: Client) -> None:
    found, _ = await recorded(client)
    _, supervisor = await client.new("supervisor")
    for changes in WRONG:
        answer = await client.http.post(
            f"{API}/{found}/corrections", json=correction() | {"changes": changes}, headers=supervisor
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), changes
    bare = correction(note="x")
    for body in (bare | {"reason": ""}, bare | {"reason_code": "mood"}, bare | {"version": 0}, bare | {"by": "x"}):
        assert (await client.http.post(f"{API}/{found}/corrections", json=body, headers=supervisor)).status_code == 422
    versions = await client.http.get(f"{API}/{found}/versions", headers=supervisor)
    assert len(versions.json()["items"]) == 1


async def test_others_see_and_correct_nothing(client: Client) -> None:
    found, officer = await recorded(client)
    _, supervisor = await client.new("supervisor")
    stranger = await client.sign_in((await crew(client.engine)).officer)
    for path in (f"{API}/{found}", f"{API}/{found}/versions"):
        unknown = await client.http.get(path.replace(found, str(new_id())), headers=stranger)
        hidden = await client.http.get(path, headers=stranger)
        assert (hidden.status_code, hidden.content) == (404, unknown.content)
    gone = await client.http.post(f"{API}/{new_id()}/corrections", json=correction(note="x"), headers=supervisor)
    assert gone.status_code == 404
    for headers in (officer, (await client.new("dispatcher"))[1], (await client.new("risk_analyst"))[1]):
        answer = await client.http.post(f"{API}/{found}/corrections", json=correction(note="x"), headers=headers)
        assert answer.status_code == 403


async def test_whoever_changes_a_record_the_database_keeps_what_it_was(client: Client, database: Database) -> None:
    found, _ = await recorded(client)
    owner = await database.owner()
    await owner.execute("UPDATE violation SET note = 'quietly' WHERE id = $1", found)
    await owner.close()
    _, supervisor = await client.new("supervisor")
    items = (await client.http.get(f"{API}/{found}/versions", headers=supervisor)).json()["items"]
    assert [(one["feature"]["properties"]["note"], one["corrected"]) for one in items] == [
        ("<b>`${x}`", None), ("quietly", None),
    ]  # fmt: skip
    for statement in (
        "UPDATE violation_version SET record = '{}'", "DELETE FROM violation_version",
        "INSERT INTO violation_version SELECT * FROM violation_version", "DELETE FROM violation_addendum",
        "UPDATE violation_addendum SET reason = ''",
    ):  # fmt: skip
        with pytest.raises(DBAPIError, match="permission denied"):
            async with open_work(client.engine, system("test")) as work:
                await work.session.execute(text(statement))


async def test_a_category_that_nobody_has_used_yet_may_be_needed_twice_at_once(client: Client) -> None:
    found = [(await recorded(client))[0] for _ in range(6)]
    _, supervisor = await client.new("supervisor")
    async with open_work(client.engine, system("test")) as work:
        assert await work.first(text("SELECT count(*) FROM violation_category WHERE category = 'sanctions'")) == 0
    answers = await asyncio.gather(
        *(
            client.http.post(f"{API}/{each}/corrections", json=correction(category="sanctions"), headers=supervisor)
            for each in found
        )
    )
    assert [answer.status_code for answer in answers] == [201] * 6
