"""Legal holds: what retention leaves alone, and what it would delete."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from core import holds
from core.actor import May
from core.work import Work
from dispatch_api import retention
from dispatch_api.deps import After, GetState, Limit, working
from dispatch_api.idempotent import once
from dispatch_api.paging import Page, id_after
from mobile_contract.fields import Edge, Line, Moment, MomentOut, Out
from mobile_contract.resources import GeoPolygon

router = APIRouter(tags=["retention"])
Placing = Annotated[Work, working(May.PLACE_HOLDS)]
Kind = Literal["unit", "person", "task", "violation", "area"]


class HoldIn(Edge):
    """What to hold: an object, whose positions `from` and `to` narrow; or what lies in an area in a time."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: UUID | None = None
    kind: Kind
    object_id: UUID | None = None
    since: Annotated[Moment | None, Field(alias="from")] = None
    until: Annotated[Moment | None, Field(alias="to")] = None
    area: GeoPolygon | None = None
    reason: Line
    reference: Line | None = None
    ends_at: Moment | None = None


class ReleaseIn(Edge):
    """Why a hold is no longer needed."""

    id: UUID | None = None
    reason: Line


class HoldOut(Out):
    """A hold; `active` until it is released or its end has come."""

    model_config = ConfigDict(from_attributes=True, populate_by_name=True)

    id: UUID
    kind: Kind
    object_id: UUID | None
    since: Annotated[MomentOut | None, Field(alias="from")]
    until: Annotated[MomentOut | None, Field(alias="to")]
    area: dict[str, Any] | None
    reason: str
    reference: str | None
    active: bool
    placed_by: UUID
    placed_at: MomentOut
    ends_at: MomentOut | None
    released_by: UUID | None
    released_at: MomentOut | None
    release_reason: str | None


class ClassOut(BaseModel):
    """One class of records: what came before `before` is past its time; `due` rows of it would go, `held` stay."""

    name: str
    before: MomentOut
    due: int
    held: int
    oldest: MomentOut | None


class RetentionOut(BaseModel):
    """What retention would delete now."""

    as_of: MomentOut
    classes: list[ClassOut]


@router.get("/retention", response_model=RetentionOut)
async def dry_run(work: Annotated[Work, working(May.READ_RETENTION)], state: GetState) -> Any:
    """What of each class is past its time now, and what of that is held; deletes nothing."""
    found = await retention.tallies(work, state.settings)
    return {"as_of": work.now, "classes": [retention.resource(*line) for line in found]}


@router.post("/holds", status_code=201, response_model=HoldOut)
async def place(body: HoldIn, response: Response, work: Placing) -> Any:
    """Hold something, from now on."""

    async def effect() -> HoldOut:
        values = {name: getattr(body, name) for name in HoldIn.model_fields if name != "id"}
        return HoldOut.model_validate(holds.resource(work, await holds.place(work, **values, hold_id=body.id)))

    return await once(work, response, "holds.place", body.id, body, effect, status=201)


@router.get("/holds", response_model=Page[HoldOut])
async def listed(
    work: Annotated[Work, working(May.READ_HOLDS)], active: bool | None = None, limit: Limit = 100, after: After = None
) -> Any:
    """Holds, newest first; investigators get their own."""
    page, following = await holds.listed(work, active=active, limit=limit, after=id_after(after))
    return {"items": page, "next": following and str(following)}


@router.post("/holds/{hold_id}/release", response_model=HoldOut)
async def release(hold_id: UUID, body: ReleaseIn, response: Response, work: Placing) -> Any:
    """Let retention have it again."""

    async def effect() -> HoldOut:
        return HoldOut.model_validate(holds.resource(work, await holds.release(work, hold_id, body.reason)))

    return await once(work, response, f"holds.release:{hold_id}", body.id, body, effect)
