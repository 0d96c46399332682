"""Heat: how many violations lie in each cell. What it leaves out it counts, so that everything adds up.

Left out (domain.md 4.4 S6): places only known to more than ACCURACY_LIMIT_M, and those recorded at the office.
An unknown accuracy is counted.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Subquery, func, select, text

from core.audit import Action
from core.work import Work
from geo import cells
from geo.counted import counted
from geo.models import ACCURACY_LIMIT_M as ACCURACY_LIMIT_M
from geo.pyramid import COARSEST
from geo.violations import Filter

LEFT_OUT = ("accuracy", "office")
MAX_CELLS = 20_000
PIXEL_SHIFT = 3
"""A cell is 2^3 = 8 pixels of the map at the zoom asked for."""
DENSEST_AREAS = 16

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
        lon = {x: round(cells.centre(x, 0, self.shift)[0], 6) for x in {cell[0] for cell in self.cells}}
        lat = {y: round(cells.centre(0, y, self.shift)[1], 6) for y in {cell[1] for cell in self.cells}}
        order = sorted(self.cells, key=lambda cell: (-cell[2], cell[1], cell[0]))
        return [(lon[x], lat[y], n) for x, y, n in order]


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
    """The cells in which the filter's violations lie, rounded to the pyramid's coarsest."""
    if wanted.box:
        return cells.span(wanted.box)
    of = counted(work, wanted, COARSEST).c
    found = (await work.session.execute(select(func.min(of.x), func.max(of.x), func.min(of.y), func.max(of.y)))).one()
    if found[0] is None:
        return 0, 0, 0, 0
    least, most = (cells.cell_span(x, y, COARSEST) for x, y in (found[::2], found[1::2]))
    return least[0], most[1], least[2], most[3]


def _by_cell(rows: Subquery, limit: int | None = None) -> Subquery:
    columns = [func.sum(rows.c.n).filter(rows.c.left_out == why).label(why or "n") for why in ("", *LEFT_OUT)]
    return select(rows.c.x, rows.c.y, *columns).group_by(rows.c.x, rows.c.y).limit(limit).subquery()


async def grouped(work: Work, wanted: Filter, shift: int, limit: int | None = None) -> Heat:
    """The counts of the filter by cells of this shift; raises TooManyCells over `limit`. Not audited."""
    by_cell = _by_cell(counted(work, wanted, shift), limit and limit + 1).c
    columns = [func.array_agg(column).filter(by_cell.n > 0) for column in (by_cell.x, by_cell.y, by_cell.n)]
    query = select(func.count(), *columns, *(func.sum(by_cell[reason]) for reason in LEFT_OUT))
    await work.session.execute(_ROOM_TO_HASH)
    # Whole columns at once: a row for each of thousands of cells would take longer to read than to count.
    found, x, y, n, *left_out = (await work.session.execute(query)).one()
    if limit and found > limit:
        raise TooManyCells
    together = list(zip(x or (), y or (), n or (), strict=True))
    return Heat(shift, together, {reason: int(n or 0) for reason, n in zip(LEFT_OUT, left_out, strict=True)})


async def densest(work: Work, wanted: Filter, shift: int) -> int:
    """The most violations in one cell of this shift; 0 without any. Not audited.

    It is looked for in the DENSEST_AREAS coarsest cells that hold most, where it nearly always lies: among millions
    that is as quick as among thousands.
    """
    areas = None
    if shift < COARSEST:
        by_area = _by_cell(counted(work, wanted, COARSEST)).c
        most = select(by_area.x, by_area.y).where(by_area.n > 0).order_by(by_area.n.desc(), by_area.y, by_area.x)
        found = (await work.session.execute(most.limit(DENSEST_AREAS))).all()
        if not found:
            return 0
        areas = [cells.cell_span(x, y, COARSEST) for x, y in found]
    by_cell = _by_cell(counted(work, wanted, shift, areas)).c
    await work.session.execute(_ROOM_TO_HASH)
    return int((await work.session.execute(select(func.max(by_cell.n)))).scalar() or 0)


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
