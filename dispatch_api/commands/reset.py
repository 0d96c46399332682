"""`outrider reset-factor` and `reset-password`: for the administrators who lost a phone or forgot a password."""

import sys
from collections.abc import Awaitable, Callable

from sqlmodel import select

from core import factors, people
from core.actor import system
from core.errors import NotFound, OutriderError
from core.models import UserAccount
from core.settings import Settings
from core.work import Work, open_work
from dispatch_api.commands.database import app_engine


async def factor(settings: Settings, login: str) -> int:
    """Take the person's second factor away; the exit code."""

    async def effect(work: Work, user: UserAccount) -> str:
        if not user.has_factor:
            return f"{user.login} has no second factor."
        await factors.reset(work, user.id)
        return f"{user.login} has no second factor any more, and every session of theirs has ended."

    return await _reset(settings, login, effect)


async def password(settings: Settings, login: str) -> int:
    """Give the person a one-time password in place of theirs, and print it; the exit code."""

    async def effect(work: Work, user: UserAccount) -> str:
        _, one_time = await people.reset_password(work, user.id)
        return f"login     {user.login}\npassword  {one_time}   (shown once; another is asked for at the sign-in)"

    return await _reset(settings, login, effect)


async def _reset(settings: Settings, login: str, effect: Callable[[Work, UserAccount], Awaitable[str]]) -> int:
    """Do it to whom has this login, and print what it says."""
    async with app_engine(settings) as engine:
        try:
            async with open_work(engine, system("reset")) as work:
                query = select(UserAccount).where(UserAccount.login == login.strip().lower())
                user: UserAccount | None = await work.first(query)
                if user is None:
                    raise NotFound("Nobody has this login.")
                said = await effect(work, user)
        except OutriderError as error:
            print(f"{error}", file=sys.stderr)
            return 1
        except (OSError, ConnectionError):
            print("The database is not running: start `make run` (or `outrider up`) first.", file=sys.stderr)
            return 1
    print(said)
    return 0
