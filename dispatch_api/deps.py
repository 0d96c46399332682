"""What routes ask for: who acts, a unit of work, a checked bounding box, a page of a list."""

import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from core.actor import Actor, May
from core.audit import Action
from core.errors import Malformed, NotAllowed
from core.work import Work, open_work
from dispatch_api import access
from dispatch_api.state import State, state_of
from mobile_contract.fields import OptionalLine

MAX_PAGE = 500
CLOCK_OFF_S, MOST_OFF_S = 120, 2**31 - 1
ASKED_AT = "outrider.asked_at"
"""Where a request's scope says since when it is dealt with: however slowly its body came."""


async def get_state(request: Request) -> State:
    """The parts of this server process. Like every dependency not a plain function: those run in threads."""
    return state_of(request)


async def get_actor(request: Request) -> Actor:
    """The person behind the request; raises NotSignedIn, or Csrf for a cookie without its token."""
    request.scope[ASKED_AT] = time.monotonic()
    return await access.actor_of(request)


def allow(*what: May) -> Callable[..., Any]:
    """A dependency that gives the actor when the roles have one of these; without any, whoever is signed in.

    Raises NotAllowed (403) otherwise, and writes the denial down.
    """

    async def allowed(
        request: Request, actor: Annotated[Actor, Depends(get_actor)], state: Annotated[State, Depends(get_state)]
    ) -> Actor:
        if what and not actor.permissions.intersection(what):
            async with open_work(state.engine, actor) as work:
                work.audit(Action.DENIAL, "route", None, method=request.method, path=request.url.path)
            raise NotAllowed
        return actor

    return allowed


def working(*what: May) -> Any:
    """`work: Annotated[Work, working(May.X)]`: a unit of work of an actor who may do X (or one of several).

    It commits before the response is sent, so that a 2xx means committed.
    """

    async def get_work(
        request: Request, actor: Annotated[Actor, Depends(allow(*what))], state: Annotated[State, Depends(get_state)]
    ) -> AsyncIterator[Work]:
        async with open_work(state.engine, actor, state.bus, asked_at=request.scope.get(ASKED_AT)) as work:
            work.clock_off_s = _clock_off_s(request, work)
            yield work

    return Depends(get_work, scope="function")


def _clock_off_s(request: Request, work: Work) -> int | None:
    """How wrong the device's clock is by what it says of the moment of sending; None within 2 min, or unsaid."""
    try:
        said = datetime.fromisoformat(request.headers.get("X-Device-Time", ""))
        off_s = round((said - work.now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
    return max(-MOST_OFF_S, min(MOST_OFF_S, off_s)) if abs(off_s) > CLOCK_OFF_S else None


@dataclass(frozen=True)
class Bbox:
    """A box in WGS-84 degrees."""

    min_lon: float
    min_lat: float
    max_lon: float
    max_lat: float


def parse_bbox(text: str) -> Bbox:
    """The box of `min_lon,min_lat,max_lon,max_lat`; raises Malformed."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError as error:
        raise Malformed("bbox must be min_lon,min_lat,max_lon,max_lat") from error
    finite = all(map(math.isfinite, (west, south, east, north)))
    if not (finite and -180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise Malformed("bbox must lie within -180,-90,180,90, west before east, south before north")
    return Bbox(west, south, east, north)


async def _bbox(bbox: Annotated[str | None, Query(max_length=200)] = None) -> Bbox | None:
    return None if bbox is None else parse_bbox(bbox)


OptionalBbox = Annotated[Bbox | None, Depends(_bbox)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
After = Annotated[OptionalLine | None, Query()]
GetState = Annotated[State, Depends(get_state)]
GetActor = Annotated[Actor, Depends(get_actor)]
