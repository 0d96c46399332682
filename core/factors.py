"""The second factor at sign-in: six digits of an authenticator app, new every 30 seconds (TOTP, RFC 6238).

A factor is pending from when its secret was made until its first right code. Only from then on is it asked for, always,
whoever has a role that must have one has to set one up before anything else, and an administrator alone takes it away.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pyotp import TOTP, OTPVerificationError, random_base32

from core import people
from core.audit import Action
from core.errors import CodeNeeded, CodeUnset, Conflict, NotAllowed
from core.models import Credential, UserAccount
from core.work import Work

ISSUER = "Outrider"
SKEW_STEPS = 1
"""A phone's clock may be a step of 30 s off, either way."""


@dataclass(frozen=True)
class Pending:
    """What an authenticator app is set up with, by hand or by the address in a code; shown this once."""

    secret: str
    uri: str


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """Which step of time this code is of, the present one or a neighbour; None for a wrong one."""
    try:
        return TOTP(secret).verify_and_get_timecode(code, for_time=now, valid_window=SKEW_STEPS)
    except OTPVerificationError:
        return None


async def _held(work: Work, user_id: UUID) -> tuple[UserAccount, Credential]:
    """The person and what they sign in with, as they are now and until the end: whoever else asks waits."""
    lock = {"key_share": True}
    user = await work.session.get_one(UserAccount, user_id, with_for_update=lock, populate_existing=True)
    return user, await work.session.get_one(Credential, user_id, populate_existing=True)


async def begin(work: Work, user_id: UUID) -> Pending:
    """A new secret for somebody whose password was right, in place of one that is pending.

    Raises Conflict when they have a factor: else who knows a password could put their own in its place.
    """
    user, credential = await _held(work, user_id)
    if user.factor_at:
        raise Conflict("This person has a second factor; an administrator can reset it.")
    secret = random_base32()
    credential.factor_secret, credential.factor_step = secret, 0
    work.audit(Action.ALTERATION, "user", user_id, factor="begun")
    return Pending(secret, TOTP(secret).provisioning_uri(name=user.login, issuer_name=ISSUER))


async def accepts(work: Work, user_id: UUID, code: str | None, must_have: Collection[str]) -> bool:
    """Whether somebody whose password was right may enter with this code, which is then used up (RFC 6238, 5.2).

    The first right one makes the pending factor theirs, and ends their other sessions. Raises CodeNeeded, or CodeUnset
    for somebody with one of the roles that `must_have` a factor and has none.
    """
    user, credential = await _held(work, user_id)
    if code is None or credential.factor_secret is None:
        if user.factor_at:
            raise CodeNeeded
        if not set(must_have).isdisjoint(user.roles):
            raise CodeUnset
        return True
    step = step_of(credential.factor_secret, code, work.now)
    if step is None or step <= credential.factor_step:
        return False
    credential.factor_step = step
    if user.factor_at is None:
        user.factor_at = work.now
        await people.end_sessions(work, user_id)
        work.audit(Action.ALTERATION, "user", user_id, factor="confirmed")
    return True


async def reset(work: Work, user_id: UUID) -> UserAccount:
    """The person without a second factor, for a lost phone; their sessions end. Twice changes nothing.

    Raises NotFound, and NotAllowed for oneself: who found an open page could else take the factor away.
    """
    if user_id == work.actor.user_id:
        raise NotAllowed("Nobody resets their own second factor.")
    async with work.elevated():
        user = await people.get_user(work, user_id, lock=True)
        credential = await work.session.get(Credential, user_id)
        if credential and credential.factor_secret:
            user.factor_at = credential.factor_secret = None
            await people.end_sessions(work, user_id)
            work.audit(Action.ALTERATION, "user", user_id, factor="reset")
    return user
