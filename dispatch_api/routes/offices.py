"""Customs offices."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from geoalchemy2.shape import to_shape
from shapely.geometry import mapping

from core import people
from core.actor import May
from core.models import Office
from core.work import Work
from dispatch_api.deps import After, Limit, working
from dispatch_api.idempotent import once
from dispatch_api.paging import Page
from mobile_contract.fields import Code, Edge, Line, Out

router = APIRouter(tags=["people"])
Writing = Annotated[Work, working(May.WRITE_OFFICES)]
Reading = Annotated[Work, working(May.READ_OFFICES)]


class OfficeIn(Edge):
    """An office to make; its boundary is a GeoJSON Polygon or MultiPolygon of at most 1,000 vertices."""

    id: UUID | None = None
    code: Code
    name: Line
    boundary: dict[str, Any] | None = None


class OfficeOut(Out):
    """An office."""

    id: UUID
    code: str
    name: str
    boundary: dict[str, Any] | None


def _out(office: Office) -> OfficeOut:
    area = None if office.boundary is None else mapping(to_shape(office.boundary))
    return OfficeOut(id=office.id, code=office.code, name=office.name, boundary=area)


@router.post("/offices", status_code=201, response_model=OfficeOut)
async def create(body: OfficeIn, response: Response, work: Writing) -> Any:
    """Make an office."""

    async def effect() -> OfficeOut:
        return _out(await people.create_office(work, body.code, body.name, body.boundary, body.id))

    return await once(work, response, "offices.create", body.id, body, effect, status=201)


@router.get("/offices", response_model=Page[OfficeOut])
async def listed(work: Reading, limit: Limit = 100, after: After = None) -> Any:
    """Offices, by code."""
    page, following = await people.list_offices(work, limit, after)
    return {"items": [_out(office) for office in page], "next": following}
