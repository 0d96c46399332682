"""Devices: registration, assignment, keys."""

from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from core.actor import May
from core.work import Work
from dispatch_api.deps import After, Limit, working
from dispatch_api.idempotent import Once, once
from dispatch_api.paging import Page, id_after
from geo import devices
from mobile_contract.fields import Edge, Line, Moment, MomentOut, Out

router = APIRouter(tags=["devices"])
Writing = Annotated[Work, working(May.WRITE_DEVICES)]
Reading = Annotated[Work, working(May.READ_DEVICES)]
MAX_OVERLAP_S = int(timedelta(days=7).total_seconds())
Protocol = Literal[
    "http", "osmand", "gpslogger", "owntracks", "overland", "traccar", "teltonika", "gt06", "h02", "nmea", "cot"
]


class DeviceIn(Edge):
    """A device to register; without `valid_from` its assignment reaches back without end."""

    id: UUID | None = None
    unit_id: UUID
    protocol: Protocol
    identifier: Line | None = None
    valid_from: Moment | None = None
    interval_s: Annotated[int, Field(ge=1, le=86_400)] | None = None
    speed_unit: Literal["mps", "kmh", "knots"] | None = None
    forwards_for: Annotated[list[UUID], Field(max_length=5_000)] = []


class BulkIn(Edge):
    """Up to 1,000 devices, registered all or none."""

    id: UUID | None = None
    items: Annotated[list[DeviceIn], Field(min_length=1, max_length=devices.MAX_BULK)]


class AssignIn(Once):
    """The unit a device reports for from a time on."""

    unit_id: UUID
    valid_from: Moment


class RotateIn(Once):
    """How long the old key still holds."""

    overlap_s: Annotated[int, Field(ge=0, le=MAX_OVERLAP_S)] = 0


class DeviceOut(Out):
    """A device; `user_id` is whose phone it is, `key` only in the answer that made it."""

    id: UUID
    protocol: str
    identifier: str | None
    interval_s: int | None
    speed_unit: str
    forwards_for: list[UUID]
    unit_id: UUID | None
    valid_from: MomentOut | None
    user_id: UUID | None
    revoked_at: MomentOut | None
    key: str | None = None


class BulkOut(Out):
    """The devices in the order sent."""

    items: list[DeviceOut]


@router.post("/devices", status_code=201, response_model=DeviceOut, response_model_exclude_none=False)
async def create(body: DeviceIn, response: Response, work: Writing) -> Any:
    """Register a device; its key is answered this once."""

    async def effect() -> DeviceOut:
        return DeviceOut.model_validate((await devices.create(work, [body.model_dump()]))[0])

    return await once(work, response, "devices.create", body.id, body, effect, status=201)


@router.post("/devices/bulk", status_code=201, response_model=BulkOut)
async def bulk(body: BulkIn, response: Response, work: Writing) -> Any:
    """Register many devices at once."""

    async def effect() -> BulkOut:
        return BulkOut.model_validate({"items": await devices.create(work, [item.model_dump() for item in body.items])})

    return await once(work, response, "devices.bulk", body.id, body, effect, status=201)


@router.get("/devices", response_model=Page[DeviceOut])
async def listed(work: Reading, unit_id: UUID | None = None, limit: Limit = 100, after: After = None) -> Any:
    """Devices with the unit they were assigned to last."""
    page, following = await devices.listed(work, unit_id, limit, id_after(after))
    return {"items": page, "next": following and str(following)}


@router.post("/devices/{device_id}/assign", response_model=DeviceOut)
async def assign(device_id: UUID, body: AssignIn, response: Response, work: Writing) -> Any:
    """Let a device report for another unit from a time on."""

    async def effect() -> DeviceOut:
        return DeviceOut.model_validate(await devices.assign(work, device_id, body.unit_id, body.valid_from))

    return await once(work, response, f"devices.assign:{device_id}", body.id, body, effect)


@router.post("/devices/{device_id}/rotate-key", response_model=DeviceOut)
async def rotate_key(device_id: UUID, response: Response, work: Writing, body: RotateIn | None = None) -> Any:
    """Give a device a new key, answered this once."""
    body = body or RotateIn()

    async def effect() -> DeviceOut:
        return DeviceOut.model_validate(await devices.rotate_key(work, device_id, body.overlap_s))

    return await once(work, response, f"devices.rotate_key:{device_id}", body.id, body, effect)


@router.post("/devices/{device_id}/revoke", response_model=DeviceOut)
async def revoke(device_id: UUID, response: Response, work: Writing, body: Once | None = None) -> Any:
    """Shut a device out."""
    body = body or Once()

    async def effect() -> DeviceOut:
        return DeviceOut.model_validate(await devices.revoke(work, device_id))

    return await once(work, response, f"devices.revoke:{device_id}", body.id, body, effect)
