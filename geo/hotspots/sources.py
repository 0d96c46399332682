"""What a forecast is made from: violations and hours of patrol, as arrays straight from the database's binary COPY."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import OutriderError
from core.work import Work
from geo import cells
from geo.hotspots.forecast import Seen
from geo.patrol_minutes import FEW_UNITS, SHIFT

HEADER_BYTES, TRAILER_BYTES = 19, 2
MOST_EVENTS = 5_000_000
PARTS = 4
"""A patrol cell is some 350 m wide: its hours lie evenly on so many times so many points."""

_EVENTS = """
SELECT ST_X(point), ST_Y(point), extract(epoch FROM $2::timestamptz - occurred_at)::float8 / 86400
FROM violation
WHERE occurred_at >= $1 AND occurred_at < $2 AND left_out = '' AND (cardinality($3::text[]) = 0 OR category = ANY($3))
LIMIT $4
"""
# Cells in which few units were would show the way of one: they are left out, as on the map of minutes.
_PATROL = """
SELECT cell_x::float8, cell_y::float8, ($2::date - day)::float8, seconds::float8 / 3600
FROM patrol_minutes
JOIN (SELECT cell_x, cell_y FROM patrol_minutes WHERE day >= $1::date AND day < $2::date
      GROUP BY 1, 2 HAVING sum(units) >= $3) AS enough USING (cell_x, cell_y)
WHERE day >= $1::date AND day < $2::date
"""


class TooManyEvents(OutriderError):
    """More violations than one forecast is made from."""

    code, title = "too_many_events", "Too many events"


async def _columns(work: Work, query: str, *values: object, width: int) -> NDArray[np.float64]:
    """Rows of numbers as columns. Binary COPY: PostgreSQL's documentation of COPY, "Binary Format"."""
    received: list[bytes] = []

    async def keep(data: bytes) -> None:
        received.append(data)

    connection = await (await work.session.connection()).get_raw_connection()
    driver: Any = connection.driver_connection
    await driver.copy_from_query(query, *values, output=keep, format="binary")
    data = b"".join(received)
    row = np.dtype([("fields", ">i2"), ("of", [("length", ">i4"), ("value", ">f8")], width)])
    n = (len(data) - HEADER_BYTES - TRAILER_BYTES) // row.itemsize
    found = np.frombuffer(data, row, n, HEADER_BYTES)["of"]["value"]
    return np.ascontiguousarray(found.T, dtype=np.float64)


async def events(work: Work, since: datetime, until: datetime, categories: Sequence[str]) -> Seen:
    """The violations from `since` until before `until` that heat counts, with their ages at `until`.

    Raises TooManyEvents over MOST_EVENTS.
    """
    lon, lat, age = await _columns(work, _EVENTS, since, until, list(categories), MOST_EVENTS + 1, width=3)
    if lon.size > MOST_EVENTS:
        raise TooManyEvents
    return Seen(lon, lat, age)


async def patrol(work: Work, since: datetime, until: datetime) -> Seen:
    """Hours of units on shift by place and day, without the cells in which too few units were."""
    x, y, age, hours = await _columns(work, _PATROL, since, until, FEW_UNITS, width=4)
    steps = (np.arange(PARTS) + 0.5) / PARTS
    columns, rows = (x[:, None] + steps)[:, None, :], (y[:, None] + steps)[:, :, None]
    side = cells.SIDE >> SHIFT
    lon = np.broadcast_to(columns / side * 360 - 180, (x.size, PARTS, PARTS))
    lat = np.broadcast_to(np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * rows / side)))), (x.size, PARTS, PARTS))
    return Seen(lon.ravel(), lat.ravel(), np.repeat(age, PARTS**2), np.repeat(hours / PARTS**2, PARTS**2))
