"""People, passwords, roles."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import select

from core import passwords, people
from core.actor import MATRIX, SEES, Actor, May, Role, system
from core.bus import Bus
from core.db import make_engine
from core.errors import BadCredentials, Conflict, Invalid, Overloaded, TooMany
from core.ids import new_id
from core.models import LoginTry
from core.sign_in import Claim, Limits, change_password, check_tries, enter, note_wrong
from core.work import open_work
from tests.helpers import PASSWORD, Database, actor_of, person

LIMITS = Limits(account=10, address=50)


def test_every_role_has_its_rights_and_its_sight() -> None:
    assert set(MATRIX) == set(SEES) == set(Role)
    assert {right for rights in MATRIX.values() for right in rights} == set(May)


def test_administrators_see_no_case_work() -> None:
    """Admin rights never imply data rights (domain.md 3.1)."""
    assert SEES[Role.ADMINISTRATOR].isdisjoint({"positions", "tasks", "notices", "violations", "inbox", "audit"})


@pytest.mark.parametrize("other", ["auditor", "internal_affairs"])
def test_forbidden_pairs_of_roles(other: str) -> None:
    with pytest.raises(Invalid):
        people.check_roles(["administrator", other])
    assert people.check_roles(["officer", "officer"]) == ["officer"]


def test_an_actor_without_a_role_has_nothing() -> None:
    nobody = Actor(user_id=new_id(), login="nobody")
    assert not nobody.permissions
    assert not nobody.sees


async def test_one_time_passwords_open_and_are_not_stored(engine: AsyncEngine) -> None:
    async with open_work(engine, system("test")) as work:
        user, one_time = await people.create_user(work, login="Jonas", name="Jonas", roles=["officer"], four_eyes=False)
    assert one_time is not None
    opened = await enter(engine, "10.0.0.9", Claim(one_time, login="JONAS"), LIMITS)
    assert opened.user.id == user.id
    async with open_work(engine, system("test")) as work:
        stored = (await work.session.execute(text("SELECT password_hash FROM credential"))).scalar_one()
    assert stored.startswith("$argon2id$")
    assert one_time not in stored


async def test_wrong_and_unknown_look_alike(engine: AsyncEngine) -> None:
    user = await person(engine, Role.OFFICER)
    for login in (user.login, "nobody-of-this-name"):
        with pytest.raises(BadCredentials) as caught:
            await enter(engine, "10.0.0.9", Claim("wrong password", login=login), LIMITS)
        assert str(caught.value) == BadCredentials.__doc__


async def test_a_login_is_taken_once(engine: AsyncEngine) -> None:
    await person(engine, Role.OFFICER, login="same")
    with pytest.raises(Conflict):
        async with open_work(engine, system("test")) as work:
            await people.create_user(work, login="SAME", name="Another", roles=["auditor"], four_eyes=False)


async def test_wrong_tries_shut_the_guesser_out_not_the_owner(engine: AsyncEngine) -> None:
    limits = Limits(account=3, address=50)
    async with open_work(engine, system("test")) as work:
        for _ in range(3):
            await note_wrong(work, "victim", "10.0.0.9")
    async with open_work(engine, system("test")) as work:
        with pytest.raises(TooMany) as refused:
            await check_tries(work, "victim", "10.0.0.9", limits)
        assert refused.value.extra["retry_after_s"] > 0
        await check_tries(work, "victim", "10.0.0.1", limits)  # the owner, elsewhere
        await check_tries(work, "another", "10.0.0.9", limits)


async def test_an_address_that_guesses_many_accounts_is_shut_out(engine: AsyncEngine) -> None:
    async with open_work(engine, system("test")) as work:
        for n in range(5):
            await note_wrong(work, f"account-{n}", "10.0.0.9")
    async with open_work(engine, system("test")) as work:
        with pytest.raises(TooMany):
            await check_tries(work, "fresh", "10.0.0.9", Limits(account=10, address=5))
        assert len(await work.all(select(LoginTry))) == 5


async def test_old_tries_are_forgiven(engine: AsyncEngine) -> None:
    async with open_work(engine, system("test")) as work:
        for _ in range(5):
            await note_wrong(work, "victim", "10.0.0.9")
        await work.session.flush()
        await work.session.execute(text("UPDATE login_try SET at = at - interval '11 minutes'"))
    async with open_work(engine, system("test")) as work:
        await check_tries(work, "victim", "10.0.0.9", Limits(account=3, address=3))


async def test_guesses_sent_all_at_once_are_counted(engine: AsyncEngine) -> None:
    user = await person(engine, Role.OFFICER)
    guess = Claim("wrong password", login=user.login)
    results = await asyncio.gather(
        *(enter(engine, "10.0.0.9", guess, Limits(account=3, address=50)) for _ in range(12)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["BadCredentials"] * 3 + ["TooMany"] * 9


async def test_guesses_at_the_old_password_sent_all_at_once_are_counted_too(engine: AsyncEngine) -> None:
    """Whoever found an open tablet has a session, and no more tries than at the door."""
    actor = replace(actor_of(await person(engine, Role.OFFICER)), address="10.0.0.9")
    limits, bus = Limits(account=3, address=50), Bus()
    guesses = (change_password(engine, bus, actor, "wrong password", "another long one", limits) for _ in range(12))
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["BadCredentials"] * 3 + ["TooMany"] * 9
    with pytest.raises(TooMany):
        await change_password(engine, bus, actor, PASSWORD, "another long one", limits)


async def test_the_wait_grows_with_every_wrong_try(engine: AsyncEngine) -> None:
    waits = []
    for _ in range(4):
        async with open_work(engine, system("test")) as work:
            await note_wrong(work, "victim", "10.0.0.9")
        async with open_work(engine, system("test")) as work:
            with pytest.raises(TooMany) as refused:
                await check_tries(work, "victim", "10.0.0.9", Limits(account=1, address=50))
        waits.append(refused.value.extra["retry_after_s"])
    assert [round(w / 15) for w in waits] == [1, 2, 4, 8]


async def test_a_network_of_ipv6_addresses_is_one_guesser(engine: AsyncEngine) -> None:
    async with open_work(engine, system("test")) as work:
        for n in range(3):
            await note_wrong(work, "victim", f"2001:db8::{n}")
    async with open_work(engine, system("test")) as work:
        with pytest.raises(TooMany):
            await check_tries(work, "victim", "2001:db8::ffff", Limits(account=3, address=50))
        await check_tries(work, "victim", "2001:db8:0:1::1", Limits(account=3, address=50))


async def test_tries_do_not_keep_what_was_typed(engine: AsyncEngine) -> None:
    with pytest.raises(BadCredentials):
        await enter(engine, "10.0.0.9", Claim("x", login="my-password-by-mistake"), LIMITS)
    async with open_work(engine, system("test")) as work:
        kept = (await work.session.execute(text("SELECT t::text, e::text FROM login_try t, audit_event e"))).all()
    assert kept
    assert "mistake" not in str(kept)


async def test_log_ins_hold_no_connection_while_hashing(database: Database) -> None:
    engine = make_engine(database.app_url, pool_size=2)
    user = await person(engine, Role.OFFICER)
    guesses = [
        asyncio.create_task(enter(engine, f"10.0.0.{n}", Claim("wrong password", login=user.login), LIMITS))
        for n in range(10)
    ]
    while not all(guess.done() for guess in guesses):
        async with open_work(engine, system("test")) as work:  # refused after 2 s in the pool's queue
            await work.session.execute(text("SELECT 1"))
        await asyncio.sleep(0.05)
    assert {type(guess.exception()) for guess in guesses} == {BadCredentials}
    await engine.dispose()


async def test_unknown_people_take_as_long_as_known_ones() -> None:
    stored = await passwords.hashed(PASSWORD)
    parameters = stored.rsplit("$", 2)[0]
    assert passwords.NOBODYS.startswith(f"{parameters}$")
    assert not await passwords.matches("", None)


async def test_too_many_log_ins_at_once_are_refused() -> None:
    waiting = [asyncio.create_task(passwords.hashed("x")) for _ in range(3)]
    passwords._waiting += passwords.MAX_WAITING - 3
    try:
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await passwords.hashed("one more")
    finally:
        await asyncio.gather(*waiting)
        passwords._waiting -= passwords.MAX_WAITING - 3


async def test_at_most_two_hashes_at_once() -> None:
    assert passwords._threads._max_workers == passwords.AT_ONCE == 2  # 64 MiB each


@pytest.mark.parametrize(
    "boundary",
    [
        {"type": "Point", "coordinates": [25, 54]},
        {"type": "Polygon", "coordinates": [[[0, 0], [200, 0], [200, 50], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [0, 1], ["a", 0]]]},
        {"type": "Polygon", "coordinates": [[[10**400, 0], [1, 1], [0, 1], [10**400, 0]]]},
        {"type": "Polygon", "coordinates": [[[float("inf"), 0], [1, 1], [0, 1], [float("inf"), 0]]]},
        {"type": ["Polygon"], "coordinates": []},
        {"type": "polygon, or nearly", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[]]},
        {"type": "Polygon"},
        {"type": "Polygon", "coordinates": [[[i / 1e4, (i % 2) / 1e3] for i in range(1_100)] + [[0, 1], [0, 0]]]},
        {},
    ],
)
def test_boundaries_that_are_none(boundary: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        people.boundary_of(boundary)


def test_the_password_of_tests_is_long_enough() -> None:
    assert people.check_password(PASSWORD) == PASSWORD
    with pytest.raises(Invalid):
        people.check_password("short")
