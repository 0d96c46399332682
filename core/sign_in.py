"""Signing in: sessions, log-in tries, socket tickets, and installations of the officers' app."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, delete, func, or_, text, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from core import passwords, people
from core.actor import Actor, Role
from core.audit import Action
from core.bus import AccessChanged
from core.errors import BadCredentials, Conflict, Invalid, NotFound, NotSignedIn, TooMany
from core.ids import digest, new_secret
from core.models import Credential, Install, LoginTry, SignIn, SocketTicket, UserAccount
from core.work import Work

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


async def check_tries(work: Work, login: str, address: str, limits: Limits) -> None:
    """Nothing, or TooMany: an account is shut only to the addresses that guessed, so no stranger locks it out."""
    since = work.now - WINDOW
    of_login, from_address = col(LoginTry.login) == login, col(LoginTry.address) == address
    query = select(
        func.count().filter(of_login, from_address), func.count().filter(from_address), func.max(LoginTry.at)
    ).where(LoginTry.at > since, or_(of_login, from_address))
    of_account, of_address, newest = (await work.session.execute(query)).one()
    over = max(of_account - limits.account, of_address - limits.address)
    if over < 0:
        return
    wait = min(WINDOW, timedelta(seconds=15 * 2 ** min(over, 6)))
    left = newest + wait - work.now
    if left > timedelta(0):
        raise TooMany("Too many wrong tries: wait before the next.", max(1, round(left.total_seconds())))


async def by_password(work: Work, login: str, password: str) -> UserAccount:
    """The person with this login and password; raises BadCredentials, in the same time whichever is wrong."""
    user = await work.first(select(UserAccount).where(UserAccount.login == login.strip().lower()))
    credential = await work.session.get(Credential, user.id) if user else None
    right = await passwords.matches(password, credential.password_hash if credential else None)
    if user is None or not right or user.disabled_at:
        raise BadCredentials
    found: UserAccount = user
    return found


async def by_install(work: Work, install_id: UUID, credential: str, pin: str) -> UserAccount:
    """The person of an installation whose credential and PIN these are; raises BadCredentials."""
    install = await work.first(select(Install).where(Install.id == install_id, col(Install.revoked_at).is_(None)))
    known = install is not None and install.credential_digest == digest(credential)
    right = await passwords.matches(pin, install.pin_hash if install and known else None)
    user = await work.session.get(UserAccount, install.user_id) if install else None
    if not right or user is None or user.disabled_at:
        raise BadCredentials
    return user


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
    return Opened(token, csrf_token, session.expires_at, user)


async def note_wrong(work: Work, login: str, address: str) -> None:
    """Count a wrong try, and write it down."""
    work.session.add(LoginTry(login=login, address=address, at=work.now))
    work.audit(Action.DENIAL, "sign_in", None, login=login)


_SESSION = """
SELECT s.id, s.csrf_token, s.expires_at, s.used_at, s.install_id, u.id AS user_id, u.login, u.name, u.roles,
       u.office_id, duty.shift_id, duty.unit_id,
       ARRAY(SELECT unit_id FROM unit_member WHERE user_id = u.id) AS member_of
FROM sign_in s JOIN user_account u ON u.id = s.user_id
LEFT JOIN install i ON i.id = s.install_id
LEFT JOIN LATERAL (SELECT h.id AS shift_id, h.unit_id FROM shift h JOIN shift_member m ON m.shift_id = h.id
  WHERE m.user_id = u.id AND h.on_at IS NOT NULL AND h.off_at IS NULL LIMIT 1) duty ON true
WHERE {which} AND s.expires_at > :now AND u.disabled_at IS NULL AND i.revoked_at IS NULL
  AND (s.install_id IS NOT NULL OR s.used_at > :idle_since)
"""
_BY_TOKEN = text(_SESSION.replace("{which}", "s.token_digest = :digest"))
_BY_ID = text(_SESSION.replace("{which}", "s.id = :id"))


@dataclass(frozen=True)
class Found:
    """A live session: its person as an actor, and what a page needs beside it."""

    actor: Actor
    csrf_token: str
    expires_at: datetime
    unit_id: UUID | None
    shift_id: UUID | None


async def find(work: Work, token: str, *, address: str = "", request_id: str = "") -> Found:
    """The session of this token, noted as used; raises NotSignedIn. Call as the system."""
    return await _found(work, _BY_TOKEN, {"digest": digest(token)}, address, request_id)


async def find_by_ticket(work: Work, ticket: str, *, address: str = "") -> Found:
    """The session a ticket was made for; the ticket opens nothing again. Raises NotSignedIn. Call as the system."""
    return await _found(work, _BY_ID, {"id": await _take_ticket(work, ticket)}, address, "")


async def _found(work: Work, query: TextClause, which: dict[str, Any], address: str, request_id: str) -> Found:
    values = which | {"now": work.now, "idle_since": work.now - IDLE}
    row = (await work.session.execute(query, values)).mappings().first()
    if row is None:
        raise NotSignedIn
    if work.now - row["used_at"] > USED_EVERY:
        await work.session.execute(update(SignIn).where(col(SignIn.id) == row["id"]).values(used_at=work.now))
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


async def close_session(work: Work) -> None:
    """End the actor's own session and its sockets."""
    await work.session.execute(delete(SignIn).where(col(SignIn.id) == work.actor.session_id))
    work.audit(Action.SIGN_OUT, "user", work.actor.id)
    work.publish(AccessChanged, work.actor.id)


async def change_password(work: Work, old: str, new: str) -> None:
    """The actor's new password; every other session of theirs ends. Raises Invalid, BadCredentials."""
    people.check_password(new)
    async with work.elevated():
        credential = await work.session.get(Credential, work.actor.id)
        if credential is None or not await passwords.matches(old, credential.password_hash):
            raise BadCredentials
        credential.password_hash = await passwords.hashed(new)
        credential.must_change, credential.changed_at = False, work.now
        work.session.add(credential)
    await people.end_sessions(work, work.actor.id, but=work.actor.session_id)
    work.audit(Action.ALTERATION, "user", work.actor.id, password=True)


async def make_ticket(work: Work) -> tuple[str, datetime]:
    """A ticket that opens one socket of the actor's session within 30 s."""
    if work.actor.session_id is None:
        raise NotSignedIn
    ticket, expires_at = new_secret("ot"), work.now + TICKET
    work.session.add(SocketTicket(digest=digest(ticket), sign_in_id=work.actor.session_id, expires_at=expires_at))
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


async def enrol(work: Work, install_id: UUID, name: str, pin: str | None, push: dict[str, Any] | None) -> str:
    """A new installation of the actor's; its credential, shown this once. Raises Conflict for an id in use."""
    credential = new_secret("oi")
    pin_hash = await passwords.hashed(pin) if pin else None
    work.session.add(
        Install(
            id=install_id,
            user_id=work.actor.id,
            name=name,
            credential_digest=digest(credential),
            pin_hash=pin_hash,
            push=push,
        )
    )
    try:
        await work.session.flush()
    except IntegrityError as error:
        raise Conflict("This installation is enrolled already.") from error
    work.audit(Action.COLLECTION, "install", install_id)
    return credential


async def revoke_install(work: Work, install_id: UUID, *, anybodys: bool) -> None:
    """The installation's credential opens nothing, and its sessions end; raises NotFound."""
    install: Install | None = await work.first(select(Install).where(Install.id == install_id).with_for_update())
    if install is None or (install.user_id != work.actor.id and not anybodys):
        raise NotFound
    if install.revoked_at is None:
        install.revoked_at = work.now
        await work.session.execute(delete(SignIn).where(col(SignIn.install_id) == install_id))
        work.publish(AccessChanged, install.user_id)
        work.audit(Action.ALTERATION, "install", install_id, revoked=True)


def check_pin(pin: str) -> str:
    """The PIN; raises Invalid unless it is 4 to 12 digits."""
    if not (pin.isascii() and pin.isdigit() and 4 <= len(pin) <= 12):
        raise Invalid.at("pin", "pattern", "A PIN is 4 to 12 digits.")
    return pin
