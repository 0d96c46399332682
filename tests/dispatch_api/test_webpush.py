"""Web Push to a stand-in of a browser's push service: sealed for one browser, signed, and sent nowhere else."""

import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpcore
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import inbox
from core.actor import Role, system
from core.db import make_engine
from core.ids import digest, new_id
from core.installs import MAX_TARGETS
from core.models import Install
from core.pushes import Outcome, Owed
from core.settings import Settings
from core.work import open_work
from dispatch_api.webpush import codec, endpoints, keys, targets
from dispatch_api.webpush.sender import Webpush
from dispatch_api.workers import push
from dispatch_api.workers.push import Post
from tests.conftest import cloned, serving
from tests.fake_push_service import FakePushService, Subscription, bytes_of
from tests.helpers import Client, Database, person

API = "/api/v1"
SECRET = "Vilnius, Jonas Jonaitis"
SERVICES = Settings().webpush_hosts


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakePushService]:
    running = FakePushService(tmp_path_factory.mktemp("service"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def settings(service: FakePushService, template: Database, tmp_path_factory: Any) -> Settings:
    folder: Path = tmp_path_factory.mktemp("data")
    return Settings(data_dir=folder, **service.settings(folder))


class Desk:
    """A database, the stand-in, and who sends."""

    def __init__(self, engine: AsyncEngine, service: FakePushService, settings: Settings) -> None:
        self.engine, self.service, self.settings, self.post = engine, service, settings, Post("webpush")

    async def officer(self, name: str) -> tuple[Any, UUID]:
        """An officer with an installation in a browser of this name."""
        user, install_id = await person(self.engine, "officer"), new_id()
        target = self.service.subscribe(name).target
        async with open_work(self.engine, system("test")) as work:
            work.session.add(
                Install(id=install_id, user_id=user.id, name="t", credential_digest=digest(name), push=target)
            )
        return user, install_id

    async def tell(self, *users: Any, kind: str = "notice") -> None:
        async with open_work(self.engine, system("test")) as work:
            await inbox.push(work, [user.id for user in users], new_id(), kind, new_id(), {"headline": SECRET})

    async def sql(self, statement: str, **values: Any) -> list[Any]:
        async with open_work(self.engine, system("test")) as work:
            done = await work.session.execute(text(statement), values)
            return list(done.all()) if done.returns_rows else []  # type: ignore[attr-defined]

    async def rounds(self) -> None:
        """Send all that is due now."""
        await self.sql("UPDATE push_owed SET due_at = now() - interval '1 second'")
        while await push.round_(self.engine, self.settings, self.post):
            pass

    async def again(self) -> None:
        """Try what could not be reached, its time being over."""
        await self.sql("UPDATE push_owed SET due_at = now() - interval '1 second'")
        self.post.down = {name: replace(one, until=time.monotonic()) for name, one in self.post.down.items()}
        await push.again(self.engine, self.settings, self.post)

    async def tries(self) -> int:
        """How often it was tried in all to send what is owed."""
        return int((await self.sql("SELECT sum(tries) FROM push_owed"))[0][0])

    async def owed(self) -> list[Any]:
        return await self.sql("SELECT install_id, tries, due_at - now() AS wait FROM push_owed ORDER BY 1")

    async def target(self, install_id: UUID) -> str | None:
        found: str | None = (await self.sql("SELECT push ->> 'target' FROM install WHERE id = :id", id=install_id))[0][
            0
        ]
        return found


@pytest_asyncio.fixture(scope="module")
async def engine(template: Database) -> AsyncIterator[AsyncEngine]:
    with cloned(template) as database:
        made = make_engine(database.app_url)
        yield made
        await made.dispose()


@pytest_asyncio.fixture
async def desk(engine: AsyncEngine, service: FakePushService, settings: Settings) -> AsyncIterator[Desk]:
    made = Desk(engine, service, settings)
    await made.sql("DELETE FROM push_owed")
    service.pushed.clear()
    service.attempts.clear()
    service.is_offline, service.retry_after = False, ""
    yield made
    assert service.faults == []


def test_a_push_is_sealed_as_the_standard_s_example() -> None:
    """RFC 8291, appendix A: byte for byte."""
    secret = int.from_bytes(bytes_of("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big")
    sealed = codec.sealed(
        b"When I grow up, I want to be a watermelon",
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "BTBZMqHH6r4Tts7J_aSIgg",
        salt=bytes_of("DGv6ra1nlYgDCS1FRnbzlw"), key=ec.derive_private_key(secret, ec.SECP256R1()),
    )  # fmt: skip
    assert codec.b64url(sealed) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
        "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


async def test_a_push_says_nothing_but_look_and_only_the_browser_can_read_it(desk: Desk) -> None:
    (first, _), (second, _) = await desk.officer("one"), await desk.officer("two")
    await desk.tell(first, kind="task")
    await desk.tell(second)
    await desk.rounds()
    pushed = {one.name: one for one in desk.service.pushed}
    assert pushed["one"].content == pushed["two"].content == {"kind": "inbox", "v": "1"}
    assert (pushed["one"].headers["urgency"], pushed["two"].headers["urgency"]) == ("high", "normal")
    assert (pushed["one"].headers["ttl"], pushed["one"].headers["topic"]) == ("3600", "inbox")
    assert pushed["one"].claims["sub"] == "mailto:duty@customs.example"
    assert 0 < pushed["one"].claims["exp"] - time.time() <= 24 * 3600
    identity = keys.identity(desk.settings)
    assert identity
    assert pushed["one"].claims["k"] == identity.public_key
    assert SECRET not in str(pushed)
    assert await desk.owed() == []


@pytest.mark.parametrize("name", ["gone", "unknown"])
async def test_a_dead_target_is_forgotten_after_one_try(desk: Desk, name: str) -> None:
    user, install_id = await desk.officer(f"{name}-1")
    await desk.tell(user)
    await desk.rounds()
    assert desk.service.attempts == [f"{name}-1"]
    assert await desk.target(install_id) is None
    await desk.tell(user)
    assert await desk.owed() == []


@pytest.mark.parametrize("name", ["quota", "down", "denied", "moved"])
async def test_what_may_pass_is_tried_again_later_and_later_and_never_elsewhere(desk: Desk, name: str) -> None:
    (user, install_id), (other, _) = await desk.officer(f"{name}-1"), await desk.officer("fine")
    await desk.tell(user, other)
    await desk.rounds()
    assert sorted(desk.service.attempts) == sorted([f"{name}-1", "fine"]), "redirects are not followed"
    ((owed_id, tries, wait),) = await desk.owed()
    assert (owed_id, tries) == (install_id, 1)
    assert wait.total_seconds() <= 2
    desk.service.retry_after = "120"
    await desk.rounds()
    ((_, tries, wait),) = await desk.owed()
    assert tries == 2
    if name in {"quota", "down"}:
        assert 110 < wait.total_seconds() <= 120, "as long as the service asked for"
    assert await desk.target(install_id) is not None


async def test_a_push_a_service_never_takes_is_dropped_and_its_target_kept(desk: Desk) -> None:
    user, install_id = await desk.officer("large-1")
    await desk.tell(user)
    await desk.rounds()
    assert await desk.owed() == []
    assert await desk.target(install_id) is not None


async def test_an_outage_costs_one_try_at_a_time_and_then_everything_drains(desk: Desk) -> None:
    n = 60
    users = [(await desk.officer(f"tablet-{i}"))[0] for i in range(n)]
    await desk.tell(*users, kind="task")
    desk.service.is_offline = True
    await desk.rounds()
    tried = await desk.tries()
    for failed in (2, 3):
        await desk.again()
        (down,) = desk.post.down.values()
        assert down.failed == failed
        assert await desk.tries() == tried + failed - 1, "one at a time"
    assert down.until > time.monotonic()
    await desk.rounds()
    assert not await push.again(desk.engine, desk.settings, desk.post)
    assert await desk.tries() == tried + 2, "and not before its time"
    assert (len(await desk.owed()), desk.service.pushed) == (n, [])
    desk.service.is_offline = False
    await desk.again()
    await desk.rounds()
    assert sorted(one.name for one in desk.service.pushed) == sorted(f"tablet-{i}" for i in range(n))
    assert await desk.owed() == []


async def test_what_is_wrong_with_one_push_or_service_holds_up_nobody_elses(desk: Desk) -> None:
    """A subscription that is refused, a name no network could look up, a service that is away: each waits alone."""
    wrong = {name: await desk.officer(name) for name in ("quota-2", "denied-2", "odd", "away")}
    for name, host in (("odd", "a..push.example"), ("away", "localhost:1")):
        await desk.sql(
            "UPDATE install SET push = push || jsonb_build_object('target', CAST(:target AS text)) WHERE id = :id",
            target=f"https://{host}/x", id=wrong[name][1],
        )  # fmt: skip
    hosts = f"{desk.settings.webpush_hosts},*.push.example,localhost:1"
    desk.settings = desk.settings.model_copy(update={"webpush_hosts": hosts})
    desk.service.retry_after = "3600"
    await desk.tell(*(user for user, _ in wrong.values()))
    await desk.rounds()
    assert await desk.target(wrong["odd"][1]) is None
    assert list(desk.post.down) == ["localhost:1"]
    desk.service.attempts.clear()
    user, _ = await desk.officer("urgent")
    await desk.tell(user, kind="task")
    await desk.rounds()
    assert [one.name for one in desk.service.pushed] == ["urgent"], "at once, although others are to wait for an hour"


async def test_one_channel_does_not_wait_for_the_other(desk: Desk) -> None:
    """Pushes of the channel that is not set up stay, and are in nobody's way."""
    (user, _), (other, _) = await desk.officer("beside"), await desk.officer("apps")
    await desk.sql('UPDATE install SET push = push || \'{"channel": "fcm"}\' WHERE user_id = :id', id=other.id)
    await desk.tell(user, other)
    await desk.rounds()
    assert desk.service.attempts == ["beside"]
    assert len(await desk.owed()) == 1


# Where pushes may go (S21)


def test_s21_a_name_that_turns_into_an_address_of_ours_is_not_connected_to(
    service: FakePushService, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it stood for a good address before, or stands for a good one beside it."""
    port = service.origin.rpartition(":")[2]
    identity = keys.identity(settings)
    assert identity
    strict = settings.model_copy(update={"webpush_private": False, "webpush_hosts": f"push.example:{port}"})
    told = {"push.example": ["127.0.0.1"]}

    def resolved(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in told.get(host, [host])]

    monkeypatch.setattr(endpoints.socket, "getaddrinfo", resolved)
    target = Subscription(f"https://push.example:{port}/push/x").target
    owed = [Owed(uuid4(), target, True, None, 1)]  # type: ignore[arg-type]
    service.attempts.clear()
    sender = Webpush(strict, identity)
    assert [one.outcome for one in sender.send(owed)] == [Outcome.DOWN]
    told["push.example"] = ["93.184.216.34", "127.0.0.1"]
    assert [one.outcome for one in sender.send(owed)] == [Outcome.DOWN]
    assert service.attempts == []
    pool = endpoints.connections(private=False, authority=None)
    with pytest.raises(endpoints.NotOutside):
        pool.request("GET", f"https://push.example:{port}/")
    told["push.example"] = ["127.0.0.1"]
    with pytest.raises(httpcore.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        endpoints.connections(private=True, authority=None).request("GET", f"https://push.example:{port}/")


async def test_s21_a_target_the_operator_does_not_allow_any_more_is_forgotten(desk: Desk) -> None:
    user, install_id = await desk.officer("narrowed")
    desk.settings = desk.settings.model_copy(update={"webpush_hosts": "push.example"})
    await desk.tell(user)
    await desk.rounds()
    assert desk.service.attempts == []
    assert await desk.target(install_id) is None


# Registering


@pytest_asyncio.fixture(scope="module")
async def client(engine: AsyncEngine, settings: Settings, service: FakePushService) -> AsyncIterator[Client]:
    """One application for the tests here."""
    url = engine.url.render_as_string(hide_password=False)
    async with serving(settings.model_copy(update={"database_url": url, "ingest_database_url": url}), engine) as made:
        yield made


async def enrolled(client: Client, headers: dict[str, str], push: Any = None) -> str:
    body = {"id": str(new_id()), "name": "tablet", "pin": "4711", "push": push}
    answer = await client.http.post(f"{API}/installs", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(body["id"])


async def registered(client: Client, headers: dict[str, str], install: str, target: Any) -> Any:
    return await client.http.put(f"{API}/installs/{install}/push", json={"push": target}, headers=headers)


async def channels(client: Client, headers: dict[str, str]) -> dict[str, str | None]:
    items = (await client.http.get(f"{API}/installs", headers=headers)).json()["items"]
    return {item["id"]: item["push_channel"] for item in items}


async def test_browsers_are_told_the_key_and_their_targets_looked_at(client: Client, service: FakePushService) -> None:
    _, officer = await client.new(Role.OFFICER)
    config = (await client.http.get(f"{API}/installs/push-config", headers=officer)).json()
    assert config["fcm"] is None
    point = bytes_of(config["webpush"]["public_key"])
    assert (len(point), point[0]) == (65, 4)
    good = service.subscribe("registered").target
    install = await enrolled(client, officer, good)
    assert (await registered(client, officer, install, good)).status_code == 204
    wrong: list[tuple[dict[str, Any], str]] = [
        (good | {"target": "https://127.0.0.1/x"}, "push.target"),
        (good | {"target": "https://fcm.googleapis.com/x"}, "push.target"),
        (good | {"keys": good["keys"] | {"p256dh": "A" * 87}}, "push.keys.p256dh"),
        (good | {"keys": good["keys"] | {"p256dh": "A" * 88}}, "push.keys.p256dh"),
        (good | {"keys": good["keys"] | {"auth": "A" * 21 + "="}}, "push.keys.auth"),
        (good | {"keys": None}, "push"),
        (good | {"channel": "fcm", "target_kind": "token"}, "push"),
    ]
    for target, field in wrong:
        answer = await registered(client, officer, install, target)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), target
        body = {"id": str(new_id()), "name": "x", "push": target}
        assert (await client.http.post(f"{API}/installs", json=body, headers=officer)).status_code == 422
    assert await channels(client, officer) == {install: "webpush"}


async def test_a_target_wakes_one_installation_and_a_person_has_only_so_many(
    client: Client, service: FakePushService
) -> None:
    _, officer = await client.new(Role.OFFICER)
    _, other = await client.new(Role.OFFICER)
    shared = service.subscribe("shared").target
    first, second = await enrolled(client, officer, shared), await enrolled(client, other)
    assert (await registered(client, other, second, shared)).status_code == 204
    assert await channels(client, officer) == {first: None}, "the browser is the other's now"
    made = [await enrolled(client, other, service.subscribe(f"many-{i}").target) for i in range(MAX_TARGETS)]
    woken = await channels(client, other)
    assert [one for one in woken if woken[one]] == sorted(made, reverse=True)
    assert (await registered(client, other, second, shared)).status_code == 204
    woken = await channels(client, other)
    assert woken[second] == "webpush"
    assert sum(channel is not None for channel in woken.values()) == MAX_TARGETS
    assert woken[made[0]] is None, "the one used longest ago"


async def test_who_is_woken_no_more_because_of_another_is_in_the_audit(
    client: Client, service: FakePushService, desk: Desk
) -> None:
    (_, officer), (other, headers) = await client.new(Role.OFFICER), await client.new(Role.OFFICER)
    target = service.subscribe("taken-over").target
    first, second = await enrolled(client, officer, target), await enrolled(client, headers, target)
    ((by, fields),) = await desk.sql(
        "SELECT actor_id, fields FROM audit_event WHERE object_id = :id AND fields ? 'by_install'", id=first
    )
    assert (by, fields) == (other.id, {"push": None, "by_install": second})


def test_a_broken_file_of_the_other_channel_keeps_no_browser_from_being_woken(settings: Settings) -> None:
    for content in ("{", "[]", '{"a": {}}'):
        file = settings.data_dir / "firebase.json"
        file.write_text(content)
        told = targets.config(settings.model_copy(update={"fcm_web": file, "fcm_credentials": file}))
        assert told["fcm"] is None
        assert told["webpush"]


async def test_without_a_key_browsers_are_told_so(engine: AsyncEngine, service: FakePushService) -> None:
    url = engine.url.render_as_string(hide_password=False)
    async with serving(Settings(database_url=url, ingest_database_url=url), engine) as client:
        _, officer = await client.new(Role.OFFICER)
        assert (await client.http.get(f"{API}/installs/push-config", headers=officer)).json()["webpush"] is None
        install = await enrolled(client, officer)
        answer = await registered(client, officer, install, service.subscribe("x").target)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "not_set_up")
