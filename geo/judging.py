"""From fixes to rows: the duty gate, and why a fix is not believed. No clock, no database."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from geo.commit_line import OFF_DUTY, Row
from geo.device_events import PANIC
from geo.fix import Fix

FUTURE = timedelta(minutes=2)
OLD = timedelta(days=30)


def judged(
    device_id: UUID, fixes: list[Fix], units: list[UUID | None] | None, now: datetime,
    gate: Callable[[datetime], UUID | None], last_unit: Callable[[datetime], UUID | None],
    judge: Callable[[Fix], str | None],
) -> tuple[list[Row], Row | None, int]:  # fmt: skip
    """Rows of the fixes received `now` on duty, the newest plausible of them, and how many are suspect.

    `units` names the unit on duty for each fix; without it `gate` is asked. `judge` says why a place is suspect. Off
    duty a panic alone is taken, of the `last_unit`.
    """
    rows: list[Row] = []
    newest: Row | None = None
    doubted = 0
    future, old = now + FUTURE, now - OLD
    for place, fix in enumerate(fixes):
        at = fix.fix_at
        unit_id = gate(at) if units is None else units[place]
        suspect: str | None
        if unit_id is None:
            if fix.event != PANIC:
                continue
            unit_id, suspect = last_unit(at), OFF_DUTY[fix.nowhere]
        elif fix.nowhere:
            suspect = "no_fix"
        elif at > future:
            suspect = "future"
        elif at < old:
            suspect = "old"
        else:
            suspect = judge(fix)
        row = (
            device_id, at, now, unit_id, fix.lon, fix.lat, fix.accuracy_m, fix.altitude_m,
            fix.speed_mps, fix.heading_deg, fix.battery_pct, fix.satellites, fix.event, suspect,
        )  # fmt: skip
        rows.append(row)
        if suspect is not None:
            doubted += 1
        elif newest is None or at > newest[1]:
            newest = row
    return rows, newest, doubted
