"""Tablets: enrolled once, opened by a PIN, locked by wrong ones, shut out from afar with all that belongs to them."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
import websockets
from sqlalchemy import text

from core.actor import Role, system
from core.db import make_engine
from core.ids import new_id
from core.installs import MAX_WRONG
from core.models import UserAccount
from core.settings import Settings
from core.work import open_work
from dispatch_api import fcm
from dispatch_api.webpush import targets
from tests.conftest import cloned, serving
from tests.helpers import PASSWORD, Client, Database, Server

API = "/api/v1"
WEB = {"apiKey": "k", "projectId": "p", "appId": "a", "messagingSenderId": "1", "vapidKey": "v"}
PUSH = {"channel": "fcm", "target": "f1d", "target_kind": "fid"}


@pytest_asyncio.fixture(scope="module")
async def client(template: Database, tmp_path_factory: Any) -> AsyncIterator[Client]:
    """One application for the tests here."""
    with cloned(template) as database:
        engine = make_engine(database.app_url)
        settings = Settings(
            database_url=database.app_url, ingest_database_url=database.ingest_url,
            data_dir=tmp_path_factory.mktemp("data"), fcm_web=_web(tmp_path_factory.mktemp("web") / "firebase.json"),
            fcm_credentials=Path("account.json"),
        )  # fmt: skip
        async with serving(settings, engine) as made:
            yield made
        await engine.dispose()


def _web(file: Path) -> Path:
    file.write_text(json.dumps(WEB))
    return file


class Tablet:
    """An enrolled tablet and its officer."""

    def __init__(self, client: Client, user: UserAccount, headers: dict[str, str], credential: str, id_: str) -> None:
        self.client, self.user, self.headers, self.credential, self.id = client, user, headers, credential, id_

    async def enter(self, pin: str = "4711") -> Any:
        body = {"install_id": self.id, "credential": self.credential, "pin": pin}
        return await self.client.http.post(f"{API}/session", json=body)

    async def session(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {(await self.enter()).json()['token']}"}

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        url = f"{API}/installs/{self.id}{path}"
        return await self.client.http.post(url, json=body, headers=self.headers if headers is None else headers)


async def enrolled(client: Client, **fields: Any) -> Tablet:
    user, headers = await client.new(Role.OFFICER)
    body = {"id": str(new_id()), "name": "tablet 7", "pin": "4711", "push": PUSH} | fields
    made = await client.http.post(f"{API}/installs", json=body, headers=headers)
    assert made.status_code == 201, made.text
    return Tablet(client, user, headers, made.json()["credential"], body["id"])


async def one(client: Client, query: str, **values: Any) -> Any:
    async with open_work(client.engine, system("test")) as work:
        return (await work.session.execute(text(query), values)).mappings().one()


async def test_the_app_is_told_how_to_ask_for_pushes(client: Client) -> None:
    _, officer = await client.new(Role.OFFICER)
    told = (await client.http.get(f"{API}/installs/push-config", headers=officer)).json()
    assert told == {"fcm": WEB, "webpush": None}
    for path in ("/", f"{API}/installs/push-config"):
        policy = (await client.http.get(path, headers=officer)).headers["Content-Security-Policy"]
        assert "connect-src 'self';" in policy, path


def test_the_page_may_call_google_only_where_browsers_are_woken_through_firebase(tmp_path: Path) -> None:
    web, part, broken = _web(tmp_path / "web.json"), tmp_path / "part.json", tmp_path / "broken.json"
    part.write_text(json.dumps(WEB | {"vapidKey": ""}))
    broken.write_text("[")
    account = tmp_path / "account.json"
    through = Settings(fcm_web=web, fcm_credentials=account)
    assert len(fcm.browsers_hosts(through)) == 2
    assert targets.config(through)["fcm"] == WEB
    for other in ({"webpush_key": tmp_path / "vapid.key"}, {"fcm_web": part}, {"fcm_web": broken}, {"fcm_web": None}):
        assert fcm.browsers_hosts(through.model_copy(update=other)) == ()
    unsent = through.model_copy(update={"fcm_credentials": None})
    assert (fcm.browsers_hosts(unsent), targets.config(unsent)["fcm"]) == ((), None)


async def test_each_sign_in_gives_the_same_half_of_the_key(client: Client) -> None:
    tablet, other = await enrolled(client), await enrolled(client)
    first, second = (await tablet.enter()).json(), (await tablet.enter()).json()
    key = first["offline"]["offline_key"]
    assert len(base64.urlsafe_b64decode(key + "=")) == 32
    assert (second["offline"]["offline_key"], first["offline"]["offline_until"]) == (key, first["expires_at"])
    by_password = await client.http.get(f"{API}/installs/{tablet.id}/offline-key", headers=tablet.headers)
    assert by_password.json()["offline_key"] == key
    assert (await other.enter()).json()["offline"]["offline_key"] != key
    assert (await client.http.get(f"{API}/installs/{tablet.id}/offline-key", headers=other.headers)).status_code == 404
    plain = await client.http.post(f"{API}/session", json={"login": tablet.user.login, "password": PASSWORD})
    assert plain.json()["offline"] is None
    told = await one(
        client, "SELECT action, fields FROM audit_event WHERE object_kind = 'install' AND object_id = :id"
        " AND action = 'disclosure'", id=tablet.id,
    )  # fmt: skip
    assert told["fields"] == {"offline_key": True}
    async with open_work(client.engine, system("test")) as work:
        rows = (await work.session.execute(text("SELECT fields::text, object_id FROM audit_event"))).all()
    assert not [row for row in rows if key in str(row)]


async def test_wrong_pins_lock_the_tablet_wherever_they_come_from(client: Client) -> None:
    tablet = await enrolled(client)
    for wrong in range(MAX_WRONG - 1):
        assert (await tablet.enter("0000")).json()["code"] == "bad_credentials", wrong
        if wrong == 3:
            assert (await tablet.enter()).status_code == 201, "and the count begins anew"
        async with open_work(client.engine, system("test")) as work:  # as if from another address
            await work.session.execute(text("DELETE FROM login_try"))
    assert (await one(client, "SELECT pin_wrong FROM install WHERE id = :id", id=tablet.id))["pin_wrong"] == 5
    for _ in range(5):
        await tablet.enter("0000")
        async with open_work(client.engine, system("test")) as work:
            await work.session.execute(text("DELETE FROM login_try"))
    locked = await tablet.enter()
    assert (locked.status_code, locked.json()["code"]) == (401, "pin_locked")
    tablet.credential, right = "oi_guess", tablet.credential
    assert (await tablet.enter()).json()["code"] == "bad_credentials", "only the tablet itself learns that"
    tablet.credential = right
    assert (await tablet.post("/pin", {"pin": "258"})).status_code == 422
    assert (await tablet.post("/pin", {"pin": "2580"})).status_code == 204
    assert (await tablet.enter()).status_code == 401
    assert (await tablet.enter("2580")).status_code == 201


async def test_who_takes_an_open_tablet_has_it_no_longer_than_it_is_open(client: Client) -> None:
    """A session that a PIN opened sets another only with the present one, and makes no further tablet."""
    tablet = await enrolled(client)
    by_pin = await tablet.session()
    refused = await tablet.post("/pin", {"pin": "2580"}, by_pin)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "old")
    assert refused.json()["errors"][0]["code"] == "required"
    wrong = await tablet.post("/pin", {"pin": "2580", "old": "1234"}, by_pin)
    assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (422, "wrong")
    assert (await one(client, "SELECT pin_wrong FROM install WHERE id = :id", id=tablet.id))["pin_wrong"] == 1
    body = {"id": str(new_id()), "name": "another", "pin": "4711"}
    assert (await client.http.post(f"{API}/installs", json=body, headers=by_pin)).status_code == 403
    assert (await tablet.post("/pin", {"pin": "2580", "old": "4711"}, by_pin)).status_code == 204
    assert (await tablet.enter()).status_code == 401
    assert (await tablet.enter("2580")).status_code == 201
    guesses = [tablet.post("/pin", {"pin": "0000", "old": f"{guess}"}, by_pin) for guess in range(1000, 1015)]
    told = [(answer.status_code, answer.json()["code"]) for answer in await asyncio.gather(*guesses)]
    assert told.count((422, "invalid")) == MAX_WRONG
    assert told.count((401, "pin_locked")) == 5, "guesses sent all at once are counted"
    assert (await tablet.post("/pin", {"pin": "0000", "old": "2580"}, by_pin)).json()["code"] == "pin_locked"
    assert (await tablet.post("/pin", {"pin": "4711"})).status_code == 204, "with the password, as ever"


async def test_a_tablet_nobody_used_for_months_asks_for_the_password(client: Client) -> None:
    tablet = await enrolled(client)
    async with open_work(client.engine, system("test")) as work:
        await work.session.execute(
            text("UPDATE install SET used_at = now() - interval '181 days' WHERE id = :id"), {"id": tablet.id}
        )
    assert (await tablet.enter()).json()["code"] == "pin_locked"
    assert (await tablet.post("/pin", {"pin": "4711"})).status_code == 204
    assert (await tablet.enter()).status_code == 201


async def test_a_revoke_takes_everything_and_says_so(client: Client) -> None:
    """S29: REST at once, the push target, the half of the key; 401 `install_revoked` is what makes the tablet wipe."""
    tablet = await enrolled(client)
    session = await tablet.session()
    _, admin = await client.new(Role.ADMINISTRATOR)
    _, stranger = await client.new(Role.OFFICER)
    assert (await tablet.post("/revoke", None, stranger)).status_code == 404
    assert (await tablet.post("/revoke", {"recover": False}, admin)).status_code == 204
    assert (await tablet.post("/revoke", None, admin)).status_code == 204
    row = await one(client, "SELECT * FROM install WHERE id = :id", id=tablet.id)
    assert (row["push"], row["offline_key"]) == (None, None)
    for answer in (
        await client.http.get(f"{API}/me", headers=session),
        await client.http.get(f"{API}/inbox", headers=session),
        await tablet.enter(),
        await tablet.enter("0000"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (401, "install_revoked")
    assert (await client.http.get(f"{API}/me", headers=tablet.headers)).status_code == 200, "the person may go on"
    for path, method in (("/offline-key", "GET"), ("/push", "PUT"), ("/pin", "POST")):
        body = {"GET": None, "PUT": {"push": PUSH}, "POST": {"pin": "1234"}}[method]
        answer = await client.http.request(
            method, f"{API}/installs/{tablet.id}{path}", json=body, headers=tablet.headers
        )
        assert answer.status_code == 404, path


async def test_a_tablet_that_nobody_opened_asks_whether_it_is_shut_out(client: Client) -> None:
    tablet = await enrolled(client)
    _, admin = await client.new(Role.ADMINISTRATOR)
    assert (await tablet.post("/contact", {"credential": tablet.credential}, {})).status_code == 204
    assert (await tablet.post("/contact", {"credential": "oi_guess"}, {})).json()["code"] == "bad_credentials"
    await tablet.post("/revoke", {"recover": True}, admin)
    told = (await tablet.post("/contact", {"credential": tablet.credential}, {})).json()
    assert (told["code"], told["recovery"]) == ("install_revoked", True)
    assert (await tablet.post("/contact", {"credential": "oi_guess"}, {})).json()["code"] == "bad_credentials"
    assert (await one(client, "SELECT pin_wrong FROM install WHERE id = :id", id=tablet.id))["pin_wrong"] == 0


async def test_what_a_lost_tablet_had_not_sent_is_handed_over_once_and_not_applied(client: Client) -> None:
    """O8, S29: only when an administrator allowed it, by this tablet, once; then it is for people to read."""
    tablet, other = await enrolled(client), await enrolled(client)
    _, admin = await client.new(Role.ADMINISTRATOR)
    _, supervisor = await client.new(Role.SUPERVISOR)
    record = {"id": str(new_id()), "method": "POST", "path": "/api/v1/violations", "at": None, "body": '{"x": "ė"}'}
    handed = {"credential": tablet.credential, "records": [record]}
    assert (await tablet.post("/recovery", handed, {})).status_code == 401, "it is not revoked"
    await tablet.post("/revoke", {"recover": True}, admin)
    assert (await tablet.enter()).json()["recovery"] is True, "the tablet is told that it may"
    assert (await tablet.post("/recovery", handed | {"credential": other.credential}, {})).status_code == 401
    assert (await tablet.post("/recovery", handed | {"records": []}, {})).status_code == 422
    assert (await tablet.post("/recovery", handed, {})).status_code == 201
    assert (await tablet.post("/recovery", handed, {})).status_code == 401
    assert (await tablet.enter()).json()["recovery"] is False
    url = f"{API}/installs/{tablet.id}/recovery"
    client.http.cookies.clear()  # of whoever signed in before, here or in another test
    assert (await client.http.get(url, headers=supervisor)).json()["records"] == handed["records"]
    for headers, status in ((admin, 403), (tablet.headers, 403), ({}, 401)):
        assert (await client.http.get(url, headers=headers)).status_code == status
    assert (await one(client, "SELECT count(*) AS n FROM violation"))["n"] == 0
    own = await enrolled(client)
    await own.post("/revoke", {"recover": True})
    assert (await own.enter()).json()["recovery"] is False, "an administrator approves it, not the officer"


async def test_officers_list_their_own_and_administrators_all(client: Client) -> None:
    tablet, other = await enrolled(client, push=None), await enrolled(client, name="B")
    _, admin = await client.new(Role.ADMINISTRATOR)
    mine = (await client.http.get(f"{API}/installs?user_id={other.user.id}", headers=tablet.headers)).json()
    assert [item["id"] for item in mine["items"]] == [tablet.id]
    shown = mine["items"][0]
    assert (shown["name"], shown["has_pin"], shown["pin_locked"], shown["push_channel"]) == (
        "tablet 7",
        True,
        False,
        None,
    )
    assert (shown["login"], shown["recovery"], shown["revoked_at"]) == (tablet.user.login, "none", None)
    every = (await client.http.get(f"{API}/installs?limit=500", headers=admin)).json()["items"]
    assert {tablet.id, other.id} <= {item["id"] for item in every}
    assert not [item for item in every if "credential" in str(item) or "offline" in str(item)]
    page = (await client.http.get(f"{API}/installs?limit=1", headers=admin)).json()
    following = (await client.http.get(f"{API}/installs?limit=1&after={page['next']}", headers=admin)).json()
    assert following["items"][0]["id"] != page["items"][0]["id"]
    one_of = (await client.http.get(f"{API}/installs?user_id={other.user.id}", headers=admin)).json()["items"]
    assert [(item["id"], item["push_channel"]) for item in one_of] == [(other.id, "fcm")]
    url = f"{API}/installs/{tablet.id}/push"
    assert (await client.http.put(url, json={"push": PUSH}, headers=tablet.headers)).status_code == 204
    assert (await client.http.put(url, json={"push": PUSH}, headers=other.headers)).status_code == 404
    wrong = PUSH | {"target_kind": "endpoint"}
    assert (await client.http.put(url, json={"push": wrong}, headers=tablet.headers)).status_code == 422


async def test_a_revoke_closes_the_tablets_socket_within_5_seconds(server: Server, database: Database) -> None:
    """F11."""
    engine = make_engine(database.app_url)
    async with httpx.AsyncClient(base_url=server.url) as http:
        client = Client(http, engine)
        tablet = await enrolled(client)
        token = (await tablet.session())["Authorization"].removeprefix("Bearer ")
        _, admin = await client.new(Role.ADMINISTRATOR)
        async with websockets.connect(f"{server.ws}{API}/inbox/live") as socket:
            await socket.send(json.dumps({"kind": "hello", "token": token, "install_id": tablet.id}))
            assert json.loads(await socket.recv())["kind"] == "welcome"
            await tablet.post("/revoke", None, admin)
            async with asyncio.timeout(5):
                await socket.wait_closed()
            assert socket.close_code == 4401
    await engine.dispose()
