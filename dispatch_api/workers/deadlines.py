"""What time and movement bring about: escalation, units that enter a notice's area, silence."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.bus import Bus
from core.settings import Settings
from core.work import open_work
from dispatch_api import outside
from tasks import audience, deadlines, device_alarms, doubts, escalation, interference, silence
from tasks.limits import limits_of


async def round_(engine: AsyncEngine, settings: Settings) -> bool:
    """Take the steps whose time has come, and those of escalation; true when a full batch was taken."""
    async with open_work(engine, system("deadlines")) as work:
        more = await deadlines.due(work) >= deadlines.BATCH
    async with open_work(engine, system("escalation")) as work:
        return await escalation.due(work, limits_of(settings), outside.channels(settings)) >= escalation.BATCH or more


async def alarms_round(engine: AsyncEngine, bus: Bus | None = None) -> bool:
    """Raise what events of devices call for; true when a full batch was taken."""
    async with open_work(engine, system("alarms"), bus) as work:
        return await device_alarms.due(work) >= device_alarms.BATCH


async def areas_round(engine: AsyncEngine) -> bool:
    """Send the notices to areas to the units that have entered theirs."""
    async with open_work(engine, system("areas")) as work:
        await audience.watch(work)
    return False


async def doubts_round(engine: AsyncEngine) -> bool:
    """Tell of trackers that cannot be believed, and mark what they sent."""
    async with open_work(engine, system("doubts")) as work:
        await doubts.watch(work)
    return False


async def interference_round(engine: AsyncEngine, settings: Settings) -> bool:
    """Tell of interference with satellite navigation, and keep its false places off the map."""
    async with open_work(engine, system("interference")) as work:
        await interference.watch(work, interference.limits_of(settings))
    return False


async def silence_round(engine: AsyncEngine, settings: Settings) -> bool:
    """Tell of units and trackers that fell silent or are heard again."""
    async with open_work(engine, system("silence")) as work:
        await silence.watch(work, timedelta(seconds=settings.silent_after_s))
    return False
