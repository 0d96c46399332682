"""Shifts: a unit's tours of duty, which open and close the duty gate for its positions."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, text, tuple_
from sqlmodel import col, select

from core import pages
from core.actor import May
from core.audit import Action
from core.bus import AccessChanged, DutyChanged, UnitsChanged
from core.errors import Conflict, Invalid, NotAllowed, NotFound, TransitionNotAllowed
from core.ids import new_id
from core.models import UserAccount
from core.work import Work
from geo import phones, units
from geo.models import Shift, ShiftMember, Unit, UnitMember

FUTURE_SLACK = timedelta(minutes=2)
START_BACK = timedelta(hours=24)
"""An offline tablet may report its shift's start or end a day late; not later, and never ahead of time."""
EARLY = timedelta(hours=1)
"""So long before its planned begin a shift is the one that the unit's officers begin."""
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
            "handover_note": s.handover_note, "cancelled_at": s.cancelled_at, "version": s.version,
        }  # fmt: skip


async def views(work: Work, shifts: list[Shift]) -> list[ShiftView]:
    """These shifts with their members."""
    found = {shift.id: ShiftView(shift) for shift in shifts}
    query = select(ShiftMember).where(col(ShiftMember.shift_id).in_(list(found))).order_by(col(ShiftMember.user_id))
    for row in await work.all(query):
        found[row.shift_id].members.append(row.user_id)
    return list(found.values())


@dataclass(frozen=True)
class Wanted:
    """Which shifts: those under way, of a unit, with any time between two moments."""

    active: bool | None = None
    unit_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


async def listed(work: Work, wanted: Wanted, *, limit: int, after: str | None) -> tuple[list[ShiftView], str | None]:
    """A page of shifts, the latest begin first; and where the next page starts."""
    begin = func.coalesce(Shift.on_at, Shift.planned_from)
    query = select(Shift).order_by(begin.desc(), col(Shift.id).desc()).limit(limit + 1)
    if wanted.since:
        lasts = case((col(Shift.on_at).is_not(None), func.greatest(Shift.planned_to, work.now)), else_=Shift.planned_to)
        query = query.where(func.coalesce(Shift.off_at, lasts) > wanted.since)
    if wanted.until:
        query = query.where(begin < wanted.until)
    if wanted.active:
        query = query.where(col(Shift.on_at).is_not(None), col(Shift.off_at).is_(None))
    if wanted.unit_id:
        query = query.where(Shift.unit_id == wanted.unit_id)
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


async def _check_crew(work: Work, unit_id: UUID, ready: Shift | None, members: list[UUID]) -> None:
    """Raises Invalid for people an officer may not put on duty, where they get tasks and their phones report."""
    own = await work.all(select(UnitMember.user_id).where(UnitMember.unit_id == unit_id))
    on = select(ShiftMember.user_id).where(ShiftMember.shift_id == (ready and ready.id))
    if set(members) - {work.actor.id, *own, *await work.all(on)}:
        raise Invalid.at("members", "not_of_unit", "Who is not of the unit is put on its shift by a dispatcher.")


async def join(work: Work, shift: Shift, members: list[UUID], joined_at: datetime | None = None) -> None:
    """Have these people on the shift, besides those who are; raises Invalid for somebody unknown."""
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
    """An officer starts a shift of a unit they belong to, the planned one if it is due, or joins the one that runs.

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
    await lock_unit(work, unit_id)
    running = await work.first(
        select(Shift).where(Shift.unit_id == unit_id, col(Shift.on_at).is_not(None), col(Shift.off_at).is_(None))
    )
    due = None if running else await _due(work, unit_id, _moment(work, at))
    await _check_crew(work, unit_id, running or due, members)
    if running:
        await join(work, running, crew, _moment(work, at))
        work.audit(Action.ALTERATION, "shift", running.id, joined=crew, noted=_note(running, noted))
        return (await views(work, [running]))[0]
    shift = due or Shift(id=shift_id or new_id(), unit_id=unit_id, updated_at=work.now)
    _note(shift, noted)
    if due is None:
        await work.add(shift)
    await join(work, shift, crew)
    return await _open(work, shift, at)


async def _due(work: Work, unit_id: UUID, at: datetime) -> Shift | None:
    """The planned shift that begins when somebody of the unit begins one at this time."""
    query = select(Shift).where(
        Shift.unit_id == unit_id, col(Shift.on_at).is_(None), col(Shift.cancelled_at).is_(None),
        col(Shift.planned_from) <= at + EARLY, col(Shift.planned_to) > at,
    )  # fmt: skip
    shift: Shift | None = await work.first(query.order_by(col(Shift.planned_from).desc()).limit(1))
    return shift


async def start(work: Work, shift_id: UUID, at: datetime | None) -> ShiftView:
    """A planned shift begins: the duty gate opens.

    Raises NotFound, Conflict when the unit is on duty already, TransitionNotAllowed when the shift was cancelled.
    """
    shift = await locked(work, shift_id)
    _own_or_centre(work, shift)
    if shift.cancelled_at is not None:
        raise TransitionNotAllowed("The shift was cancelled.")
    if shift.on_at is not None:
        return (await views(work, [shift]))[0]
    return await _open(work, shift, at)


async def _open(work: Work, shift: Shift, at: datetime | None) -> ShiftView:
    shift.on_at, shift.updated_at, shift.version = _moment(work, at), work.now, shift.version + 1
    await work.flush("The unit is on a shift already.")
    unit = await units.get(work, shift.unit_id)
    units.set_status(work, unit, "available", shift.on_at)
    return await told(work, shift, on_at=shift.on_at)


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
    shift = await locked(work, shift_id)
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
    return await told(work, shift, off_at=shift.off_at, noted=new)


async def told(work: Work, shift: Shift, **fields: Any) -> ShiftView:
    """The shift that has begun, with what changed of it written down, and told to all whom it concerns."""
    await work.session.flush()
    work.audit(Action.ALTERATION, "shift", shift.id, unit_id=shift.unit_id, **fields)
    work.publish(DutyChanged, shift.unit_id)
    work.publish(UnitsChanged, shift.unit_id)
    seen = (await views(work, [shift]))[0]
    work.publish(AccessChanged, *seen.members)
    await phones.follow(work, seen.members)
    return seen


async def lock_unit(work: Work, unit_id: UUID) -> None:
    """Until the commit nobody else plans, begins or ends a shift of the unit; raises NotFound."""
    if await work.first(select(Unit.id).where(Unit.id == unit_id).with_for_update(key_share=True)) is None:
        raise NotFound


async def locked(work: Work, shift_id: UUID) -> Shift:
    """The shift, for nobody else to change before the commit; raises NotFound."""
    unit_id = await work.first(select(Shift.unit_id).where(Shift.id == shift_id))
    if unit_id is None:
        raise NotFound
    await lock_unit(work, unit_id)  # before the shift, as whoever looks for one of the unit does
    shift: Shift | None = await work.first(select(Shift).where(Shift.id == shift_id).with_for_update(key_share=True))
    if shift is None:
        raise NotFound
    return shift


def _own_or_centre(work: Work, shift: Shift) -> None:
    if shift.unit_id not in work.actor.unit_ids and not work.actor.may(May.PLAN_SHIFTS):
        raise NotAllowed
