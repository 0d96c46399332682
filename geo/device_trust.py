"""How far each device can be trusted, from what was counted of it by day; nothing here tells where one was."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from core.errors import NotFound
from core.work import Work
from geo import sql, trust
from geo.counts import SKEW_BOUNDS_S
from geo.intervals import GAP_BOUNDS_S
from geo.trust import Measures, Score

SCORE_DAYS = 7
"""The score is of so many UTC days, today's included."""
SERIES_DAYS = 14
TRUSTED = 80
"""From this score on a device is fit for its work."""
UNSCORED = trust.WHOLE + 1
"""Where devices without a score stand in the ranking: behind the others."""

_SUMS = sql.load("device_trust")
_LISTED = text(
    _SUMS.format(
        chosen="d.revoked_at IS NULL AND (CAST(:protocol AS text) IS NULL OR d.protocol = :protocol)"
        " AND (CAST(:office_id AS uuid) IS NULL OR u.office_id = :office_id)"
        " AND strpos(lower(concat_ws(' ', u.call_sign, d.identifier, d.id)), lower(:q)) > 0"
    )
)
_ONE = text(_SUMS.format(chosen="d.id = :id"))
_DAYS = text(
    "SELECT device_id, (day AT TIME ZONE 'UTC')::date AS day, accepted, duplicates, off_duty, suspect, rejected, late,"
    " jumps, no_fix, off_clock, frozen, unreadable, skews, battery_pct FROM ingest_count"
    " WHERE device_id = ANY(:ids) AND day >= :since ORDER BY day"
)
_INTERVALS = text(
    "SELECT device_id, (day AT TIME ZONE 'UTC')::date AS day, gaps, heard_s, silent_s FROM fix_interval"
    " WHERE device_id = ANY(:ids) AND day >= :since ORDER BY day"
)
_COUNTED = (
    "accepted", "duplicates", "off_duty", "suspect", "rejected", "late", "jumps", "no_fix", "off_clock", "frozen",
    "unreadable",
)  # fmt: skip


@dataclass(frozen=True)
class Filter:
    """Which devices: of a protocol, of an office's units, with a text in call sign or identifier."""

    protocol: str | None = None
    office_id: UUID | None = None
    q: str = ""


class After(NamedTuple):
    """Where a page of the ranking ended."""

    score: int
    device_id: UUID


class Ranking(NamedTuple):
    """A page of devices, where the next page starts, and how many there are in all, by how they are."""

    items: list[dict[str, Any]]
    next: After | None
    totals: dict[str, int]


async def ranked(work: Work, wanted: Filter, limit: int, after: After | None) -> Ranking:
    """A page of devices, the most troubled first, each with its days."""
    values = {"now": work.now, "since": _since(work.now, SCORE_DAYS), "protocol": wanted.protocol,
              "office_id": wanted.office_id, "q": wanted.q}  # fmt: skip
    rows = (await work.session.execute(_LISTED, values)).mappings().all()
    places = [(After(found.score if found.score is not None else UNSCORED, row["id"]), row, found)
              for row in rows for found in [trust.score(_measures(row, work.now))]]  # fmt: skip
    places.sort(key=lambda place: place[0])
    rest = [place for place in places if after is None or place[0] > after]
    page = rest[:limit]
    days = await _days(work, [row["id"] for _, row, _ in page], SERIES_DAYS)
    items = [_resource(row, found) | {"days": days[row["id"]]} for _, row, found in page]
    return Ranking(items, page[-1][0] if len(rest) > limit else None, _totals(found for _, _, found in places))


def _totals(scores: Iterable[Score]) -> dict[str, int]:
    totals = {"devices": 0, "troubled": 0, "unheard": 0, "unscored": 0}
    for found in scores:
        totals["devices"] += 1
        totals["troubled"] += found.score is not None and found.score < TRUSTED
        totals["unscored"] += found.score is None
        totals["unheard"] += any(reason.code == "unheard" for reason in found.reasons)
    return totals


async def one(work: Work, device_id: UUID, days: int) -> dict[str, Any]:
    """A device with its score, and so many days; raises NotFound."""
    values = {"now": work.now, "since": _since(work.now, SCORE_DAYS), "id": device_id}
    row = (await work.session.execute(_ONE, values)).mappings().first()
    if row is None:
        raise NotFound
    series = (await _days(work, [device_id], days))[device_id]
    return _resource(row, trust.score(_measures(row, work.now))) | {"days": series}


def _since(now: datetime, days: int) -> datetime:
    """When the first of so many UTC days begins, the last of which is today."""
    return datetime.combine(now.date() - timedelta(days=days - 1), time(), now.tzinfo)


def _measures(row: Mapping[Any, Any], now: datetime) -> Measures:
    unheard_s = (now - row["seen_at"]).total_seconds() if row["on_duty"] and row["seen_at"] else None
    sums = {name: int(row[name] or 0) for name in _COUNTED if name in row}
    return Measures(
        **{name: n for name, n in sums.items() if name in Measures.__struct_fields__},
        skews=row["skews"] or (), heard_s=row["heard_s"] or 0.0, silent_s=row["silent_s"] or 0.0,
        battery_pct=row["battery_pct"], unheard_s=unheard_s, doubts=row["doubts"],
    )  # fmt: skip


def _resource(row: Mapping[Any, Any], found: Score) -> dict[str, Any]:
    """What the ranking says of a device."""
    kept = ("id", "protocol", "identifier", "interval_s", "unit_id", "call_sign", "office_id", "office", "on_duty",
            "revoked_at", "seen_at", "battery_pct", "about", "last_skew_s")  # fmt: skip
    return {name: row[name] for name in kept} | {
        "score": found.score,
        "reasons": [reason._asdict() for reason in found.reasons],
        "skew_s": trust.median(row["skews"] or (), SKEW_BOUNDS_S),
        "gaps": _padded(row["gaps"] or (), len(GAP_BOUNDS_S) + 1),
        "silent_share": row["silent_s"] / row["heard_s"] if row["heard_s"] else None,
        **{name: int(row[name] or 0) for name in _COUNTED if name in row},
    }


def _padded(counts: Iterable[int], n: int) -> list[int]:
    found = [*counts]
    return found + [0] * (n - len(found))


async def _days(work: Work, device_ids: list[UUID], days: int) -> dict[UUID, list[dict[str, Any]]]:
    """Of each device every one of the last days, also those on which nothing was counted."""
    since = _since(work.now, days)
    first = since.date()
    counted: dict[tuple[UUID, date], dict[str, Any]] = defaultdict(dict)
    for row in (await work.session.execute(_DAYS, {"ids": device_ids, "since": since})).mappings():
        skew_s = trust.median(row["skews"], SKEW_BOUNDS_S)
        said = {name: row[name] for name in (*_COUNTED, "battery_pct")} | {"skew_s": skew_s}
        counted[row["device_id"], row["day"]] |= said
    for row in (await work.session.execute(_INTERVALS, {"ids": device_ids, "since": since})).mappings():
        share = row["silent_s"] / row["heard_s"] if row["heard_s"] else None
        said = {"gaps": _padded(row["gaps"], len(GAP_BOUNDS_S) + 1), "silent_share": share}
        counted[row["device_id"], row["day"]] |= said
    nothing: dict[str, Any] = {"battery_pct": None, "skew_s": None, "silent_share": None}
    nothing |= dict.fromkeys(_COUNTED, 0) | {"gaps": _padded((), len(GAP_BOUNDS_S) + 1)}
    every = [first + timedelta(days=n) for n in range(days)]
    return {i: [{"day": day} | nothing | counted.get((i, day), {}) for day in every] for i in device_ids}
