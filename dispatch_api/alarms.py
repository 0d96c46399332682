"""What devices are owed is raised in this process the moment it is committed; the worker's own round makes it sure."""

from sqlalchemy.ext.asyncio import AsyncEngine

from core.bus import Bus, Wake
from dispatch_api.workers import deadlines


class Alarms:
    """Raises alarms of devices when the bus says that events came; one round at a time, however often it says so."""

    def __init__(self, engine: AsyncEngine, bus: Bus) -> None:
        self._engine, self._bus = engine, bus
        self._raising = self._again = False

    async def came(self, _: Wake) -> None:
        """Raise what is owed."""
        self._again = True
        if self._raising:
            return
        self._raising = True
        try:
            while self._again:
                self._again = False
                self._again = await deadlines.alarms_round(self._engine, self._bus) or self._again
        finally:
            self._raising = False
