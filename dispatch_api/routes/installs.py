"""Installations of the officers' app."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from core import sign_in
from core.actor import May
from core.work import Work
from dispatch_api.deps import working
from dispatch_api.idempotent import once
from mobile_contract.fields import Body, Edge, Line, Out

router = APIRouter(tags=["session"])
Own = Annotated[Work, working(May.OWN_INBOX)]
OwnOrAll = Annotated[Work, working(May.OWN_INBOX, May.WRITE_PEOPLE)]


class PushTarget(Edge):
    """Where a content-free wake-up may be sent."""

    channel: Literal["fcm", "webpush"]
    target: Annotated[Body, Field(min_length=1, max_length=4_000)]
    target_kind: Line


class InstallIn(Edge):
    """An installation to enrol: its own id, a name, and the PIN that will open sessions with it."""

    id: UUID
    name: Line
    pin: Annotated[str, Field(pattern=r"^[0-9]{4,12}$")] | None = None
    push: PushTarget | None = None


class InstallOut(Out):
    """The installation's credential, answered once."""

    id: UUID
    credential: str


@router.post("/installs", status_code=201, response_model=InstallOut)
async def enrol(body: InstallIn, response: Response, work: Own) -> Any:
    """Enrol this installation for the signed-in officer."""

    async def effect() -> InstallOut:
        push = body.push.model_dump() if body.push else None
        credential = await sign_in.enrol(work, body.id, body.name, body.pin, push)
        return InstallOut(id=body.id, credential=credential)

    return await once(work, response, "installs.enrol", body.id, body, effect, status=201)


@router.post("/installs/{install_id}/revoke", status_code=204)
async def revoke(install_id: UUID, work: OwnOrAll) -> None:
    """Shut an installation out: its sessions and sockets end."""
    await sign_in.revoke_install(work, install_id, anybodys=work.actor.may(May.WRITE_PEOPLE))
