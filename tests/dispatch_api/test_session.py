"""Signing in and out, cookies, CSRF, tickets, installations."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import people, sign_in
from core.actor import Role, system
from core.errors import NotSignedIn
from core.ids import new_id
from core.settings import Settings
from core.work import open_work
from dispatch_api.process import tls
from tests.conftest import serving
from tests.helpers import PASSWORD, Client, person


async def test_sign_in_me_and_out(client: Client) -> None:
    user = await person(client.engine, Role.DISPATCHER, name="Ona Petraitė")
    opened = await client.http.post("/api/v1/session", json={"login": user.login.upper(), "password": PASSWORD})
    assert opened.status_code == 201
    assert opened.json()["user"] == {
        "id": str(user.id), "login": user.login, "name": "Ona Petraitė", "roles": ["dispatcher"],
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {opened.json()['token']}"}
    me = (await client.http.get("/api/v1/me", headers=headers)).json()
    assert me["roles"] == ["dispatcher"]
    assert "tasks.dispatch" in me["permissions"]
    assert (await client.http.delete("/api/v1/session", headers=headers)).status_code == 204
    assert (await client.http.get("/api/v1/me", headers=headers)).json()["code"] == "not_signed_in"


async def test_wrong_password_is_401_then_429(client: Client) -> None:
    user = await person(client.engine, Role.OFFICER)
    codes = []
    for _ in range(12):
        answer = await client.http.post("/api/v1/session", json={"login": user.login, "password": "wrong password"})
        codes.append((answer.status_code, answer.json()["code"]))
    assert codes[:10] == [(401, "bad_credentials")] * 10
    assert codes[-1] == (429, "too_many")
    assert int(answer.headers["retry-after"]) == answer.json()["retry_after_s"] > 0
    right = await client.http.post("/api/v1/session", json={"login": user.login, "password": PASSWORD})
    assert right.status_code == 429  # from the address that guessed, even the right one is unheard


async def test_cookie_needs_its_csrf_token_and_own_origin(client: Client) -> None:
    user = await person(client.engine, Role.OFFICER)
    opened = await client.http.post("/api/v1/session", json={"login": user.login, "password": PASSWORD})
    cookie = opened.headers["set-cookie"]
    assert cookie.startswith("outrider=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    me = (await client.http.get("/api/v1/me")).json()  # by cookie
    post = client.http.post
    assert (await post("/api/v1/session/socket-ticket")).json()["code"] == "csrf"
    own = {"X-CSRF-Token": me["csrf_token"]}
    assert (await post("/api/v1/session/socket-ticket", headers=own)).status_code == 200
    foreign = own | {"Origin": "https://elsewhere.example"}
    assert (await post("/api/v1/session/socket-ticket", headers=foreign)).status_code == 403
    same = own | {"Origin": "http://127.0.0.1"}
    assert (await post("/api/v1/session/socket-ticket", headers=same)).status_code == 200


async def test_over_tls_the_cookie_is_of_this_host_alone(
    settings: Settings, engine: AsyncEngine, tmp_path: Path
) -> None:
    assert tls.init(Settings(data_dir=tmp_path), ["127.0.0.1"]) == 0
    files = {f"tls_{which}": tmp_path / "tls" / f"server.{end}" for which, end in (("cert", "crt"), ("key", "key"))}
    user = await person(engine, Role.OFFICER)
    async with serving(settings.model_copy(update=files), engine) as client:
        client.http.base_url = httpx.URL("https://127.0.0.1")
        opened = await client.http.post("/api/v1/session", json={"login": user.login, "password": PASSWORD})
        cookie = opened.headers["set-cookie"]
        assert cookie.startswith("__Host-outrider=os_")
        for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
            assert part in cookie
        assert "Domain" not in cookie
        assert (await client.http.get("/api/v1/me")).json()["id"] == str(user.id)


async def test_bearer_ignores_the_cookie(client: Client) -> None:
    user = await person(client.engine, Role.OFFICER)
    await client.http.post("/api/v1/session", json={"login": user.login, "password": PASSWORD})
    answer = await client.http.get("/api/v1/me", headers={"Authorization": "Bearer os_nothing"})
    assert answer.status_code == 401


async def test_a_session_that_ends_while_it_asks_for_a_ticket_gets_none(client: Client) -> None:
    _, headers = await client.new(Role.OFFICER)
    found = await sign_in.find(client.engine, headers["Authorization"].removeprefix("Bearer "))
    async with open_work(client.engine, found.actor) as work:
        await sign_in.make_ticket(work)
    assert (await client.http.delete("/api/v1/session", headers=headers)).status_code == 204
    with pytest.raises(NotSignedIn):
        async with open_work(client.engine, found.actor) as work:
            await sign_in.make_ticket(work)


async def test_new_password_ends_the_other_sessions(client: Client) -> None:
    user, first = await client.new(Role.OFFICER)
    second = await client.sign_in(user)
    body = {"old": PASSWORD, "new": "another long password"}
    assert (await client.http.post("/api/v1/session/password", json=body, headers=first)).status_code == 204
    assert (await client.http.get("/api/v1/me", headers=first)).status_code == 200
    assert (await client.http.get("/api/v1/me", headers=second)).status_code == 401
    opened = {"login": user.login, "password": "another long password"}
    assert (await client.http.post("/api/v1/session", json=opened)).status_code == 201
    wrong = await client.http.post("/api/v1/session/password", json=body, headers=first)
    assert wrong.json()["code"] == "bad_credentials"


async def test_a_one_time_password_is_to_be_changed(client: Client) -> None:
    async with open_work(client.engine, system("test")) as work:
        user, once = await people.create_user(
            work, login=f"new-{new_id().hex}", name="New", roles=[Role.OFFICER], four_eyes=False
        )
    body = {"login": user.login, "password": once}
    token = (await client.http.post("/api/v1/session", json=body)).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}

    async def must_change() -> bool:
        return bool((await client.http.get("/api/v1/me", headers=headers)).json()["must_change_password"])

    assert await must_change()
    same = await client.http.post("/api/v1/session/password", json={"old": once, "new": once}, headers=headers)
    assert (same.status_code, same.json()["errors"][0]["code"]) == (422, "same")
    assert await must_change()
    body = {"old": once, "new": "a password of one's own"}
    assert (await client.http.post("/api/v1/session/password", json=body, headers=headers)).status_code == 204
    assert not await must_change()


async def test_a_forgotten_password_is_reset_by_an_administrator_but_for_another_one(client: Client) -> None:
    _, admin = await client.new(Role.ADMINISTRATOR)
    user, session = await client.new(Role.OFFICER)
    path, body = f"/api/v1/users/{user.id}/reset-password", {"id": str(new_id())}
    first, again = [await client.http.post(path, json=body, headers=admin) for _ in range(2)]
    assert (first.status_code, again.json()) == (200, first.json())
    assert (await client.http.get("/api/v1/me", headers=session)).status_code == 401
    forgotten = await client.http.post("/api/v1/session", json={"login": user.login, "password": PASSWORD})
    assert (forgotten.status_code, forgotten.json()["code"]) == (401, "bad_credentials")
    opened = {"login": user.login, "password": first.json()["one_time_password"]}
    token = (await client.http.post("/api/v1/session", json=opened)).json()["token"]
    me = await client.http.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert me.json()["must_change_password"]
    other, _ = await client.new(Role.ADMINISTRATOR)
    refused = await client.http.post(f"/api/v1/users/{other.id}/reset-password", headers=admin)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert (await client.http.post("/api/v1/session", json={"login": other.login, "password": PASSWORD})).is_success
    assert (await client.http.post(f"/api/v1/users/{user.id}/disable", headers=admin)).is_success
    shut_out = await client.http.post(path, headers=admin)
    assert (shut_out.status_code, shut_out.json()["code"]) == (409, "transition_not_allowed")


async def test_sessions_end_by_age_and_idleness(client: Client) -> None:
    _, headers = await client.new(Role.OFFICER)
    for column, age in (("used_at", timedelta(minutes=61)), ("expires_at", timedelta(hours=13))):
        async with client.engine.begin() as connection:
            await connection.execute(
                text(f"UPDATE sign_in SET {column} = {column} - CAST(:age AS interval)"), {"age": age}
            )
        assert (await client.http.get("/api/v1/me", headers=headers)).status_code == 401
        async with client.engine.begin() as connection:
            await connection.execute(
                text(f"UPDATE sign_in SET {column} = {column} + CAST(:age AS interval)"), {"age": age}
            )
    assert (await client.http.get("/api/v1/me", headers=headers)).status_code == 200


async def test_installation_with_pin(client: Client) -> None:
    user, headers = await client.new(Role.OFFICER)
    install = {"id": str(uuid4()), "name": "tablet 7", "pin": "4711"}
    made = await client.http.post("/api/v1/installs", json=install, headers=headers)
    assert made.status_code == 201
    again = await client.http.post("/api/v1/installs", json=install, headers=headers)
    assert again.headers["idempotency-replayed"] == "true"
    way = {"install_id": install["id"], "credential": made.json()["credential"]}
    for pin, status in (("4711", 201), ("4712", 401)):
        answer = await client.http.post("/api/v1/session", json=way | {"pin": pin})
        assert answer.status_code == status
        if status == 201:
            token = {"Authorization": f"Bearer {answer.json()['token']}"}
    assert (await client.http.get("/api/v1/me", headers=token)).json()["id"] == str(user.id)
    _, other = await client.new(Role.OFFICER)
    revoke = f"/api/v1/installs/{install['id']}/revoke"
    assert (await client.http.post(revoke, headers=other)).status_code == 404
    assert (await client.http.post(revoke, headers=headers)).status_code == 204
    assert (await client.http.get("/api/v1/me", headers=token)).status_code == 401
    assert (await client.http.post("/api/v1/session", json=way | {"pin": "4711"})).status_code == 401


async def test_a_change_of_roles_ends_sessions(client: Client) -> None:
    user, headers = await client.new(Role.DISPATCHER)
    _, admin = await client.new(Role.ADMINISTRATOR)
    changed = await client.http.patch(
        f"/api/v1/users/{user.id}", json={"roles": ["officer"], "version": 1}, headers=admin
    )
    assert changed.json()["roles"] == ["officer"]
    assert (await client.http.get("/api/v1/me", headers=headers)).status_code == 401
    stale = await client.http.patch(f"/api/v1/users/{user.id}", json={"name": "X", "version": 1}, headers=admin)
    assert (stale.status_code, stale.json()["code"], stale.json()["current_version"]) == (409, "version_conflict", 2)


async def test_users_are_made_once_and_replayed(client: Client) -> None:
    _, admin = await client.new(Role.ADMINISTRATOR)
    body = {"id": str(new_id()), "login": "j.petraitis", "name": "Jonas Petraitis", "roles": ["officer"]}
    first = await client.http.post("/api/v1/users", json=body, headers=admin)
    assert first.status_code == 201
    assert first.json()["one_time_password"]
    again = await client.http.post("/api/v1/users", json=body, headers=admin)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await client.http.post("/api/v1/users", json=body | {"name": "X"}, headers=admin)
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")
    _, second = await client.new(Role.ADMINISTRATOR)
    foreign = await client.http.post("/api/v1/users", json=body, headers=second)
    assert foreign.json()["code"] == "id_reused"  # another person's id gives nothing away


def secrets_in(answer: httpx.Response) -> bool:
    return any(word in answer.text for word in ("password_hash", "argon2", "digest", "token_digest"))


@pytest.mark.parametrize("path", ["/users", "/me", "/units", "/devices", "/offices", "/code-lists", "/openapi.json"])
async def test_no_answer_holds_a_secret(client: Client, path: str) -> None:
    _, admin = await client.new(Role.ADMINISTRATOR)
    answer = await client.http.get(f"/api/v1{path}", headers=admin)
    assert answer.status_code == 200
    assert not secrets_in(answer)


async def test_denials_and_sign_ins_are_written_down(client: Client) -> None:
    user, headers = await client.new(Role.OFFICER)
    assert (await client.http.get("/api/v1/users", headers=headers)).status_code == 403
    await client.http.post("/api/v1/session", json={"login": user.login, "password": "wrong password"})
    async with client.engine.begin() as connection:
        await connection.execute(text("SELECT set_config('app.sees', 'audit', true)"))
        rows = (await connection.execute(text("SELECT action, object_kind, fields FROM audit_event ORDER BY id"))).all()
    found = [(row.action, row.object_kind) for row in rows]
    assert ("sign_in", "user") in found
    assert ("denial", "route") in found
    assert ("denial", "sign_in") in found
    assert PASSWORD not in str(rows)
