"""Units and their members: who is sent, and what is followed on the map."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func
from sqlmodel import col, select

from core.audit import Action
from core.bus import AccessChanged, DutyChanged, UnitsChanged
from core.errors import Invalid, NotFound, VersionConflict
from core.ids import new_id
from core.models import Office, UserAccount
from core.work import Work
from geo.models import Device, DeviceAssignment, Shift, ShiftMember, Unit, UnitMember

STALE_AFTER_S = 60
STALE_INTERVALS = 1.5
LOST_AFTER_S = 600
CHANGEABLE = {"call_sign", "kind", "capabilities", "tracking", "office_id", "deputy_unit_id", "status"}


def stale_after_s(interval_s: int | None) -> float:
    """Age in seconds from which a unit's position counts as stale (interfaces.md 5)."""
    return max(STALE_AFTER_S, STALE_INTERVALS * (interval_s or 0))


@dataclass
class UnitView:
    """A unit as the API shows it: with members, its active shift, and when its position grows stale."""

    unit: Unit
    members: list[UUID] = field(default_factory=list)
    shift: Shift | None = None
    shift_members: list[UUID] = field(default_factory=list)
    interval_s: int | None = None

    def resource(self) -> dict[str, Any]:
        """The unit as a JSON-ready resource."""
        u, shift = self.unit, None
        if self.shift:
            shift = {"id": self.shift.id, "on_at": self.shift.on_at, "members": self.shift_members}
        return {
            "id": u.id, "call_sign": u.call_sign, "kind": u.kind, "capabilities": u.capabilities,
            "tracking": u.tracking, "office_id": u.office_id, "members": self.members,
            "deputy_unit_id": u.deputy_unit_id, "status": u.status, "version": u.version,
            "stale_after_s": stale_after_s(self.interval_s), "shift": shift,
        }  # fmt: skip


async def views(work: Work, units: list[Unit]) -> list[UnitView]:
    """These units with members, active shift and device interval: four queries, however many units."""
    found = {unit.id: UnitView(unit) for unit in units}
    ids = list(found)
    members = select(UnitMember).where(col(UnitMember.unit_id).in_(ids)).order_by(col(UnitMember.user_id))
    for row in await work.all(members):
        found[row.unit_id].members.append(row.user_id)
    active = select(Shift).where(
        col(Shift.unit_id).in_(ids), col(Shift.on_at).is_not(None), col(Shift.off_at).is_(None)
    )
    by_shift = {shift.id: shift for shift in await work.all(active)}
    for shift in by_shift.values():
        found[shift.unit_id].shift = shift
    for row in await work.all(select(ShiftMember).where(col(ShiftMember.shift_id).in_(list(by_shift)))):
        found[by_shift[row.shift_id].unit_id].shift_members.append(row.user_id)
    intervals = (
        select(col(DeviceAssignment.unit_id), func.max(Device.interval_s))
        .join(Device, col(Device.id) == DeviceAssignment.device_id)
        .where(col(DeviceAssignment.unit_id).in_(ids), col(Device.revoked_at).is_(None))
        .group_by(col(DeviceAssignment.unit_id))
    )
    for unit_id, interval_s in (await work.session.execute(intervals)).all():
        found[unit_id].interval_s = interval_s
    return list(found.values())


async def listed(work: Work, limit: int, after: str | None) -> tuple[list[UnitView], str | None]:
    """A page of the units the actor may see, by call sign; and where the next page starts."""
    query = select(Unit).order_by(Unit.call_sign).limit(limit + 1)
    if after:
        query = query.where(Unit.call_sign > after)
    rows = await work.all(query)
    more = rows[limit - 1].call_sign if len(rows) > limit else None
    return await views(work, rows[:limit]), more


async def call_signs(work: Work, unit_ids: Collection[UUID]) -> dict[UUID, str]:
    """The call signs of those of these units that the actor may see."""
    if not unit_ids:
        return {}
    found = await work.session.execute(select(Unit.id, Unit.call_sign).where(col(Unit.id).in_(unit_ids)))
    return {row.id: row.call_sign for row in found}


async def get(work: Work, unit_id: UUID) -> Unit:
    """The unit; raises NotFound."""
    unit: Unit | None = await work.first(select(Unit).where(Unit.id == unit_id))
    if unit is None:
        raise NotFound
    return unit


async def view(work: Work, unit_id: UUID) -> UnitView:
    """One unit as the API shows it; raises NotFound."""
    return (await views(work, [await get(work, unit_id)]))[0]


async def _check(work: Work, values: dict[str, Any], members: list[UUID] | None) -> None:
    if values.get("office_id") and await work.session.get(Office, values["office_id"]) is None:
        raise Invalid.at("office_id", "unknown", "There is no such office.")
    if values.get("deputy_unit_id") and await work.session.get(Unit, values["deputy_unit_id"]) is None:
        raise Invalid.at("deputy_unit_id", "unknown", "There is no such unit.")
    if members:
        known = set(await work.all(select(UserAccount.id).where(col(UserAccount.id).in_(members))))
        if unknown := set(members) - known:
            raise Invalid.at("members", "unknown", f"There is no such user: {min(map(str, unknown))}")


_CALL_SIGN_TAKEN = "Another unit has this call sign."


async def create(work: Work, values: dict[str, Any], members: list[UUID], unit_id: UUID | None = None) -> UnitView:
    """A new unit, off duty, with these members; raises Invalid, IdReused, or Conflict for a call sign in use."""
    await _check(work, values, members)
    unit = Unit(id=unit_id or new_id(), **values)
    await work.add(unit, taken=_CALL_SIGN_TAKEN)
    work.session.add_all([UnitMember(unit_id=unit.id, user_id=user_id) for user_id in dict.fromkeys(members)])
    work.audit(Action.COLLECTION, "unit", unit.id, call_sign=unit.call_sign)
    work.publish(UnitsChanged, unit.id)
    work.publish(DutyChanged, unit.id)
    work.publish(AccessChanged, *members)
    await work.session.flush()
    return (await views(work, [unit]))[0]


async def change(
    work: Work, unit_id: UUID, values: dict[str, Any], members: list[UUID] | None, version: int | None
) -> UnitView:
    """The unit with new values; raises NotFound, VersionConflict, Invalid, Conflict."""
    unit: Unit | None = await work.first(select(Unit).where(Unit.id == unit_id).with_for_update(key_share=True))
    if unit is None:
        raise NotFound
    if version is not None and version != unit.version:
        raise VersionConflict(current_version=unit.version)
    await _check(work, values, members)
    for name in CHANGEABLE & values.keys():
        setattr(unit, name, values[name])
    unit.version += 1
    unit.updated_at = work.now
    await work.flush(_CALL_SIGN_TAKEN)
    if members is not None:
        await _replace_members(work, unit_id, members)
    work.audit(Action.ALTERATION, "unit", unit.id, **values)
    work.publish(UnitsChanged, unit.id)
    work.publish(DutyChanged, unit.id)
    return await view(work, unit_id)


async def _replace_members(work: Work, unit_id: UUID, members: list[UUID]) -> None:
    old = await work.all(select(UnitMember.user_id).where(UnitMember.unit_id == unit_id))
    await work.session.execute(delete(UnitMember).where(col(UnitMember.unit_id) == unit_id))
    work.session.add_all([UnitMember(unit_id=unit_id, user_id=user_id) for user_id in dict.fromkeys(members)])
    work.publish(AccessChanged, *{*old, *members})
    await work.session.flush()


def set_status(work: Work, unit: Unit, status: str, at: datetime) -> None:
    """Give a unit its new duty status; nothing happens when it has it already."""
    if unit.status == status:
        return
    unit.status, unit.status_at, unit.updated_at = status, at, work.now
    unit.version += 1
    work.session.add(unit)
    work.publish(UnitsChanged, unit.id)
