"""Violations: recorded by officers, listed and imported at the centre, counted as heat."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel

from core.actor import Actor, May
from core.codes import GOODS_CATEGORY, METHOD
from core.errors import NotFound
from core.work import Work, open_work
from dispatch_api import uploads
from dispatch_api.deps import After, GetState, Limit, allow, working
from dispatch_api.idempotent import once
from dispatch_api.violation_queries import Wanted
from geo import heat, violation_import, violations
from geo.counted import by_category
from geo.heat_scale import Scales
from mobile_contract.fields import AccuracyM, Body, Edge, Lat, Line, Lon, Moment, MomentOut, Money, Out, Quantity
from web_map import heat_tile

router = APIRouter(prefix="/violations", tags=["violations"])
Recording = Annotated[Work, working(May.RECORD_VIOLATIONS)]
Reading = Annotated[Work, working(May.READ_VIOLATIONS)]
Counting = Annotated[Work, working(May.READ_VIOLATIONS, May.READ_ANALYSIS)]
Analysing = Annotated[Work, working(May.READ_ANALYSIS)]
Importer = Annotated[Actor, Depends(allow(May.IMPORT_VIOLATIONS))]
SCALES = Scales()
"""Of this process; holds nothing but counts, kept for a minute."""
Zoom = Annotated[int | None, Query(ge=0, le=22)]


class ViolationIn(Edge):
    """A violation as its officer records it; unit and task are theirs."""

    id: UUID | None = None
    category: Line
    occurred_at: Moment
    lon: Lon
    lat: Lat
    accuracy_m: AccuracyM | None = None
    coord_source: Literal["gps", "map", "address", "office", "import"]
    method: Literal[METHOD] | None = None  # type: ignore[valid-type]  # a tuple constant is fine at run time
    goods_category: Literal[GOODS_CATEGORY] | None = None  # type: ignore[valid-type]
    quantity: Quantity | None = None
    evaded_duties_eur: Money | None = None
    note: Body | None = None
    task_id: UUID | None = None


class Properties(Out):
    """A violation without its place."""

    id: UUID
    category: str
    occurred_at: MomentOut
    recorded_at: MomentOut
    accuracy_m: float | None
    coord_source: str
    in_area: bool
    method: str | None
    goods_category: str | None
    quantity: float | None
    evaded_duties_eur: float | None
    note: str | None
    task_id: UUID | None
    unit_id: UUID | None
    recorded_by: UUID | None
    source: str
    external_id: str | None
    version: int
    corrected_at: MomentOut | None


class Point(BaseModel):
    """A GeoJSON point: lon, lat."""

    type: Literal["Point"]
    coordinates: tuple[float, float]


class ViolationOut(BaseModel):
    """A violation as a GeoJSON feature."""

    type: Literal["Feature"]
    id: UUID
    geometry: Point
    properties: Properties


class ViolationsOut(BaseModel):
    """A page of violations as GeoJSON; `next` is a foreign member."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[ViolationOut]
    next: str | None


class CategoryOut(BaseModel):
    """A category and its number of violations."""

    category: str
    n: int


class LeftOut(BaseModel):
    """How many the counts leave out: place known to over 500 m only, or recorded at the office."""

    accuracy: int
    office: int


class HeatOut(BaseModel):
    """Counts by cell as [lon, lat, n] of the cells' middles; `cell_m` is in Web-Mercator metres.

    `top` is where the colours end, the same wherever this filter is looked at with cells of this size.
    """

    cell_m: float
    cells: list[tuple[float, float, int]]
    total: int
    max_n: int
    top: int
    left_out: LeftOut


class HotCell(BaseModel):
    """One of the cells with most violations, and its share of all counted."""

    rank: int
    lon: float
    lat: float
    n: int
    share: float


class HotCellsOut(BaseModel):
    """The top cells; `total` is the heat's."""

    cell_m: float
    items: list[HotCell]
    total: int
    left_out: LeftOut


class Refused(BaseModel):
    """A line (of GeoJSON: the number of the feature) that was not stored, and why."""

    line: int
    code: str
    detail: str


class ImportOut(BaseModel):
    """What became of a file's rows; `rejected` lists at most 1,000 of `rejected_total`."""

    accepted: int
    duplicates: int
    rejected_total: int
    rejected: list[Refused]
    ignored_columns: list[str]
    new_categories: list[str]


class QueuedOut(BaseModel):
    """The job that imports a long file: see GET /jobs/{id}."""

    job_id: UUID


@router.post("", status_code=201, response_model=ViolationOut)
async def record(body: ViolationIn, response: Response, work: Recording, state: GetState) -> Any:
    """Record a violation; the unit is that of the officer's active shift."""
    area = violations.parse_area(state.settings.operating_bbox)

    async def effect() -> ViolationOut:
        return ViolationOut.model_validate(await violations.record(work, body.model_dump(), area))

    return await once(work, response, "violations.record", body.id, body, effect, status=201)


@router.get("", response_model=ViolationsOut)
async def listed(work: Reading, wanted: Wanted, limit: Limit = 100, after: After = None) -> Any:
    """Violations, the latest first; officers get their own."""
    features, following = await violations.listed(work, wanted, limit=limit, after=after)
    return {"features": features, "next": following}


@router.get("/categories", response_model=list[CategoryOut])
async def categories(work: Counting, wanted: Wanted) -> Any:
    """Every registered category with its number of violations, the most frequent first."""
    return [{"category": category, "n": n} for category, n in await by_category(work, wanted)]


@router.post("/import", response_model=ImportOut | QueuedOut, responses={202: {"model": QueuedOut}})
async def import_file(
    request: Request,
    response: Response,
    actor: Importer,
    state: GetState,
    source: Line = "import",
    client_id: Annotated[UUID | None, Query(alias="id")] = None,
) -> Any:
    """Import `text/csv` or `application/geo+json`; over 10,000 rows by a job. The same file again adds nothing."""
    async with uploads.received(request, state.settings.data_dir / "imports") as upload:
        rows, ignored = await upload.rows(source)
        area = violations.parse_area(state.settings.operating_bbox)
        async with open_work(state.engine, actor, state.bus) as work:

            async def effect() -> Any:
                if rows is not None:
                    batch = violation_import.Batch(source, actor.id, area)
                    return await violation_import.store_now(work, batch, rows, ignored)
                upload.keep()
                return {"job_id": violation_import.queue(work, upload.file.name, upload.media_type, source)}

            status = 202 if rows is None else 200
            return await once(work, response, "violations.import", client_id, upload.key(source), effect, status=status)


@router.get("/heat", response_model=HeatOut)
async def heat_cells(work: Analysing, wanted: Wanted, response: Response, zoom: Zoom = None) -> Any:
    """Counts by cell, about 8 pixels wide at `zoom`, at most 20,000 of them."""
    response.headers["Cache-Control"] = "private, no-cache"  # an import shows at once
    found = await heat.consulted(work, wanted, zoom)
    top = await SCALES.top(work, wanted, found.shift)
    return {"cell_m": found.cell_m, "cells": found.placed(), "total": found.total, "max_n": found.max_n, "top": top,
            "left_out": found.left_out}  # fmt: skip


@router.get("/hotcells", response_model=HotCellsOut)
async def hot_cells(
    work: Analysing, wanted: Wanted, zoom: Zoom = None, limit: Annotated[int, Query(ge=1, le=500)] = 20
) -> Any:
    """The cells with most violations."""
    found = await heat.consulted(work, wanted, zoom)
    return {"cell_m": found.cell_m, "items": heat.hot_cells(found, limit), "total": found.total,
            "left_out": found.left_out}  # fmt: skip


@router.get("/heat/{z}/{x}/{y}.png", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def heat_picture(
    work: Analysing,
    wanted: Wanted,
    z: Annotated[int, Path(ge=0, le=heat_tile.MAX_ZOOM)],
    x: Annotated[int, Path(ge=0)],
    y: Annotated[int, Path(ge=0)],
) -> Response:
    """The heat as a map tile of 256 pixels; 404 outside the world."""
    if max(x, y) >= 2**z:
        raise NotFound
    picture = await heat_tile.draw(work, wanted, SCALES, z, x, y)
    return Response(picture, media_type="image/png", headers={"Cache-Control": "private, max-age=60"})
