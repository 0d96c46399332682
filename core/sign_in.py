"""Signing in: sessions, log-in tries, socket tickets."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from core import factors, installs, passwords, people
from core.actor import Actor, Role, system
from core.audit import Action
from core.bus import AccessChanged, Bus
from core.db import look_up
from core.errors import BadCode, BadCredentials, Invalid, NotSignedIn, TooMany
from core.ids import digest, new_secret
from core.models import Credential, Install, LoginTry, SignIn, SocketTicket, UserAccount
from core.work import Work, open_work

SESSION = timedelta(hours=12)
IDLE = timedelta(hours=1)
USED_EVERY = timedelta(minutes=1)
TICKET = timedelta(seconds=30)
WINDOW = timedelta(minutes=10)


@dataclass(frozen=True)
class Limits:
    """Wrong tries in ten minutes before the next is refused unheard."""

    account: int
    address: int


@dataclass(frozen=True)
class Opened:
    """A new session; the token is known only here and to its owner."""

    token: str
    csrf_token: str
    expires_at: datetime
    user: UserAccount
    offline_key: str | None = None
    """The server's half of the key of the installation that signed in."""


@dataclass(frozen=True)
class Claim:
    """What somebody signs in with: login and password, or an installation's id and credential with its PIN."""

    secret: str
    login: str | None = None
    install_id: UUID | None = None
    credential: str = ""
    code: str | None = None
    """Of the second factor, beside login and password: a tablet with its PIN is two factors by itself."""

    @property
    def name(self) -> str:
        """What wrong tries are counted for."""
        return self.login.strip().lower() if self.login is not None else str(self.install_id)


def _source(address: str) -> str:
    """What guesses come from: the address, for IPv6 its /64, since whoever has one address there has them all."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(IPv6Network((found, 64), strict=False)) if isinstance(found, IPv6Address) else address


def _counted(name: str) -> str:
    """The name as it is counted: not readable, because people type passwords where the login belongs."""
    return digest(name).hex()


async def check_tries(work: Work, name: str, address: str, limits: Limits) -> None:
    """Nothing, or TooMany: an account is shut only to the addresses that guessed, so no stranger locks it out."""
    from_address = col(LoginTry.address) == _source(address)
    of_both = (col(LoginTry.login) == _counted(name)) & from_address
    newest = func.max(LoginTry.at)
    query = select(func.count().filter(of_both), newest.filter(of_both), func.count(), newest)
    row = (await work.session.execute(query.where(from_address, LoginTry.at > work.now - WINDOW))).one()
    for wrong, last, limit in ((row[0], row[1], limits.account), (row[2], row[3], limits.address)):
        if wrong < limit:
            continue
        left = last + min(WINDOW, timedelta(seconds=15 * 2 ** min(wrong - limit, 6))) - work.now
        if left > timedelta(0):
            raise TooMany("Too many wrong tries: wait before the next.", max(1, round(left.total_seconds())))


def _count(work: Work, name: str, address: str) -> None:
    work.session.add(LoginTry(login=_counted(name), address=_source(address), at=work.now))


async def note_wrong(work: Work, name: str, address: str, user: UserAccount | None = None) -> None:
    """Count a wrong try, and write it down; tries that no longer count are forgotten."""
    await work.session.execute(delete(LoginTry).where(col(LoginTry.at) < work.now - WINDOW))
    _count(work, name, address)
    work.audit(Action.DENIAL, "sign_in", user.id if user else None, login=user.login if user else None)


async def _claimed(work: Work, claim: Claim) -> tuple[UserAccount | None, str | None]:
    """The person a claim names, and the hash its secret must have: None when it cannot be right.

    Raises InstallRevoked, PinLocked.
    """
    if claim.login is not None:
        user = await work.first(select(UserAccount).where(UserAccount.login == claim.name))
        credential = await work.session.get(Credential, user.id) if user else None
        stored = credential.password_hash if credential else None
    else:
        install = await installs.claimed(work, claim.install_id, claim.credential)
        user = await work.session.get(UserAccount, install.user_id) if install else None
        stored = install.pin_hash if install else None
    return user, stored if user and user.disabled_at is None else None


@asynccontextmanager
async def _heard(
    engine: AsyncEngine, bus: Bus | None, address: str, claim: Claim, limits: Limits, request_id: str
) -> AsyncIterator[tuple[Work, UserAccount | None]]:
    """A unit of work with the person who claims rightly; with None for a wrong claim, which is counted.

    No connection is held during the hashing, or a few log-ins would stop everybody's requests. The tries are looked
    at again afterwards, one log-in of an address at a time, so that guesses sent all at once are counted as well.
    """
    actor = Actor(None, "system:sign-in", address=address, request_id=request_id)
    async with open_work(engine, actor) as work:
        await check_tries(work, claim.name, address, limits)
        _, stored = await _claimed(work, claim)
    right = await passwords.matches(claim.secret, stored)
    async with open_work(engine, actor, bus) as work:
        await work.session.execute(_ONE_AT_A_TIME, {"source": _source(address)})
        await check_tries(work, claim.name, address, limits)
        user, still = await _claimed(work, claim)
        right = right and still == stored
        if claim.install_id and user:
            await installs.note_try(work, claim.install_id, right=right)
        if not right:
            await note_wrong(work, claim.name, address, user)
        yield work, user if right else None


async def enter(
    engine: AsyncEngine,
    address: str,
    claim: Claim,
    limits: Limits,
    *,
    must_have_factor: Collection[str] = (),
    bus: Bus | None = None,
    request_id: str = "",
) -> Opened:
    """A session for who claims rightly, with the code of their second factor if they have one.

    Raises BadCredentials, in the same time whatever is wrong, TooMany, Overloaded; and to who has the password BadCode,
    CodeNeeded, or CodeUnset for somebody with one of the roles in `must_have_factor` and none set up.
    """
    async with _heard(engine, bus, address, claim, limits, request_id) as (work, user):
        if user and (claim.install_id or await _has_code(work, user, claim.code, must_have_factor, limits)):
            return await open_session(work, user, claim.install_id)
        if user:
            await note_wrong(work, claim.name, address, user)
    raise BadCode if user else BadCredentials


async def _has_code(
    work: Work, user: UserAccount, code: str | None, must_have_factor: Collection[str], limits: Limits
) -> bool:
    """Whether the second factor lets them in; a wrong code is counted for the person, wherever it comes from.

    Only who has the password can guess at it, so this shuts nobody out for a stranger's sake.
    """
    await people.get_user(work, user.id, lock=True)  # one at a time, or guesses from many addresses pass uncounted
    guesses = f"codes of {user.id}"
    if code is not None:
        await check_tries(work, guesses, guesses, limits)
    if await factors.accepts(work, user.id, code, must_have_factor):
        return True
    _count(work, guesses, guesses)
    return False


async def begin_factor(
    engine: AsyncEngine, address: str, claim: Claim, limits: Limits, *, request_id: str = ""
) -> factors.Pending:
    """A secret to set up a second factor with, for who knows the password; raises as `enter`, and Conflict."""
    async with _heard(engine, None, address, claim, limits, request_id) as (work, user):
        if user:
            return await factors.begin(work, user.id)
    raise BadCredentials


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('outrider.sign_in'), hashtext(:source))")


async def open_session(work: Work, user: UserAccount, install_id: UUID | None = None) -> Opened:
    """A session of 12 hours for this person."""
    token, csrf_token = new_secret("os"), new_secret("oc")
    session = SignIn(
        token_digest=digest(token),
        csrf_token=csrf_token,
        user_id=user.id,
        install_id=install_id,
        expires_at=work.now + SESSION,
    )
    work.session.add(session)
    work.audit(Action.SIGN_IN, "user", user.id, session_id=session.id, install_id=install_id)
    await work.session.flush()
    install = await work.session.get(Install, install_id) if install_id else None
    key = installs.key_text(install) if install else None
    return Opened(token, csrf_token, session.expires_at, user, key)


_SESSION = text(
    "SELECT s.*, now() - s.used_at > CAST(:used_every AS interval) AS is_old_use"
    " FROM live_session(:digest, CAST(:id AS uuid), now(), now() - CAST(:idle AS interval)) s"
)
"""By the database's clock: a server whose own is put right, or wrong, signs nobody out."""


@dataclass(frozen=True)
class Found:
    """A live session: its person as an actor, and what a page needs beside it."""

    actor: Actor
    csrf_token: str
    expires_at: datetime
    unit_id: UUID | None
    shift_id: UUID | None


async def find(engine: AsyncEngine, token: str, *, address: str = "", request_id: str = "") -> Found:
    """The session of this token, noted as used; raises NotSignedIn, or InstallRevoked for a tablet that is shut out."""
    return await _found(engine, {"digest": digest(token), "id": None}, address, request_id)


async def find_by_ticket(engine: AsyncEngine, ticket: str, *, address: str = "") -> Found:
    """The session a ticket was made for; the ticket opens nothing again. Raises NotSignedIn."""
    async with open_work(engine, system("sign-in")) as work:
        session_id = await _take_ticket(work, ticket)
    return await _found(engine, {"digest": None, "id": session_id}, address, "")


async def _found(engine: AsyncEngine, which: dict[str, Any], address: str, request_id: str) -> Found:
    row = await look_up(engine, _SESSION, which | {"idle": IDLE, "used_every": USED_EVERY})
    if row is None:
        if which["digest"]:
            await installs.explain(engine, which["digest"])
        raise NotSignedIn
    if row["is_old_use"]:
        async with open_work(engine, system("sign-in")) as work:
            await work.session.execute(update(SignIn).where(col(SignIn.id) == row["id"]).values(used_at=func.now()))
    actor = Actor(
        user_id=row["user_id"],
        login=row["login"],
        name=row["name"],
        roles=frozenset(map(Role, row["roles"])),
        office_id=row["office_id"],
        unit_ids=frozenset({*row["member_of"], row["unit_id"]} - {None}),
        session_id=row["id"],
        install_id=row["install_id"],
        address=address,
        request_id=request_id,
    )
    return Found(actor, row["csrf_token"], row["expires_at"], row["unit_id"], row["shift_id"])


@dataclass(frozen=True)
class Standing:
    """What a person's sign-in asks of them beside the password."""

    has_factor: bool
    must_change_password: bool


async def standing(engine: AsyncEngine, actor: Actor) -> Standing:
    """Whether the actor has a second factor; and whether the session was opened with a one-time password."""
    query = select(UserAccount.factor_at, Credential.must_change).where(UserAccount.id == actor.id)
    async with open_work(engine, system("sign-in")) as work:
        found = await work.session.execute(query.outerjoin(Credential, col(Credential.user_id) == UserAccount.id))
        factor_at, must_change = found.one()
    return Standing(factor_at is not None, bool(must_change) and actor.install_id is None)


async def close_session(work: Work) -> None:
    """End the actor's own session and its sockets."""
    await work.session.execute(delete(SignIn).where(col(SignIn.id) == work.actor.session_id))
    work.audit(Action.SIGN_OUT, "user", work.actor.id)
    work.publish(AccessChanged, work.actor.id)


async def change_password(engine: AsyncEngine, bus: Bus, actor: Actor, old: str, new: str, limits: Limits) -> None:
    """The actor's new password; every other session of theirs ends. Raises Invalid, BadCredentials, TooMany.

    A wrong old password counts like a wrong log-in, also of those sent all at once, and no connection is held during
    the hashing (see `enter`).
    """
    people.check_password(new)
    if new == old:
        raise Invalid.at("new", "same", "The new password is the old one.")
    async with open_work(engine, actor) as work, work.elevated():
        await check_tries(work, actor.login, actor.address, limits)
        user, stored = await _claimed(work, Claim(old, login=actor.login))
    right = await passwords.matches(old, stored)
    async with open_work(engine, actor) as work:
        await work.session.execute(_ONE_AT_A_TIME, {"source": _source(actor.address)})
        await check_tries(work, actor.login, actor.address, limits)
        if not right:
            await note_wrong(work, actor.login, actor.address, user)
    if not right:
        raise BadCredentials
    hashed = await passwords.hashed(new)
    async with open_work(engine, actor, bus) as work:
        async with work.elevated():
            credential = await work.session.get_one(Credential, actor.id)
            credential.password_hash, credential.must_change, credential.changed_at = hashed, False, work.now
        await people.end_sessions(work, actor.id, but=actor.session_id)
        work.audit(Action.ALTERATION, "user", actor.id, password=True)


async def make_ticket(work: Work) -> tuple[str, datetime]:
    """A ticket that opens one socket of the actor's session within 30 s. Raises NotSignedIn, also if it just ended."""
    session = select(SignIn.id).where(col(SignIn.id) == work.actor.session_id)
    sign_in_id = await work.first(session.with_for_update(read=True, key_share=True))
    if sign_in_id is None:
        raise NotSignedIn
    ticket, expires_at = new_secret("ot"), work.now + TICKET
    work.session.add(SocketTicket(digest=digest(ticket), sign_in_id=sign_in_id, expires_at=expires_at))
    return ticket, expires_at


async def _take_ticket(work: Work, ticket: str) -> UUID:
    """The session a ticket was made for; it opens nothing again. Raises NotSignedIn."""
    taken = delete(SocketTicket).where(col(SocketTicket.digest) == digest(ticket)).returning(
        col(SocketTicket.sign_in_id), col(SocketTicket.expires_at)
    )  # fmt: skip
    row = (await work.session.execute(taken)).first()
    if row is None or row.expires_at <= work.now:
        raise NotSignedIn
    found: UUID = row.sign_in_id
    return found
