"""`outrider reset-factor` and `reset-password`: for the administrators who lost a phone or forgot a password."""

from sqlmodel import select

from core import factors, people
from core.errors import NotFound
from core.models import UserAccount
from core.settings import Settings
from core.work import Work
from dispatch_api.commands.database import at_the_machine


async def factor(settings: Settings, login: str) -> int:
    """Take the person's second factor away; the exit code."""

    async def effect(work: Work) -> str:
        user = await _whose(work, login)
        if not user.has_factor:
            return f"{user.login} has no second factor."
        await factors.reset(work, user.id)
        return f"{user.login} has no second factor any more, and every session of theirs has ended."

    return await at_the_machine(settings, "reset-factor", effect)


async def password(settings: Settings, login: str) -> int:
    """Give the person a one-time password in place of theirs, and print it; the exit code."""

    async def effect(work: Work) -> str:
        user = await _whose(work, login)
        _, one_time = await people.reset_password(work, user.id)
        return f"login     {user.login}\npassword  {one_time}   (shown once; another is asked for at the sign-in)"

    return await at_the_machine(settings, "reset-password", effect)


async def _whose(work: Work, login: str) -> UserAccount:
    """Who has this login; raises NotFound."""
    user: UserAccount | None = await work.first(select(UserAccount).where(UserAccount.login == login.strip().lower()))
    if user is None:
        raise NotFound("Nobody has this login.")
    return user
