"""The second factor: codes, once each, asked of whoever has one or must have one."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from pyotp import TOTP
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import factors, installs, sign_in
from core.actor import Actor, Role, system
from core.bus import AccessChanged, Bus
from core.db import utcnow
from core.errors import (
    BadCode,
    BadCredentials,
    CodeNeeded,
    CodeUnset,
    Conflict,
    NotAllowed,
    NotFound,
    NotSignedIn,
    TooMany,
)
from core.ids import new_id
from core.models import Credential, UserAccount
from core.settings import Settings
from core.sign_in import Claim, Limits, Opened, begin_factor, enter, find
from core.work import open_work
from tests.helpers import PASSWORD, actor_of, person

HERE, LIMITS = "10.0.0.9", Limits(account=10, address=50)
MUST = {"administrator", "supervisor"}


def code(secret: str, steps: int = 0) -> str:
    """The code of this moment, or of some steps of 30 s from it."""
    return TOTP(secret).at(utcnow(), counter_offset=steps)


async def signs_in(engine: AsyncEngine, user: UserAccount, given: str | None = None, **options: Any) -> Opened:
    address, password = options.pop("address", HERE), options.pop("password", PASSWORD)
    limits = options.pop("limits", LIMITS)
    return await enter(engine, address, Claim(password, login=user.login, code=given), limits, **options)


async def begun(engine: AsyncEngine, user: UserAccount) -> str:
    return (await begin_factor(engine, HERE, Claim(PASSWORD, login=user.login), LIMITS)).secret


async def with_factor(engine: AsyncEngine, *roles: Role) -> tuple[UserAccount, str]:
    """A person who has set up a second factor; the code of this moment is used up."""
    user = await person(engine, *roles)
    secret = await begun(engine, user)
    await signs_in(engine, user, code(secret))
    return user, secret


async def audited(engine: AsyncEngine, what: str) -> list[Any]:
    async with open_work(engine, system("test")) as work:
        rows = await work.session.execute(text(f"SELECT fields ->> '{what}' FROM audit_event ORDER BY id"))
        return [value for (value,) in rows if value]


@pytest.mark.parametrize(
    ("at_s", "told"), [(1_111_111_109, "081804"), (1_234_567_890, "005924"), (2_000_000_000, "279037")]
)
def test_codes_are_those_of_the_rfc_and_a_clock_may_be_a_step_off(at_s: int, told: str) -> None:
    """Appendix B of RFC 6238, its last six digits."""
    secret = base64.b32encode(b"12345678901234567890").decode()
    at = datetime.fromtimestamp(at_s, UTC)
    of = at_s // 30
    for off_s, step in ((0, of), (30, of), (-30, of), (60, None), (90, None), (3_600, None)):
        assert factors.step_of(secret, told, at + timedelta(seconds=off_s)) == step, off_s
    assert factors.step_of(secret, "000000", at) is None


def test_roles_that_must_have_one_are_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().must_have_factor == frozenset()
    assert Settings(mfa_roles=" administrator, supervisor ,").must_have_factor == MUST
    for wrong in ("admin", "administrator supervisor", "Administrator"):
        with pytest.raises(ValidationError, match="the roles are administrator, dispatcher"):
            Settings(mfa_roles=wrong)
    monkeypatch.setenv("OUTRIDER_MFA_ROLES", "s3cret")
    with pytest.raises(SystemExit) as ended:
        Settings.read()
    assert str(ended.value).startswith("OUTRIDER_MFA_ROLES: It is to be roles")
    assert "s3cret" not in str(ended.value)


async def test_the_first_right_code_sets_it_up_and_from_then_on_one_is_asked_for(engine: AsyncEngine) -> None:
    user = await person(engine, Role.DISPATCHER)
    secret = await begun(engine, user)
    await signs_in(engine, user)  # a pending one asks nobody for anything
    assert not (await sign_in.standing(engine, Actor(user.id, user.login))).has_factor
    with pytest.raises(BadCode):
        await signs_in(engine, user, "000000")
    await signs_in(engine, user, code(secret))
    assert (await sign_in.standing(engine, Actor(user.id, user.login))).has_factor
    with pytest.raises(CodeNeeded):
        await signs_in(engine, user)
    await signs_in(engine, user, code(secret, 1))
    assert await audited(engine, "factor") == ["begun", "confirmed"]


async def test_setting_it_up_ends_the_sessions_opened_without_it(engine: AsyncEngine) -> None:
    user, bus, told = await person(engine, Role.DISPATCHER), Bus(), []

    bus.on(AccessChanged, lambda wake: told.append(wake.ids))
    before = await signs_in(engine, user)
    opened = await signs_in(engine, user, code(await begun(engine, user)), bus=bus)
    assert (await find(engine, opened.token)).actor.user_id == user.id
    with pytest.raises(NotSignedIn):
        await find(engine, before.token)
    assert told == [frozenset({user.id})]


async def test_a_code_opens_once_and_no_older_one_after_it(engine: AsyncEngine) -> None:
    user, secret = await with_factor(engine, Role.DISPATCHER)
    later = code(secret, 1)
    await signs_in(engine, user, later)
    for used in (later, code(secret), code(secret, -1)):
        with pytest.raises(BadCode):
            await signs_in(engine, user, used)


async def test_the_same_code_twice_at_once_opens_one_session(engine: AsyncEngine) -> None:
    user, secret = await with_factor(engine, Role.DISPATCHER)
    given = code(secret, 1)
    tries = (signs_in(engine, user, given, address=f"10.0.0.{n}") for n in range(6))
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["BadCode"] * 5 + ["Opened"]


async def test_who_must_have_one_enters_with_one_alone(engine: AsyncEngine) -> None:
    user = await person(engine, Role.OFFICER, Role.SUPERVISOR)
    for given in (None, "123456"):
        with pytest.raises(CodeUnset):
            await signs_in(engine, user, given, must_have_factor=MUST)
    secret = await begun(engine, user)
    with pytest.raises(CodeUnset):
        await signs_in(engine, user, must_have_factor=MUST)
    with pytest.raises(BadCode):
        await signs_in(engine, user, "000000", must_have_factor=MUST)
    await signs_in(engine, user, code(secret), must_have_factor=MUST)
    await signs_in(engine, await person(engine, Role.DISPATCHER), must_have_factor=MUST)


async def test_who_has_not_the_password_learns_nothing_of_a_factor(engine: AsyncEngine) -> None:
    """Neither whether there is one, nor whether a code was right."""
    user, secret = await with_factor(engine, Role.ADMINISTRATOR)
    for given in (None, "000000", code(secret, 1)):
        for who in (user.login, "nobody-of-this-name"):
            claim = Claim("wrong password", login=who, code=given)
            with pytest.raises(BadCredentials) as caught:
                await enter(engine, HERE, claim, LIMITS, must_have_factor=MUST)
            assert type(caught.value) is BadCredentials
    with pytest.raises(BadCredentials) as caught:
        await begin_factor(engine, HERE, Claim("wrong password", login=user.login), LIMITS)
    assert type(caught.value) is BadCredentials
    await signs_in(engine, user, code(secret, 1))  # no try with a wrong password used it up


async def test_wrong_codes_and_guesses_at_the_set_up_count_like_wrong_passwords(engine: AsyncEngine) -> None:
    user, secret = await with_factor(engine, Role.DISPATCHER)
    few = Limits(account=3, address=50)
    for given in ("000000", "000001"):
        with pytest.raises(BadCode):
            await signs_in(engine, user, given, limits=few)
    with pytest.raises(BadCredentials):
        await begin_factor(engine, HERE, Claim("wrong password", login=user.login), few)
    with pytest.raises(TooMany):
        await signs_in(engine, user, code(secret, 1), limits=few)
    with pytest.raises(TooMany):
        await begin_factor(engine, HERE, Claim(PASSWORD, login=user.login), few)
    async with open_work(engine, system("test")) as work:
        denials = text("SELECT fields ->> 'login' FROM audit_event WHERE action = 'denial' AND object_id = :id")
        told = (await work.session.execute(denials, {"id": str(user.id)})).scalars().all()
    assert told == [user.login] * 3


async def test_codes_guessed_all_at_once_from_many_addresses_are_counted(engine: AsyncEngine) -> None:
    """Who has the password has six digits to guess, and from many places no more tries than from one."""
    user, secret = await with_factor(engine, Role.DISPATCHER)
    few = Limits(account=3, address=50)
    tries = (signs_in(engine, user, f"00000{n}", address=f"10.0.0.{n}", limits=few) for n in range(8))
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["BadCode"] * 3 + ["TooMany"] * 5
    with pytest.raises(CodeNeeded):
        await signs_in(engine, user, address="10.0.1.1", limits=few)
    with pytest.raises(TooMany):
        await signs_in(engine, user, code(secret, 1), address="10.0.1.1", limits=few)


async def test_a_factor_that_stands_is_not_replaced_by_a_password(engine: AsyncEngine) -> None:
    user, secret = await with_factor(engine, Role.DISPATCHER)
    with pytest.raises(Conflict):
        await begun(engine, user)
    await signs_in(engine, user, code(secret, 1))


async def test_a_new_pending_secret_takes_the_place_of_the_last(engine: AsyncEngine) -> None:
    user = await person(engine, Role.DISPATCHER)
    first, second = await begun(engine, user), await begun(engine, user)
    assert first != second
    with pytest.raises(BadCode):
        await signs_in(engine, user, code(first))
    await signs_in(engine, user, code(second))


async def test_a_lost_phone_is_forgotten_by_another_alone(engine: AsyncEngine) -> None:
    user, secret = await with_factor(engine, Role.ADMINISTRATOR)
    opened = await signs_in(engine, user, code(secret, 1))
    other = actor_of(await person(engine, Role.ADMINISTRATOR))
    with pytest.raises(NotAllowed):
        async with open_work(engine, actor_of(user)) as work:
            await factors.reset(work, user.id)
    with pytest.raises(NotFound):
        async with open_work(engine, other) as work:
            await factors.reset(work, new_id())
    async with open_work(engine, system("test")) as work:
        work.session.add(somebody := UserAccount(login="without-a-password", name="X", roles=[]))
    for who in (somebody, user, user):
        async with open_work(engine, other) as work:
            assert not (await factors.reset(work, who.id)).has_factor
    with pytest.raises(NotSignedIn):
        await find(engine, opened.token)
    await signs_in(engine, user)
    with pytest.raises(CodeUnset):
        await signs_in(engine, user, code(secret, 1), must_have_factor=MUST)
    assert await audited(engine, "factor") == ["begun", "confirmed", "reset"]


async def test_a_tablet_with_its_pin_is_asked_for_no_code_but_enrolled_with_one(engine: AsyncEngine) -> None:
    """Its session by password was opened with the factor: those opened before ended when the factor was set up."""
    user, install_id = await person(engine, Role.OFFICER), new_id()
    secret = await begun(engine, user)
    session = await signs_in(engine, user, code(secret), must_have_factor={"officer"})
    actor: Actor = (await find(engine, session.token)).actor
    async with open_work(engine, actor) as work:
        credential = await installs.enrol(work, install_id, "tablet", "4711", None)
    claim = Claim("4711", install_id=install_id, credential=credential)
    opened = await enter(engine, HERE, claim, LIMITS, must_have_factor={"officer"})
    assert opened.user.id == user.id


async def test_the_secret_is_seen_by_nobody_but_the_sign_in(engine: AsyncEngine) -> None:
    user, secret = await with_factor(engine, Role.ADMINISTRATOR)
    async with open_work(engine, actor_of(user)) as work:
        assert await work.session.get(Credential, user.id) is None
        events = (await work.session.execute(text("SELECT count(*) FROM audit_event"))).scalar_one()
    async with open_work(engine, system("test")) as work:
        kept = str((await work.session.execute(text("SELECT e::text FROM audit_event e"))).all())
    assert (events, secret in kept, "confirmed" in kept) == (0, False, True)
