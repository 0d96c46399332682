"""Installations of the officers' app: enrolled, opened by a PIN, listed, shut out (mobile_contract/session.py)."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from core import installs, sign_in
from core.actor import Actor, May
from core.work import Work
from dispatch_api import access
from dispatch_api.deps import After, GetState, Limit, allow, working
from dispatch_api.idempotent import once
from dispatch_api.paging import Page, id_after
from dispatch_api.webpush import targets
from mobile_contract.session import (
    ContactIn,
    Install,
    InstallIn,
    InstallOut,
    OfflineKey,
    PinIn,
    PushConfig,
    PushIn,
    Recovery,
    RecoveryIn,
    RecoveryOut,
    RevokeIn,
)

router = APIRouter(prefix="/installs", tags=["session"])
Officer = Annotated[Actor, Depends(allow(May.OWN_INBOX))]
Own = Annotated[Work, working(May.OWN_INBOX)]
OwnOrAll = Annotated[Work, working(May.OWN_INBOX, May.WRITE_PEOPLE)]
Listing = Annotated[Work, working(May.OWN_INBOX, May.READ_PEOPLE)]
Recovering = Annotated[Work, working(May.CORRECT_VIOLATIONS)]


@router.post("", status_code=201, response_model=InstallOut)
async def enrol(body: InstallIn, response: Response, work: Own, state: GetState) -> Any:
    """Enrol this installation for the signed-in officer."""
    push = await asyncio.to_thread(targets.checked, state.settings, body.push)

    async def effect() -> InstallOut:
        credential = await installs.enrol(work, body.id, body.name, body.pin, push)
        return InstallOut(id=body.id, credential=credential)

    return await once(work, response, "installs.enrol", body.id, body, effect, status=201)


@router.get("", response_model=Page[Install])
async def listed(work: Listing, user_id: UUID | None = None, limit: Limit = 100, after: After = None) -> Any:
    """Installations, the newest first; officers see their own."""
    whose = user_id if work.actor.may(May.READ_PEOPLE) else work.actor.id
    page, following = await installs.listed(work, user_id=whose, limit=limit, after=id_after(after))
    return {"items": page, "next": following and str(following)}


@router.get("/push-config", response_model=PushConfig)
async def push_config(_: Officer, state: GetState) -> Any:
    """What the app needs to ask for a push target; null when this server sends no pushes."""
    return await asyncio.to_thread(targets.config, state.settings)


@router.get("/{install_id}/offline-key", response_model=OfflineKey)
async def offline_key(install_id: UUID, work: Own) -> Any:
    """The server's half of the key of what the own installation stores; for who signed in with a password."""
    key = await installs.offline_key(work, install_id)
    return {"offline_key": key, "offline_until": work.now + sign_in.SESSION}


@router.post("/{install_id}/pin", status_code=204)
async def set_pin(install_id: UUID, body: PinIn, actor: Officer, state: GetState) -> None:
    """Set a new PIN for the own installation, and unlock it; in a session that a PIN opened, with the `old` one."""
    await installs.set_pin(state.engine, actor, install_id, body.pin, body.old)


@router.put("/{install_id}/push", status_code=204)
async def set_push(install_id: UUID, body: PushIn, work: Own, state: GetState) -> None:
    """Say where the own installation is woken from now on."""
    push = await asyncio.to_thread(targets.checked, state.settings, body.push)
    await installs.set_push(work, install_id, push)


@router.post("/{install_id}/revoke", status_code=204)
async def revoke(install_id: UUID, response: Response, work: OwnOrAll, body: RevokeIn | None = None) -> None:
    """Shut an installation out: its sessions and sockets end, its push target and half of its key are gone."""
    body = body or RevokeIn()
    anybodys = work.actor.may(May.WRITE_PEOPLE)

    async def effect() -> None:
        await installs.revoke(work, install_id, anybodys=anybodys, recover=body.recover)

    await once(work, response, f"installs.revoke:{install_id}", body.id, body, effect, status=204)


@router.post("/{install_id}/contact", status_code=204)
async def contact(install_id: UUID, body: ContactIn, request: Request, state: GetState) -> None:
    """Ask, by its credential, whether an installation is shut out; for an app that nobody has opened yet."""
    access.refuse_foreign(request, state.settings)
    await installs.check(state.engine, install_id, body.credential)


@router.post("/{install_id}/recovery", status_code=201, response_model=RecoveryOut)
async def hand_over(install_id: UUID, body: RecoveryIn, request: Request, state: GetState) -> Any:
    """Hand over what a revoked installation had not sent, when an administrator allowed it; by its credential, once."""
    access.refuse_foreign(request, state.settings)
    records = [record.model_dump(mode="json") for record in body.records]
    received_at = await installs.hand_over(state.engine, install_id, body.credential, records)
    return {"received_at": received_at}


@router.get("/{install_id}/recovery", response_model=Recovery)
async def recovered(install_id: UUID, work: Recovering) -> Any:
    """What a revoked installation handed over, for people to read."""
    return await installs.recovered(work, install_id)
