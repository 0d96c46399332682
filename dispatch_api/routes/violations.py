"""Violations: recorded by officers, listed and imported at the centre, counted as heat."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel

from core.actor import Actor, May
from core.errors import NotFound
from core.work import Work, open_work
from dispatch_api import uploads
from dispatch_api.deps import After, GetState, Limit, allow, working
from dispatch_api.idempotent import once
from dispatch_api.violation_queries import Wanted
from geo import heat, violation_import, violations
from geo.counted import by_category
from geo.heat_scale import Scales
from mobile_contract.fields import Line
from mobile_contract.violations import Violation, ViolationIn, Violations
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


@router.post("", status_code=201, response_model=Violation)
async def record(body: ViolationIn, response: Response, work: Recording, state: GetState) -> Any:
    """Record a violation; the unit is that of the officer's active shift."""
    area = violations.parse_area(state.settings.operating_bbox)

    async def effect() -> Violation:
        return Violation.model_validate(await violations.record(work, body.model_dump(), area))

    return await once(work, response, "violations.record", body.id, body, effect, status=201)


@router.get("", response_model=Violations)
async def listed(work: Reading, wanted: Wanted, limit: Limit = 100, after: After = None) -> Any:
    """Violations, the latest first; officers get their own."""
    features, following = await violations.listed(work, wanted, limit=limit, after=after)
    return {"features": features, "next": following}


@router.get("/categories", response_model=list[CategoryOut])
async def categories(work: Counting, wanted: Wanted) -> Any:
    """Every registered category with its number of violations, the most frequent first."""
    return [{"category": category, "n": n} for category, n in await by_category(work, wanted)]


@router.post(
    "/import",
    response_model=ImportOut | QueuedOut,
    responses={202: {"model": QueuedOut}},
    openapi_extra=uploads.body_of(*uploads.LIMITS),
)
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
