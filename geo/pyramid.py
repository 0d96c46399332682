"""The heat pyramid: how many violations lie in coarse cells, over all time, by year and by month, kept beside the rows.

Triggers note every violation that comes, changes or goes in `heat_pending`, in the same transaction and without a lock
that another writer could wait for. `merge` adds these notes to the counts from time to time; readers add those that
still wait, so that the sum is exact at any moment (see geo/counted.py).
"""

from datetime import UTC, datetime

from sqlalchemy import text

from core.work import Work
from geo import sql

EVER, YEAR, MONTH = 0, 12, 1
"""Lengths of a period in months."""
TIERS = ((8, (EVER, YEAR, MONTH)), (6, (EVER,)))
"""Which cells are counted, coarsest first, and by which periods: finer ones by months would be as many as the rows."""
COARSEST = TIERS[0][0]
BATCH = 50_000

Months = tuple[int | None, int | None]
"""From this UTC month on, until before that one, numbered from January of year 0; None is no limit."""
Period = tuple[int, int | None, int | None]
"""A length in months, the first period of that length, and the one after the last."""

_FLAT = [(shift, months) for shift, lengths in TIERS for months in lengths]
_TIERS = {"shifts": [shift for shift, _ in _FLAT], "months": [months for _, months in _FLAT]}
_MERGE = text(sql.load("heat_merge").format(tiers=sql.load("heat_tiers").format(changes="taken")))
_DIFFERENCES = text(sql.load("heat_differences").format(tiers=sql.load("heat_tiers").format(changes="change")))
_RECOUNT = text(sql.load("heat_recount"))
_LOCK = "(hashtext('outrider.heat'))"


def whole_months(since: datetime | None, until: datetime | None) -> Months:
    """The months that lie in a period wholly; the second is not after the first when there are none."""
    first = None if since is None else _month(since) + (month_start(_month(since)) < since)
    return first, None if until is None else _month(until)


def _month(at: datetime) -> int:
    utc = at.astimezone(UTC)
    return utc.year * 12 + utc.month - 1


def month_start(month: int) -> datetime:
    """The moment a month begins."""
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


def periods(months: Months) -> list[Period]:
    """As few periods as make up these months: years with the months before and after them, or all time."""
    first, end = months
    if first is None and end is None:
        return [(EVER, 0, 1)]
    first_year, end_year = None if first is None else -(-first // 12), None if end is None else end // 12
    if first_year is not None and end_year is not None and first_year >= end_year:
        return [period for period in [(MONTH, first, end)] if _filled(period)]
    found = [(YEAR, first_year, end_year)]
    if first_year is not None:
        found.append((MONTH, first, first_year * 12))
    if end_year is not None:
        found.append((MONTH, end_year * 12, end))
    return [period for period in found if _filled(period)]


def _filled(period: Period) -> bool:
    _, first, end = period
    return first is None or end is None or first < end


async def merge(work: Work, batch: int = BATCH) -> int:
    """Add up to `batch` changes that wait to the counts; how many. None while another does so."""
    free = await work.session.execute(text(f"SELECT pg_try_advisory_xact_lock{_LOCK}"))
    if not free.scalar_one():
        return 0
    n, fewer = (await work.session.execute(_MERGE, {"batch": batch, **_TIERS})).one()
    if fewer:
        await work.session.execute(text("DELETE FROM heat_cell WHERE n = 0"))
    return int(n)


async def recount(work: Work) -> None:
    """Forget the counts and let every violation wait to be counted anew; answers stay exact meanwhile."""
    await _at_leisure(work)
    await work.session.execute(text(f"SELECT pg_advisory_xact_lock{_LOCK}"))
    await work.session.execute(_RECOUNT)


async def differences(work: Work) -> int:
    """How many counts are not those of the violations: 0, or there is a fault that `recount` mends."""
    await _at_leisure(work)
    return int((await work.session.execute(_DIFFERENCES, _TIERS)).scalar_one())


async def _at_leisure(work: Work) -> None:
    await work.session.execute(text("SET LOCAL statement_timeout = 0"))
    await work.session.execute(text("SET LOCAL lock_timeout = 0"))
