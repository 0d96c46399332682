"""Where the colours of heat end: one scale for a zoom and filter, whatever part of the map is looked at."""

import asyncio
import time

from core.work import Work
from geo import heat
from geo.violations import Filter

LEAST_TOP = 8
KEPT_S = 60.0
MAX_SCALES = 256


class Scales:
    """How dense the densest place of a filter is, by cell size, kept for a minute.

    It is the same for every part of the map, so colours do not jump while that is moved.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[float, int]] = {}
        self._asking = asyncio.Lock()

    async def top(self, work: Work, wanted: Filter, shift: int) -> int:
        """The top of the scale for cells of this shift: a power of two, at least LEAST_TOP."""
        seen_by = None if work.actor.sees_all("violations") else work.actor.user_id
        key = (work.session.get_bind(), seen_by, wanted.since, wanted.until, wanted.categories, shift)
        async with self._asking:
            until, top = self._known.get(key, (0.0, 0))
            if until < time.monotonic():
                everywhere = Filter(None, wanted.since, wanted.until, wanted.categories)
                most = await heat.densest(work, everywhere, shift)
                top = max(LEAST_TOP, 1 << (most - 1).bit_length() if most else 0)
                if len(self._known) >= MAX_SCALES:
                    self._known.clear()
                self._known[key] = (time.monotonic() + KEPT_S, top)
        return top
