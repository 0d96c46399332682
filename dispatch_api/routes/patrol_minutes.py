"""How long units were where: minutes by cell and day, without units."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from core.actor import May
from core.work import Work
from dispatch_api.deps import OptionalBbox, working
from geo import patrol_minutes
from mobile_contract.fields import Out

router = APIRouter(tags=["analysis"])


class PatrolOut(Out):
    """Minutes by cell as [lon, lat, minutes] of the cells' middles.

    `few` are those of the cells that too few units were in, null when that is too few even together.
    """

    cell_m: float = Field(description="width of a cell in Web-Mercator metres")
    cells: list[tuple[float, float, float]]
    few: float | None
    total: float
    counted_to: date | None = Field(description="the newest UTC day that is counted")


@router.get("/patrol-minutes", response_model=PatrolOut)
async def read(
    work: Annotated[Work, working(May.READ_PATROL)],
    since: Annotated[date, Query(alias="from")],
    until: Annotated[date, Query(alias="to")],
    bbox: OptionalBbox,
    zoom: Annotated[int | None, Query(ge=0, le=22)] = None,
) -> Any:
    """Minutes of units on shift, of local days from `from` until before `to`, in cells of about 8 pixels at `zoom`.

    A cell in which fewer than five units and days were counted is not shown by itself.
    """
    box = (bbox.min_lon, bbox.min_lat, bbox.max_lon, bbox.max_lat) if bbox else None
    return await patrol_minutes.read(work, since, until, box, zoom)
