"""Roles that wait for a second administrator: who may grant them, what ends them, what the database itself forbids."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import select

from core import people, role_grants
from core.actor import Role, system
from core.bus import AccessChanged, Bus
from core.errors import (
    Conflict,
    FourEyes,
    Invalid,
    LastAdministrators,
    NotAllowed,
    NotFound,
    OutriderError,
    TransitionNotAllowed,
)
from core.ids import new_id
from core.models import AuditEvent, RoleGrant, UserAccount
from core.settings import Settings
from core.sign_in import find, open_session
from core.work import Work, open_work
from dispatch_api.workers import retention
from tests.helpers import actor_of, person, work_of

Do = Callable[[Work], Awaitable[Any]]


async def done(engine: AsyncEngine, by: UserAccount, what: Do) -> Any:
    """The outcome of `what`, committed, by this person as they were when they signed in."""
    async with work_of(engine, actor_of(by)) as work:
        return await what(work)


def roles(user: UserAccount, *wanted: Role, four_eyes: bool = True) -> Do:
    return lambda work: people.change_user(work, user.id, {"roles": list(wanted)}, None, four_eyes=four_eyes)


def grant(grant_id: UUID) -> Do:
    return lambda work: people.grant_roles(work, grant_id)


def refuse(grant_id: UUID) -> Do:
    return lambda work: people.refuse_roles(work, grant_id)


def disable(user: UserAccount) -> Do:
    return lambda work: people.disable_user(work, user.id)


async def state_of(engine: AsyncEngine, user: UserAccount) -> tuple[list[str], list[str]]:
    """The roles the person has, and those that wait."""
    async with open_work(engine, system("test")) as work:
        found = await people.get_user(work, user.id)
        return found.roles, (await role_grants.waiting(work, [user.id])).get(user.id, [])


async def grants_of(engine: AsyncEngine, user: UserAccount) -> list[RoleGrant]:
    async with open_work(engine, system("test")) as work:
        found = select(RoleGrant).where(RoleGrant.user_id == user.id).order_by(RoleGrant.id)  # type: ignore[arg-type]
        return await work.all(found)


async def two_and_one(engine: AsyncEngine) -> tuple[UserAccount, UserAccount, UserAccount]:
    """Two administrators and an officer."""
    first, second = [await person(engine, Role.ADMINISTRATOR) for _ in range(2)]
    return first, second, await person(engine, Role.OFFICER)


async def proposed(engine: AsyncEngine, by: UserAccount, user: UserAccount, *wanted: Role) -> UUID:
    """The id of a new proposal."""
    await done(engine, by, roles(user, *wanted))
    return (await grants_of(engine, user))[-1].id


async def test_without_the_setting_or_a_second_administrator_roles_are_given_at_once(engine: AsyncEngine) -> None:
    alone, user = await person(engine, Role.ADMINISTRATOR), await person(engine, Role.OFFICER)
    await done(engine, alone, roles(user, Role.OFFICER, Role.ADMINISTRATOR))
    assert await state_of(engine, user) == (["administrator", "officer"], [])
    await done(engine, alone, roles(user, Role.DISPATCHER, four_eyes=False))
    assert await state_of(engine, user) == (["dispatcher"], [])
    assert await grants_of(engine, user) == []


async def test_more_roles_wait_and_fewer_go_at_once(engine: AsyncEngine) -> None:
    first, second, user = await two_and_one(engine)
    waiting = await proposed(engine, first, user, Role.DISPATCHER, Role.SUPERVISOR)
    assert await state_of(engine, user) == ([], ["dispatcher", "supervisor"])
    await done(engine, second, grant(waiting))
    assert await state_of(engine, user) == (["dispatcher", "supervisor"], [])
    await done(engine, first, roles(user, Role.SUPERVISOR))
    assert await state_of(engine, user) == (["supervisor"], [])
    assert [one.outcome for one in await grants_of(engine, user)] == ["granted"]


async def test_a_new_person_can_do_nothing_until_somebody_else_agrees(engine: AsyncEngine) -> None:
    first, second, _ = await two_and_one(engine)

    async def made(work: Work) -> UserAccount:
        user, _ = await people.create_user(work, login="new", name="New", roles=["auditor"], four_eyes=True)
        return user

    user = await done(engine, first, made)
    assert await state_of(engine, user) == ([], ["auditor"])
    assert not actor_of(user).permissions
    await done(engine, second, grant((await grants_of(engine, user))[0].id))
    assert await state_of(engine, user) == (["auditor"], [])


async def test_neither_who_proposed_nor_who_gains_may_grant(engine: AsyncEngine) -> None:
    first, second, user = await two_and_one(engine)
    waiting = await proposed(engine, first, user, Role.OFFICER, Role.SUPERVISOR)
    with pytest.raises(FourEyes):
        await done(engine, first, grant(waiting))
    own = await proposed(engine, first, second, Role.ADMINISTRATOR, Role.SUPERVISOR)
    with pytest.raises(FourEyes):
        await done(engine, second, grant(own))
    third = await person(engine, Role.ADMINISTRATOR)
    await done(engine, third, grant(own))
    assert await state_of(engine, second) == (["administrator", "supervisor"], [])
    with pytest.raises(FourEyes):  # also when it is done
        await done(engine, first, grant(own))


async def test_who_is_no_administrator_any_more_decides_nothing(engine: AsyncEngine) -> None:
    """Also within a request that began while they were."""
    first, second, user = await two_and_one(engine)
    third = await person(engine, Role.ADMINISTRATOR)
    waiting = await proposed(engine, first, user, Role.SUPERVISOR)
    await done(engine, first, roles(second, Role.OFFICER))
    await done(engine, first, disable(third))
    for gone in (second, third):
        for decision in (grant, refuse):
            with pytest.raises(NotAllowed):
                await done(engine, gone, decision(waiting))
        with pytest.raises(NotAllowed):
            await done(engine, gone, roles(user, Role.OFFICER, Role.DISPATCHER))
    assert (await grants_of(engine, user))[0].outcome is None


async def test_a_decision_is_once_and_for_all(engine: AsyncEngine) -> None:
    first, second, user = await two_and_one(engine)
    third = await person(engine, Role.ADMINISTRATOR)
    granted = await proposed(engine, first, user, Role.OFFICER, Role.SUPERVISOR)
    await done(engine, second, grant(granted))
    version = (await done(engine, first, lambda work: people.get_user(work, user.id))).version
    again = await done(engine, third, grant(granted))  # the same again changes nothing
    assert again.decided_by == second.id
    assert (await done(engine, first, lambda work: people.get_user(work, user.id))).version == version
    with pytest.raises(TransitionNotAllowed):
        await done(engine, first, refuse(granted))
    refused = await proposed(engine, first, user, Role.OFFICER, Role.SUPERVISOR, Role.DISPATCHER)
    assert (await done(engine, second, refuse(refused))).outcome == "refused"
    assert (await done(engine, first, refuse(refused))).outcome == "refused"
    with pytest.raises(TransitionNotAllowed):
        await done(engine, second, grant(refused))
    withdrawn = await proposed(engine, first, user, Role.OFFICER, Role.SUPERVISOR, Role.DISPATCHER)
    assert (await done(engine, first, refuse(withdrawn))).outcome == "withdrawn"
    assert await state_of(engine, user) == (["officer", "supervisor"], [])
    with pytest.raises(NotFound):
        await done(engine, first, grant(new_id()))


async def test_one_proposal_a_person_and_a_newer_replaces_it(engine: AsyncEngine) -> None:
    first, second, user = await two_and_one(engine)
    older = await proposed(engine, first, user, Role.OFFICER, Role.SUPERVISOR)
    same = await proposed(engine, second, user, Role.OFFICER, Role.SUPERVISOR)
    assert same == older  # nothing new is asked for, so it stays with who asked first
    newer = await proposed(engine, second, user, Role.OFFICER, Role.SUPERVISOR, Role.DISPATCHER)
    with pytest.raises(TransitionNotAllowed):
        await done(engine, second, grant(older))
    with pytest.raises(FourEyes):
        await done(engine, second, grant(newer))
    await done(engine, first, roles(user, Role.OFFICER))  # no more than they have: nothing waits
    assert await state_of(engine, user) == (["officer"], [])
    assert [one.outcome for one in await grants_of(engine, user)] == ["replaced", "replaced"]


async def test_what_concerns_who_is_shut_out_lapses(engine: AsyncEngine) -> None:
    first, second, user = await two_and_one(engine)
    third, other = await person(engine, Role.ADMINISTRATOR), await person(engine, Role.OFFICER)
    about = await proposed(engine, second, user, Role.SUPERVISOR)
    by = await proposed(engine, second, other, Role.SUPERVISOR)
    await done(engine, first, disable(user))
    await done(engine, first, roles(second, Role.OFFICER))  # an administrator no longer
    for lapsed in (about, by):
        with pytest.raises(TransitionNotAllowed):
            await done(engine, third, grant(lapsed))
    assert [(await grants_of(engine, one))[0].outcome for one in (user, other)] == ["lapsed", "lapsed"]
    late = await proposed(engine, first, user, Role.OFFICER)  # for somebody who is disabled
    with pytest.raises(TransitionNotAllowed):
        await done(engine, third, grant(late))
    assert (await grants_of(engine, user))[-1].outcome is None


async def test_who_shuts_the_other_out_does_not_decide_alone_from_then_on(engine: AsyncEngine) -> None:
    first, second, user = await two_and_one(engine)
    with pytest.raises(LastAdministrators):
        await done(engine, first, roles(second, Role.OFFICER))
    await done(engine, first, disable(second))
    await done(engine, first, roles(user, Role.OFFICER, Role.SUPERVISOR))
    assert await state_of(engine, user) == (["officer"], ["supervisor"])
    async with open_work(engine, system("create-user")) as work:  # the way out: at the machine
        third, _ = await people.create_user(work, login="third", name="T", roles=["administrator"], four_eyes=False)
    await done(engine, third, grant((await grants_of(engine, user))[0].id))
    assert await state_of(engine, user) == (["officer", "supervisor"], [])
    await done(engine, first, roles(third, Role.OFFICER, four_eyes=False))  # with the setting off


async def test_forbidden_pairs_are_looked_at_again(engine: AsyncEngine) -> None:
    first, second, user = await two_and_one(engine)
    with pytest.raises(Invalid):
        await done(engine, first, roles(user, Role.ADMINISTRATOR, Role.AUDITOR))
    waiting = await proposed(engine, first, user, Role.AUDITOR)
    async with open_work(engine, system("test")) as work:  # behind our back
        await work.session.execute(
            text("UPDATE user_account SET roles = '{administrator}' WHERE id = :id"), {"id": user.id}
        )
    with pytest.raises(Invalid):
        await done(engine, second, grant(waiting))
    assert await state_of(engine, user) == (["administrator"], ["auditor"])


async def test_a_grant_ends_sessions_and_is_told(engine: AsyncEngine) -> None:
    first, second, user = await two_and_one(engine)
    waiting = await proposed(engine, first, user, Role.OFFICER, Role.SUPERVISOR)
    async with open_work(engine, system("test")) as work:
        token = (await open_session(work, user)).token
    told, bus = [], Bus()

    async def heard(wake: AccessChanged) -> None:
        told.append(wake)

    bus.on(AccessChanged, heard)
    async with work_of(engine, actor_of(second), bus) as work:
        await people.grant_roles(work, waiting)
    assert told == [AccessChanged(frozenset({user.id}))]
    with pytest.raises(OutriderError):
        await find(engine, token)


async def test_proposal_grant_and_refusal_name_both_people(engine: AsyncEngine) -> None:
    first, second, user = await two_and_one(engine)
    await done(engine, second, grant(await proposed(engine, first, user, Role.OFFICER, Role.SUPERVISOR)))
    await done(engine, first, refuse(await proposed(engine, second, user, Role.SUPERVISOR, Role.DISPATCHER)))
    async with open_work(engine, system("test")) as work:
        query = select(AuditEvent).where(AuditEvent.object_id == str(user.id)).order_by(AuditEvent.id)  # type: ignore[arg-type]
        rows = [row for row in await work.all(query) if "role_grant" in row.fields]
    assert [(row.actor_id, row.fields.get("proposed_by"), row.fields.get("outcome")) for row in rows] == [
        (first.id, None, None), (second.id, str(first.id), "granted"),
        (second.id, None, None), (first.id, str(second.id), "refused"),
    ]  # fmt: skip
    assert [row.fields["roles_proposed"] for row in rows] == [["supervisor"]] * 2 + [["dispatcher"]] * 2


async def outcomes(*asked: Awaitable[Any]) -> list[str]:
    results = await asyncio.gather(*asked, return_exceptions=True)
    return sorted(type(result).__name__ for result in results)


async def test_two_who_grant_at_once_grant_once(engine: AsyncEngine) -> None:
    first, second, user = await two_and_one(engine)
    third = await person(engine, Role.ADMINISTRATOR)
    waiting = await proposed(engine, first, user, Role.OFFICER, Role.SUPERVISOR)
    both = await outcomes(done(engine, second, grant(waiting)), done(engine, third, grant(waiting)))
    assert both == ["RoleGrant", "RoleGrant"]
    async with open_work(engine, system("test")) as work:
        assert (await people.get_user(work, user.id)).version == 3  # the proposal, and one grant


async def test_a_grant_and_whatever_forbids_it_come_one_after_the_other(engine: AsyncEngine) -> None:
    first, second, _ = await two_and_one(engine)
    for outcome in ("withdrawn", "replaced", "lapsed", "open"):
        user = await person(engine, Role.OFFICER)
        waiting = await proposed(engine, first, user, Role.OFFICER, Role.SUPERVISOR)
        against: dict[str, Do] = {
            "withdrawn": refuse(waiting),
            "replaced": roles(user, Role.OFFICER, Role.DISPATCHER),
            "lapsed": disable(user),
            "open": disable(second),
        }
        both = (done(engine, second, grant(waiting)), done(engine, first, against[outcome]))
        await asyncio.gather(*both, return_exceptions=True)
        (one,) = [each for each in await grants_of(engine, user) if each.id == waiting]
        assert (one.outcome or "open") in {outcome, "granted"}
        if outcome != "replaced":  # else the other change took the role again
            has, _ = await state_of(engine, user)
            assert ("supervisor" in has) == (one.outcome == "granted"), outcome


async def test_two_who_demote_each_other_leave_two(engine: AsyncEngine) -> None:
    first, second, _ = await two_and_one(engine)
    third = await person(engine, Role.ADMINISTRATOR)
    asked = [(first, second), (second, third), (third, first)]
    results = await outcomes(*(done(engine, by, roles(whom, Role.OFFICER)) for by, whom in asked))
    assert results.count("UserAccount") == 1
    async with open_work(engine, system("test")) as work:
        assert await role_grants.in_force(work)


async def test_the_database_itself_lets_nobody_grant_what_they_proposed(engine: AsyncEngine) -> None:
    first, second, user = await two_and_one(engine)
    waiting = await proposed(engine, first, user, Role.SUPERVISOR)
    decided = text("UPDATE role_grant SET outcome = 'granted', decided_at = now(), decided_by = :by WHERE id = :id")
    for by, said in ((first, first), (second, user)):
        with pytest.raises(DBAPIError, match=r"four_eyes|row-level security"):
            async with work_of(engine, actor_of(by)) as work:
                await work.session.execute(decided, {"by": said.id, "id": waiting})
    supervisor = await person(engine, Role.SUPERVISOR)
    async with work_of(engine, actor_of(supervisor)) as work:  # reads them, and no more
        assert await work.all(text("SELECT id FROM role_grant")) == [waiting]
        changed: Any = await work.session.execute(decided, {"by": supervisor.id, "id": waiting})
        assert changed.rowcount == 0
    with pytest.raises(DBAPIError, match="row-level security"):
        async with work_of(engine, actor_of(supervisor)) as work:
            work.session.add(RoleGrant(user_id=user.id, roles=["auditor"], proposed_by=supervisor.id))
    for nobody in (user, await person(engine, Role.DISPATCHER)):
        async with work_of(engine, actor_of(nobody)) as work:
            assert await work.all(text("SELECT id FROM role_grant")) == []


async def test_what_nobody_decides_lapses_after_its_days_and_not_before(
    engine: AsyncEngine, settings: Settings
) -> None:
    first, second, user = await two_and_one(engine)
    waiting = await proposed(engine, first, user, Role.SUPERVISOR)
    older = text("UPDATE role_grant SET proposed_at = now() - CAST(:ago AS interval)")

    async def outcome_after(ago: timedelta) -> str | None:
        async with open_work(engine, system("test")) as work:
            await work.session.execute(older, {"ago": ago})
        await retention.round_(engine, settings)
        return (await grants_of(engine, user))[0].outcome

    days = timedelta(days=settings.four_eyes_days)
    assert await outcome_after(days - timedelta(minutes=1)) is None
    assert await outcome_after(days + timedelta(minutes=1)) == "lapsed"
    with pytest.raises(TransitionNotAllowed, match="lapsed"):
        await done(engine, second, grant(waiting))
    async with open_work(engine, system("test")) as work:
        told: AuditEvent = (await work.all(select(AuditEvent).order_by(AuditEvent.id.desc())))[0]  # type: ignore[attr-defined]
    assert (told.actor_login, told.object_id, told.fields["outcome"]) == ("system:four-eyes", str(user.id), "lapsed")


async def test_a_login_that_is_taken_leaves_no_proposal(engine: AsyncEngine) -> None:
    first, _, user = await two_and_one(engine)
    with pytest.raises(Conflict):
        await done(
            engine, first,
            lambda work: people.create_user(work, login=user.login, name="N", roles=["auditor"], four_eyes=True),
        )  # fmt: skip
    async with open_work(engine, system("test")) as work:
        assert await work.all(select(RoleGrant)) == []
