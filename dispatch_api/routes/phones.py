"""Being on duty with a phone or tablet: own units' people, tracker apps to pair with, the device's own position."""

import base64
import json
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from core.actor import Actor, May
from core.bus import DutyChanged
from core.errors import Overloaded
from core.work import Work, open_work
from dispatch_api import access, qr
from dispatch_api.deps import GetState, allow, working
from dispatch_api.idempotent import once
from dispatch_api.state import State
from geo import phones
from geo.duty import KnownDevice
from geo.fix import Fix
from geo.phones import Carried
from mobile_contract.duty import DutySheet, OwnPositionsIn, OwnPositionsOut, PhoneIn, PhoneOut

router = APIRouter(tags=["shifts"])
Own = Annotated[Work, working(May.OWN_SHIFT)]
App = Literal["traccar", "owntracks"]
PROTOCOLS: dict[App, str] = {"traccar": "osmand", "owntracks": "owntracks"}
MOVING_S, STANDING_S = 10, 120
"""How often the apps are asked to report."""
OWNTRACKS_HTTP, OWNTRACKS_MOVE = 3, 2


@router.get("/duty", response_model=DutySheet)
async def sheet(work: Own) -> Any:
    """What is needed to begin a shift: the people and trackers of own units, the own phones that report."""
    return {"units": [unit._asdict() for unit in await phones.sheets(work)], "phones": await phones.mine(work)}


@router.post("/phones", status_code=201, response_model=PhoneOut)
async def pair(body: PhoneIn, request: Request, response: Response, work: Own, state: GetState) -> Any:
    """Pair the own phone's tracker app, which reports while its owner is on shift; one phone for each app."""
    page = request.headers["origin"] if access.origin_allowed(request, state.settings) else str(request.base_url)
    home = page.rstrip("/")

    async def effect() -> PhoneOut:
        device_id, key = await phones.pair(work, PROTOCOLS[body.app])
        server_url = f"{home}/ingest/{PROTOCOLS[body.app]}"
        code = _CODES[body.app](server_url, key, work.actor.login)
        return PhoneOut(id=device_id, app=body.app, server_url=server_url, key=key, code=code, code_svg=qr.drawn(code))

    return await once(work, response, "phones.pair", body.id, body, effect, status=201)


def _traccar(server_url: str, key: str, _: str) -> str:
    """What Traccar Client's settings take from a code: its address with the settings as a query."""
    settings = {"id": key, "accuracy": "high", "interval": MOVING_S, "heartbeat": STANDING_S, "buffer": "true"}
    return f"{server_url}?{urlencode(settings)}"


def _owntracks(server_url: str, key: str, login: str) -> str:
    """OwnTracks' own link that sets it up."""
    settings = {
        "_type": "configuration", "mode": OWNTRACKS_HTTP, "url": server_url, "auth": True, "username": login,
        "password": key, "monitoring": OWNTRACKS_MOVE, "locatorInterval": MOVING_S, "moveModeLocatorInterval": MOVING_S,
    }  # fmt: skip
    return f"owntracks:///config?inline={base64.urlsafe_b64encode(json.dumps(settings).encode()).decode()}"


_CODES = {"traccar": _traccar, "owntracks": _owntracks}


@router.post("/phones/{phone_id}/revoke", status_code=204)
async def unpair(phone_id: UUID, work: Own) -> None:
    """Shut an own phone's tracker app out."""
    await phones.unpair(work, phone_id)


@router.post("/shifts/{shift_id}/positions", response_model=OwnPositionsOut)
async def own_positions(
    shift_id: UUID, body: OwnPositionsIn, actor: Annotated[Actor, Depends(allow(May.OWN_SHIFT))], state: GetState
) -> Any:
    """Store positions of the device in hand during a shift its officer was on; sent again they change nothing."""
    async with open_work(state.engine, actor, state.bus) as work:
        carried = await phones.of_page(work, shift_id)
    fixes = [Fix(**one.model_dump()) for one in body.fixes]
    return await state.writer.store(await _known(state, carried, fixes), fixes)


async def _known(state: State, carried: Carried, fixes: list[Fix]) -> KnownDevice:
    """The phone as the duty gate knows it, which has read this shift: it may have begun a moment ago elsewhere."""
    device = state.duty.known(carried.device_id)
    if device is None or not all(state.duty.unit_on_duty(device, fix.fix_at) for fix in fixes):
        await state.duty.changed(DutyChanged(frozenset(carried)))
        device = state.duty.known(carried.device_id)
    if device is None:
        raise Overloaded("The phone was shut out just now: send again.")
    return device
