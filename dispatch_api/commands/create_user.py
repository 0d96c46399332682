"""`outrider create-user`: how the first administrator comes to be."""

from core import people
from core.settings import Settings
from core.work import Work
from dispatch_api.commands.database import at_the_machine


async def run(settings: Settings, login: str, name: str, roles: list[str]) -> int:
    """Make the person and print the one-time password; the exit code."""

    async def effect(work: Work) -> str:
        user, password = await people.create_user(
            work, login=login, name=name, roles=roles, four_eyes=False
        )  # whoever is at the machine could change the setting as well
        return f"login     {user.login}\npassword  {password}   (shown once; another is asked for at the first sign-in)"

    return await at_the_machine(settings, "create-user", effect)
