"""Installations of the officers' app: enrolled once with a credential and a PIN, opened for 12 hours, revoked for ever.

The server keeps half of the key with which an installation encrypts what it stores: whoever has the tablet alone, or
has it after the revoke, opens nothing.
"""

import base64
import secrets
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from core import passwords
from core.actor import Actor, system
from core.audit import Action
from core.bus import AccessChanged
from core.db import look_up
from core.errors import BadCredentials, InstallRevoked, Invalid, NotAllowed, NotFound, PinLocked
from core.ids import digest, new_secret
from core.models import Install, InstallRecovery, UserAccount
from core.work import Work, open_work

UNUSED = timedelta(days=180)
"""An installation nobody signed in with for so long asks for the password."""
MAX_WRONG = 10
"""Wrong PINs in a row, from wherever they come; then the password is needed: whoever found a tablet has time."""
KEY_BYTES = 32
MAX_TARGETS = 10
"""A person's installations that are woken: those used last."""

_ONE_EACH = text(
    "UPDATE install SET push = NULL WHERE push ->> 'target' = :target AND id <> :id RETURNING id"
)  # fmt: skip
_NEWEST = text(
    "UPDATE install SET push = NULL WHERE id IN (SELECT id FROM install WHERE user_id = :user_id AND push IS NOT NULL"
    " AND id <> :id ORDER BY used_at DESC, id OFFSET :others) RETURNING id"
)
_REVOKED_SESSION = text(
    "SELECT s.id FROM sign_in s JOIN install i ON i.id = s.install_id"
    " WHERE s.token_digest = :digest AND i.revoked_at IS NOT NULL"
)


async def enrol(work: Work, install_id: UUID, name: str, pin: str | None, push: dict[str, Any] | None) -> str:
    """A new installation of the actor's; its credential, shown this once.

    Raises Conflict for an id in use, NotAllowed in a session that a PIN opened: that would make another for good.
    """
    if work.actor.install_id:
        raise NotAllowed("Sign in with the password to enrol a tablet.")
    credential = new_secret("oi")
    made = Install(
        id=install_id, user_id=work.actor.id, name=name, credential_digest=digest(credential), push=push,
        pin_hash=await passwords.hashed(pin) if pin else None, offline_key=secrets.token_bytes(KEY_BYTES),
        created_at=work.now, used_at=work.now,
    )  # fmt: skip
    await work.add(made)
    await _only_here(work, made)
    work.audit(Action.COLLECTION, "install", install_id)
    return credential


async def claimed(work: Work, install_id: UUID | None, credential: str) -> Install | None:
    """The installation whose credential this is, with a PIN to be tried; None for a wrong one.

    Raises InstallRevoked, and PinLocked when the password is needed first: only its own tablet learns that.
    """
    install: Install | None = await work.first(select(Install).where(Install.id == install_id))
    if install is None or not compare_digest(install.credential_digest, digest(credential)):
        return None
    if install.revoked_at is not None:
        raise InstallRevoked(recovery=install.recovery == "allowed")
    if install.pin_wrong >= MAX_WRONG or install.used_at < work.now - UNUSED:
        raise PinLocked
    return install


async def note_try(work: Work, install_id: UUID, *, right: bool) -> None:
    """Count a wrong PIN; a right one makes the count begin anew."""
    values: dict[str, Any] = {"pin_wrong": 0, "used_at": work.now} if right else {"pin_wrong": Install.pin_wrong + 1}
    await work.session.execute(update(Install).where(col(Install.id) == install_id).values(**values))


async def explain(engine: AsyncEngine, token_digest: bytes) -> None:
    """Nothing, or InstallRevoked: why this token opens nothing any more."""
    if await look_up(engine, _REVOKED_SESSION, {"digest": token_digest}):
        raise InstallRevoked


async def _own(work: Work, install_id: UUID) -> Install:
    query = select(Install).where(Install.id == install_id, Install.user_id == work.actor.id)
    install: Install | None = await work.first(query.with_for_update(key_share=True))
    if install is None or install.revoked_at is not None:
        raise NotFound
    return install


async def offline_key(work: Work, install_id: UUID) -> str:
    """The server's half of the key of the actor's installation, in base64url; given out, and audited. NotFound."""
    install = await _own(work, install_id)
    work.audit(Action.DISCLOSURE, "install", install_id, offline_key=True)
    return key_text(install)


def key_text(install: Install) -> str:
    """The server's half of the key, in base64url."""
    return base64.urlsafe_b64encode(install.offline_key or b"").decode().rstrip("=")


async def set_pin(engine: AsyncEngine, actor: Actor, install_id: UUID, pin: str, old: str | None) -> None:
    """A new PIN for the actor's installation, unlocked. A session that a PIN opened has to know the `old` one.

    So that who takes an open tablet has it for as long as it stays open, no longer. No connection is held during the
    hashing. Raises NotFound, Invalid for `old`, PinLocked when only the password helps.
    """
    async with open_work(engine, actor) as work:
        stored = (await _own(work, install_id)).pin_hash if actor.install_id else None
    if stored and old is None:
        raise Invalid.at("old", "required", "A session that a PIN opened sets another only with the present one.")
    right = stored is None or await passwords.matches(old or "", stored)
    hashed = await passwords.hashed(pin)
    async with open_work(engine, actor) as work:
        install = await _own(work, install_id)
        if stored and install.pin_wrong >= MAX_WRONG:  # guesses sent all at once are counted as well
            raise PinLocked
        if right and stored in {None, install.pin_hash}:
            install.pin_hash, install.pin_wrong, install.used_at = hashed, 0, work.now
            work.audit(Action.ALTERATION, "install", install_id, pin=True)
            return
        install.pin_wrong += 1
        work.audit(Action.DENIAL, "install", install_id, pin=False)
    raise Invalid.at("old", "wrong", "This is not the present PIN.")


async def set_push(work: Work, install_id: UUID, push: dict[str, Any] | None) -> None:
    """Where the actor's installation is woken from now on; raises NotFound."""
    install = await _own(work, install_id)
    if install.push == push:
        return
    install.push = push
    await _only_here(work, install)
    work.audit(Action.ALTERATION, "install", install_id, push=push and push["channel"])


async def _only_here(work: Work, install: Install) -> None:
    """A target wakes one installation: browsers have one for whoever uses them. And of a person's only so many do."""
    if install.push:
        values = {
            "target": install.push["target"], "user_id": install.user_id, "id": install.id, "others": MAX_TARGETS - 1,
        }  # fmt: skip
        for query in (_ONE_EACH, _NEWEST):
            for given_up in (await work.session.execute(query, values)).scalars():
                work.audit(Action.ALTERATION, "install", given_up, push=None, by_install=str(install.id))


async def revoke(work: Work, install_id: UUID, *, anybodys: bool, recover: bool = False) -> None:
    """The installation's credential and sessions open nothing, its half of the key and its push target are gone.

    With `recover` it may hand over once what it had not sent. Raises NotFound.
    """
    install: Install | None = await work.first(
        select(Install).where(Install.id == install_id).with_for_update(key_share=True)
    )
    if install is None or (install.user_id != work.actor.id and not anybodys):
        raise NotFound
    if install.revoked_at is None:
        install.revoked_at, install.revoked_by = work.now, work.actor.user_id
        install.push = install.offline_key = None  # the push that is owed, if any, finds no target
        install.recovery = "allowed" if recover and anybodys else "none"
        work.publish(AccessChanged, install.user_id)
        work.audit(Action.ALTERATION, "install", install_id, revoked=True, recovery=install.recovery)


async def listed(
    work: Work, *, user_id: UUID | None, limit: int, after: UUID | None
) -> tuple[list[dict[str, Any]], UUID | None]:
    """A page of installations, the newest first, of one person or of all; and where the next page starts."""
    query = select(Install, UserAccount).join(UserAccount, col(UserAccount.id) == Install.user_id)
    query = query.order_by(col(Install.id).desc()).limit(limit + 1)
    if user_id:
        query = query.where(Install.user_id == user_id)
    if after:
        query = query.where(col(Install.id) < after)
    rows = (await work.session.execute(query)).all()
    work.audit(Action.CONSULTATION, "install", None, n=len(rows[:limit]), user_id=user_id)
    page = [_resource(install, user, work.now) for install, user in rows[:limit]]
    return page, rows[limit - 1][0].id if len(rows) > limit else None


def _resource(install: Install, user: UserAccount, now: datetime) -> dict[str, Any]:
    return install.model_dump(include={"id", "user_id", "name", "created_at", "used_at", "revoked_at", "recovery"}) | {
        "login": user.login, "user_name": user.name, "has_pin": install.pin_hash is not None,
        "pin_locked": install.pin_wrong >= MAX_WRONG or install.used_at < now - UNUSED,
        "push_channel": install.push and install.push["channel"], "expires_at": install.used_at + UNUSED,
    }  # fmt: skip


async def check(engine: AsyncEngine, install_id: UUID, credential: str) -> None:
    """Nothing, or why this installation is shut out: raises InstallRevoked, or BadCredentials for a wrong credential.

    Whether its PIN is locked is no matter here.
    """
    async with open_work(engine, system("installation")) as work:
        try:
            if await claimed(work, install_id, credential) is None:
                raise BadCredentials
        except PinLocked:
            return


async def hand_over(engine: AsyncEngine, install_id: UUID, credential: str, records: list[dict[str, Any]]) -> datetime:
    """Keep what a revoked installation had not sent, apart and unapplied; once. When it was received.

    Raises BadCredentials unless an administrator allowed it to just this installation.
    """
    async with open_work(engine, system("recovery")) as work:
        query = select(Install).where(Install.id == install_id, Install.recovery == "allowed")
        install: Install | None = await work.first(query.with_for_update(key_share=True))
        if install is None or not compare_digest(install.credential_digest, digest(credential)):
            raise BadCredentials
        install.recovery = "received"
        work.session.add(InstallRecovery(install_id=install_id, received_at=work.now, records=records))
        work.audit(Action.COLLECTION, "install_recovery", install_id, n=len(records), user_id=install.user_id)
        return work.now


async def recovered(work: Work, install_id: UUID) -> InstallRecovery:
    """What a revoked installation handed over, to be read by people; audited. Raises NotFound."""
    found = await work.session.get(InstallRecovery, install_id)
    if found is None:
        raise NotFound
    work.audit(Action.DISCLOSURE, "install_recovery", install_id, n=len(found.records))
    return found
