"""`outrider create-user`: how the first administrator comes to be."""

import sys

from core import people
from core.actor import system
from core.errors import OutriderError
from core.settings import Settings
from core.work import open_work
from dispatch_api.commands.database import app_engine


async def run(settings: Settings, login: str, name: str, roles: list[str]) -> int:
    """Make the person and print the one-time password; the exit code."""
    async with app_engine(settings) as engine:
        try:
            async with open_work(engine, system("create-user")) as work:
                user, password = await people.create_user(
                    work, login=login, name=name, roles=roles, four_eyes=False
                )  # whoever is at the machine could change the setting as well
        except OutriderError as error:
            print(f"{error}", file=sys.stderr)
            return 1
        except (OSError, ConnectionError):
            print("The database is not running: start `make run` (or `outrider up`) first.", file=sys.stderr)
            return 1
    print(f"login     {user.login}\npassword  {password}   (shown once; another is asked for at the first sign-in)")
    return 0
