"""`outrider reset-factor`: for the last administrator who lost their phone."""

import sys

from sqlmodel import select

from core import factors
from core.actor import system
from core.errors import NotFound, OutriderError
from core.models import UserAccount
from core.settings import Settings
from core.work import open_work
from dispatch_api.commands.database import app_engine


async def run(settings: Settings, login: str) -> int:
    """Take the person's second factor away; the exit code."""
    async with app_engine(settings) as engine:
        try:
            async with open_work(engine, system("reset-factor")) as work:
                user: UserAccount | None = await work.first(
                    select(UserAccount).where(UserAccount.login == login.strip().lower())
                )
                if user is None:
                    raise NotFound("Nobody has this login.")
                had_one = user.has_factor
                await factors.reset(work, user.id)
        except OutriderError as error:
            print(f"{error}", file=sys.stderr)
            return 1
        except (OSError, ConnectionError):
            print("The database is not running: start `make run` (or `outrider up`) first.", file=sys.stderr)
            return 1
    print(
        f"{user.login} has no second factor any more, and every session of theirs has ended."
        if had_one
        else f"{user.login} has no second factor."
    )
    return 0
