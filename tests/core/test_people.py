"""People, passwords, roles."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import select

from core import passwords, people
from core.actor import MATRIX, SEES, Actor, May, Role, system
from core.errors import BadCredentials, Conflict, Invalid, TooMany
from core.ids import new_id
from core.models import LoginTry
from core.sign_in import Limits, by_password, check_tries, note_wrong
from core.work import open_work
from tests.helpers import PASSWORD, person


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
        user, one_time = await people.create_user(work, login="Jonas", name="Jonas", roles=["officer"])
    assert one_time is not None
    async with open_work(engine, system("test")) as work:
        assert (await by_password(work, "JONAS", one_time)).id == user.id
        stored = (await work.session.execute(text("SELECT password_hash FROM credential"))).scalar_one()
    assert stored.startswith("$argon2id$")
    assert one_time not in stored


async def test_wrong_and_unknown_look_alike(engine: AsyncEngine) -> None:
    user = await person(engine, Role.OFFICER)
    for login in (user.login, "nobody-of-this-name"):
        with pytest.raises(BadCredentials) as caught:
            async with open_work(engine, system("test")) as work:
                await by_password(work, login, "wrong password")
        assert str(caught.value) == BadCredentials.__doc__


async def test_a_login_is_taken_once(engine: AsyncEngine) -> None:
    await person(engine, Role.OFFICER, login="same")
    with pytest.raises(Conflict):
        async with open_work(engine, system("test")) as work:
            await people.create_user(work, login="SAME", name="Another", roles=["auditor"])


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


async def test_at_most_two_hashes_at_once() -> None:
    assert passwords._threads._max_workers == passwords.AT_ONCE == 2  # 64 MiB each


@pytest.mark.parametrize(
    "boundary",
    [
        {"type": "Point", "coordinates": [25, 54]},
        {"type": "Polygon", "coordinates": [[[0, 0], [200, 0], [200, 50], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [0, 1], ["a", 0]]]},
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
