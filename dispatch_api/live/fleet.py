"""The units on the live map, in memory: what each view is shown now, and what changed for it since a version.

Everything changes only in `tick`, so that a version names one state of all units: a snapshot at version v and the
deltas after v come to the same as a fresh snapshot, whoever is asked in between.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dispatch_api.live import wire
from geo.delivery import Latest

Box = tuple[float, float, float, float]
"""min_lon, min_lat, max_lon, max_lat in degrees."""
Place = tuple[float, float]


@dataclass(slots=True)
class Standing:
    """What decides beside its fix whether and how a unit is shown."""

    unit_id: UUID
    status: str
    on_duty: bool


@dataclass(slots=True)
class _Seen:
    key: str
    standing: Standing | None = None
    fix: Latest | None = None
    changed: int = 0
    place: Place | None = None
    before: Place | None = None  # where it was shown up to its last change
    encoded: str = ""

    @property
    def row(self) -> str:
        """The row of a unit that is shown: encoded once, when the first view wants it."""
        if not self.encoded:
            assert self.fix
            assert self.standing
            self.encoded = wire.row(self.fix, self.standing.status)
        return self.encoded


def _inside(place: Place | None, box: Box | None) -> bool:
    if place is None or box is None:
        return place is not None
    return box[0] <= place[0] <= box[2] and box[1] <= place[1] <= box[3]


class Fleet:
    """Every unit by id. A unit is shown while it is on duty (on shift, or tracked always) and has a fix."""

    def __init__(self) -> None:
        self.version = 0
        self._units: dict[UUID, _Seen] = {}
        self._moved: list[_Seen] = []
        self._fixes: dict[UUID, Latest] = {}
        self._backs: dict[UUID, datetime] = {}
        self._returned: set[UUID] = set()
        self._standings: dict[UUID, Standing] = {}
        self._frames: dict[tuple[int, Box | None], str | None] = {}

    def stage_fixes(self, latest: Iterable[Latest]) -> None:
        """Keep these for the next tick, the newest of each unit."""
        for fix in latest:
            known = self._fixes.get(fix.unit_id)
            if known is None or fix.fix_at > known.fix_at:
                self._fixes[fix.unit_id] = fix

    def stage_stored(self, latest: Iterable[Latest], backs: dict[UUID, datetime | None]) -> None:
        """The same for what the database has; a unit that went back (`backs` says when) is taken as it stands there."""
        for fix in latest:
            back = backs[fix.unit_id]
            if back is None or back == self._backs.get(fix.unit_id):
                self.stage_fixes([fix])
            else:
                self._backs[fix.unit_id] = back
                self._fixes[fix.unit_id] = fix
                self._returned.add(fix.unit_id)

    def lacks(self, unit_id: UUID, fix_at: datetime, back_at: datetime | None = None) -> bool:
        """Whether a fix of this moment would be news, or the unit went back meanwhile."""
        if back_at is not None and self._backs.get(unit_id) != back_at:
            return True
        staged, unit = self._fixes.get(unit_id), self._units.get(unit_id)
        known = staged or (unit.fix if unit else None)
        return known is None or known.fix_at < fix_at

    def stage_standings(self, standings: Iterable[Standing]) -> None:
        """Keep these for the next tick; the last read counts."""
        for standing in standings:
            self._standings[standing.unit_id] = standing

    def tick(self) -> bool:
        """Take over what was staged; whether anything shown changed."""
        fixes, self._fixes = self._fixes, {}
        standings, self._standings = self._standings, {}
        returned, self._returned = self._returned, set()
        moved = [
            self._units[unit_id] for unit_id in {*fixes, *standings}
            if self._take(unit_id, fixes.get(unit_id), standings.get(unit_id), back=unit_id in returned)
        ]  # fmt: skip
        if not moved:
            return False
        self.version += 1
        self._moved = moved
        self._frames.clear()
        for unit in moved:
            self._place(unit)
        return True

    def _take(self, unit_id: UUID, fix: Latest | None, standing: Standing | None, *, back: bool) -> bool:
        unit = self._units.get(unit_id)
        if unit is None:
            unit = self._units[unit_id] = _Seen(wire.text(unit_id))
        newer = fix is not None and (back or unit.fix is None or fix.fix_at > unit.fix.fix_at)
        changed = standing is not None and standing != unit.standing
        if newer:
            unit.fix = fix
        if changed:
            unit.standing = standing
        return (newer or changed) and (unit.place is not None or self._shown(unit))

    @staticmethod
    def _shown(unit: _Seen) -> bool:
        return unit.fix is not None and unit.standing is not None and unit.standing.on_duty

    def _place(self, unit: _Seen) -> None:
        unit.before, unit.changed, unit.encoded = unit.place, self.version, ""
        unit.place = (unit.fix.lon, unit.fix.lat) if unit.fix and self._shown(unit) else None

    def rows(self, box: Box | None) -> list[str]:
        """The rows of all units in view."""
        return [unit.row for unit in self._units.values() if _inside(unit.place, box)]

    def frame(self, as_of: datetime, since: int, box: Box | None) -> str | None:
        """The `units` message that brings a view from version `since` to now, or None when nothing in it changed.

        Views of the same box and version share one text.
        """
        if since == self.version:
            return None
        key = (since, box)
        if key not in self._frames:
            self._frames[key] = self._delta(as_of, since, box)
        return self._frames[key]

    def _delta(self, as_of: datetime, since: int, box: Box | None) -> str | None:
        if since == self.version - 1:
            left = [unit.key for unit in self._moved if _inside(unit.before, box) and not _inside(unit.place, box)]
            touched = self._moved
        else:  # where it was at `since` is not known any more: taking off what is not shown does no harm
            touched = [unit for unit in self._units.values() if unit.changed > since]
            left = [unit.key for unit in touched if not _inside(unit.place, box)]
        rows = [unit.row for unit in touched if _inside(unit.place, box)]
        return wire.units(as_of, self.version, rows, left) if rows or left else None

    def turned(self, as_of: datetime, since: int, box: Box | None, was: Box | None) -> str:
        """The `units` message that turns view `was` at version `since` into view `box` now."""
        left = [
            unit.key
            for unit in self._units.values()
            if not _inside(unit.place, box) and (_inside(unit.place, was) or unit.changed > since)
        ]
        return wire.units(as_of, self.version, self.rows(box), left)
