"""Shifts: a unit's tours of duty, which open and close the duty gate for its positions."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, text, tuple_
from sqlmodel import col, select

from core import pages
from core.actor import May
from core.audit import Action
from core.bus import AccessChanged, DutyChanged, UnitsChanged
from core.errors import Conflict, Invalid, NotAllowed, NotFound
from core.ids import new_id
from core.models import UserAccount
from core.work import Work
from geo import phones, units
from geo.models import Shift, ShiftMember, Unit, UnitMember

FUTURE_SLACK = timedelta(minutes=2)
START_BACK = timedelta(hours=24)
"""An offline tablet may report its shift's start or end a day late; not later, and never ahead of time."""
_CREWS = text("SELECT unit_id, user_id FROM crews_of(:ids)")


@dataclass
class ShiftView:
    """A shift with the people on it."""

    shift: Shift
    members: list[UUID] = field(default_factory=list)

    def resource(self) -> dict[str, Any]:
        """The shift as a JSON-ready resource."""
        s = self.shift
        return {
            "id": s.id, "unit_id": s.unit_id, "members": self.members, "from": s.planned_from, "to": s.planned_to,
            "on_at": s.on_at, "off_at": s.off_at, "equipment_check": s.equipment_check,
            "odometer_from_km": s.odometer_from_km, "odometer_to_km": s.odometer_to_km,
            "handover_note": s.handover_note, "version": s.version,
        }  # fmt: skip


async def views(work: Work, shifts: list[Shift]) -> list[ShiftView]:
    """These shifts with their members."""
    found = {shift.id: ShiftView(shift) for shift in shifts}
    query = select(ShiftMember).where(col(ShiftMember.shift_id).in_(list(found))).order_by(col(ShiftMember.user_id))
    for row in await work.all(query):
        found[row.shift_id].members.append(row.user_id)
    return list(found.values())


async def listed(
    work: Work, *, active: bool | None, unit_id: UUID | None, limit: int, after: str | None
) -> tuple[list[ShiftView], str | None]:
    """A page of shifts, the latest begin first; and where the next page starts."""
    begin = func.coalesce(Shift.on_at, Shift.planned_from)
    query = select(Shift).order_by(begin.desc(), col(Shift.id).desc()).limit(limit + 1)
    if active:
        query = query.where(col(Shift.on_at).is_not(None), col(Shift.off_at).is_(None))
    if unit_id:
        query = query.where(Shift.unit_id == unit_id)
    if after:
        query = query.where(tuple_(begin, Shift.id) < tuple_(*pages.marked(after)))
    rows = await work.all(query)
    last = rows[limit - 1] if len(rows) > limit else None
    return await views(work, rows[:limit]), last and pages.mark(last.on_at or last.planned_from, last.id)


async def active_of_user(work: Work, user_id: UUID) -> ShiftView | None:
    """The shift a person is on now, of several the one that began last; or None."""
    query = (
        select(Shift)
        .join(ShiftMember, col(ShiftMember.shift_id) == Shift.id)
        .where(ShiftMember.user_id == user_id, col(Shift.on_at).is_not(None), col(Shift.off_at).is_(None))
        .order_by(func.greatest(Shift.on_at, ShiftMember.joined_at).desc(), col(Shift.unit_id))
    )
    shift = await work.first(query.limit(1))
    return (await views(work, [shift]))[0] if shift else None


async def crews_of(work: Work, unit_ids: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """Who gets what is sent to units: those on a unit's active shift, else all its members; whoever asks."""
    found: dict[UUID, set[UUID]] = {}
    for row in await work.session.execute(_CREWS, {"ids": list(unit_ids)}):
        found.setdefault(row.unit_id, set()).add(row.user_id)
    return found


async def plan(
    work: Work,
    unit_id: UUID,
    members: list[UUID],
    planned_from: datetime,
    planned_to: datetime,
    shift_id: UUID | None = None,
) -> ShiftView:
    """A planned shift.

    Raises NotFound, IdReused, or Invalid for a window that ends before it begins or unknown members.
    """
    await units.get(work, unit_id)
    if planned_to <= planned_from:
        raise Invalid.at("to", "order", "The shift must end after it begins.")
    shift = Shift(
        id=shift_id or new_id(), unit_id=unit_id, planned_from=planned_from, planned_to=planned_to, updated_at=work.now
    )
    await work.add(shift)
    await _join(work, shift, members)
    work.audit(Action.COLLECTION, "shift", shift.id, unit_id=unit_id)
    return ShiftView(shift, list(dict.fromkeys(members)))


async def _check_crew(work: Work, unit_id: UUID, running: Shift | None, members: list[UUID]) -> None:
    """Raises Invalid for people an officer may not put on duty, where they get tasks and their phones report."""
    own = await work.all(select(UnitMember.user_id).where(UnitMember.unit_id == unit_id))
    on = select(ShiftMember.user_id).where(ShiftMember.shift_id == (running and running.id))
    if set(members) - {work.actor.id, *own, *await work.all(on)}:
        raise Invalid.at("members", "not_of_unit", "Who is not of the unit is put on its shift by a dispatcher.")


async def _join(work: Work, shift: Shift, members: list[UUID], joined_at: datetime | None = None) -> None:
    known = set(await work.all(select(UserAccount.id).where(col(UserAccount.id).in_(members))))
    if set(members) - known:
        raise Invalid.at("members", "unknown", "One of the members is not a user.")
    present = set(await work.all(select(ShiftMember.user_id).where(ShiftMember.shift_id == shift.id)))
    new = [user_id for user_id in dict.fromkeys(members) if user_id not in present]
    work.session.add_all([ShiftMember(shift_id=shift.id, user_id=user_id, joined_at=joined_at) for user_id in new])
    work.publish(AccessChanged, *new)
    await work.session.flush()
    await phones.follow(work, new)


def _moment(work: Work, at: datetime | None) -> datetime:
    if at is None:
        return work.now
    if not work.now - START_BACK <= at <= work.now + FUTURE_SLACK:
        raise Invalid.at("at", "range", "The time must lie within the last 24 hours.")
    return at


def _note(shift: Shift, noted: dict[str, Any]) -> list[str]:
    """Write what the crew noted where nothing stands yet; the names of what was written."""
    new = [name for name, value in noted.items() if value not in (None, []) and getattr(shift, name) in (None, [])]
    for name in new:
        setattr(shift, name, noted[name])
    return new


async def start_own(
    work: Work,
    unit_id: UUID,
    members: list[UUID],
    at: datetime | None,
    noted: dict[str, Any],
    shift_id: UUID | None = None,
) -> ShiftView:
    """An officer starts a shift of a unit they belong to, or joins the one that runs.

    `noted` is written down unless another of the crew has noted it before; `shift_id` is for a new one.
    Raises NotFound, Invalid, Conflict, IdReused.
    """
    if unit_id not in work.actor.unit_ids:
        raise NotFound
    mine = await active_of_user(work, work.actor.id)
    if mine and mine.shift.unit_id != unit_id:
        raise Conflict("You are on a shift of another unit: end it first.")
    crew = [work.actor.id, *members]
    # Two tablets of one crew may start at once: the unit's row decides who makes the shift and who joins it.
    await work.first(select(Unit).where(Unit.id == unit_id).with_for_update(key_share=True))
    running = await work.first(
        select(Shift).where(Shift.unit_id == unit_id, col(Shift.on_at).is_not(None), col(Shift.off_at).is_(None))
    )
    await _check_crew(work, unit_id, running, members)
    if running:
        await _join(work, running, crew, _moment(work, at))
        work.audit(Action.ALTERATION, "shift", running.id, joined=crew, noted=_note(running, noted))
        return (await views(work, [running]))[0]
    shift = Shift(id=shift_id or new_id(), unit_id=unit_id, updated_at=work.now)
    _note(shift, noted)
    await work.add(shift)
    await _join(work, shift, crew)
    return await _open(work, shift, at)


async def start(work: Work, shift_id: UUID, at: datetime | None) -> ShiftView:
    """A planned shift begins: the duty gate opens; raises NotFound, Conflict when the unit is on duty already."""
    shift = await _locked(work, shift_id)
    _own_or_centre(work, shift)
    if shift.on_at is not None:
        return (await views(work, [shift]))[0]
    return await _open(work, shift, at)


async def _open(work: Work, shift: Shift, at: datetime | None) -> ShiftView:
    shift.on_at, shift.updated_at, shift.version = _moment(work, at), work.now, shift.version + 1
    await work.flush("The unit is on a shift already.")
    unit = await units.get(work, shift.unit_id)
    units.set_status(work, unit, "available", shift.on_at)
    return await _told(work, shift, on_at=shift.on_at)


async def end_own(work: Work, at: datetime | None, noted: dict[str, Any]) -> ShiftView:
    """The shift the actor is on ends, as `end` does it; raises NotFound, Conflict when it began after `at`."""
    mine = await active_of_user(work, work.actor.id)
    if mine is None:
        raise NotFound
    if at and mine.shift.on_at and at < mine.shift.on_at:
        raise Conflict("The shift you are on began later.")
    return await end(work, mine.shift.id, at, noted)


async def end(work: Work, shift_id: UUID, at: datetime | None, noted: dict[str, Any]) -> ShiftView:
    """The shift ends: the duty gate closes at `at`; ending it twice adds only what was not noted before.

    Raises NotFound, Conflict.
    """
    shift = await _locked(work, shift_id)
    _own_or_centre(work, shift)
    if shift.on_at is None:
        raise Conflict("The shift has not begun.")
    new = _note(shift, noted)
    if shift.off_at is not None:
        work.audit(Action.ALTERATION, "shift", shift.id, noted=new)
        return (await views(work, [shift]))[0]
    shift.off_at = max(_moment(work, at), shift.on_at)
    shift.updated_at, shift.version = work.now, shift.version + 1
    unit = await units.get(work, shift.unit_id)
    units.set_status(work, unit, "off_duty", shift.off_at)
    return await _told(work, shift, off_at=shift.off_at, noted=new)


async def _told(work: Work, shift: Shift, **fields: Any) -> ShiftView:
    await work.session.flush()
    work.audit(Action.ALTERATION, "shift", shift.id, unit_id=shift.unit_id, **fields)
    work.publish(DutyChanged, shift.unit_id)
    work.publish(UnitsChanged, shift.unit_id)
    seen = (await views(work, [shift]))[0]
    work.publish(AccessChanged, *seen.members)
    await phones.follow(work, seen.members)
    return seen


async def _locked(work: Work, shift_id: UUID) -> Shift:
    shift: Shift | None = await work.first(select(Shift).where(Shift.id == shift_id).with_for_update(key_share=True))
    if shift is None:
        raise NotFound
    return shift


def _own_or_centre(work: Work, shift: Shift) -> None:
    if shift.unit_id not in work.actor.unit_ids and not work.actor.may(May.PLAN_SHIFTS):
        raise NotAllowed
