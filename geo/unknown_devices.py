"""Devices that knocked at the gateway, or are forwarded, and are not registered: register, forget or ignore them."""

from typing import Any
from uuid import UUID

from sqlalchemy import Text, any_, case, cast
from sqlalchemy.orm import aliased
from sqlmodel import col, or_, select

from core.audit import Action
from core.errors import NotFound
from core.work import Work
from geo import devices
from geo.device_models import UnknownDevice
from geo.models import Device


async def listed(work: Work, limit: int, *, ignored: bool = False) -> list[UnknownDevice]:
    """Who knocked and is not registered by now, the last one first; or those that are ignored."""
    return await work.all(_open(ignored=ignored).order_by(col(UnknownDevice.last_seen).desc()).limit(limit))


def _open(*, ignored: bool) -> Any:
    forwarder = aliased(Device)
    forwards = select(forwarder.id).where(
        forwarder.id == UnknownDevice.forwarder_id, cast(Device.id, Text) == any_(col(forwarder.forwards_for))
    )
    registered = select(Device.id).where(
        Device.identifier == UnknownDevice.identifier,
        col(Device.revoked_at).is_(None),
        case(
            (col(UnknownDevice.forwarder_id).is_(None), Device.protocol == UnknownDevice.protocol),
            else_=forwards.correlate(UnknownDevice, Device).exists(),
        ),
    )
    found = select(UnknownDevice).where(~registered.exists())
    if ignored:
        return found.where(col(UnknownDevice.ignored_at).is_not(None))
    forgotten_at = col(UnknownDevice.forgotten_at)
    knocked_since = or_(forgotten_at.is_(None), col(UnknownDevice.last_seen) > forgotten_at)
    return found.where(col(UnknownDevice.ignored_at).is_(None), knocked_since)


async def _locked(work: Work, protocol: str, identifier: str) -> UnknownDevice:
    found: UnknownDevice | None = await work.first(
        select(UnknownDevice)
        .where(UnknownDevice.protocol == protocol, UnknownDevice.identifier == identifier)
        .with_for_update()
    )
    if found is None:
        raise NotFound
    return found


async def register(
    work: Work, protocol: str, identifier: str, unit_id: UUID, interval_s: int | None = None
) -> dict[str, Any]:
    """The device, registered for a unit and welcome at its next try; raises NotFound, Invalid, Conflict.

    One that another forwarder brought before is the unit's from now on.
    """
    found = await _locked(work, protocol, identifier)
    known = select(Device.id).where(
        Device.protocol == protocol, Device.identifier == identifier, col(Device.revoked_at).is_(None)
    )
    if found.forwarder_id and (device_id := await work.first(known)):
        made = await devices.assign(work, device_id, unit_id, work.now)
    else:
        item = {"unit_id": unit_id, "protocol": protocol, "identifier": identifier, "interval_s": interval_s}
        (made,) = await devices.create(work, [item])
    if found.forwarder_id:
        await devices.forward(work, found.forwarder_id, made["id"])
    found.forgotten_at, found.ignored_at = work.now, None
    return made


async def forget(work: Work, protocol: str, identifier: str) -> None:
    """Leave it out of the list until it knocks again; raises NotFound."""
    found = await _locked(work, protocol, identifier)
    found.forgotten_at, found.ignored_at = work.now, None
    work.audit(Action.ALTERATION, "unknown_device", f"{protocol} {identifier}", forgotten=True)


async def ignore(work: Work, protocol: str, identifier: str) -> None:
    """Leave it out of the list however often it knocks; raises NotFound."""
    found = await _locked(work, protocol, identifier)
    found.ignored_at = found.ignored_at or work.now
    work.audit(Action.ALTERATION, "unknown_device", f"{protocol} {identifier}", ignored=True)
