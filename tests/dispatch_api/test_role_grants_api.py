"""Four eyes for role grants over HTTP: who sees what waits, who may grant it, and what a person may do meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role
from core.ids import new_id
from core.models import UserAccount
from core.settings import Settings
from tests.conftest import serving
from tests.helpers import PASSWORD, Client

API = "/api/v1"
Headers = dict[str, str]


@dataclass
class Office:
    """Two administrators of a server on which the setting is on."""

    client: Client
    first: UserAccount
    second: UserAccount
    by_first: Headers
    by_second: Headers

    async def post(self, path: str, headers: Headers, body: dict[str, Any] | None = None) -> httpx.Response:
        return await self.client.http.post(API + path, json=body or {}, headers=headers)

    async def propose(self, user: UserAccount, *roles: str) -> str:
        """The first proposes roles; the id of what waits."""
        asked = await self.client.http.patch(
            f"{API}/users/{user.id}", json={"roles": list(roles)}, headers=self.by_first
        )
        assert asked.status_code == 200, asked.text
        return str((await self.waiting())[-1]["id"])

    async def waiting(self) -> list[dict[str, Any]]:
        answer = await self.client.http.get(f"{API}/role-grants", headers=self.by_second)
        assert answer.status_code == 200
        return list(answer.json()["items"])


@pytest.fixture
async def office(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Office]:
    async with serving(settings.model_copy(update={"four_eyes": True}), engine) as client:
        first, by_first = await client.new(Role.ADMINISTRATOR, name="Ana")
        second, by_second = await client.new(Role.ADMINISTRATOR, name="Benas")
        yield Office(client, first, second, by_first, by_second)


async def test_a_person_is_made_by_two(office: Office) -> None:
    body = {"id": str(new_id()), "login": "jonas", "name": "Jonas", "password": PASSWORD, "roles": ["auditor"]}
    made = await office.post("/users", office.by_first, body)
    assert made.status_code == 201
    assert (made.json()["roles"], made.json()["roles_waiting"]) == ([], ["auditor"])
    assert (await office.post("/users", office.by_first, body)).json() == made.json()  # a repeat proposes nothing more
    (waits,) = await office.waiting()
    assert (waits["login"], waits["name"], waits["roles"]) == ("jonas", "Jonas", ["auditor"])
    assert (waits["proposed_by"], waits["proposed_by_name"]) == (str(office.first.id), "Ana")
    assert (waits["outcome"], waits["decided_by"], waits["decided_at"]) == (None, None, None)
    begun, ends = (datetime.fromisoformat(waits[name]) for name in ("proposed_at", "lapses_at"))
    assert ends - begun == timedelta(days=30)
    claim = {"login": "jonas", "password": PASSWORD}
    opened = await office.client.http.post(f"{API}/session", json=claim)
    mine = {"Authorization": f"Bearer {opened.json()['token']}"}
    assert (await office.client.http.get(f"{API}/users", headers=mine)).status_code == 403
    refused = await office.post(f"/role-grants/{waits['id']}/grant", office.by_first)
    assert (refused.status_code, refused.json()["code"]) == (403, "four_eyes")
    granted = await office.post(f"/role-grants/{waits['id']}/grant", office.by_second)
    assert (granted.status_code, granted.json()["outcome"]) == (200, "granted")
    assert (granted.json()["decided_by"], granted.json()["lapses_at"]) == (str(office.second.id), None)
    assert await office.waiting() == []
    assert (await office.client.http.get(f"{API}/users", headers=mine)).status_code == 401  # to be signed in anew
    opened = await office.client.http.post(f"{API}/session", json=claim)
    mine = {"Authorization": f"Bearer {opened.json()['token']}"}
    listed = (await office.client.http.get(f"{API}/users", headers=mine)).json()["items"]
    (jonas,) = [one for one in listed if one["login"] == "jonas"]
    assert (jonas["roles"], jonas["roles_waiting"], jonas["version"]) == (["auditor"], [], made.json()["version"] + 1)


async def test_another_session_is_no_other_person(office: Office) -> None:
    user, _ = await office.client.new(Role.OFFICER)
    waits = await office.propose(user, "officer", "dispatcher")
    again = await office.client.sign_in(office.first)
    answer = await office.post(f"/role-grants/{waits}/grant", again)
    assert (answer.status_code, answer.json()["code"]) == (403, "four_eyes")
    withdrawn = await office.post(f"/role-grants/{waits}/refuse", again)
    assert (withdrawn.status_code, withdrawn.json()["outcome"]) == (200, "withdrawn")
    late = await office.post(f"/role-grants/{waits}/grant", office.by_second)
    assert (late.status_code, late.json()["code"]) == (409, "transition_not_allowed")


async def test_every_answer_shows_what_waits(office: Office) -> None:
    user, headers = await office.client.new(Role.OFFICER)
    path, http = f"{API}/users/{user.id}", office.client.http
    await office.propose(user, "dispatcher", "officer")
    for answer in (
        await http.get(path, headers=office.by_second),
        await http.patch(path, json={"name": "Other", "version": 2}, headers=office.by_second),
    ):
        assert (answer.json()["roles"], answer.json()["roles_waiting"]) == (["officer"], ["dispatcher"])
    stale = await http.patch(path, json={"roles": ["officer"], "version": 1}, headers=office.by_second)
    assert (stale.status_code, stale.json()["current_version"]) == (409, 3)
    assert stale.json()["changed_by"] == "Benas"
    assert (await http.get(f"{API}/me", headers=headers)).json()["roles"] == ["officer"]  # nothing ended meanwhile
    disabled = await office.post(f"/users/{user.id}/disable", office.by_second)
    assert (disabled.json()["roles"], disabled.json()["roles_waiting"]) == (["officer"], [])
    assert await office.waiting() == []


async def test_ids_make_decisions_once(office: Office) -> None:
    user, _ = await office.client.new(Role.OFFICER)
    waits = await office.propose(user, "officer", "dispatcher")
    body = {"id": str(new_id())}
    first = await office.post(f"/role-grants/{waits}/grant", office.by_second, body)
    again = await office.post(f"/role-grants/{waits}/grant", office.by_second, body)
    assert (first.json(), again.headers["idempotency-replayed"]) == (again.json(), "true")
    reused = await office.post(f"/role-grants/{waits}/refuse", office.by_second, body)
    assert (reused.status_code, reused.json()["code"]) == (409, "id_reused")


async def test_what_waits_comes_in_pages_to_those_who_read_of_people(office: Office) -> None:
    people = [(await office.client.new(Role.OFFICER))[0] for _ in range(3)]
    for user in people:
        await office.propose(user, "dispatcher")
    for role in (Role.AUDITOR, Role.SUPERVISOR, Role.INTERNAL_AFFAIRS):
        _, headers = await office.client.new(role)
        found, after = [], ""
        while after is not None:
            page = await office.client.http.get(f"{API}/role-grants?limit=2&after={after}", headers=headers)
            found += [one["user_id"] for one in page.json()["items"]]
            after = page.json()["next"]
        assert found == [str(user.id) for user in people]
        waits = (await office.waiting())[0]["id"]
        assert (await office.post(f"/role-grants/{waits}/refuse", headers)).status_code == 403
    wrong = await office.client.http.get(f"{API}/role-grants?after=x", headers=office.by_first)
    assert (wrong.status_code, wrong.json()["code"]) == (400, "malformed")


async def test_the_last_two_administrators_stay(office: Office) -> None:
    path = f"{API}/users/{office.second.id}"
    answer = await office.client.http.patch(path, json={"roles": ["officer"]}, headers=office.by_first)
    assert (answer.status_code, answer.json()["code"]) == (409, "last_administrators")


async def test_two_administrators_who_grant_at_once(office: Office) -> None:
    user, _ = await office.client.new(Role.OFFICER)
    _, by_third = await office.client.new(Role.ADMINISTRATOR)
    waits = await office.propose(user, "officer", "dispatcher")
    answers = await asyncio.gather(
        *(office.post(f"/role-grants/{waits}/grant", by) for by in (office.by_second, by_third))
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


async def test_off_by_default(client: Client) -> None:
    user, _ = await client.new(Role.OFFICER)
    _, headers = await client.new(Role.ADMINISTRATOR)
    await client.new(Role.ADMINISTRATOR)
    answer = await client.http.patch(f"{API}/users/{user.id}", json={"roles": ["auditor"]}, headers=headers)
    assert (answer.json()["roles"], answer.json()["roles_waiting"]) == (["auditor"], [])
