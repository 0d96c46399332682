"""One reading of a tracker, as every decoder gives it and the writer takes it."""

from datetime import datetime

import msgspec


class Fix(msgspec.Struct, kw_only=True, gc=False):
    """Where a device says it was: WGS-84 degrees, SI units, an aware moment.

    `lat` and `lon` are None together when the device had no fix: then the rest is telemetry.
    """

    fix_at: datetime
    lat: float | None = None
    lon: float | None = None
    accuracy_m: float | None = None
    altitude_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    satellites: int | None = None
    battery_pct: float | None = None
    event: str | None = None

    @property
    def nowhere(self) -> bool:
        """Whether it names no place: no coordinates, or the 0/0 that trackers send without a fix."""
        return self.lat is None or self.lon is None or (self.lat == 0 and self.lon == 0)


class NoFix(Fix, kw_only=True, gc=False):
    """Telemetry of a device that says it had no fix; coordinates, if any, are the last ones it knew."""

    @property
    def nowhere(self) -> bool:
        """True: nobody is shown there."""
        return True


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A reading that cannot be used: its place in the batch, and why (`lat, lon, time, number, field`)."""

    index: int
    code: str
    detail: str


Decoded = tuple[list[Fix], list[Rejected]]
"""What a message amounts to: the usable fixes in the order sent, and the others."""
