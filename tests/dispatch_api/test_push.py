"""Pushes with Google's real library against a stand-in of its endpoints: without content, one each, none lost."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import inbox
from core.actor import system
from core.db import make_engine
from core.ids import digest, new_id
from core.models import Install
from core.settings import Settings
from core.work import open_work
from dispatch_api.fcm import Fcm
from dispatch_api.pushed import PAYLOAD
from dispatch_api.workers import push
from dispatch_api.workers.push import Post
from tests.conftest import cloned
from tests.fake_google import FakeGoogle, Known
from tests.helpers import Database, actor_of, person

SECRET = "Vilnius, Jonas Jonaitis"


class Desk:
    """A database, a stand-in for Google, and who sends."""

    def __init__(self, engine: AsyncEngine, google: FakeGoogle, settings: Settings) -> None:
        self.engine, self.google, self.settings = engine, google, settings
        self.fresh()

    def fresh(self) -> None:
        """A post office that knows nothing of earlier failures."""
        assert self.settings.fcm_credentials
        self.post = Post("fcm", Fcm(self.settings.fcm_credentials, self.google.url, Known()))

    async def officer(self, target: str, kind: str = "fid") -> tuple[Any, UUID]:
        """An officer with an installation of this target."""
        user, install_id = await person(self.engine, "officer"), new_id()
        async with open_work(self.engine, system("test")) as work:
            where = {"channel": "fcm", "target": target, "target_kind": kind}
            work.session.add(
                Install(id=install_id, user_id=user.id, name="t", credential_digest=digest(target), push=where)
            )
        return user, install_id

    async def tell(self, *users: Any, kind: str = "notice") -> None:
        async with open_work(self.engine, system("test")) as work:
            body = {"headline": SECRET}
            await inbox.push(work, [user.id for user in users], new_id(), kind, new_id(), body)

    async def sql(self, statement: str, **values: Any) -> list[Any]:
        async with open_work(self.engine, system("test")) as work:
            done = await work.session.execute(text(statement), values)
            return list(done.all()) if done.returns_rows else []  # type: ignore[attr-defined]

    async def due(self) -> None:
        await self.sql("UPDATE push_owed SET due_at = now() - interval '1 second'")

    async def rounds(self) -> int:
        """Send all that is due now; in how many rounds."""
        await self.due()
        n = 1
        while await push.round_(self.engine, self.settings, self.post):
            n += 1
        return n

    async def again(self) -> None:
        """Try what could not be reached, its time being over."""
        await self.due()
        self.post.down = {name: replace(one, until=time.monotonic()) for name, one in self.post.down.items()}
        await push.again(self.engine, self.settings, self.post)

    async def owed(self) -> list[Any]:
        return await self.sql("SELECT install_id, urgent, tries, due_at - now() AS wait FROM push_owed ORDER BY 1")


@pytest.fixture(scope="module")
def google() -> Iterator[FakeGoogle]:
    running = FakeGoogle()
    yield running
    running.close()


@pytest_asyncio.fixture(scope="module")
async def everything(template: Database, google: FakeGoogle, tmp_path_factory: Any) -> AsyncIterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("google")
    with cloned(template) as database:
        engine = make_engine(database.app_url)
        settings = Settings(fcm_credentials=google.service_account(folder / "account.json"), fcm_url=google.url)
        yield Desk(engine, google, settings)
        await engine.dispose()


@pytest_asyncio.fixture
async def desk(everything: Desk, google: FakeGoogle) -> Desk:
    await everything.sql("DELETE FROM push_owed")
    google.messages.clear()
    google.attempts.clear()
    google.is_offline, google.retry_after = False, ""
    everything.fresh()
    return everything


async def test_a_push_says_nothing_but_look(desk: Desk) -> None:
    (first, _), (second, _) = await desk.officer("one"), await desk.officer("two", "token")
    await desk.tell(first, kind="task")
    await desk.tell(second)
    await desk.rounds()
    by_target = {message.get("fid") or message["token"]: message for message in desk.google.messages}
    assert by_target["one"] == {
        "fid": "one", "data": PAYLOAD,
        "android": {"collapse_key": "inbox", "ttl": "3600s", "priority": "high"},
        "webpush": {"headers": {"TTL": "3600", "Topic": "inbox", "Urgency": "high"}},
    }  # fmt: skip
    assert by_target["two"]["token"] == "two"
    assert by_target["two"]["android"]["priority"] == "normal"
    assert PAYLOAD == {"kind": "inbox", "v": "1"}
    for hidden in (SECRET, str(first.id), first.login):
        assert hidden not in json.dumps(desk.google.messages)
    assert await desk.owed() == []
    assert await desk.rounds() == 1
    assert len(desk.google.attempts) == 2


async def test_one_push_is_owed_however_much_comes_and_none_to_who_has_it_all(desk: Desk) -> None:
    (busy, busy_install), (online, online_install) = await desk.officer("busy"), await desk.officer("online")
    for kind in ("notice", "task", "notice"):
        await desk.tell(busy, online, kind=kind)
    assert [(row.install_id, row.urgent) for row in await desk.owed()] == sorted(
        [(busy_install, True), (online_install, True)]
    )
    assert all(1 < row.wait.total_seconds() <= 2 for row in await desk.owed()), "time for a socket to do it"
    async with open_work(desk.engine, actor_of(online)) as work:
        await inbox.ack(work, online_install, 3)
    async with open_work(desk.engine, actor_of(busy)) as work:
        await inbox.ack(work, busy_install, 2)
    await desk.rounds()
    assert desk.google.attempts == ["busy"]
    assert await desk.owed() == []


async def test_what_comes_while_a_push_is_on_its_way_is_pushed_again(desk: Desk) -> None:
    user, _ = await desk.officer("again")
    await desk.tell(user)
    sender = desk.post.sender
    assert sender

    class Slow:
        def send(self, owed: Any) -> Any:
            asyncio.run_coroutine_threadsafe(desk.tell(user), loop).result(5)
            return sender.send(owed)

    loop = asyncio.get_running_loop()
    desk.post.sender = Slow()
    await desk.due()
    await push.round_(desk.engine, desk.settings, desk.post)
    assert [row.tries for row in await desk.owed()] == [0]
    desk.post.sender = sender
    await push.round_(desk.engine, desk.settings, desk.post)
    assert desk.google.attempts == ["again", "again"]
    assert await desk.owed() == []


@pytest.mark.parametrize("name", ["gone", "foreign"])
async def test_a_dead_target_is_forgotten_after_one_try(desk: Desk, name: str) -> None:
    user, install_id = await desk.officer(f"{name}-1")
    await desk.tell(user)
    await desk.rounds()
    assert desk.google.attempts == [f"{name}-1"]
    assert await desk.sql("SELECT push FROM install WHERE id = :id", id=install_id) == [(None,)]
    await desk.tell(user)
    assert await desk.owed() == []


@pytest.mark.parametrize("name", ["quota", "down", "denied"])
async def test_what_may_pass_is_tried_again_later_and_later(desk: Desk, name: str) -> None:
    (user, install_id), (other, _) = await desk.officer(f"{name}-1"), await desk.officer("fine")
    await desk.tell(user, other)
    await desk.rounds()
    assert sorted(desk.google.attempts) == sorted([f"{name}-1", "fine"]), "once, not as often as the library likes"
    (row,) = await desk.owed()
    assert (row.install_id, row.tries) == (install_id, 1)
    assert row.wait.total_seconds() <= 2
    desk.google.retry_after = "120"
    await desk.rounds()
    (row,) = await desk.owed()
    assert row.tries == 2
    if name != "denied":
        assert 110 < row.wait.total_seconds() <= 120, "as long as the other side asked for"
    assert (await desk.sql("SELECT push ->> 'target' FROM install WHERE id = :id", id=install_id))[0][0] == f"{name}-1"


async def test_a_push_the_other_side_does_not_understand_is_dropped_and_its_target_kept(desk: Desk) -> None:
    user, install_id = await desk.officer("bad-1")
    await desk.tell(user)
    await desk.rounds()
    assert await desk.owed() == []
    assert (await desk.sql("SELECT push IS NULL FROM install WHERE id = :id", id=install_id)) == [(False,)]


async def test_an_outage_costs_one_try_at_a_time_and_then_everything_drains(desk: Desk) -> None:
    """F12: 500 tablets while nothing gets through; afterwards one push each, the urgent first."""
    n = 500
    users = [(await desk.officer(f"tablet-{i}"))[0] for i in range(3)]
    await desk.sql(
        "WITH u AS (INSERT INTO user_account (id, login, name, roles, version, created_at, updated_at)"
        " SELECT gen_random_uuid(), 'o' || n, 'o', '{officer}', 1, now(), now() FROM generate_series(1, :n) n"
        " RETURNING id), i AS (INSERT INTO install (id, user_id, name, credential_digest, push, created_at)"
        " SELECT gen_random_uuid(), id, 't', '', jsonb_build_object('channel', 'fcm', 'target_kind', 'fid', 'target',"
        " 't-' || id), now() FROM u RETURNING id)"
        " INSERT INTO push_owed (install_id, urgent, owed_at, due_at, tries) SELECT id, false, now(), now(), 0 FROM i",
        n=n - 3,
    )
    await desk.sql("UPDATE recipient SET seq = 1 WHERE seq = 0")
    await desk.tell(*users, kind="task")
    desk.google.is_offline = True
    begun = time.monotonic()
    await desk.rounds()
    for failed in (2, 3, 4):
        await desk.again()
        assert desk.post.down[""].failed == failed
    assert desk.post.down[""].until > time.monotonic()
    await desk.rounds()
    assert not await push.again(desk.engine, desk.settings, desk.post)
    owed = await desk.owed()
    assert (len(owed), sum(row.tries for row in owed)) == (n, push.BATCH + 3), "one at a time, and not before its time"
    assert time.monotonic() - begun < 10
    assert desk.google.attempts == []
    desk.google.is_offline = False
    await desk.again()
    await desk.rounds()
    assert len(desk.google.messages) == n == len({message["fid"] for message in desk.google.messages})
    assert {message["fid"] for message in desk.google.messages[:51]} >= {"tablet-0", "tablet-1", "tablet-2"}
    assert await desk.owed() == []


async def test_a_worker_that_died_with_pushes_in_hand_leaves_them_to_the_next(desk: Desk) -> None:
    user, _ = await desk.officer("left")
    await desk.tell(user)
    await desk.due()
    from core import pushes

    async with open_work(desk.engine, system("push")) as work:
        assert len(await pushes.take(work, "fcm", 10)) == 1
    async with open_work(desk.engine, system("push")) as work:
        assert await pushes.take(work, "fcm", 10) == []
    await desk.rounds()
    assert desk.google.attempts == ["left"]


async def test_without_a_configuration_nothing_is_sent_and_nothing_fails(desk: Desk) -> None:
    user, _ = await desk.officer("nowhere")
    await desk.tell(user)
    await desk.due()
    assert not await push.round_(desk.engine, Settings(fcm_credentials=None), Post("fcm"))
    assert len(await desk.owed()) == 1


async def test_a_service_account_signs_in_with_google_by_itself(desk: Desk) -> None:
    """The whole way of the configuration: a key in a file, a token for it, the message."""
    user, _ = await desk.officer("signed")
    await desk.tell(user)
    desk.post = Post("fcm")
    await desk.rounds()
    assert desk.google.attempts == ["signed"]
    assert desk.google.token_requests == 1
