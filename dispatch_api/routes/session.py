"""Signing in and out, who is signed in, passwords, socket tickets."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field, model_validator

from core import sign_in
from core.settings import Settings
from core.sign_in import Claim, Found, Limits
from core.work import Work
from dispatch_api import access
from dispatch_api.deps import GetActor, GetState, working
from mobile_contract.fields import Edge, Line, MomentOut, OptionalLine, Out

router = APIRouter(tags=["session"])
SignedIn = Annotated[Work, working()]


class SessionIn(Edge):
    """Login and password; or an installation's id and credential with its PIN."""

    login: Line | None = None
    password: OptionalLine | None = None
    install_id: UUID | None = None
    credential: OptionalLine | None = None
    pin: OptionalLine | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "SessionIn":
        by_password = self.login is not None and self.password is not None
        by_install = self.install_id is not None and self.credential is not None and self.pin is not None
        if by_password == by_install:
            raise ValueError("give login and password, or install_id, credential and pin")
        return self


class UserBrief(Out):
    """A person, shortly."""

    id: UUID
    login: str
    name: str
    roles: list[str]


class SessionOut(Out):
    """A new session; the token goes into `Authorization: Bearer`."""

    token: str
    expires_at: MomentOut
    user: UserBrief


class MeOut(UserBrief):
    """The signed-in person, their unit and shift of now, and what their roles give."""

    office_id: UUID | None
    unit_id: UUID | None
    shift_id: UUID | None
    csrf_token: str
    permissions: list[str]


class PasswordIn(Edge):
    """The old password and the new one."""

    old: OptionalLine
    new: Annotated[OptionalLine, Field(min_length=1)]


class TicketOut(Out):
    """A ticket for one socket."""

    ticket: str
    expires_at: MomentOut


def _limits(settings: Settings) -> Limits:
    return Limits(settings.login_tries_account, settings.login_tries_address)


@router.post("/session", status_code=201, response_model=SessionOut)
async def open_session(body: SessionIn, request: Request, response: Response, state: GetState) -> Any:
    """Sign in; the session is answered as a token and set as a cookie."""
    access.refuse_foreign(request, state.settings)
    secret = body.password if body.login is not None else body.pin
    claim = Claim(secret or "", body.login, body.install_id, body.credential or "")
    address = access.client_address(request, state.settings)
    opened = await sign_in.enter(
        state.engine, address, claim, _limits(state.settings), request_id=request.scope.get("request_id", "")
    )
    access.set_cookie(response, state.settings, opened.token)
    return {"token": opened.token, "expires_at": opened.expires_at, "user": opened.user}


@router.get("/me", response_model=MeOut)
async def me(found: Annotated[Found, Depends(access.session_of)]) -> Any:
    """Who is signed in."""
    actor = found.actor
    return {
        "id": actor.user_id, "login": actor.login, "name": actor.name, "roles": sorted(actor.roles),
        "office_id": actor.office_id, "unit_id": found.unit_id, "shift_id": found.shift_id,
        "csrf_token": found.csrf_token, "permissions": sorted(actor.permissions),
    }  # fmt: skip


@router.delete("/session", status_code=204)
async def close_session(work: SignedIn, state: GetState) -> Response:
    """Sign out: the session and its sockets end."""
    await sign_in.close_session(work)
    response = Response(status_code=204)
    access.drop_cookie(response, state.settings)
    return response


@router.post("/session/password", status_code=204)
async def change_password(body: PasswordIn, actor: GetActor, state: GetState) -> None:
    """Change the own password; other sessions end."""
    await sign_in.change_password(state.engine, state.bus, actor, body.old, body.new, _limits(state.settings))


@router.post("/session/socket-ticket", response_model=TicketOut)
async def socket_ticket(work: SignedIn) -> Any:
    """A ticket that opens one socket within 30 s, for clients that cannot send headers."""
    ticket, expires_at = await sign_in.make_ticket(work)
    return {"ticket": ticket, "expires_at": expires_at}
