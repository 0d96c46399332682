"""Roles that wait for a second administrator: proposed by one, granted or refused by another (docs/decisions/0025).

In force while OUTRIDER_FOUR_EYES is on and a second administrator exists, disabled or not: else whoever shuts the other
one out would decide alone from then on.
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, or_, text
from sqlmodel import col, select

from core.actor import Role
from core.audit import Action
from core.errors import FourEyes, LastAdministrators, NotAllowed, NotFound, TransitionNotAllowed
from core.models import RoleGrant, UserAccount
from core.work import Work

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('outrider.roles'))")
_ADMINISTRATORS = text(
    f"SELECT count(*) FROM user_account WHERE '{Role.ADMINISTRATOR}' = ANY(roles)"  # noqa: S608
    " AND id IS DISTINCT FROM CAST(:but AS uuid)"
)
_SHOWN = (
    "SELECT g.*, u.login, u.name, p.name AS proposed_by_name FROM role_grant g JOIN user_account u ON u.id = g.user_id"
    " JOIN user_account p ON p.id = g.proposed_by WHERE"
)
_ONE = text(f"{_SHOWN} g.id = :id")
_WAITING = text(
    f"{_SHOWN} g.decided_at IS NULL AND (CAST(:after AS uuid) IS NULL OR g.id > CAST(:after AS uuid))"
    " ORDER BY g.id LIMIT :n"
)


class Outcome(StrEnum):
    """What became of a proposal."""

    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    """Refused by who proposed it."""
    REPLACED = "replaced"
    """The person's roles were changed otherwise meanwhile."""
    LAPSED = "lapsed"
    """The person was disabled, the proposer is no administrator any more, or nobody decided in time."""


async def one_at_a_time(work: Work) -> None:
    """Roles are given and taken one transaction after the other, so that each knows who is an administrator."""
    await work.session.execute(_ONE_AT_A_TIME)


async def in_force(work: Work) -> bool:
    """Whether a second administrator exists, disabled ones counted."""
    return await _administrators(work) > 1


async def _administrators(work: Work, but: UUID | None = None) -> int:
    return int(await work.first(_ADMINISTRATORS.bindparams(but=but)))


async def settle(work: Work, user: UserAccount, wanted: Collection[str], *, four_eyes: bool) -> None:
    """Take the roles the person is to lose, at once; give the others, or propose them where four eyes are in force.

    What waited for the person until now is replaced, unless it is what is asked for again. Raises LastAdministrators,
    and NotAllowed for who is no administrator any more.
    """
    kept, gained = set(user.roles) & set(wanted), set(wanted) - set(user.roles)
    guarded = four_eyes and await in_force(work)
    if Role.ADMINISTRATOR in set(user.roles) - kept:
        if guarded and await _administrators(work, but=user.id) < 2:
            raise LastAdministrators
        await _lapse(work, col(RoleGrant.proposed_by) == user.id)
    user.roles = sorted(kept if guarded else wanted)
    proposed = gained if guarded else set()
    for waiting in await _open(work, col(RoleGrant.user_id) == user.id):  # one, if any
        if set(waiting.roles) == proposed:
            return
        _end(work, waiting, Outcome.REPLACED)
    await work.session.flush()
    if proposed:
        await _check_administrator(work)
        grant = RoleGrant(user_id=user.id, roles=sorted(proposed), proposed_by=work.actor.id, proposed_at=work.now)
        work.session.add(grant)
        await work.session.flush()
        work.audit(Action.ALTERATION, "user", user.id, role_grant=grant.id, roles_proposed=grant.roles)


async def _check_administrator(work: Work) -> None:
    """Nothing, or NotAllowed: who acts is no administrator any more, whatever they were as the request came."""
    me = await work.session.get_one(UserAccount, work.actor.id)
    if me.disabled_at or Role.ADMINISTRATOR not in me.roles:
        raise NotAllowed


async def _open(work: Work, which: ColumnElement[bool]) -> list[RoleGrant]:
    return await work.all(select(RoleGrant).where(col(RoleGrant.decided_at).is_(None), which).with_for_update())


def _end(work: Work, grant: RoleGrant, outcome: Outcome) -> None:
    grant.outcome, grant.decided_by, grant.decided_at = outcome.value, work.actor.user_id, work.now
    told = {"roles_proposed": grant.roles, "proposed_by": grant.proposed_by, "outcome": grant.outcome}
    work.audit(Action.ALTERATION, "user", grant.user_id, role_grant=grant.id, **told)


async def lapse(work: Work, user_id: UUID) -> None:
    """End what waits for a person who is disabled, and what they proposed."""
    await _lapse(work, or_(col(RoleGrant.user_id) == user_id, col(RoleGrant.proposed_by) == user_id))


async def lapse_old(work: Work, before: datetime) -> int:
    """End what was proposed before and nobody has decided; how many."""
    await one_at_a_time(work)
    return await _lapse(work, col(RoleGrant.proposed_at) < before)


async def _lapse(work: Work, which: ColumnElement[bool]) -> int:
    found = await _open(work, which)
    for grant in found:
        _end(work, grant, Outcome.LAPSED)
    return len(found)


async def decide(work: Work, grant_id: UUID, *, granted: bool) -> tuple[RoleGrant, bool]:
    """The proposal as it is decided now, and whether that is new; the same again changes nothing.

    Raises NotFound, NotAllowed for who is no administrator any more, FourEyes, and TransitionNotAllowed when it was
    decided otherwise.
    """
    await one_at_a_time(work)
    await _check_administrator(work)
    grant: RoleGrant | None = await work.first(select(RoleGrant).where(RoleGrant.id == grant_id).with_for_update())
    if grant is None:
        raise NotFound
    if granted and work.actor.id in {grant.proposed_by, grant.user_id}:
        raise FourEyes
    refusal = Outcome.WITHDRAWN if work.actor.id == grant.proposed_by else Outcome.REFUSED
    if grant.outcome is None:
        _end(work, grant, Outcome.GRANTED if granted else refusal)
        return grant, True
    if (grant.outcome == Outcome.GRANTED) != granted or grant.outcome in {Outcome.REPLACED, Outcome.LAPSED}:
        raise TransitionNotAllowed(f"This proposal is decided: {grant.outcome}.")
    return grant, False


async def waiting(work: Work, user_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """The roles that wait for each of these people, if any."""
    query = select(RoleGrant.user_id, RoleGrant.roles).where(
        col(RoleGrant.decided_at).is_(None), col(RoleGrant.user_id).in_(user_ids)
    )
    return {row.user_id: row.roles for row in await work.session.execute(query)}


async def listed(work: Work, limit: int, after: UUID | None) -> tuple[list[dict[str, Any]], UUID | None]:
    """A page of the proposals that wait, oldest first; and where the next page starts."""
    found = await work.session.execute(_WAITING, {"after": after, "n": limit + 1})
    rows = [dict(row) for row in found.mappings()]
    work.audit(Action.CONSULTATION, "role_grant", None, n=len(rows[:limit]))
    return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None


async def resource(work: Work, grant: RoleGrant) -> dict[str, Any]:
    """The proposal as the API shows it, with the names of the two people."""
    await work.session.flush()
    return dict((await work.session.execute(_ONE, {"id": grant.id})).mappings().one())
