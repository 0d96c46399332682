"""What a client needs to know about this server: the value lists and the description of its interface."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from core import codes
from core.actor import Actor, May
from dispatch_api.deps import allow, get_actor
from mobile_contract.aide_memoires import AideMemoires
from tasks import aide_memoires

router = APIRouter(tags=["meta"])

CODE_LISTS: dict[str, tuple[str, ...]] = {
    "task_kind": codes.TASK_KIND,
    "task_priority": codes.TASK_PRIORITY,
    "task_result": codes.TASK_RESULT,
    "control_reason": codes.CONTROL_REASON,
    "control_type": codes.CONTROL_TYPE,
    "measure": codes.MEASURE,
    "decline_reason": codes.DECLINE_REASON,
    "fail_reason": codes.FAIL_REASON,
    "pause_reason": codes.PAUSE_REASON,
    "unit_kind": codes.UNIT_KIND,
    "unit_status": codes.UNIT_STATUS,
    "capability": codes.CAPABILITY,
    "equipment": codes.EQUIPMENT,
    "notice_kind": codes.NOTICE_KIND,
    "violation_category": codes.VIOLATION_CATEGORY,
    "method": codes.METHOD,
    "goods_category": codes.GOODS_CATEGORY,
    "quantity_unit": codes.QUANTITY_UNIT,
    "no_seizure_reason": codes.NO_SEIZURE_REASON,
    "correction_reason": codes.CORRECTION_REASON,
    "consultation_reason": codes.CONSULTATION_REASON,
}


@router.get("/code-lists")
async def code_lists(_: Annotated[Actor, Depends(allow(May.READ_CODE_LISTS))]) -> dict[str, tuple[str, ...]]:
    """The values coded fields may hold; their labels are the client's."""
    return CODE_LISTS


@router.get("/aide-memoires", response_model=AideMemoires)
async def all_aide_memoires(_: Annotated[Actor, Depends(allow(May.READ_CODE_LISTS))]) -> Any:
    """Checklists for kinds of tasks and goods, in both languages."""
    return aide_memoires.held()


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request, _: Annotated[Actor, Depends(get_actor)]) -> dict[str, Any]:
    """The description of this interface (OpenAPI 3.1), for those who are signed in."""
    described: dict[str, Any] = request.app.openapi()
    return described
