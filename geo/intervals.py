"""How regularly devices send: the times between their fixes, counted from what is stored, day by day in classes.

Counted by the worker rather than at ingest: several servers may share a device's fixes, and only the database knows
them all. A fix that comes later than a newer one adds nothing.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from core.work import Work
from geo import sql
from geo.units import LOST_AFTER_S

GAP_BOUNDS_S = (3, 8, 16, 45, 90, 180, 600, 1800, 7200)
"""Between these lie the classes; what trackers usually keep to (5, 10, 30, 60, 120 s) is in the middle of one."""
EVERY_S = 60
DEVICES_AT_ONCE = 500
SETTLED = timedelta(seconds=15)
"""Commits of fixes that arrived before are over."""
REACH = timedelta(days=1)
"""A worker that was away for longer leaves out what was before."""

_COUNTS = ", ".join(f"count(*) FILTER (WHERE class = {n})" for n in range(len(GAP_BOUNDS_S) + 1))
_COUNT = text(sql.load("fix_intervals_count").format(counts=_COUNTS))


async def count(work: Work) -> bool:
    """Count what came since the last time; whether devices are left. The actor must see every row."""
    values: dict[str, Any] = {
        "now": work.now, "since": work.now - REACH, "until": work.now - SETTLED, "lost_s": LOST_AFTER_S,
        "counted_before": work.now - timedelta(seconds=EVERY_S * 0.75), "devices": DEVICES_AT_ONCE,
        "bounds": list(GAP_BOUNDS_S),
    }  # fmt: skip
    counted = (await work.session.execute(_COUNT, values)).scalar_one()
    return bool(counted == DEVICES_AT_ONCE)
