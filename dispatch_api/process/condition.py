"""What this machine runs short of, or gets wrong: disk space, and the time."""

import ctypes
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.settings import Settings

DISK_WANTED_BYTES = 3 * 1024**3
SKEW_BORNE_S = 2.0
"""Times of the servers and of the database stand side by side in the same rows."""
_TIME_ERROR = 5


@dataclass(frozen=True)
class Disk:
    """The file system a folder lies on."""

    place: str
    folder: Path
    free_bytes: int
    size_bytes: int

    @property
    def is_low(self) -> bool:
        """Whether less is free than Outrider wants."""
        return self.free_bytes < DISK_WANTED_BYTES


def disks(settings: Settings) -> Iterator[Disk]:
    """The disk of the data folder, and that of the private database where it lies elsewhere."""
    folder = settings.data_dir.resolve()
    places = {"data": folder}
    note = folder / "postgres.path"
    if note.exists():
        places["database"] = Path(note.read_text().strip())
    for place, wanted in places.items():
        there = wanted
        while not there.exists():
            there = there.parent
        found = shutil.disk_usage(there)
        yield Disk(place, wanted, found.free, found.total)


def skew_s(database_now: datetime, before: datetime, after: datetime) -> float:
    """By how much the database's clock is ahead of ours, asked between two moments of ours; exact to half of that."""
    return (database_now - (before + (after - before) / 2)).total_seconds()


def warnings(settings: Settings, skew: float | None) -> list[str]:
    """Codes of what somebody should look after: `disk_low`, `clock_skew`."""
    found = ["disk_low"] if any(disk.is_low for disk in disks(settings)) else []
    return [*found, "clock_skew"] if skew is not None and abs(skew) > SKEW_BORNE_S else found


def clock_is_kept() -> bool | None:
    """Whether a time service keeps this machine's clock, as the kernel knows; None where it does not tell."""

    class Timex(ctypes.Structure):
        _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_byte * 256))

    try:
        state: Any = ctypes.CDLL(None).adjtimex(ctypes.byref(Timex()))
    except (AttributeError, OSError):
        return None
    return None if state < 0 else bool(state != _TIME_ERROR)


class Clock:
    """Notices when the wall clock was set."""

    def __init__(self) -> None:
        self._offset = self._now()

    @staticmethod
    def _now() -> float:
        return datetime.now(UTC).timestamp() - time.monotonic()

    def stepped_s(self) -> float:
        """By how much it was set since the last time somebody asked."""
        before, self._offset = self._offset, self._now()
        return self._offset - before
