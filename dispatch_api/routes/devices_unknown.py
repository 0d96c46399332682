"""Devices that knocked at the gateway, or are forwarded by a Traccar server, and are not registered."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from core.actor import May
from core.work import Work
from dispatch_api.deps import Limit, working
from dispatch_api.idempotent import once
from dispatch_api.routes.devices import DeviceOut, Protocol
from geo import unknown_devices
from mobile_contract.fields import Edge, Line, MomentOut, Out

router = APIRouter(tags=["devices"])
Writing = Annotated[Work, working(May.WRITE_DEVICES)]
Reading = Annotated[Work, working(May.READ_DEVICES)]


class UnknownIn(Edge):
    """Which of them: as it is listed."""

    protocol: Protocol
    identifier: Line


class RegisterIn(UnknownIn):
    """The unit it reports for from now on, and for all that it kept."""

    id: UUID | None = None
    unit_id: UUID
    interval_s: Annotated[int, Field(ge=1, le=86_400)] | None = None


class UnknownOut(Out):
    """Who knocked unregistered: how often, since when, and from where the last time."""

    protocol: str
    identifier: str
    first_seen: MomentOut
    last_seen: MomentOut
    n: int
    address: str
    ignored_at: MomentOut | None


class UnknownPage(Out):
    """The newest of them."""

    items: list[UnknownOut]


@router.get("/devices/unknown", response_model=UnknownPage)
async def listed(work: Reading, limit: Limit = 100, ignored: bool = False) -> Any:
    """Trackers that called, or are forwarded, and are not registered, the last one first; or those that are ignored."""
    return {"items": await unknown_devices.listed(work, limit, ignored=ignored)}


@router.post("/devices/unknown/register", status_code=201, response_model=DeviceOut)
async def register(body: RegisterIn, response: Response, work: Writing) -> Any:
    """Register one for a unit: its next connection is accepted. Its key, if it needs one, is answered this once."""

    async def effect() -> DeviceOut:
        made = await unknown_devices.register(work, body.protocol, body.identifier, body.unit_id, body.interval_s)
        return DeviceOut.model_validate(made)

    return await once(work, response, "devices.register", body.id, body, effect, status=201)


@router.post("/devices/unknown/forget", status_code=204)
async def forget(body: UnknownIn, work: Writing) -> None:
    """Leave one out of the list until it knocks again."""
    await unknown_devices.forget(work, body.protocol, body.identifier)


@router.post("/devices/unknown/ignore", status_code=204)
async def ignore(body: UnknownIn, work: Writing) -> None:
    """Leave one out of the list however often it knocks."""
    await unknown_devices.ignore(work, body.protocol, body.identifier)
