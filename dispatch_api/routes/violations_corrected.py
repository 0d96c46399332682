"""One violation: as it stands, corrected by addendum, and every version it had.

This module is found after `violations`, whose paths of one word would else be taken for ids.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from core.actor import May
from core.codes import CORRECTION_REASON, GOODS_CATEGORY, METHOD, QUANTITY_UNIT
from core.work import Work
from dispatch_api.deps import GetState, working
from dispatch_api.idempotent import once
from geo import corrections, violations
from mobile_contract.fields import AccuracyM, Body, Edge, Lat, Line, Lon, Moment, MomentOut, Money, Out, Plate, Quantity
from mobile_contract.violations import Violation

router = APIRouter(prefix="/violations", tags=["violations"])
Reading = Annotated[Work, working(May.READ_VIOLATIONS)]
Correcting = Annotated[Work, working(May.CORRECT_VIOLATIONS)]


class ChangesIn(Edge):
    """The right values of what was wrong; null for what should not have been said."""

    category: Line | None = None
    occurred_at: Moment | None = None
    lon: Lon | None = None
    lat: Lat | None = None
    accuracy_m: AccuracyM | None = None
    coord_source: Literal["gps", "map", "address", "office", "import"] | None = None
    method: Literal[METHOD] | None = None  # type: ignore[valid-type]  # a tuple constant is fine at run time
    goods_category: Literal[GOODS_CATEGORY] | None = None  # type: ignore[valid-type]
    quantity: Quantity | None = None
    quantity_unit: Literal[QUANTITY_UNIT] | None = None  # type: ignore[valid-type]
    evaded_duties_eur: Money | None = None
    note: Body | None = None
    place_text: Line | None = None
    plate: Plate | None = None
    task_id: UUID | None = None


class CorrectionIn(Edge):
    """What was wrong with which version, and why."""

    id: UUID | None = None
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    reason_code: Literal[CORRECTION_REASON]  # type: ignore[valid-type]
    reason: Line
    changes: ChangesIn


class Corrected(Out):
    """Who corrected a version, when and why, and what they put."""

    id: UUID
    at: MomentOut
    by: UUID
    by_name: str
    reason_code: str
    reason: str
    changes: dict[str, Any]


class VersionOut(BaseModel):
    """One version of a violation; `corrected` is null for the one that stands."""

    version: int
    feature: Violation
    corrected: Corrected | None


class HistoryOut(BaseModel):
    """Every version, the original first."""

    items: list[VersionOut]


@router.get("/{violation_id}", response_model=Violation)
async def one(violation_id: UUID, work: Reading) -> Any:
    """One violation, as it stands; officers get their own."""
    return await corrections.read(work, violation_id)


@router.get("/{violation_id}/versions", response_model=HistoryOut)
async def versions(violation_id: UUID, work: Reading) -> Any:
    """Every version of a violation, the original first, and why each was corrected."""
    return {"items": await corrections.history(work, violation_id)}


@router.post("/{violation_id}/corrections", status_code=201, response_model=Violation)
async def correct(violation_id: UUID, body: CorrectionIn, response: Response, work: Correcting, state: GetState) -> Any:
    """Correct a violation by addendum; what it was stays readable."""
    area = violations.parse_area(state.settings.operating_bbox)
    changes = body.changes.model_dump(exclude_unset=True)

    async def effect() -> Violation:
        corrected = await corrections.correct(
            work, violation_id, body.version, changes, reason_code=body.reason_code, reason=body.reason, area=area
        )
        return Violation.model_validate(corrected)

    return await once(work, response, f"violations.correct:{violation_id}", body.id, body, effect, status=201)
