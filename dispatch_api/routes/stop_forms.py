"""Records of stops and controls (mobile_contract/stop_forms.py)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from casework import stop_forms
from casework.stop_forms import Filter
from core.actor import May
from core.errors import Invalid
from core.work import Work
from dispatch_api.deps import After, Limit, working
from dispatch_api.idempotent import once
from dispatch_api.paging import Page
from dispatch_api.routes.tasks import number_after
from mobile_contract.fields import Moment, Plate
from mobile_contract.stop_forms import StopForm, StopFormIn

router = APIRouter(prefix="/stop-forms", tags=["stop forms"])
Recording = Annotated[Work, working(May.RECORD_VIOLATIONS)]
Reading = Annotated[Work, working(May.READ_VIOLATIONS)]


@router.post("", status_code=201, response_model=StopForm)
async def record(body: StopFormIn, response: Response, work: Recording) -> Any:
    """Record a stop; what looks wrong about it comes with the answer as warnings."""
    return await once(
        work, response, "stop_forms.record", body.id, body, lambda: stop_forms.record(work, body), status=201
    )


@router.get("", response_model=Page[StopForm])
async def listed(
    work: Reading,
    task_id: UUID | None = None,
    unit_id: UUID | None = None,
    plate: Annotated[Plate | None, Query()] = None,
    since: Annotated[Moment | None, Query(alias="from")] = None,
    until: Annotated[Moment | None, Query(alias="to")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Any:
    """Stops, the newest first; officers see those of their units. A plate is found however it was written."""
    if since and until and until <= since:
        raise Invalid.at("to", "order", "The period must end after it begins.")
    wanted = Filter(task_id, unit_id, plate, since, until)
    page, following = await stop_forms.listed(work, wanted, limit, number_after(after))
    return {"items": page, "next": following and str(following)}


@router.get("/{form_id}", response_model=StopForm)
async def one(form_id: UUID, work: Reading) -> Any:
    """One stop."""
    return await stop_forms.get(work, form_id)
