"""Legal holds: what retention must leave alone, why, and who said so.

A hold on a unit, a person, a task or a violation also holds the positions of the units concerned while they were
concerned (the view `held_span`); `since` and `until` narrow those. A hold on an area holds what lies in it in its time.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2.shape import to_shape
from shapely.geometry import mapping
from sqlalchemy import ColumnElement, and_, or_, text
from sqlmodel import col, select

from core.audit import Action
from core.errors import Invalid, NotFound
from core.ids import new_id
from core.models import LegalHold
from core.shapes import polygon_of
from core.work import Work
from mobile_contract.resources import GeoPolygon

AREA = "area"
TABLES = {"unit": "unit", "person": "user_account", "task": "task", "violation": "violation"}
"""Where the object of each kind of hold lies."""


async def place(
    work: Work,
    *,
    kind: str,
    reason: str,
    object_id: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    area: GeoPolygon | None = None,
    reference: str | None = None,
    ends_at: datetime | None = None,
    hold_id: UUID | None = None,
) -> LegalHold:
    """A hold that counts from now on, until it is released or `ends_at` has come; raises Invalid, IdReused."""
    _check(work, kind, object_id, since, until, area, ends_at)
    if object_id is not None:
        async with work.elevated():  # to be held a thing need not be the actor's to see
            exists = text(f"SELECT 1 FROM {TABLES[kind]} WHERE id = :id")  # noqa: S608
            if await work.first(exists.bindparams(id=object_id)) is None:
                raise Invalid.at("object_id", "unknown", f"There is no such {kind}.")
    hold = LegalHold(
        id=hold_id or new_id(), kind=kind, object_id=object_id, since=since, until=until,
        area=polygon_of(area) if area else None, reason=reason, reference=reference, placed_by=work.actor.id,
        placed_at=work.now, ends_at=ends_at,
    )  # fmt: skip
    await work.add(hold)
    work.audit(
        Action.COLLECTION, "legal_hold", hold.id, kind=kind, held=object_id, reason=reason, reference=reference,
        ends_at=ends_at, **{"from": since, "to": until},
    )  # fmt: skip
    return hold


def _check(
    work: Work,
    kind: str,
    object_id: UUID | None,
    since: datetime | None,
    until: datetime | None,
    area: GeoPolygon | None,
    ends_at: datetime | None,
) -> None:
    if kind == AREA and (object_id or not (area and since and until)):
        raise Invalid.at("area", "needed", "A hold on an area has an area, a beginning and an end, and no object.")
    if kind != AREA and (area or not object_id):
        raise Invalid.at("object_id", "needed", f"A hold on a {kind} has its id, and no area.")
    if since and until and until <= since:
        raise Invalid.at("to", "order", "The time held must end after it begins.")
    if ends_at and ends_at <= work.now:
        raise Invalid.at("ends_at", "range", "The end of the hold lies in the past.")


def _is_active(work: Work) -> ColumnElement[bool]:
    ends_at = col(LegalHold.ends_at)
    return and_(col(LegalHold.released_at).is_(None), or_(ends_at.is_(None), ends_at > work.now))


async def listed(
    work: Work, *, active: bool | None, limit: int, after: UUID | None
) -> tuple[list[dict[str, Any]], UUID | None]:
    """A page of the holds the actor may see, newest first; and where the next page starts."""
    query = select(LegalHold).order_by(col(LegalHold.id).desc()).limit(limit + 1)
    if active is not None:
        query = query.where(_is_active(work) if active else ~_is_active(work))
    if after:
        query = query.where(LegalHold.id < after)
    rows: list[LegalHold] = await work.all(query)
    work.audit(Action.CONSULTATION, "legal_hold", None, active=active, n=len(rows[:limit]))
    return [resource(work, hold) for hold in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None


async def release(work: Work, hold_id: UUID, reason: str) -> LegalHold:
    """The hold, which counts no more; a second release changes nothing. Raises NotFound."""
    hold: LegalHold | None = await work.first(select(LegalHold).where(LegalHold.id == hold_id).with_for_update())
    if hold is None:
        raise NotFound
    if hold.released_at is None:
        hold.released_at, hold.released_by, hold.release_reason = work.now, work.actor.id, reason
        await work.session.flush()
        work.audit(Action.ALTERATION, "legal_hold", hold.id, released=True, reason=reason)
    return hold


def resource(work: Work, hold: LegalHold) -> dict[str, Any]:
    """The hold as the API shows it."""
    ended = hold.released_at is not None or (hold.ends_at is not None and hold.ends_at <= work.now)
    return hold.model_dump(exclude={"area"}) | {
        "area": None if hold.area is None else mapping(to_shape(hold.area)), "active": not ended,
    }  # fmt: skip
