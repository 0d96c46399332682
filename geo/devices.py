"""Devices: which tracker or phone reports for which unit, since when, and with which key."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from core.audit import Action
from core.bus import DutyChanged
from core.errors import Conflict, Invalid, NotFound
from core.ids import new_id, new_secret
from core.work import Work
from geo.device_secrets import OWNTRACKS, secrets_of
from geo.models import Device, DeviceAssignment, Unit

MAX_BULK = 1_000


def resource(device: Device, assignment: DeviceAssignment | None, key: str | None = None) -> dict[str, Any]:
    """The device as a JSON-ready resource; the key only in the one answer that made it."""
    body = {
        "id": device.id, "protocol": device.protocol, "identifier": device.identifier,
        "interval_s": device.interval_s, "speed_unit": device.speed_unit, "forwards_for": device.forwards_for,
        "unit_id": assignment.unit_id if assignment else None,
        "valid_from": assignment.valid_from if assignment else None,
        "user_id": device.user_id, "revoked_at": device.revoked_at,
    }  # fmt: skip
    return body | ({"key": key} if key else {})


async def create(work: Work, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """New devices with a key each, shown this once; all or none.

    Raises Invalid, IdReused, Conflict for an identifier in use.
    """
    await _check_units(work, [item["unit_id"] for item in items])
    made = []
    for item in items:
        key = new_secret("od")
        device = Device(
            id=item.get("id") or new_id(),
            protocol=item["protocol"],
            identifier=item.get("identifier"),
            interval_s=item.get("interval_s"),
            speed_unit=item.get("speed_unit") or "knots",
            forwards_for=[str(other) for other in item.get("forwards_for") or []],
            updated_at=work.now,
            **secrets_of(item["protocol"], key),
        )
        assignment = DeviceAssignment(device_id=device.id, unit_id=item["unit_id"], valid_from=item.get("valid_from"))
        made.append((device, assignment, key))
    registered = "A device of this protocol with this identifier is registered already."
    await work.add(*(device for device, _, _ in made), taken=registered)
    work.session.add_all([assignment for _, assignment, _ in made])
    await work.session.flush()
    for device, assignment, _ in made:
        work.audit(Action.COLLECTION, "device", device.id, protocol=device.protocol, unit_id=assignment.unit_id)
    work.publish(DutyChanged, *(device.id for device, _, _ in made))
    return [resource(*each) for each in made]


async def _check_units(work: Work, unit_ids: list[UUID]) -> None:
    known = set(await work.all(select(Unit.id).where(col(Unit.id).in_(set(unit_ids)))))
    if set(unit_ids) - known:
        raise Invalid.at("unit_id", "unknown", "There is no such unit.")


async def listed(
    work: Work, unit_id: UUID | None, limit: int, after: UUID | None
) -> tuple[list[dict[str, Any]], UUID | None]:
    """A page of devices with their newest assignment; and where the next page starts."""
    query = select(Device).order_by(col(Device.id)).limit(limit + 1)
    if after:
        query = query.where(Device.id > after)
    if unit_id:
        reporting = select(DeviceAssignment.device_id).where(DeviceAssignment.unit_id == unit_id)
        query = query.where(col(Device.id).in_(reporting))
    rows = await work.all(query)
    newest = await _newest(work, [device.id for device in rows[:limit]])
    page = [resource(device, newest.get(device.id)) for device in rows[:limit]]
    return page, rows[limit - 1].id if len(rows) > limit else None


async def _newest(work: Work, device_ids: list[UUID]) -> dict[UUID, DeviceAssignment]:
    query = (
        select(DeviceAssignment)
        .where(col(DeviceAssignment.device_id).in_(device_ids))
        .order_by(col(DeviceAssignment.valid_from).asc().nulls_first())
    )
    return {row.device_id: row for row in await work.all(query)}


async def _locked(work: Work, device_id: UUID) -> Device:
    device: Device | None = await work.first(
        select(Device).where(Device.id == device_id).with_for_update(key_share=True)
    )
    if device is None:
        raise NotFound
    return device


async def _changed(work: Work, device: Device, key: str | None = None, **fields: Any) -> dict[str, Any]:
    device.updated_at = work.now
    await work.session.flush()
    work.audit(Action.ALTERATION, "device", device.id, **fields)
    work.publish(DutyChanged, device.id)
    return resource(device, (await _newest(work, [device.id])).get(device.id), key)


async def assign(work: Work, device_id: UUID, unit_id: UUID, valid_from: datetime) -> dict[str, Any]:
    """From `valid_from` on the device reports for this unit; older fixes stay with the unit before."""
    device = await _locked(work, device_id)
    if device.user_id:
        raise Conflict("A person's phone reports for the unit on whose shift the person is.")
    await _check_units(work, [unit_id])
    same = select(DeviceAssignment).where(
        DeviceAssignment.device_id == device_id, DeviceAssignment.valid_from == valid_from
    )
    if existing := await work.first(same):
        existing.unit_id = unit_id
    else:
        work.session.add(DeviceAssignment(device_id=device_id, unit_id=unit_id, valid_from=valid_from))
    return await _changed(work, device, unit_id=unit_id, valid_from=valid_from)


async def rotate_key(work: Work, device_id: UUID, overlap_s: int) -> dict[str, Any]:
    """A new key, shown this once; the old one holds for `overlap_s` more. Raises Conflict when revoked."""
    device = await _locked(work, device_id)
    if device.revoked_at:
        raise Conflict("The device is revoked.")
    key = new_secret("od")
    device.old_key_digest = device.key_digest if overlap_s else None
    device.old_key_until = work.now + timedelta(seconds=overlap_s) if overlap_s else None
    for name, value in secrets_of(device.protocol, key).items():
        setattr(device, name, value)
    return await _changed(work, device, key, rotated=True, overlap_s=overlap_s)


async def revoke(work: Work, device_id: UUID) -> dict[str, Any]:
    """The device's keys open nothing from now on; revoking twice changes nothing."""
    device = await _locked(work, device_id)
    device.revoked_at = device.revoked_at or work.now
    device.old_key_digest = device.old_key_until = None
    return await _changed(work, device, revoked=True)


async def forward(work: Work, forwarder_id: UUID, device_id: UUID) -> None:
    """A forwarder writes for this device too; raises Conflict when its key opens nothing any more."""
    forwarder = await _locked(work, forwarder_id)
    if forwarder.revoked_at:
        raise Conflict("The device that forwarded for it is revoked.")
    if str(device_id) not in forwarder.forwards_for:
        forwarder.forwards_for = [*forwarder.forwards_for, str(device_id)]
        await _changed(work, forwarder, forwards_for=device_id)


async def broker_hashes(work: Work) -> dict[UUID, str]:
    """What a broker checks the password of each OwnTracks device by, but of those that are revoked."""
    query = select(Device).where(Device.protocol == OWNTRACKS, col(Device.revoked_at).is_(None))
    found = await work.all(query.order_by(col(Device.id)))
    return {device.id: device.broker_hash for device in found if device.broker_hash}
