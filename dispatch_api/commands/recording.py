"""Recordings of many units' positions: CSV files, packed by gzip or not."""

import csv
import gzip
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dispatch_api.commands.client import Refused

NEEDED = ("unit", "time", "lat", "lon")
ALSO = ("accuracy_m", "altitude_m", "speed_mps", "heading_deg")
"""Columns that are sent with the place where a recording has them; their names say their units."""
FULL_SHARE = 0.1
UNIT_CHARACTERS = 64


@dataclass(frozen=True)
class Row:
    """One recorded fix; `at` in seconds since 1970, `more` what else the recording says of it."""

    at: float
    unit: str
    lat: float
    lon: float
    more: tuple[tuple[str, float], ...] = ()


@dataclass
class LeftOut:
    """How many lines could not be read, and what was wrong with the first."""

    n: int = 0
    first: str = ""

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self.n > 0


def read(file: Path) -> tuple[list[Row], LeftOut]:
    """The rows of a CSV with at least unit, time (ISO 8601, UTC where it names no zone), lat and lon, by time.

    Rows of one second keep the file's order. Raises Refused for a file of another kind and for one without any row.
    """
    left_out = LeftOut()
    try:
        rows = sorted(_rows(file, left_out), key=lambda row: row.at)
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise Refused(f"{file}: {error}") from error
    if not rows:
        raise Refused(f"{file} holds no rows that can be read. {left_out.first}".rstrip())
    return rows, left_out


def _rows(file: Path, left_out: LeftOut) -> Iterator[Row]:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8-sig", newline="") as text:
        reader = csv.DictReader(text)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        if missing := set(NEEDED) - set(reader.fieldnames):
            raise Refused(f"{file} lacks the columns {', '.join(sorted(missing))}.")
        for line in reader:
            try:
                yield _row(line)
            except ValueError as error:
                left_out.n += 1
                left_out.first = left_out.first or f"line {reader.line_num}: {error}"


def _row(line: dict[str, str | None]) -> Row:
    unit = (line["unit"] or "").strip()
    if not 1 <= len(unit) <= UNIT_CHARACTERS:
        raise ValueError(f"a unit's name has 1 to {UNIT_CHARACTERS} characters")
    lat, lon = _number(line["lat"], 90), _number(line["lon"], 180)
    at = datetime.fromisoformat((line["time"] or "").strip())
    more = ((name, _number(value)) for name in ALSO if (value := (line.get(name) or "").strip()))
    return Row((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp(), unit, lat, lon, tuple(more))


def _number(text: str | None, most: float = math.inf) -> float:
    value = float(text or "")
    if not math.isfinite(value) or abs(value) > most:
        raise ValueError(f"{value} is out of range")
    return value


def beginning(rows: list[Row]) -> float:
    """Where the recording begins: the first row of its first minute that is about as full as the others.

    Sparse minutes before that are stale positions a feed repeats, sent at once when the replay begins.
    """
    minutes = Counter(int(row.at // 60) for row in rows)
    usual = minutes[int(rows[len(rows) // 2].at // 60)]  # the median row's minute lies within the recording
    first = min(minute for minute, n in minutes.items() if n >= usual * FULL_SHARE)
    return next(row.at for row in rows if row.at >= first * 60)
