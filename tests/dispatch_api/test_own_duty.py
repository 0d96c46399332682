"""Being on duty with a phone: what a crew notes, the device's own position, tracker apps, aide-memoires."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import text

from core import codes
from core.actor import Role, system
from core.ids import new_id
from core.work import open_work
from tests.helpers import Client, Crew, crew

Headers = dict[str, str]
API = "/api/v1"


def at(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


def fix(**ago: float) -> dict[str, Any]:
    return {"fix_at": at(**ago), "lat": 55.7, "lon": 21.1, "accuracy_m": 9}


async def posted(client: Client, path: str, body: Any, headers: Headers, status: int = 200) -> Any:
    answer = await client.http.post(f"{API}{path}", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def on_duty(client: Client, **fields: Any) -> tuple[Crew, Headers, dict[str, Any]]:
    """A crew that has begun its shift an hour ago."""
    made = await crew(client.engine, on_shift=False)
    headers = await client.sign_in(made.officer)
    shift = await posted(client, "/shifts/start", {"unit_id": str(made.unit.id), "at": at(hours=1)} | fields, headers)
    return made, headers, shift


async def test_what_a_crew_notes_of_its_shift(client: Client) -> None:
    checked = [{"item": "radio", "state": "ok"}, {"item": "first_aid", "state": "missing"}]
    made, headers, shift = await on_duty(client, odometer_from_km=128_450, equipment_check=checked)
    assert (shift["odometer_from_km"], shift["equipment_check"]) == (128_450, checked)
    again = {"unit_id": str(made.unit.id), "odometer_from_km": 5, "equipment_check": checked[:1]}
    joined = await posted(client, "/shifts/start", again, headers)
    assert (joined["id"], joined["odometer_from_km"]) == (shift["id"], 128_450), "the first counts"
    for wrong in ({"odometer_from_km": -1}, {"equipment_check": [{"item": "radio", "state": "lost"}]}):
        await posted(client, "/shifts/start", again | wrong, headers, 422)
    end = {"id": str(new_id()), "odometer_to_km": 128_640, "handover_note": " Tyre loses air. "}
    ended = await posted(client, f"/shifts/{shift['id']}/end", end, headers)
    assert (ended["odometer_to_km"], ended["handover_note"]) == (128_640, "Tyre loses air.")
    assert await posted(client, f"/shifts/{shift['id']}/end", end, headers) == ended
    _, dispatcher = await client.new(Role.DISPATCHER)
    shown = (await client.http.get(f"{API}/shifts?unit_id={made.unit.id}", headers=dispatcher)).json()["items"][0]
    assert shown["handover_note"] == "Tyre loses air."
    async with open_work(client.engine, system("test")) as work:
        rows = text("SELECT fields::text FROM audit_event WHERE object_kind = 'shift'")
        told = list((await work.session.execute(rows)).scalars())
    assert any("handover_note" in fields for fields in told)
    assert not [fields for fields in told if "Tyre" in fields]


async def test_a_shift_begun_and_ended_without_a_network_needs_no_id(client: Client) -> None:
    _, headers, shift = await on_duty(client)
    assert (await posted(client, "/shifts/mine/end", {"at": at(hours=2)}, headers, 409))["code"] == "conflict"
    assert (await posted(client, "/shifts/mine/end", {"at": at(minutes=5)}, headers))["id"] == shift["id"]
    await posted(client, "/shifts/mine/end", {}, headers, 404)


async def test_own_positions_are_the_units_while_the_shift_lasts(client: Client) -> None:
    made, headers, shift = await on_duty(client)
    path = f"/shifts/{shift['id']}/positions"
    fixes = [fix(hours=2), fix(minutes=50), fix(minutes=1)]
    stored = await posted(client, path, {"fixes": fixes}, headers)
    assert stored == {"accepted": 2, "duplicates": 0, "off_duty": 1, "suspect": 0}
    assert (await posted(client, path, {"fixes": fixes}, headers))["duplicates"] == 2
    await posted(client, path, {"fixes": [fixes[0] | {"lat": 91}]}, headers, 422)
    _, dispatcher = await client.new(Role.DISPATCHER)
    seen = (await client.http.get(f"{API}/positions/latest", headers=dispatcher)).json()["features"]
    assert [one["geometry"]["coordinates"] for one in seen if one["id"] == str(made.unit.id)] == [[21.1, 55.7]]
    track = (await client.http.get(f"{API}/units/{made.unit.id}/track", headers=headers)).json()["features"]
    assert len(track) == 2
    stranger, others, _ = await on_duty(client)
    await posted(client, path, {"fixes": fixes}, others, 404)
    await posted(client, f"/shifts/{shift['id']}/end", {"at": at(seconds=30)}, headers)
    assert (await posted(client, path, {"fixes": [fix(), fix(seconds=45)]}, headers)) == {
        "accepted": 1, "duplicates": 0, "off_duty": 1, "suspect": 0,
    }  # fmt: skip
    assert stranger.unit.id != made.unit.id


async def paired(client: Client, headers: Headers, app: str) -> dict[str, Any]:
    made: dict[str, Any] = await posted(client, "/phones", {"app": app}, headers, 201)
    assert made["code_svg"].startswith("<svg")
    return made


async def test_a_phone_follows_its_person_and_never_the_unit(client: Client) -> None:
    """Off duty nothing is stored, also while others are on duty with the same unit."""
    made, headers, shift = await on_duty(client)
    traccar = await paired(client, headers, "traccar")
    code = urlsplit(traccar["code"])
    assert parse_qs(code.query)["id"] == [traccar["key"]]

    async def knocked(**ago: float) -> int:
        when = int((datetime.now(UTC) - timedelta(**ago)).timestamp())
        query = f"id={traccar['key']}&lat=55.6&lon=21.2&timestamp={when}"
        assert (await client.http.get(f"{code.path}?{query}")).status_code == 200
        async with open_work(client.engine, system("test")) as work:
            count = text("SELECT count(*) FROM position WHERE device_id = :id")
            found: int = (await work.session.execute(count, {"id": traccar["id"]})).scalar_one()
        return found

    assert await knocked(seconds=20) == 1
    await posted(client, f"/shifts/{shift['id']}/end", {"at": at(seconds=10)}, headers)
    colleague, _ = await client.new(Role.OFFICER)
    async with open_work(client.engine, system("test")) as work:
        await work.session.execute(
            text("INSERT INTO unit_member (unit_id, user_id) VALUES (:unit, :user)"),
            {"unit": made.unit.id, "user": colleague.id},
        )
    theirs = await client.sign_in(colleague)
    other = await posted(client, "/shifts/start", {"unit_id": str(made.unit.id), "at": at(seconds=8)}, theirs)
    assert await knocked(seconds=4) == 1, "another crew is on duty, this person is not"
    assert (await client.http.get(f"{API}/duty", headers=headers)).json()["phones"][0]["protocol"] == "osmand"
    joined = await posted(client, "/shifts/start", {"unit_id": str(made.unit.id), "at": at(seconds=3)}, headers)
    assert joined["id"] == other["id"]
    assert await knocked(seconds=6) == 1, "it was not on duty yet"
    assert await knocked(seconds=1) == 2
    again = await paired(client, headers, "traccar")
    assert (await client.http.get(f"{code.path}?id={traccar['key']}&lat=1&lon=1")).status_code == 404
    await posted(client, f"/phones/{again['id']}/revoke", {}, theirs, 404)
    await posted(client, f"/phones/{again['id']}/revoke", {}, headers, 204)
    assert (await client.http.get(f"{code.path}?id={again['key']}&lat=1&lon=1")).status_code == 404


async def test_a_phone_paired_twice_at_once_is_one_phone(client: Client) -> None:
    """Two taps, or two pages: the later key counts, and neither meets a fault."""
    _, headers, _ = await on_duty(client)
    both = await asyncio.gather(*[paired(client, headers, "traccar") for _ in range(4)])
    (phone,) = (await client.http.get(f"{API}/duty", headers=headers)).json()["phones"]
    assert phone["id"] in {made["id"] for made in both}
    heard = [(await client.http.get(f"/ingest/osmand?id={made['key']}&lat=55.6&lon=21.2")).status_code for made in both]
    assert sorted(heard) == [200, 404, 404, 404]


async def test_of_two_shifts_at_once_a_phone_reports_for_the_one_that_began_last_and_is_heard_until_both_end(
    client: Client,
) -> None:
    """A night shift that begins before the day's is over: neither its begin nor the other's end silences anybody."""
    made, headers, day = await on_duty(client)
    other = await crew(client.engine, on_shift=False)
    traccar = await paired(client, headers, "traccar")
    _, centre = await client.new(Role.DISPATCHER)
    plan = {"unit_id": str(other.unit.id), "members": [str(made.officer.id)], "from": at(hours=1), "to": at(hours=-8)}
    night = await posted(client, "/shifts", plan, centre, 201)
    await posted(client, f"/shifts/{night['id']}/start", {"at": at(minutes=20)}, centre)
    mine = (await client.http.get(f"{API}/shifts/mine", headers=headers)).json()
    assert mine["id"] == night["id"]
    await posted(client, f"/shifts/{day['id']}/end", {"at": at(minutes=10)}, centre)

    async def heard(minutes: float) -> str:
        when = int((datetime.now(UTC) - timedelta(minutes=minutes)).timestamp())
        code = urlsplit(traccar["code"])
        query = f"id={traccar['key']}&lat=55.6&lon=21.2&timestamp={when}"
        assert (await client.http.get(f"{code.path}?{query}")).status_code == 200
        async with open_work(client.engine, system("test")) as work:
            newest = text("SELECT unit_id FROM position WHERE device_id = :id ORDER BY received_at DESC LIMIT 1")
            return str((await work.session.execute(newest, {"id": traccar["id"]})).scalar_one())

    assert await heard(40) == str(made.unit.id)
    assert await heard(15) == str(other.unit.id), "the night's, though the day's runs still"
    assert await heard(5) == str(other.unit.id), "the day's end is not the night's"
    own = {"fixes": [{"fix_at": at(minutes=4), "lat": 55.6, "lon": 21.2}]}
    assert (await posted(client, f"/shifts/{night['id']}/positions", own, headers))["accepted"] == 1
    await posted(client, f"/shifts/{night['id']}/end", {"at": at(minutes=2)}, centre)
    late = {"fixes": [{"fix_at": at(minutes=1), "lat": 55.6, "lon": 21.2}]}
    assert (await posted(client, f"/shifts/{night['id']}/positions", late, headers))["off_duty"] == 1


async def test_owntracks_is_set_up_by_its_own_link(client: Client) -> None:
    made, headers, _ = await on_duty(client)
    phone = await paired(client, headers, "owntracks")
    settings = json.loads(base64.urlsafe_b64decode(parse_qs(urlsplit(phone["code"]).query)["inline"][0]))
    assert (settings["_type"], settings["mode"], settings["username"]) == ("configuration", 3, made.officer.login)
    place = {"_type": "location", "lat": 55.6, "lon": 21.2, "tst": int(datetime.now(UTC).timestamp())}
    login = (settings["username"], settings["password"])
    assert (await client.http.post(urlsplit(settings["url"]).path, json=place, auth=login)).json() == []
    latest = (await client.http.get(f"{API}/positions/latest", headers=headers)).json()["features"]
    assert [one["geometry"]["coordinates"] for one in latest] == [[21.2, 55.6]]
    _, admin = await client.new(Role.ADMINISTRATOR)
    shown = (await client.http.get(f"{API}/devices?limit=500", headers=admin)).json()["items"]
    assert [one["user_id"] for one in shown if one["id"] == phone["id"]] == [str(made.officer.id)]
    body = {"unit_id": str(made.unit.id), "valid_from": at()}
    await posted(client, f"/devices/{phone['id']}/assign", body, admin, 409)


async def test_the_address_in_a_code_is_never_a_strangers(client: Client) -> None:
    _, headers, _ = await on_duty(client)
    for origin in ("https://elsewhere.example", "https://" + "x" * 5_000):
        asked = headers | {"Origin": origin}
        paired = await posted(client, "/phones", {"app": "traccar"}, asked, 201)
        assert paired["server_url"] == "http://127.0.0.1/ingest/osmand"
    own = await posted(client, "/phones", {"app": "traccar"}, headers | {"Origin": "https://127.0.0.1"}, 201)
    assert own["server_url"] == "https://127.0.0.1/ingest/osmand", "a proxy in front speaks TLS"


async def test_an_officer_knows_the_own_crew_and_nobody_else(client: Client) -> None:
    """O10."""
    made, headers, _ = await on_duty(client)
    other, _, _ = await on_duty(client)
    sheet = (await client.http.get(f"{API}/duty", headers=headers)).json()
    assert [unit["unit_id"] for unit in sheet["units"]] == [str(made.unit.id)]
    (unit,) = sheet["units"]
    assert unit["people"] == [{"id": str(made.officer.id), "name": made.officer.name}]
    assert (unit["has_tracker"], unit["tracker_seen_at"]) == (True, None)
    assert str(other.officer.id) not in json.dumps(sheet)


async def test_aide_memoires_cover_tasks_and_goods_in_both_languages(client: Client) -> None:
    _, headers = await client.new(Role.OFFICER)
    held = (await client.http.get(f"{API}/aide-memoires", headers=headers)).json()
    kinds = {kind for item in held["items"] for kind in item["task_kinds"]}
    assert (await client.http.get(f"{API}/code-lists", headers=headers)).json()["equipment"] == list(codes.EQUIPMENT)
    assert kinds == set(codes.TASK_KIND) - {"other", "support_unit"}
    assert {goods for item in held["items"] for goods in item["goods_categories"]} <= set(codes.GOODS_CATEGORY)
    codes_of = [item["code"] for item in held["items"]]
    assert len(codes_of) == len(set(codes_of))
    for item in held["items"]:
        texts = [item["title"], *item["steps"], *([item["warning"]] if item["warning"] else [])]
        assert len(item["steps"]) >= 5
        assert all(one["en"] and one["lt"] and one["en"] != one["lt"] for one in texts), item["code"]
