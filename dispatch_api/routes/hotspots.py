"""Hotspot runs: where violations are to be expected, how many, how surely, and why."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from core.actor import May
from core.work import Work
from dispatch_api.deps import working
from dispatch_api.idempotent import Once, once
from geo.hotspots import runs
from mobile_contract.fields import Lat, Line, Lon, Moment, MomentOut
from mobile_contract.shapes import GeoPolygon

router = APIRouter(prefix="/hotspot-runs", tags=["analysis"])
Analysing = Annotated[Work, working(May.READ_ANALYSIS)]
MOST_ASKED = 100_000


class HotspotRunIn(Once):
    """What is to be forecast from which history: the next `horizon_days` from `to` on.

    `area_share` of the study area is chosen: cells of a grid, or squares as large placed freely. With `score_at`,
    each [id, lon, lat] gets the score of the cell around it, and these cells are the study area.
    """

    since: Moment = Field(alias="from")
    until: Moment = Field(alias="to")
    horizon_days: Annotated[float, Field(ge=1, le=365, allow_inf_nan=False)]
    cell_m: Annotated[float, Field(ge=50, le=5_000, allow_inf_nan=False)]
    area_share: Annotated[float, Field(gt=0, le=0.25, allow_inf_nan=False)]
    method: Literal["eb", "eb_per_hour"] = "eb"
    placement: Literal["grid", "free"] = "grid"
    area: GeoPolygon | None = None
    categories: Annotated[list[Line], Field(max_length=50)] = []
    score_at: Annotated[list[tuple[Line, Lon, Lat]], Field(min_length=1, max_length=MOST_ASKED)] | None = None


class HotspotRunQueued(BaseModel):
    """The run: see GET /hotspot-runs/{id}."""

    id: UUID


class Interval(BaseModel):
    """A count to be expected, and its central 90 % interval."""

    mean: float
    lo: float
    hi: float


class Constants(BaseModel):
    """How quickly the past fades, how far neighbours are asked, and how many events they count as."""

    half_life_days: float
    bandwidth_m: float
    strength: float


class HotspotRun(BaseModel):
    """A run as it was asked for, how far it is, and what it found; `total` is that of the chosen places together."""

    id: UUID
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float
    created_at: MomentOut
    finished_at: MomentOut | None
    since: MomentOut = Field(alias="from")
    until: MomentOut = Field(alias="to")
    horizon_days: float
    cell_m: float
    area_share: float
    method: str
    placement: str
    categories: list[str]
    code: str | None = Field(None, description="why it failed: too_few, too_fine, too_many_events")
    detail: str | None = Field(None, description="the same in words")
    total: Interval | None = None
    events: int | None = Field(None, description="violations it was made from")
    outside: int | None = Field(None, description="of them, those that lie outside the study area")
    study_cells: int | None = None
    windows: int | None = Field(None, description="past windows by which the intervals were widened")
    constants: Constants | None = None


class Square(BaseModel):
    """A GeoJSON polygon of one ring."""

    type: Literal["Polygon"]
    coordinates: list[list[tuple[float, float]]]


class PlaceProperties(BaseModel):
    """`n` lay there; `mean` are expected, with a 90 % chance `lo` to `hi`; `gi_z`, `trend` and `class` say why.

    `exposure_h` are hours of patrol, for who may read them.
    """

    id: str | None = None
    score: float
    mean: float
    lo: float
    hi: float
    rank: int
    n: int
    trend: float
    gi_z: float
    kind: str = Field(alias="class")
    exposure_h: float | None


class Place(BaseModel):
    """A chosen place, or one that was asked for."""

    type: Literal["Feature"]
    geometry: Square
    properties: PlaceProperties


class Places(BaseModel):
    """The places, the best first, or as they were asked for."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[Place]


@router.post("", status_code=202, response_model=HotspotRunQueued)
async def ask(body: HotspotRunIn, response: Response, work: Analysing) -> Any:
    """Ask for a forecast. It uses only what occurred before `to`."""

    async def effect() -> dict[str, UUID]:
        return {"id": runs.submit(work, body.model_dump(mode="json", by_alias=True, exclude={"id"}))}

    return await once(work, response, "hotspots.ask", body.id, body, effect, status=202)


@router.get("/{run_id}", response_model=HotspotRun)
async def one(run_id: UUID, work: Analysing) -> Any:
    """A run of one's own."""
    return await runs.get(work, run_id)


@router.get("/{run_id}/cells", response_model=Places)
async def cells(run_id: UUID, work: Analysing) -> Any:
    """Where it is to be expected; 409 `not_done` before the run is done."""
    return {"features": await runs.places(work, run_id)}


@router.post("/{run_id}/cancel", response_model=HotspotRun)
async def cancel(run_id: UUID, work: Analysing) -> Any:
    """End a run that nobody waits for any more; one that has ended stays as it is."""
    return await runs.cancel(work, run_id)
