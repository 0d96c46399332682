"""The plan of shifts: made, changed and cancelled by dispatchers; and who can be put on them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import any_, delete, exists, func, literal, or_
from sqlmodel import col, select

from core.actor import Role
from core.audit import Action
from core.bus import AccessChanged
from core.errors import Invalid, NotFound, TransitionNotAllowed, VersionConflict, WindowOverlap
from core.ids import new_id
from core.last_change import changed_last
from core.models import UserAccount
from core.work import Work
from geo import shifts
from geo.models import Shift, ShiftMember, UnitMember
from geo.shifts import ShiftView
from mobile_contract.fields import utc_text

_ALTERED = ("members", "planned_from", "planned_to", "cancelled_at", "on_at", "off_at", "joined")


@dataclass(frozen=True)
class CrewPerson:
    """Somebody who is on shifts; `available` are officers who can be put on one."""

    id: UUID
    name: str
    badge_no: str | None
    available: bool


async def people(work: Work, limit: int, after: UUID | None) -> tuple[list[CrewPerson], str | None]:
    """A page of the officers, and of whoever else is of a unit or a shift; and where the next page starts."""
    officer = literal(str(Role.OFFICER)) == any_(col(UserAccount.roles))
    known = [exists().where(col(each.user_id) == UserAccount.id) for each in (UnitMember, ShiftMember)]
    query = select(UserAccount).where(or_(officer, *known)).order_by(col(UserAccount.id)).limit(limit + 1)
    if after:
        query = query.where(col(UserAccount.id) > after)
    rows = await work.all(query)
    work.audit(Action.CONSULTATION, "user", None, n=len(rows[:limit]))
    found = [
        CrewPerson(row.id, row.name, row.badge_no, Role.OFFICER in row.roles and row.disabled_at is None)
        for row in rows[:limit]
    ]
    return found, str(rows[limit - 1].id) if len(rows) > limit else None


async def get(work: Work, shift_id: UUID) -> ShiftView:
    """The shift; raises NotFound."""
    shift: Shift | None = await work.first(select(Shift).where(Shift.id == shift_id))
    if shift is None:
        raise NotFound
    return (await shifts.views(work, [shift]))[0]


async def plan(
    work: Work,
    unit_id: UUID,
    members: list[UUID],
    planned_from: datetime,
    planned_to: datetime,
    shift_id: UUID | None = None,
) -> ShiftView:
    """A planned shift.

    Raises NotFound, IdReused, WindowOverlap when the unit has another then, or Invalid for a window that ends before
    it begins or unknown members.
    """
    await shifts.lock_unit(work, unit_id)
    shift = Shift(
        id=shift_id or new_id(), unit_id=unit_id, planned_from=planned_from, planned_to=planned_to, updated_at=work.now
    )
    await _check_window(work, shift)
    await work.add(shift)
    await shifts.join(work, shift, members)
    work.audit(Action.COLLECTION, "shift", shift.id, unit_id=unit_id)
    return ShiftView(shift, list(dict.fromkeys(members)))


async def change(
    work: Work, shift_id: UUID, window: dict[str, datetime], members: list[UUID] | None, version: int | None
) -> ShiftView:
    """The shift with another window (`planned_from`, `planned_to`) or other people.

    Of one that has begun the planned end may move, and people may join. Raises NotFound, VersionConflict,
    TransitionNotAllowed for one that is over, WindowOverlap, Invalid.
    """
    shift = await shifts.locked(work, shift_id)
    if version is not None and version != shift.version:
        changed_by = await changed_last(work, "shift", shift_id, _ALTERED)
        raise VersionConflict(current_version=shift.version, changed_by=changed_by)
    if shift.cancelled_at or shift.off_at:
        raise TransitionNotAllowed("The shift was cancelled." if shift.cancelled_at else "The shift has ended.")
    altered: dict[str, Any] = {name: at for name, at in window.items() if at != getattr(shift, name)}
    if shift.on_at and "planned_from" in altered:
        raise Invalid.at("from", "begun", "The shift has begun: when it was to begin stays as it is.")
    for name, at in altered.items():
        setattr(shift, name, at)
    if altered:
        await _check_window(work, shift)
    if members is not None and await _change_crew(work, shift, members):
        altered["members"] = members
    if not altered:
        return (await shifts.views(work, [shift]))[0]
    shift.updated_at, shift.version = work.now, shift.version + 1
    if shift.on_at:
        return await shifts.told(work, shift, **altered)
    return await _written(work, shift, **altered)


async def cancel(work: Work, shift_id: UUID) -> ShiftView:
    """The shift is not to be; twice changes nothing. Raises NotFound, TransitionNotAllowed when it has begun."""
    shift = await shifts.locked(work, shift_id)
    if shift.on_at is not None:
        raise TransitionNotAllowed("The shift has begun: it can be ended.")
    if shift.cancelled_at is not None:
        return (await shifts.views(work, [shift]))[0]
    shift.cancelled_at = shift.updated_at = work.now
    shift.version += 1
    return await _written(work, shift, cancelled_at=work.now)


async def _written(work: Work, shift: Shift, **fields: Any) -> ShiftView:
    await work.session.flush()
    work.audit(Action.ALTERATION, "shift", shift.id, unit_id=shift.unit_id, **fields)
    return (await shifts.views(work, [shift]))[0]


async def _change_crew(work: Work, shift: Shift, members: list[UUID]) -> bool:
    present = set(await work.all(select(ShiftMember.user_id).where(ShiftMember.shift_id == shift.id)))
    gone = present - set(members)
    if gone and shift.on_at:
        # They were on it, with tasks and positions of theirs: what was is not taken away.
        raise Invalid.at("members", "begun", "Who is on a shift that has begun stays on it until it ends.")
    if gone:
        leaving = col(ShiftMember.user_id).in_(gone)
        await work.session.execute(delete(ShiftMember).where(col(ShiftMember.shift_id) == shift.id, leaving))
        work.publish(AccessChanged, *gone)
    await shifts.join(work, shift, members, work.now if shift.on_at else None)
    return present != set(members)


async def _check_window(work: Work, shift: Shift) -> None:
    """Raises Invalid, or WindowOverlap: two shifts of a unit never run at once, so they are not planned so either."""
    begin, end = shift.planned_from or shift.on_at, shift.planned_to
    if begin is None or end is None or end <= begin:
        raise Invalid.at("to", "order", "The shift must end after it begins.")
    begins = func.coalesce(Shift.planned_from, Shift.on_at)
    query = select(Shift).where(
        Shift.unit_id == shift.unit_id, Shift.id != shift.id, col(Shift.off_at).is_(None),
        col(Shift.cancelled_at).is_(None), begins < end, col(Shift.planned_to) > begin,
    )  # fmt: skip
    other: Shift | None = await work.first(query.order_by(begins).limit(1))
    if other:
        detail = "The unit has another shift in this window."
        taken = {"id": str(other.id)} | {
            name: at and utc_text(at)
            for name, at in (("from", other.planned_from or other.on_at), ("to", other.planned_to))
        }
        raise WindowOverlap(detail, errors=[{"field": "from", "code": "overlap", "detail": detail}], overlaps=taken)
