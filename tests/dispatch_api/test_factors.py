"""The second factor over HTTP: at the log-in, for a lost phone, and at a terminal."""

import asyncio
import os
import re
import sys
from typing import Any
from xml.etree import ElementTree

import pytest
from pyotp import TOTP
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role
from core.db import utcnow
from core.ids import new_id
from core.models import UserAccount
from core.settings import Settings
from dispatch_api.commands import client as commands
from dispatch_api.process import doctor
from tests.conftest import serving
from tests.helpers import PASSWORD, ROOT, Client, Server, person

API = "/api/v1"
SESSION, FACTOR = f"{API}/session", f"{API}/session/factor"


def code(secret: str, steps: int = 0) -> str:
    """The code of this moment, or of some steps of 30 s from it."""
    return TOTP(secret).at(utcnow(), counter_offset=steps)


def claim(user: UserAccount, **further: str) -> dict[str, str]:
    return {"login": user.login, "password": PASSWORD, **further}


async def signs_in(client: Client, user: UserAccount, **further: str) -> tuple[int, str | None]:
    answer = await client.http.post(SESSION, json=claim(user, **further))
    return answer.status_code, answer.json().get("code")


async def with_factor(client: Client, *roles: Role) -> tuple[UserAccount, str]:
    user = await person(client.engine, *roles)
    secret = (await client.http.post(FACTOR, json=claim(user))).json()["secret"]
    assert (await signs_in(client, user, code=code(secret)))[0] == 201
    return user, secret


async def test_it_is_set_up_and_asked_for(client: Client) -> None:
    user = await person(client.engine, Role.DISPATCHER)
    begun = await client.http.post(FACTOR, json=claim(user))
    assert begun.status_code == 200
    assert begun.headers["cache-control"] == "no-store"
    made = begun.json()
    assert made["uri"].startswith(f"otpauth://totp/Outrider:{user.login}?secret={made['secret']}&issuer=Outrider")
    assert ElementTree.fromstring(made["uri_svg"]).tag == "svg"
    assert await signs_in(client, user) == (201, None)
    opened = await client.http.post(SESSION, json=claim(user, code=code(made["secret"])))
    assert opened.status_code == 201
    headers = {"Authorization": f"Bearer {opened.json()['token']}"}
    assert (await client.http.get(f"{API}/me", headers=headers)).json()["has_factor"]
    assert await signs_in(client, user) == (401, "code_needed")
    used = code(made["secret"], 1)
    assert await signs_in(client, user, code=used) == (201, None)
    assert await signs_in(client, user, code=used) == (401, "bad_code")
    again = await client.http.post(FACTOR, json=claim(user))
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    wrong = await client.http.post(FACTOR, json=claim(user) | {"password": "wrong password"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "bad_credentials")


@pytest.mark.parametrize("malformed", ["12345", "1234567", "12345a", "", "١٢٣٤٥٦"])
async def test_a_code_has_six_digits(client: Client, malformed: str) -> None:
    user = await person(client.engine, Role.DISPATCHER)
    assert await signs_in(client, user, code=malformed) == (422, "invalid")


async def test_a_code_comes_with_a_password_alone(client: Client) -> None:
    tablet = {"install_id": str(new_id()), "credential": "oi_x", "pin": "4711"}
    assert (await client.http.post(SESSION, json=tablet | {"code": "123456"})).status_code == 422
    assert (await client.http.post(SESSION, json=tablet)).status_code == 401


async def test_pages_of_others_cannot_begin_one(client: Client) -> None:
    user = await person(client.engine, Role.DISPATCHER)
    answer = await client.http.post(FACTOR, json=claim(user), headers={"Origin": "https://elsewhere.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


async def test_roles_of_the_setting_enter_with_one_alone(settings: Settings, engine: AsyncEngine) -> None:
    async with serving(settings.model_copy(update={"mfa_roles": "administrator, supervisor"}), engine) as client:
        user = await person(engine, Role.SUPERVISOR)
        assert await signs_in(client, user) == (401, "code_unset")
        secret = (await client.http.post(FACTOR, json=claim(user))).json()["secret"]
        assert await signs_in(client, user) == (401, "code_unset")
        assert await signs_in(client, user, code=code(secret)) == (201, None)
        assert await signs_in(client, await person(engine, Role.DISPATCHER)) == (201, None)


async def test_an_administrator_resets_the_factor_of_another(client: Client) -> None:
    user, secret = await with_factor(client, Role.ADMINISTRATOR)
    opened = await client.http.post(SESSION, json=claim(user, code=code(secret, 1)))
    own = {"Authorization": f"Bearer {opened.json()['token']}"}
    path = f"{API}/users/{user.id}/reset-factor"
    client.http.cookies.clear()
    refused = await client.http.post(path, headers=own)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    _, admin = await client.new(Role.ADMINISTRATOR)
    assert (await client.http.get(f"{API}/users/{user.id}", headers=admin)).json()["has_factor"]
    body = {"id": str(new_id())}
    first, again = [await client.http.post(path, json=body, headers=admin) for _ in range(2)]
    assert (first.status_code, first.json()["has_factor"]) == (200, False)
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert (await client.http.get(f"{API}/me", headers=own)).status_code == 401
    listed = (await client.http.get(f"{API}/users", headers=admin)).json()["items"]
    assert [each["has_factor"] for each in listed] == [False, False]
    assert await signs_in(client, user) == (201, None)


async def test_commands_sign_in_with_a_code(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    user, secret = await with_factor(client, Role.ADMINISTRATOR)

    async def works(given: str | None = None) -> Any:
        async with commands.signed_in(server.url, user.login, PASSWORD, given) as session:
            return await session.call("GET", "/me")

    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(commands.Refused, match=r"needed too\. Name it: --code"):
        await works()
    assert (await works(code(secret, 1)))["id"] == str(user.id)
    assert await outrider(server, "reset-factor", user.login.upper()) == 0
    assert (await works())["has_factor"] is False
    assert await outrider(server, "reset-factor", user.login) == 0
    assert await outrider(server, "reset-factor", "nobody") == 1
    assert await outrider(server, "reset-password", user.login) == 0
    told = capfd.readouterr()
    assert f"{user.login} has no second factor any more, and every session of theirs has ended." in told.out
    assert f"{user.login} has no second factor.\n" in told.out
    assert "Nobody has this login." in told.err
    once = re.search(r"password  (\S+)", told.out)
    assert once
    assert (await client.http.post(SESSION, json={"login": user.login, "password": once[1]})).status_code == 201


async def outrider(server: Server, *words: str) -> int:
    environment = os.environ | server.database.environment() | {"OUTRIDER_DATA_DIR": str(server.data_dir)}
    made = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dispatch_api.cli", *words, cwd=ROOT, env=environment
    )
    return await made.wait()


def test_doctor_advises_it() -> None:
    def told(settings: Settings) -> bool:
        return any("OUTRIDER_MFA_ROLES=administrator,supervisor" in name for name, _ in doctor.checks(settings))

    assert told(Settings())
    assert not told(Settings(mfa_roles="supervisor"))
