"""Phones of officers as trackers: each reports for the unit on whose shift its person is, and otherwise for nobody."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text, update
from sqlmodel import col, select

from core.audit import Action
from core.bus import DutyChanged
from core.errors import NotFound
from core.ids import new_secret
from core.work import Work
from geo.device_secrets import secrets_of
from geo.models import Device, Shift, ShiftMember

PAGE_INTERVAL_S = 30
"""How often the officers' page sends what it has."""
PAGE = "http"
"""The protocol of the officers' page itself; it has no key: its session says whose it is."""
_MINE = text(
    "SELECT d.id, d.protocol, d.created_at, max(c.seen_at) AS seen_at FROM device d"
    " LEFT JOIN ingest_count c ON c.device_id = d.id"
    " WHERE d.user_id = :user_id AND d.protocol <> :page AND d.revoked_at IS NULL GROUP BY d.id ORDER BY d.created_at"
)
_CREWS = text(
    "SELECT m.unit_id, u.id, u.name FROM unit_member m JOIN user_account u ON u.id = m.user_id"
    " WHERE m.unit_id = ANY(:ids) AND u.disabled_at IS NULL ORDER BY u.name, u.id"
)
_TRACKED = text(
    "SELECT n.unit_id, max(c.seen_at) AS seen_at FROM ("
    "  SELECT DISTINCT ON (a.device_id) a.device_id, a.unit_id FROM device_assignment a"
    "  JOIN device d ON d.id = a.device_id WHERE d.revoked_at IS NULL"
    "  AND a.device_id IN (SELECT device_id FROM device_assignment WHERE unit_id = ANY(:ids))"
    "  ORDER BY a.device_id, a.valid_from DESC NULLS LAST) n"
    " LEFT JOIN ingest_count c ON c.device_id = n.device_id WHERE n.unit_id = ANY(:ids) GROUP BY n.unit_id"
)
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('outrider.phone'), hashtext(:user_id))")


class Carried(NamedTuple):
    """A phone and the unit it reports for."""

    device_id: UUID
    unit_id: UUID


async def follow(work: Work, user_ids: Iterable[UUID]) -> None:
    """The shifts of these people have changed: their phones report accordingly from the commit on."""
    async with work.elevated():
        phones = select(Device.id).where(col(Device.user_id).in_(list(user_ids)), col(Device.revoked_at).is_(None))
        ids = await work.all(phones)
        if ids:
            await work.session.execute(update(Device).where(col(Device.id).in_(ids)).values(updated_at=work.now))
            work.publish(DutyChanged, *ids)


async def pair(work: Work, protocol: str) -> tuple[UUID, str]:
    """A phone of the actor's with a tracker app: its device and key, shown this once. The one before is shut out."""
    await work.session.execute(_ONE_AT_A_TIME, {"user_id": str(work.actor.id)})
    device, key = await _made(work, protocol)
    work.audit(Action.COLLECTION, "device", device.id, protocol=protocol, user_id=work.actor.id)
    return device.id, key


async def _made(work: Work, protocol: str) -> tuple[Device, str]:
    key = new_secret("od")
    device = Device(user_id=work.actor.id, protocol=protocol, updated_at=work.now, **secrets_of(protocol, key))
    device.interval_s = PAGE_INTERVAL_S if protocol == PAGE else None
    async with work.elevated():
        await _shut_out(work, Device.protocol == protocol)
        work.session.add(device)
    work.publish(DutyChanged, device.id)
    return device, key


async def _shut_out(work: Work, *which: Any) -> list[UUID]:
    mine = select(Device).where(Device.user_id == work.actor.id, col(Device.revoked_at).is_(None), *which)
    found = await work.all(mine.with_for_update(key_share=True))
    for device in found:
        device.revoked_at = device.updated_at = work.now
        work.audit(Action.ALTERATION, "device", device.id, revoked=True)
    await work.session.flush()
    ids = [device.id for device in found]
    work.publish(DutyChanged, *ids)
    return ids


async def unpair(work: Work, device_id: UUID) -> None:
    """The actor's phone is shut out; raises NotFound."""
    async with work.elevated():
        if not await _shut_out(work, Device.id == device_id):
            raise NotFound


async def of_page(work: Work, shift_id: UUID) -> Carried:
    """The device under which the actor's page sends its own position, and the unit of a shift the actor is on.

    Raises NotFound for a shift of others, also of the own unit.
    """
    member = select(Shift).join(ShiftMember, col(ShiftMember.shift_id) == Shift.id)
    async with work.elevated():  # an own shift is an own one also when it was with a unit one does not belong to
        shift: Shift | None = await work.first(
            member.where(Shift.id == shift_id, ShiftMember.user_id == work.actor.id, col(Shift.on_at).is_not(None))
        )
        if shift is None:
            raise NotFound
        await work.session.execute(_ONE_AT_A_TIME, {"user_id": str(work.actor.id)})
        own = select(Device.id).where(
            Device.user_id == work.actor.id, Device.protocol == PAGE, col(Device.revoked_at).is_(None)
        )
        device_id = await work.first(own) or (await _made(work, PAGE))[0].id
    return Carried(device_id, shift.unit_id)


class Sheet(NamedTuple):
    """What an officer needs to know of an own unit to begin a shift."""

    unit_id: UUID
    people: list[dict[str, Any]]
    tracker_seen_at: datetime | None
    has_tracker: bool


async def sheets(work: Work) -> list[Sheet]:
    """Of each own unit: its people by name, and whether a tracker of its own reports for it."""
    ids = sorted(work.actor.unit_ids)
    async with work.elevated():
        people = (await work.session.execute(_CREWS, {"ids": ids})).all()
        trackers = {row.unit_id: row.seen_at for row in await work.session.execute(_TRACKED, {"ids": ids})}
    work.audit(Action.CONSULTATION, "unit", None, crews=[str(unit_id) for unit_id in ids])
    return [
        Sheet(
            unit_id, [{"id": row.id, "name": row.name} for row in people if row.unit_id == unit_id],
            trackers.get(unit_id), unit_id in trackers,
        )
        for unit_id in ids
    ]  # fmt: skip


async def mine(work: Work) -> list[dict[str, Any]]:
    """The actor's phones that are paired with a tracker app, and when each was heard last."""
    async with work.elevated():
        rows = (await work.session.execute(_MINE, {"user_id": work.actor.id, "page": PAGE})).mappings()
        return [dict(row) for row in rows]
