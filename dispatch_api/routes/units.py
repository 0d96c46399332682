"""Units."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field, field_validator

from core import codes
from core.actor import May
from core.work import Work
from dispatch_api.deps import After, Limit, working
from dispatch_api.idempotent import once
from dispatch_api.paging import Page
from geo import units
from mobile_contract.duty import Unit
from mobile_contract.fields import Edge, Line, Version

router = APIRouter(tags=["units"])
Writing = Annotated[Work, working(May.WRITE_UNITS)]
Reading = Annotated[Work, working(May.READ_UNITS)]
Members = Annotated[list[UUID], Field(max_length=100)]
Capability = Annotated[str, Field(pattern=codes.CAPABILITY_PATTERN, max_length=40)]


def _known_kind(kind: str) -> str:
    if kind not in codes.UNIT_KIND:
        raise ValueError(f"must be one of {', '.join(codes.UNIT_KIND)}")
    return kind


class UnitIn(Edge):
    """A unit to make."""

    id: UUID | None = None
    call_sign: Line
    kind: str
    capabilities: Annotated[list[Capability], Field(max_length=50)] = []
    tracking: Literal["on_shift", "always"] = "on_shift"
    office_id: UUID | None = None
    members: Members = []
    deputy_unit_id: UUID | None = None

    _kind = field_validator("kind")(_known_kind)


class UnitChange(Edge):
    """What to change of a unit; `version` refuses the change when somebody was first."""

    version: Version | None = None
    call_sign: Line | None = None
    kind: str | None = None
    capabilities: Annotated[list[Capability], Field(max_length=50)] | None = None
    tracking: Literal["on_shift", "always"] | None = None
    office_id: UUID | None = None
    members: Members | None = None
    deputy_unit_id: UUID | None = None
    status: Literal["available", "break", "paperwork", "out_of_service"] | None = None

    _kind = field_validator("kind")(_known_kind)


@router.post("/units", status_code=201, response_model=Unit)
async def create(body: UnitIn, response: Response, work: Writing) -> Any:
    """Make a unit."""
    values = body.model_dump(exclude={"id", "members"})

    async def effect() -> Unit:
        return Unit.model_validate((await units.create(work, values, body.members, body.id)).resource())

    return await once(work, response, "units.create", body.id, body, effect, status=201)


@router.get("/units", response_model=Page[Unit])
async def listed(work: Reading, limit: Limit = 100, after: After = None) -> Any:
    """The units the caller may see, by call sign."""
    page, following = await units.listed(work, limit, after)
    return {"items": [view.resource() for view in page], "next": following}


@router.get("/units/{unit_id}", response_model=Unit)
async def one(unit_id: UUID, work: Reading) -> Any:
    """One unit."""
    return (await units.view(work, unit_id)).resource()


@router.patch("/units/{unit_id}", response_model=Unit)
async def change(unit_id: UUID, body: UnitChange, work: Writing) -> Any:
    """Change a unit."""
    values = body.model_dump(exclude_unset=True, exclude={"version", "members"})
    required = ("call_sign", "kind", "capabilities", "tracking", "status")
    values = {name: value for name, value in values.items() if value is not None or name not in required}
    return (await units.change(work, unit_id, values, body.members, body.version)).resource()
