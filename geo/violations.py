"""Violations: offences found, with their precise place; recorded by officers, read by filter."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Integer, any_, func, literal, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from core import pages
from core.audit import Action
from core.codes import GOODS_CATEGORY, METHOD, QUANTITY_UNIT, VIOLATION_CATEGORY
from core.errors import Invalid
from core.ids import new_id
from core.work import Work
from geo import cells, shifts
from geo.models import BAND_SHIFT, Violation, ViolationCategory

MAX_RANGE = timedelta(days=3653)
"""Ten years: the longest period one question may name."""
FUTURE_SLACK = timedelta(days=1)
"""A tablet's clock may be wrong, but nothing is recorded that happens days from now."""
MAX_BANDS = 512
"""A taller box is found by its other limits: naming its bands would cost more than it saves."""

_LON, _LAT = func.ST_X(Violation.point), func.ST_Y(Violation.point)


@dataclass(frozen=True)
class Filter:
    """Which violations: in a box, from `since` until before `until`, of some categories; nothing said is no limit."""

    box: cells.Box | None = None
    since: datetime | None = None
    until: datetime | None = None
    categories: tuple[str, ...] = ()

    def check(self, now: datetime) -> "Filter":
        """The filter itself; raises Invalid for a period that ends before it begins or is longer than MAX_RANGE."""
        if self.since and self.until and self.until <= self.since:
            raise Invalid.at("to", "order", "The period must end after it begins.")
        if self.since and (self.until or now) - self.since > MAX_RANGE:
            raise Invalid.at("from", "range", "The period may be ten years long at most.")
        return self

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same as conditions on `Violation`."""
        found: list[ColumnElement[bool]] = []
        if self.box:
            found += [*in_cells(cells.span(self.box)), *on_edges(self.box)]
        if self.since:
            found.append(col(Violation.occurred_at) >= self.since)
        if self.until:
            found.append(col(Violation.occurred_at) < self.until)
        if self.categories:
            found.append(col(Violation.category).in_(self.categories))
        return found

    def told(self) -> dict[str, Any]:
        """The filter as the audit and reports name it."""
        return {"bbox": self.box, "from": self.since, "to": self.until, "category": list(self.categories)}


def in_cells(span: cells.Span, *, by_time: bool = False) -> list[ColumnElement[bool]]:
    """Conditions for lying in these cells, such that an index finds them; `by_time` when a short period does better."""
    first_x, last_x, first_y, last_y = span
    found: list[ColumnElement[bool]] = [
        col(Violation.cell_x).between(first_x, last_x),
        col(Violation.cell_y).between(first_y, last_y),
    ]
    if by_time:
        return found
    bands = range(first_y >> BAND_SHIFT, (last_y >> BAND_SHIFT) + 1)
    if len(bands) <= MAX_BANDS:
        found.append(col(Violation.cell_band) == any_(literal(list(bands), ARRAY(Integer))))
    return found


def on_edges(box: cells.Box) -> list[ColumnElement[bool]]:
    """Conditions for lying in the box when one of its cells is known: they cost geometry where an edge cuts it."""
    west, south, east, north = box
    first_x, last_x, first_y, last_y = cells.span(box)
    x, y = col(Violation.cell_x), col(Violation.cell_y)
    return [
        or_(x > first_x, _LON.between(west, east)),
        or_(x < last_x, _LON.between(west, east)),
        or_(y > first_y, _LAT.between(south, north)),
        or_(y < last_y, _LAT.between(south, north)),
    ]


def in_area(lon: float, lat: float, area: cells.Box | None) -> bool:
    """Whether a place lies in the operating area; without one, every place does. It only flags."""
    return area is None or (area[0] <= lon <= area[2] and area[1] <= lat <= area[3])


def parse_area(text: str) -> cells.Box | None:
    """The operating area of the settings (`min_lon,min_lat,max_lon,max_lat`); None when none is set."""
    if not text.strip():
        return None
    west, south, east, north = (float(part) for part in text.split(","))
    return west, south, east, north


def resource(v: Violation, lon: float, lat: float) -> dict[str, Any]:
    """The violation as a GeoJSON feature."""
    properties = {
        "id": v.id, "category": v.category, "occurred_at": v.occurred_at, "recorded_at": v.recorded_at,
        "accuracy_m": v.accuracy_m, "coord_source": v.coord_source, "in_area": v.in_area, "method": v.method,
        "goods_category": v.goods_category, "quantity": _number(v.quantity), "quantity_unit": v.quantity_unit,
        "evaded_duties_eur": _number(v.evaded_duties_eur), "note": v.note, "place_text": v.place_text, "plate": v.plate,
        "task_id": v.task_id, "unit_id": v.unit_id, "recorded_by": v.recorded_by, "source": v.source,
        "external_id": v.external_id, "version": v.version, "corrected_at": v.corrected_at,
    }  # fmt: skip
    geometry = {"type": "Point", "coordinates": [lon, lat]}
    return {"type": "Feature", "id": v.id, "geometry": geometry, "properties": properties}


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def decimal(value: float | None) -> Decimal | None:
    """The number as it was written, for an exact column."""
    return None if value is None else Decimal(str(value))


_LISTS = (("method", METHOD), ("goods_category", GOODS_CATEGORY), ("quantity_unit", QUANTITY_UNIT))
_AS_SENT = (
    "accuracy_m", "coord_source", "method", "goods_category", "quantity_unit", "note", "place_text", "plate", "task_id",
)  # fmt: skip


async def _check(work: Work, values: Mapping[str, Any]) -> None:
    category = values["category"]
    if values["occurred_at"] > work.now + FUTURE_SLACK:
        raise Invalid.at("occurred_at", "range", "The time lies in the future.")
    if category not in VIOLATION_CATEGORY and await work.session.get(ViolationCategory, category) is None:
        raise Invalid.at("category", "unknown", "There is no such category.")
    for name, known in _LISTS:
        if values.get(name) not in {None, *known}:
            raise Invalid.at(name, "unknown", f"must be one of {', '.join(known)}")


async def record(work: Work, values: Mapping[str, Any], area: cells.Box | None) -> dict[str, Any]:
    """A new violation by the actor, with the unit of their active shift; raises Invalid, IdReused.

    `values`: category, occurred_at, lon, lat, coord_source, and what else a Violation may hold. `task_id` is kept
    as sent: the task may have gone to another unit while the officer was offline.
    """
    lon, lat, category = values["lon"], values["lat"], values["category"]
    await _check(work, values)
    await work.session.execute(
        insert(ViolationCategory).values(category=category, registered_at=work.now).on_conflict_do_nothing()
    )
    shift = await shifts.active_of_user(work, work.actor.id)
    plain: dict[str, Any] = {name: values.get(name) for name in _AS_SENT}
    made = Violation(
        id=values.get("id") or new_id(),
        **plain,
        category=category,
        occurred_at=values["occurred_at"],
        recorded_at=work.now,
        point=f"SRID=4326;POINT({lon!r} {lat!r})",
        cell_x=cells.column(lon),
        cell_y=cells.row(lat),
        in_area=in_area(lon, lat, area),
        quantity=decimal(values.get("quantity")),
        evaded_duties_eur=decimal(values.get("evaded_duties_eur")),
        unit_id=shift.shift.unit_id if shift else None,
        recorded_by=work.actor.id,
    )
    await work.add(made)
    work.audit(Action.COLLECTION, "violation", made.id, category=category, unit_id=made.unit_id)
    return resource(made, lon, lat)


async def listed(
    work: Work, wanted: Filter, *, limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of violations as features, latest first; and where the next page starts. Raises Malformed."""
    query = select(Violation, _LON, _LAT).where(*wanted.conditions())
    if after:
        query = query.where(tuple_(col(Violation.occurred_at), col(Violation.id)) < tuple_(*pages.marked(after)))
    query = query.order_by(col(Violation.occurred_at).desc(), col(Violation.id).desc()).limit(limit + 1)
    rows = (await work.session.execute(query)).all()
    last = rows[limit - 1][0] if len(rows) > limit else None
    work.audit(Action.CONSULTATION, "violation", None, **wanted.told(), n=len(rows[:limit]))
    return [resource(v, lon, lat) for v, lon, lat in rows[:limit]], last and pages.mark(last.occurred_at, last.id)
