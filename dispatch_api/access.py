"""Who is behind a request or a socket: bearer token or cookie, CSRF token, allowed origins, and the real address."""

from functools import lru_cache
from ipaddress import ip_address, ip_network
from secrets import compare_digest
from urllib.parse import urlsplit

from fastapi import Response
from starlette.requests import HTTPConnection

from core import sign_in
from core.actor import Actor
from core.audit import Action
from core.errors import Csrf, NotSignedIn
from core.settings import Settings
from core.sign_in import Found
from core.work import open_work
from dispatch_api.state import State, state_of

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def cookie_name(settings: Settings) -> str:
    """`__Host-outrider` where the browser demands TLS for it; `outrider` on plain loopback HTTP."""
    return "__Host-outrider" if settings.tls or settings.trusted_proxies else "outrider"


def set_cookie(response: Response, settings: Settings, token: str) -> None:
    """Give the browser the session: unreadable for scripts, never sent from other sites."""
    secure = cookie_name(settings).startswith("__Host-")
    age_s = int(sign_in.SESSION.total_seconds())
    response.set_cookie(
        cookie_name(settings), token, max_age=age_s, path="/", secure=secure, httponly=True, samesite="strict"
    )


def drop_cookie(response: Response, settings: Settings) -> None:
    """Take the session from the browser."""
    secure = cookie_name(settings).startswith("__Host-")
    response.delete_cookie(cookie_name(settings), path="/", secure=secure, httponly=True, samesite="strict")


@lru_cache(maxsize=16)
def _networks(listed: str) -> tuple[object, ...]:
    return tuple(ip_network(part.strip(), strict=False) for part in listed.split(",") if part.strip())


def client_address(connection: HTTPConnection, settings: Settings) -> str:
    """The client's address: the peer's, or what a trusted proxy says it forwarded for."""
    peer = connection.client.host if connection.client else ""
    if not through_proxy(connection, settings):
        return peer
    forwarded = [part.strip() for part in connection.headers.get("x-forwarded-for", "").split(",") if part.strip()]
    return next((address for address in reversed(forwarded) if not _trusted(address, settings)), peer)


def through_proxy(connection: HTTPConnection, settings: Settings) -> bool:
    """Whether the request came through one of OUTRIDER_TRUSTED_PROXIES."""
    return bool(settings.trusted_proxies and connection.client and _trusted(connection.client.host, settings))


def _trusted(address: str, settings: Settings) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in _networks(settings.trusted_proxies))  # type: ignore[operator]


def origin_allowed(connection: HTTPConnection, settings: Settings) -> bool:
    """Whether the Origin is this server's own or one of OUTRIDER_ALLOWED_ORIGINS; False when there is none."""
    origin = connection.headers.get("origin", "")
    if not origin:
        return False
    if origin in {part.strip() for part in settings.allowed_origins.split(",")}:
        return True
    own = urlsplit(origin)
    return own.scheme in {"http", "https"} and own.netloc == connection.headers.get("host", "")


def refuse_foreign(connection: HTTPConnection, settings: Settings) -> None:
    """Nothing, or Csrf: a browser says that the request comes from another site."""
    if "origin" in connection.headers and not origin_allowed(connection, settings):
        raise Csrf


def bearer(connection: HTTPConnection) -> str | None:
    """The bearer token of the request, or None."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


async def session_of(connection: HTTPConnection) -> Found:
    """The session behind a request. A cookie also needs the CSRF token and an own Origin for unsafe methods.

    Raises NotSignedIn, Csrf.
    """
    state = state_of(connection)
    token = bearer(connection)
    by_cookie = token is None
    if by_cookie:
        token = connection.cookies.get(cookie_name(state.settings))
    if not token or len(token) > 200:
        raise NotSignedIn
    address = client_address(connection, state.settings)
    request_id = connection.scope.get("request_id", "")
    found = await sign_in.find(state.engine, token, address=address, request_id=request_id)
    if by_cookie and connection.scope.get("method", "GET") not in SAFE:
        await _check_own_page(connection, state, found)
    connection.scope["outrider.actor"] = found.actor
    return found


async def _check_own_page(connection: HTTPConnection, state: State, found: Found) -> None:
    """Nothing, or Csrf, written down: the request comes by cookie and not from a page of this server."""
    given = connection.headers.get("x-csrf-token", "").encode("utf-8", "replace")
    try:
        if not compare_digest(given, found.csrf_token.encode()):
            raise Csrf
        refuse_foreign(connection, state.settings)
    except Csrf:
        async with open_work(state.engine, found.actor) as work:
            work.audit(Action.DENIAL, "csrf", None, method=connection.scope["method"], path=connection.url.path)
        raise


async def actor_of(connection: HTTPConnection) -> Actor:
    """The person behind a request; raises NotSignedIn, Csrf."""
    return (await session_of(connection)).actor
