"""`outrider verify-heat`: do the counts behind heat agree with the violations?"""

from core.actor import system
from core.settings import Settings
from core.work import open_work
from dispatch_api.commands.database import app_engine
from geo import pyramid


async def run(settings: Settings, *, recount: bool) -> int:
    """Print how many counts are wrong, and have them counted anew if told to; 0 when none is or they will be right."""
    async with app_engine(settings) as engine, open_work(engine, system("heat")) as work:
        wrong = await pyramid.differences(work)
        if wrong and recount:
            await pyramid.recount(work)
    print(f"{wrong} counts differ from the violations{': counted anew' if wrong and recount else ''}")
    return 1 if wrong and not recount else 0
