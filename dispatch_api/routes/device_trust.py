"""How far devices can be trusted: ranked by trouble, and one by one."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from core.actor import May
from core.errors import Malformed
from core.work import Work
from dispatch_api.deps import After as AfterText
from dispatch_api.deps import Limit, working
from dispatch_api.paging import Page
from dispatch_api.routes.devices import Protocol
from geo import device_trust
from geo.device_trust import SERIES_DAYS, After, Filter
from geo.intervals import GAP_BOUNDS_S
from mobile_contract.fields import MomentOut, OptionalLine, Out

router = APIRouter(tags=["devices"])
Reading = Annotated[Work, working(May.READ_DEVICES)]
MAX_DAYS = 366


class ReasonOut(Out):
    """A trouble: what it measures (a share, seconds or percent) and how many points it costs."""

    code: str
    value: float
    points: int


class CountsOut(Out):
    """What a device sent and in what state it came; `gaps` by the classes that `gap_bounds_s` parts."""

    accepted: int
    duplicates: int
    off_duty: int
    rejected: int
    late: int
    jumps: int
    no_fix: int
    off_clock: int
    frozen: int
    unreadable: int
    skew_s: float | None
    silent_share: float | None
    battery_pct: float | None
    gaps: list[int]


class DayOut(CountsOut):
    """One UTC day."""

    day: date
    suspect: int


class TrustOut(CountsOut):
    """A device, its score of the last seven days (null when too little is known), and its days, the oldest first."""

    id: UUID
    protocol: str
    identifier: str | None
    interval_s: int | None
    unit_id: UUID | None
    call_sign: str | None
    office_id: UUID | None
    office: str | None
    on_duty: bool
    revoked_at: MomentOut | None
    seen_at: MomentOut | None
    about: str | None
    last_skew_s: float | None
    score: int | None
    reasons: list[ReasonOut]
    days: list[DayOut]


class TotalsOut(Out):
    """How many devices a filter has; troubled are those with a score below 80, unheard are silent while on duty."""

    devices: int
    troubled: int
    unheard: int
    unscored: int


class TrustPage(Page[TrustOut]):
    """A page of the ranking, what parts the classes of `gaps`, and totals over all pages."""

    totals: TotalsOut
    gap_bounds_s: list[int]


class TrustOneOut(TrustOut):
    """One device, and what parts the classes of `gaps`."""

    gap_bounds_s: list[int]


def _after(text: AfterText) -> After | None:
    try:
        score, _, device_id = (text or "").partition(":")
        return After(int(score), UUID(device_id)) if text else None
    except ValueError as error:
        raise Malformed("after must be the `next` of an earlier page") from error


@router.get("/devices/trust", response_model=TrustPage)
async def ranked(
    work: Reading, protocol: Protocol | None = None, office_id: UUID | None = None,
    q: Annotated[OptionalLine, Query()] = "", limit: Limit = 100, after: AfterText = None,
) -> Any:  # fmt: skip
    """Devices that are not revoked, the most troubled first; those of which too little is known last."""
    found = await device_trust.ranked(work, Filter(protocol, office_id, q.strip()), limit, _after(after))
    following = found.next and f"{found.next.score}:{found.next.device_id}"
    return {"items": found.items, "next": following, "totals": found.totals, "gap_bounds_s": GAP_BOUNDS_S}


@router.get("/devices/{device_id}/trust", response_model=TrustOneOut)
async def one(device_id: UUID, work: Reading, days: Annotated[int, Query(ge=1, le=MAX_DAYS)] = SERIES_DAYS) -> Any:
    """One device, with so many days."""
    return await device_trust.one(work, device_id, days) | {"gap_bounds_s": GAP_BOUNDS_S}
