"""Where units are: latest positions, tracks, and the nearest units."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Actor, May
from core.codes import CAPABILITY_PATTERN, CONSULTATION_REASON
from core.work import Work, open_work
from dispatch_api.deps import GetState, Limit, OptionalBbox, allow, working
from geo import where
from geo.track_files import FORMATS
from geo.where import Track, TrackFix, Why
from mobile_contract.fields import Lat, Lon, Moment, MomentOut, OptionalLine

router = APIRouter(tags=["positions"])
Since = Annotated[Moment | None, Query(alias="from")]
Until = Annotated[Moment | None, Query(alias="to")]
Capability = Annotated[str | None, Query(pattern=CAPABILITY_PATTERN, max_length=40)]


class Properties(BaseModel):
    """A unit on duty and its newest plausible fix."""

    unit_id: UUID
    call_sign: str
    kind: str
    status: str
    fix_at: MomentOut
    received_at: MomentOut
    age_s: float
    accuracy_m: float | None
    speed_mps: float | None
    heading_deg: float | None
    suspect: bool


class Point(BaseModel):
    """A GeoJSON point: lon, lat."""

    type: Literal["Point"]
    coordinates: tuple[float, float]


class PositionOut(BaseModel):
    """Where a unit is, as a GeoJSON feature."""

    type: Literal["Feature"]
    id: UUID
    geometry: Point
    properties: Properties


class PositionsOut(BaseModel):
    """Where units are; always all of them, so `next` is null."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[PositionOut]
    next: None = None


class Reason(BaseModel):
    """One rule, and whether the unit meets it."""

    code: Literal["on_shift", "available", "capability", "fresh"]
    fits: bool
    text: str


class NearUnit(BaseModel):
    """A unit on duty: how far it is, and whether it fits."""

    unit_id: UUID
    call_sign: str
    distance_m: float
    travel_s: float = Field(description="estimate: 1.3 x the straight distance at 60 km/h")
    fix_at: MomentOut
    age_s: float
    status: str
    fits: bool
    reasons: list[Reason]


class NearestOut(BaseModel):
    """The nearest units, and why none of all on duty fits."""

    items: list[NearUnit]
    shortfalls: list[str]


class DeviceEventOut(BaseModel):
    """What a device told beside where it was; `suspect`: the place is not to be trusted."""

    device_id: UUID
    event: str
    fix_at: MomentOut
    received_at: MomentOut
    point: Point | None
    suspect: bool


class DeviceEventsOut(BaseModel):
    """The newest events of a period."""

    items: list[DeviceEventOut]
    next: None = None


@router.get("/positions/latest", response_model=PositionsOut)
async def latest(work: Annotated[Work, working(May.READ_LIVE)], bbox: OptionalBbox) -> Any:
    """The newest place of every unit on duty; officers get their own units."""
    box = (bbox.min_lon, bbox.min_lat, bbox.max_lon, bbox.max_lat) if bbox else None
    return {"features": await where.latest(work, box)}


@router.get("/units/nearest", response_model=NearestOut)
async def nearest(
    work: Annotated[Work, working(May.FIND_NEAREST)],
    lon: Lon,
    lat: Lat,
    capability: Capability = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Any:
    """The units on duty nearest to a place, the nearest first whether they fit or not."""
    items, shortfalls = await where.nearest(work, lon, lat, capability, limit)
    return {"items": items, "shortfalls": shortfalls}


@router.get("/units/{unit_id}/events", response_model=DeviceEventsOut)
async def events(
    unit_id: UUID,
    work: Annotated[Work, working(May.READ_TRACK, May.OWN_TRACK)],
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    reason_code: Literal[CONSULTATION_REASON] | None = None,  # type: ignore[valid-type]  # fine at run time
    reason: OptionalLine | None = None,
) -> Any:
    """What the unit's devices told beside where they were (ignition, power, alarms), the newest first.

    Of the last 24 hours unless said otherwise; to look further back needs a reason, as for a track.
    """
    found = await where.consult_events(work, unit_id, since, until, limit, Why(reason_code, reason))
    return {"items": found}


@router.get(
    "/units/{unit_id}/track",
    response_class=StreamingResponse,
    responses={200: {"content": {form.media_type.partition(";")[0]: {} for form in FORMATS.values()}}},
)
async def track(
    unit_id: UUID,
    actor: Annotated[Actor, Depends(allow(May.READ_TRACK, May.OWN_TRACK))],
    state: GetState,
    since: Since = None,
    until: Until = None,
    format: Literal["geojson", "csv", "gpx", "kml"] = "geojson",
    include_suspect: bool = False,
    reason_code: Literal[CONSULTATION_REASON] | None = None,  # type: ignore[valid-type]  # fine at run time
    reason: OptionalLine | None = None,
) -> StreamingResponse:
    """A unit's fixes by time, of 31 days at most and of the last 24 hours unless said otherwise.

    To look further back at a unit that is not one's own needs a reason; `other` needs words as well.
    """
    async with open_work(state.engine, actor) as work:
        why = Why(reason_code, reason)
        asked = await where.consult_track(work, unit_id, since, until, include_suspect, format, why)
        first = await where.track_page(work, asked)
    headers = {
        "Content-Disposition": f'attachment; filename="track-{unit_id}.{format}"',
        "Cache-Control": "private, no-store",
    }
    text = _written(state.engine, actor, asked, format, first)
    return StreamingResponse(text, media_type=FORMATS[format].media_type, headers=headers)


async def _written(
    engine: AsyncEngine, actor: Actor, asked: Track, form: str, page: list[TrackFix]
) -> AsyncIterator[str]:
    """The file page by page, each read in a short transaction of its own."""
    writer = FORMATS[form]
    yield writer.head(asked.unit)
    between = ""
    while page:
        yield between + writer.between.join(writer.fix(asked.unit, fix) for fix in page)
        between = writer.between
        if len(page) < where.PAGE:
            break
        async with open_work(engine, actor) as work:
            page = await where.track_page(work, asked, page[-1])
    yield writer.tail
