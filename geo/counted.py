"""Where counts of violations come from: each violation of a filter once, in as few rows as the filter allows.

Whole cells in whole months come from the pyramid, its coarsest cells first; what the box and the period cut off comes
from the violations themselves, by indexes alone but for the cells that an edge of the box runs through.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, func, literal_column, select
from sqlalchemy import union_all as joined
from sqlmodel import SQLModel, col

from core.work import Work
from geo import cells
from geo.models import ViolationCategory, heat_cell, heat_pending
from geo.pyramid import COARSEST, TIERS, Period, month_start, periods, whole_months
from geo.violations import Filter, in_cells, on_edges

_ROWS = SQLModel.metadata.tables["violation"].c
_WAITING, _SUMS = heat_pending.c, heat_cell.c
ONE: ColumnElement[int] = literal_column("1")


def counted(work: Work, wanted: Filter, shift: int, areas: Iterable[cells.Span] | None = None) -> Subquery:
    """Rows (x, y, category, left_out, n) by cells of `shift`, in parts to be summed up; `areas` instead of the box.

    The pyramid holds everybody's records, so who sees only their own is answered from these.
    """
    parts = _Parts(wanted, shift, everybodys=work.actor.sees_all("violations"))
    if areas is not None or wanted.box is None:
        for area in [cells.WORLD] if areas is None else areas:
            parts.cover(area)
        return joined(*parts.found).subquery()
    touched = cells.span(wanted.box)
    inside = cells.whole((touched[0] + 1, touched[1] - 1, touched[2] + 1, touched[3] - 1), 0)
    if inside:
        parts.cover(inside)
    for strip in cells.frame(touched, inside):
        parts.rows(strip, wanted.since, wanted.until, on_edges(wanted.box))
    return joined(*parts.found).subquery()


async def by_category(work: Work, wanted: Filter) -> list[tuple[str, int]]:
    """Every registered category with its number of violations in the filter, the most frequent first."""
    found = counted(work, wanted, COARSEST)
    n, name = func.coalesce(func.sum(found.c.n), 0), col(ViolationCategory.category)
    query = select(name, n).outerjoin(found, found.c.category == name).group_by(name).order_by(n.desc(), name)
    return [(category, int(count)) for category, count in (await work.session.execute(query)).all()]


class _Parts:
    """The SELECTs that together name each violation of a filter once."""

    def __init__(self, wanted: Filter, shift: int, *, everybodys: bool) -> None:
        self.found: list[Select[Any]] = []
        self._wanted, self._shift = wanted, shift
        self._months = whole_months(wanted.since, wanted.until)
        self._periods = periods(self._months) if everybodys else []
        lengths = {months for months, _, _ in self._periods}
        self._levels = [level for level, kept in TIERS if level <= shift and lengths and lengths.issubset(kept)]

    def cover(self, span: cells.Span) -> None:
        """All that lies in these cells."""
        done: cells.Span | None = None
        for level in self._levels:
            if filled := cells.whole(span, level):
                for strip in cells.frame(filled, done):
                    self._sums(level, strip)
                done = filled
        since, until = self._wanted.since, self._wanted.until
        if done:
            start, end = (None if month is None else month_start(month) for month in self._months)
            place = [_WAITING.cell_x.between(*done[:2]), _WAITING.cell_y.between(*done[2:])]
            self._add(_WAITING, 0, _WAITING.n, [*place, *_in_period(_WAITING, start, end)])
            for first, last in ((since, start), (end, until)):
                if first != last:  # a part of a month
                    self._add(_ROWS, 0, ONE, [*in_cells(done, by_time=True), *_in_period(_ROWS, first, last)])
        for strip in cells.frame(span, done):
            self.rows(strip, since, until)

    def rows(
        self, span: cells.Span, since: datetime | None, until: datetime | None, also: Iterable[ColumnElement[bool]] = ()
    ) -> None:
        """The violations of these cells and this period, one by one."""
        self._add(_ROWS, 0, ONE, [*in_cells(span), *_in_period(_ROWS, since, until), *also])

    def _sums(self, level: int, span: cells.Span) -> None:
        columns, rows = (_SUMS.x, span[0], span[1]), (_SUMS.y, span[2], span[3])
        place = [number.between(first >> level, last >> level) for number, first, last in (columns, rows)]
        for period in self._periods:
            self._add(_SUMS, level, _SUMS.n, [_SUMS.shift == level, *_is_period(period), *place])

    def _add(self, of: Any, level: int, n: ColumnElement[int], where: list[ColumnElement[bool]]) -> None:
        x, y = (of.x, of.y) if of is _SUMS else (of.cell_x, of.cell_y)
        more = self._shift - level
        if self._wanted.categories:
            where.append(of.category.in_(self._wanted.categories))
        part = select(x.op(">>")(more).label("x"), y.op(">>")(more).label("y"), of.category, of.left_out, n.label("n"))
        self.found.append(part.where(*where))


def _in_period(of: Any, since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    limits = [] if since is None else [of.occurred_at >= since]
    return limits if until is None else [*limits, of.occurred_at < until]


def _is_period(period: Period) -> list[ColumnElement[bool]]:
    months, first, end = period
    limits = [_SUMS.months == months]
    if first is not None and end == first + 1:
        return [*limits, _SUMS.period == first]  # so that the index goes on to find the cells
    if first is not None:
        limits.append(_SUMS.period >= first)
    return limits if end is None else [*limits, _SUMS.period < end]
