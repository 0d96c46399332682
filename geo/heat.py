"""Heat: how many violations lie in each cell. What it leaves out it counts, so that everything adds up.

Left out (domain.md 4.4 S6): places only known to more than ACCURACY_LIMIT_M, and those recorded at the office.
An unknown accuracy is counted.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, func, not_, select, text
from sqlmodel import col

from core.audit import Action
from core.work import Work
from geo import cells
from geo.models import Violation
from geo.violations import Filter

ACCURACY_LIMIT_M = 500
MAX_CELLS = 20_000
PIXEL_SHIFT = 3
"""A cell is 2^3 = 8 pixels of the map at the zoom asked for."""

_OFFICE = col(Violation.coord_source) == "office"
_VAGUE = and_(not_(_OFFICE), col(Violation.accuracy_m) > ACCURACY_LIMIT_M)
# The planner cannot know how few cells there are, and would sort a million rows on disk rather than hash them.
_ROOM_TO_HASH = text("SET LOCAL work_mem = '32MB'")


class TooManyCells(Exception):
    """The cells are too fine for one answer."""


@dataclass(frozen=True)
class Heat:
    """Counts by cell: `cells` are (column, row, n) at `shift`; the sum of n is `total`."""

    shift: int
    cells: list[tuple[int, int, int]]
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All violations of the filter but those left out."""
        return sum(n for _, _, n in self.cells)

    @property
    def max_n(self) -> int:
        """The most in one cell."""
        return max((n for _, _, n in self.cells), default=0)

    @property
    def cell_m(self) -> float:
        """Width of a cell in Web-Mercator metres."""
        return round(cells.width_m(self.shift), 2)

    def placed(self) -> list[tuple[float, float, int]]:
        """(lon, lat of the cell's middle, n), the most first; equal ones from the north-west."""
        order = sorted(self.cells, key=lambda cell: (-cell[2], cell[1], cell[0]))
        return [(*_degrees(x, y, self.shift), n) for x, y, n in order]


def _degrees(x: int, y: int, shift: int) -> tuple[float, float]:
    lon, lat = cells.centre(x, y, shift)
    return round(lon, 6), round(lat, 6)


def shift_for(zoom: int | None, span: cells.Span) -> int:
    """How coarse the first try is: 8 pixels at `zoom`, or by the span alone; never so fine that it must fail."""
    first_x, last_x, first_y, last_y = span
    shift = 0 if zoom is None else max(0, cells.CELL_ZOOM - zoom - (8 - PIXEL_SHIFT))
    # Events cluster, so most cells of a span are empty; 16 times the limit is at most two steps from fitting.
    while _count(first_x, last_x, shift) * _count(first_y, last_y, shift) > 16 * MAX_CELLS:
        shift += 1
    return shift


def _count(first: int, last: int, shift: int) -> int:
    return (last >> shift) - (first >> shift) + 1


async def _span(work: Work, wanted: Filter) -> cells.Span:
    if wanted.box:
        return cells.span(wanted.box)
    x, y = col(Violation.cell_x), col(Violation.cell_y)
    query = select(func.min(x), func.max(x), func.min(y), func.max(y)).where(*wanted.conditions())
    found = (await work.session.execute(query)).one()
    return (0, 0, 0, 0) if found[0] is None else (found[0], found[1], found[2], found[3])


async def grouped(work: Work, wanted: Filter, shift: int, limit: int | None = None) -> Heat:
    """The counts of the filter by cells of this shift; raises TooManyCells over `limit`. Not audited."""
    x, y = col(Violation.cell_x).op(">>")(shift), col(Violation.cell_y).op(">>")(shift)
    n = func.count()
    query = (
        select(x, y, n, n.filter(_VAGUE), n.filter(_OFFICE))
        .select_from(Violation)
        .where(*wanted.conditions())
        .group_by(x, y)
        .limit(limit and limit + 1)
    )
    connection = await work.session.connection()  # rows as they come: the session would wrap each of thousands
    await connection.execute(_ROOM_TO_HASH)
    rows = (await connection.execute(query)).all()
    if limit and len(rows) > limit:
        raise TooManyCells
    counted = [(row[0], row[1], row[2] - row[3] - row[4]) for row in rows if row[2] > row[3] + row[4]]
    left_out = {"accuracy": sum(row[3] for row in rows), "office": sum(row[4] for row in rows)}
    return Heat(shift, counted, left_out)


async def densest(work: Work, wanted: Filter, shift: int) -> int:
    """The most violations in one cell of this shift, left-out ones with them; 0 without any. Not audited."""
    x, y = col(Violation.cell_x).op(">>")(shift), col(Violation.cell_y).op(">>")(shift)
    counts = select(func.count().label("n")).select_from(Violation).where(*wanted.conditions()).group_by(x, y)
    connection = await work.session.connection()
    await connection.execute(_ROOM_TO_HASH)
    return int((await connection.execute(select(func.max(counts.subquery().c.n)))).scalar() or 0)


async def heat(work: Work, wanted: Filter, zoom: int | None) -> Heat:
    """The counts of the filter in at most MAX_CELLS cells, 8 pixels wide at `zoom` or coarser. Not audited."""
    shift = shift_for(zoom, await _span(work, wanted))
    while True:
        try:
            return await grouped(work, wanted, shift, MAX_CELLS)
        except TooManyCells:
            shift += 1


async def consulted(work: Work, wanted: Filter, zoom: int | None) -> Heat:
    """The heat as somebody's reading of it, written to the audit."""
    found = await heat(work, wanted, zoom)
    work.audit(Action.CONSULTATION, "violation_heat", None, **wanted.told(), zoom=zoom, total=found.total)
    return found


def hot_cells(found: Heat, limit: int) -> list[dict[str, Any]]:
    """The `limit` cells with most violations, each with its share of the total."""
    return [
        {"rank": rank, "lon": lon, "lat": lat, "n": n, "share": round(n / found.total, 4)}
        for rank, (lon, lat, n) in enumerate(found.placed()[:limit], 1)
    ]
