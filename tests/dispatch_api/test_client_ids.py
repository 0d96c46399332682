"""Ids made by clients (interfaces.md 1): what is made has the id it was sent with, and every write is done once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest_asyncio
from sqlalchemy import func, select
from sqlmodel import SQLModel

from core.actor import system
from core.ids import new_id
from core.models import LegalHold, Office, UserAccount
from core.work import open_work
from geo.models import Device, Shift, Unit, Violation
from tasks.models import Alert, Notice, Task
from tests.helpers import Client, Crew, Database, crew

PLACE = {"lon": 25.28, "lat": 54.69}
ONA = {"login": "ona", "name": "Ona", "roles": ["officer"]}


def moment(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


@dataclass
class Desk:
    """Everybody who writes, signed in, and a crew on shift."""

    client: Client
    crew: Crew
    headers: dict[str, dict[str, str]]

    async def post(self, who: str, path: str, body: Any) -> httpx.Response:
        return await self.client.http.post(f"/api/v1{path}", json=body, headers=self.headers[who])

    async def made(self, who: str, path: str, body: Any) -> dict[str, Any]:
        answer = await self.post(who, path, body)
        assert answer.status_code in {200, 201}, answer.text
        return dict(answer.json())

    async def count(self, table: type[SQLModel]) -> int:
        async with open_work(self.client.engine, system("test")) as work:
            return int((await work.session.execute(select(func.count()).select_from(table))).scalar_one())


@pytest_asyncio.fixture
async def desk(client: Client) -> AsyncIterator[Desk]:
    one = await crew(client.engine)
    headers = {role: (await client.new(role))[1] for role in ("administrator", "dispatcher", "investigator")}
    yield Desk(client, one, headers | {"officer": await client.sign_in(one.officer)})


async def test_what_is_made_has_the_id_it_was_sent_with(desk: Desk) -> None:
    unit = str(desk.crew.unit.id)
    device = {"unit_id": unit, "protocol": "http"}
    shift = {"unit_id": unit, "from": moment(hours=1), "to": moment(hours=-7)}
    hold = {"kind": "unit", "object_id": unit, "reason": "case"}
    task = {"kind": "other", "priority": "P3", "title": "T", "reason_code": "random"}
    notice = {"kind": "information", "priority": "P3", "headline": "N", "to": {"everyone": True}}
    found = {"category": "cash", "occurred_at": moment(hours=1), "coord_source": "gps", **PLACE}
    writes: list[tuple[str, str, dict[str, Any], dict[str, Any], type[SQLModel]]] = [
        ("administrator", "/offices", {"code": "VLN", "name": "Vilnius"}, {"code": "KAU"}, Office),
        ("administrator", "/users", ONA, {"login": "jonas"}, UserAccount),
        ("administrator", "/units", {"call_sign": "V-7", "kind": "dog"}, {"call_sign": "V-8"}, Unit),
        ("administrator", "/devices", device, {"interval_s": 7}, Device),
        ("dispatcher", "/shifts", shift, {"members": []}, Shift),
        ("dispatcher", "/tasks", task, {"title": "U"}, Task),
        ("dispatcher", "/notices", notice, {"headline": "M"}, Notice),
        ("officer", "/violations", found, {"quantity": 1}, Violation),
        ("investigator", "/holds", hold, {"reason": "other"}, LegalHold),
    ]  # fmt: skip
    for who, path, body, other, table in writes:
        before, sent = await desk.count(table), {"id": str(new_id())} | body
        first = await desk.post(who, path, sent)
        assert (first.status_code, first.json()["id"]) == (201, sent["id"]), (path, first.text)
        again = await desk.post(who, path, sent)
        assert (again.status_code, again.json()) == (201, first.json()), path
        assert (again.headers["Idempotency-Replayed"], "Idempotency-Replayed" in first.headers) == ("true", False)
        refused = await desk.post(who, path, sent | other)
        assert (refused.status_code, refused.json()["code"]) == (409, "id_reused"), path
        assert await desk.count(table) == before + 1, path


async def test_the_same_write_sent_many_times_at_once_is_done_once(desk: Desk) -> None:
    sent = {"id": str(new_id()), "call_sign": "V-7", "kind": "dog"}
    before = await desk.count(Unit)
    answers = await asyncio.gather(*(desk.post("administrator", "/units", sent) for _ in range(6)))
    assert {(answer.status_code, answer.json()["id"]) for answer in answers} == {(201, sent["id"])}
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 5
    assert await desk.count(Unit) == before + 1


async def test_devices_registered_together_have_theirs(desk: Desk) -> None:
    ids = [str(new_id()) for _ in range(3)]
    items = [{"id": each, "unit_id": str(desk.crew.unit.id), "protocol": "http"} for each in ids]
    made = await desk.made("administrator", "/devices/bulk", {"items": items})
    assert [each["id"] for each in made["items"]] == ids
    before = await desk.count(Device)
    twice = await desk.post("administrator", "/devices/bulk", {"items": [{**items[0], "id": str(new_id())}, items[1]]})
    assert (twice.status_code, twice.json()["code"]) == (409, "id_reused")
    assert await desk.count(Device) == before  # all or none


async def test_an_officers_shift_has_the_id_its_start_was_sent_with(desk: Desk) -> None:
    await desk.made("officer", "/shifts/mine/end", {})
    sent = {"id": str(new_id()), "unit_id": str(desk.crew.unit.id)}
    first = await desk.made("officer", "/shifts/start", sent)
    assert first["id"] == sent["id"]
    assert await desk.made("officer", "/shifts/start", sent) == first
    joined = await desk.made("officer", "/shifts/start", sent | {"id": str(new_id())})
    assert joined["id"] == first["id"], "who joins is on the shift that runs"


async def test_every_step_is_taken_once(desk: Desk) -> None:
    unit, admin = str(desk.crew.unit.id), "administrator"
    other = {"id": str((await crew(desk.client.engine)).unit.id)}
    device = await desk.made(admin, "/devices", {"unit_id": unit, "protocol": "http"})
    user = await desk.made(admin, "/users", ONA)
    install = await desk.made("officer", "/installs", {"id": str(new_id()), "name": "tablet"})
    task = await desk.made("dispatcher", "/tasks", {
        "kind": "other", "priority": "P3", "title": "T", "reason_code": "random", "unit_id": unit, "issue": True,
        **PLACE,
    })  # fmt: skip
    notice = await desk.made("dispatcher", "/notices", {
        "kind": "information", "priority": "P3", "headline": "N", "to": {"everyone": True},
    })  # fmt: skip
    steps: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
        (admin, f"/devices/{device['id']}/assign", {"unit_id": other["id"], "valid_from": moment()}, {"unit_id": unit}),
        (admin, f"/devices/{device['id']}/rotate-key", {"overlap_s": 60}, {"overlap_s": 0}),
        (admin, f"/devices/{device['id']}/revoke", {}, {}),
        (admin, f"/users/{user['id']}/reset-factor", {}, {}),
        (admin, f"/users/{user['id']}/reset-password", {}, {}),
        (admin, f"/users/{user['id']}/disable", {}, {}),
        ("officer", f"/installs/{install['id']}/revoke", {}, {"recover": True}),
        ("officer", f"/tasks/{task['id']}/transitions", {"verb": "acknowledge"}, {"verb": "en_route"}),
        ("dispatcher", f"/tasks/{task['id']}/support", {"unit_id": other["id"]}, {"unit_id": unit}),
        ("dispatcher", f"/tasks/{task['id']}/support/{other['id']}/withdraw", {"reason": "over"}, {"reason": "no"}),
        ("officer", f"/notices/{notice['id']}/acknowledge", {"at": moment()}, {"at": moment(minutes=1)}),
        ("dispatcher", f"/notices/{notice['id']}/cancel", {}, {"at": moment()}),
        ("officer", "/inbox/ack", {"upto": 1}, {"upto": 0}),
        ("officer", f"/shifts/{desk.crew.shift and desk.crew.shift.id}/end", {}, {"at": moment()}),
    ]  # fmt: skip
    for who, path, body, changed in steps:
        sent = {"id": str(new_id())} | body
        first, again = await desk.post(who, path, sent), await desk.post(who, path, sent)
        assert first.status_code in {200, 204}, (path, first.text)
        assert (again.status_code, again.content) == (first.status_code, first.content), path
        assert again.headers.get("Idempotency-Replayed") == "true", path
        if changed:
            refused = await desk.post(who, path, sent | changed)
            assert (refused.status_code, refused.json()["code"]) == (409, "id_reused"), path


async def test_an_id_that_something_else_has_is_refused_as_such(desk: Desk, database: Database) -> None:
    """Also when no write of a client was noted under it."""
    unit = str(desk.crew.unit.id)
    shift = {"unit_id": unit, "from": moment(hours=1), "to": moment(hours=-7)}
    notice = {"kind": "information", "priority": "P3", "headline": "N", "to": {"units": [unit]}}
    place_of_work = {"reason_code": "random", **PLACE}
    told = await desk.made("dispatcher", "/notices", notice)
    task = await desk.made("officer", "/tasks/self", {"kind": "stop_vehicle", **place_of_work})
    writes: list[tuple[str, str, dict[str, Any]]] = [
        ("administrator", "/offices", {"code": "VLN", "name": "Vilnius"}),
        ("administrator", "/users", ONA),
        ("administrator", "/units", {"call_sign": "V-7", "kind": "dog"}),
        ("administrator", "/devices", {"unit_id": unit, "protocol": "http"}),
        ("dispatcher", "/shifts", shift),
        ("dispatcher", "/tasks", {"kind": "other", "priority": "P3", "title": "T", **place_of_work}),
        ("dispatcher", "/notices", notice),
        ("officer", f"/notices/{told['id']}/reply", {"text": "yes"}),
        ("officer", "/tasks/self", {"kind": "stop_vehicle", **place_of_work}),
        ("officer", "/panic", PLACE),
        ("officer", "/violations", {"category": "cash", "occurred_at": moment(), "coord_source": "gps", **PLACE}),
        ("officer", "/installs", {"name": "tablet"}),
        ("investigator", "/holds", {"kind": "unit", "object_id": unit, "reason": "case"}),
        ("officer", "/stop-forms", {
            "first_stopped_at": moment(), "coord_source": "gps", "result": "nothing_found", **place_of_work,
        }),
        ("officer", "/attachments", {
            "task_id": task["id"], "name": "a.jpg", "media_type": "image/jpeg", "size": 9, "sha256": "ab" * 32,
        }),
    ]  # fmt: skip
    owner = await database.owner()
    for who, path, body in writes:
        sent = {"id": str(new_id())} | body
        assert (await desk.post(who, path, sent)).status_code in {200, 201}, path
        await owner.execute("DELETE FROM client_write")
        other = {name: f"{value}-2" for name, value in body.items() if name in {"code", "login", "call_sign"}}
        refused = await desk.post(who, path, sent | other)
        assert (refused.status_code, refused.json()["code"]) == (409, "id_reused"), path
    await owner.close()
    named = {"call_sign": desk.crew.unit.call_sign, "kind": "dog"}
    refused = await desk.post("administrator", "/units", {"id": str(new_id())} | named)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


async def pages(desk: Desk, path: str, limit: int) -> list[str]:
    """The ids of all pages."""
    seen: list[str] = []
    after: dict[str, Any] = {}
    while True:
        asked = {"limit": limit} | after
        page = (await desk.client.http.get(f"/api/v1{path}", params=asked, headers=desk.headers["dispatcher"])).json()
        assert len(page["items"]) <= limit
        seen += [each["id"] for each in page["items"]]
        if page["next"] is None:
            return seen
        after = {"after": page["next"]}


async def test_shifts_and_alerts_come_in_pages_whatever_their_ids(desk: Desk) -> None:
    ids = [f"{n}0000000-0000-4000-8000-000000000000" for n in (3, 1, 4, 2)]
    for hours, shift_id in enumerate(ids):
        window = {"from": moment(hours=-hours - 1), "to": moment(hours=-hours - 2)}
        await desk.made("dispatcher", "/shifts", {"id": shift_id, "unit_id": str(desk.crew.unit.id), **window})
    assert await pages(desk, "/shifts", 2) == [*reversed(ids), str(desk.crew.shift and desk.crew.shift.id)]
    at = datetime.now(UTC)
    async with open_work(desk.client.engine, system("test")) as work:
        work.session.add_all([
            Alert(id=each, kind="unit_silent", unit_id=desk.crew.unit.id, raised_at=at, cleared_at=at, text="x")
            for each in map(type(desk.crew.unit.id), ids)
        ])  # fmt: skip
    assert await pages(desk, "/alerts", 2) == sorted(ids, reverse=True)
    wrong = await desk.client.http.get("/api/v1/alerts?after=x", headers=desk.headers["dispatcher"])
    assert (wrong.status_code, wrong.json()["code"]) == (400, "malformed")
