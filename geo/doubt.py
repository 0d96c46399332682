"""Standing doubt about a device, and what it makes of the device's next fixes. No clock, no database.

`two_senders`: two speak with its name. `apart`: it is far from its unit's other trackers. `interference`: receivers
around it are jammed or shown a false place. The worker ends a doubt (tasks/doubts.py, tasks/interference.py), ingest
heeds it.
"""

import msgspec

from geo.fix import Fix
from geo.measures import distance_m

TWO_SENDERS, APART, INTERFERENCE = "two_senders", "apart", "interference"


class Circle(msgspec.Struct, frozen=True, gc=False):
    """A place on the ground and as far around it."""

    lon: float
    lat: float
    radius_m: float

    def holds(self, lon: float, lat: float) -> bool:
        """Whether a place is within."""
        return distance_m(self.lon, self.lat, lon, lat) <= self.radius_m


class Doubt(msgspec.Struct, frozen=True, gc=False):
    """Why a device is doubted, and where its receiver is made to believe it is, if that is known."""

    reason: str
    away: Circle | None = None

    def covers(self, fix: Fix) -> bool:
        """Whether this fix is doubtful by it: every one of the device, under interference those of the false place."""
        if self.reason != INTERFERENCE:
            return True
        if self.away is None or fix.lon is None or fix.lat is None:
            return False
        return self.away.holds(fix.lon, fix.lat)
