"""Signing in and out, who is signed in, passwords, socket tickets."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from core import sign_in
from core.settings import Settings
from core.sign_in import Claim, Found, Limits
from core.work import Work
from dispatch_api import access, qr
from dispatch_api.deps import GetActor, GetState, working
from mobile_contract.session import FactorIn, FactorOut, MeOut, PasswordIn, SessionIn, SessionOut, TicketOut

router = APIRouter(tags=["session"])
SignedIn = Annotated[Work, working()]


def _limits(settings: Settings) -> Limits:
    return Limits(settings.login_tries_account, settings.login_tries_address)


@router.post("/session", status_code=201, response_model=SessionOut)
async def open_session(body: SessionIn, request: Request, response: Response, state: GetState) -> Any:
    """Sign in; the session is answered as a token and set as a cookie."""
    access.refuse_foreign(request, state.settings)
    secret = body.password if body.login is not None else body.pin
    claim = Claim(secret or "", body.login, body.install_id, body.credential or "", body.code)
    opened = await sign_in.enter(
        state.engine, access.client_address(request, state.settings), claim, _limits(state.settings),
        must_have_factor=state.settings.must_have_factor, bus=state.bus, request_id=request.scope.get("request_id", ""),
    )  # fmt: skip
    access.set_cookie(response, state.settings, opened.token)
    offline = opened.offline_key and {"offline_key": opened.offline_key, "offline_until": opened.expires_at}
    return {"token": opened.token, "expires_at": opened.expires_at, "user": opened.user, "offline": offline}


@router.post("/session/factor", response_model=FactorOut)
async def begin_factor(body: FactorIn, request: Request, state: GetState) -> Any:
    """Begin to set up a second factor; it is asked for from its first right code on, given with a log-in."""
    access.refuse_foreign(request, state.settings)
    made = await sign_in.begin_factor(
        state.engine, access.client_address(request, state.settings), Claim(body.password, body.login),
        _limits(state.settings), request_id=request.scope.get("request_id", ""),
    )  # fmt: skip
    return {"secret": made.secret, "uri": made.uri, "uri_svg": qr.drawn(made.uri)}


@router.get("/me", response_model=MeOut)
async def me(found: Annotated[Found, Depends(access.session_of)], state: GetState) -> Any:
    """Who is signed in."""
    actor = found.actor
    standing = await sign_in.standing(state.engine, actor)
    return {
        "id": actor.user_id, "login": actor.login, "name": actor.name, "roles": sorted(actor.roles),
        "office_id": actor.office_id, "unit_id": found.unit_id, "shift_id": found.shift_id,
        "csrf_token": found.csrf_token,
        "has_factor": standing.has_factor, "must_change_password": standing.must_change_password,
        "permissions": sorted(actor.permissions),
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
