"""Shifts: planned, changed and cancelled by dispatchers, begun and ended by them or by the officers themselves."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field

from core.actor import May
from core.work import Work
from dispatch_api.deps import After, Limit, working
from dispatch_api.idempotent import Once, once
from dispatch_api.paging import Page, id_after
from geo import shift_plans, shifts
from mobile_contract.duty import EndIn, Members, OwnStartIn, Shift, StartIn
from mobile_contract.fields import Edge, Moment, MomentOut, Out, Version
from tasks.tasks import open_for_unit

router = APIRouter(tags=["shifts"])
Planning = Annotated[Work, working(May.PLAN_SHIFTS)]
Reading = Annotated[Work, working(May.READ_SHIFTS)]
Own = Annotated[Work, working(May.OWN_SHIFT)]
StartEnd = Annotated[Work, working(May.PLAN_SHIFTS, May.OWN_SHIFT)]


class ShiftIn(Edge):
    """A shift to plan."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: UUID | None = None
    unit_id: UUID
    members: Members = []
    planned_from: Annotated[Moment, Field(alias="from")]
    planned_to: Annotated[Moment, Field(alias="to")]


class ShiftChange(Edge):
    """What to change of a shift; `version` refuses the change when somebody was first."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    version: Version | None = None
    members: Members | None = None
    planned_from: Annotated[Moment | None, Field(alias="from")] = None
    planned_to: Annotated[Moment | None, Field(alias="to")] = None


class PlannedShift(Shift):
    """A shift as the centre sees it."""

    cancelled_at: MomentOut | None


class CrewPerson(Out):
    """Somebody who is on shifts; whoever is `available` can be put on one."""

    id: UUID
    name: str
    badge_no: str | None
    available: bool


def _out(view: shifts.ShiftView) -> Shift:
    return Shift.model_validate(view.resource())


def _planned(view: shifts.ShiftView) -> PlannedShift:
    return PlannedShift.model_validate(view.resource())


@router.post("/shifts", status_code=201, response_model=PlannedShift)
async def plan(body: ShiftIn, response: Response, work: Planning) -> Any:
    """Plan a shift."""

    async def effect() -> PlannedShift:
        made = await shift_plans.plan(work, body.unit_id, body.members, body.planned_from, body.planned_to, body.id)
        return _planned(made)

    return await once(work, response, "shifts.plan", body.id, body, effect, status=201)


@router.get("/shifts", response_model=Page[PlannedShift])
async def listed(
    work: Reading,
    active: bool | None = None,
    unit_id: UUID | None = None,
    since: Annotated[Moment | None, Query(alias="from")] = None,
    until: Annotated[Moment | None, Query(alias="to")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Any:
    """Shifts, the latest begin first: those with any time `from` one moment `to` another."""
    wanted = shifts.Wanted(active, unit_id, since, until)
    page, following = await shifts.listed(work, wanted, limit=limit, after=after)
    return {"items": [view.resource() for view in page], "next": following}


@router.get("/shifts/people", response_model=Page[CrewPerson])
async def people(work: Reading, limit: Limit = 100, after: After = None) -> Any:
    """Officers, and whoever else is of a unit or a shift: their names, for the plan."""
    page, following = await shift_plans.people(work, limit, id_after(after))
    return {"items": page, "next": following}


@router.get("/shifts/mine", response_model=Shift | None)
async def mine(work: Own) -> Any:
    """The shift the caller is on, or null."""
    found = await shifts.active_of_user(work, work.actor.id)
    return found and found.resource()


@router.get("/shifts/{shift_id}", response_model=PlannedShift)
async def one(shift_id: UUID, work: Reading) -> Any:
    """One shift."""
    return (await shift_plans.get(work, shift_id)).resource()


@router.patch("/shifts/{shift_id}", response_model=PlannedShift)
async def change(shift_id: UUID, body: ShiftChange, work: Planning) -> Any:
    """Change when a shift is to be, or who is on it; of one that has begun the end may move, people may join."""
    window = body.model_dump(include={"planned_from", "planned_to"}, exclude_none=True)
    view = await shift_plans.change(work, shift_id, window, body.members, body.version)
    if view.shift.on_at and body.members:
        for user_id in view.members:
            await open_for_unit(work, view.shift.unit_id, user_id)
    return _planned(view)


@router.post("/shifts/{shift_id}/cancel", response_model=PlannedShift)
async def cancel(shift_id: UUID, response: Response, work: Planning, body: Once | None = None) -> Any:
    """Cancel a shift that has not begun."""
    body = body or Once()

    async def effect() -> PlannedShift:
        return _planned(await shift_plans.cancel(work, shift_id))

    return await once(work, response, f"shifts.cancel:{shift_id}", body.id, body, effect)


@router.post("/shifts/start", response_model=Shift)
async def start_own(body: OwnStartIn, response: Response, work: Own) -> Any:
    """Begin a shift of an own unit, the planned one if it is due, or join the one that runs.

    Open tasks and valid notices come to the inbox.
    """

    async def effect() -> Shift:
        noted = {
            "equipment_check": [one.model_dump() for one in body.equipment_check],
            "odometer_from_km": body.odometer_from_km,
        }
        view = await shifts.start_own(work, body.unit_id, body.members, body.at, noted, body.id)
        for user_id in sorted(view.members):
            await open_for_unit(work, body.unit_id, user_id)
        return _out(view)

    return await once(work, response, "shifts.start_own", body.id, body, effect)


@router.post("/shifts/{shift_id}/start", response_model=Shift)
async def start(shift_id: UUID, response: Response, work: StartEnd, body: StartIn | None = None) -> Any:
    """Begin a planned shift."""
    body = body or StartIn()

    async def effect() -> Shift:
        view = await shifts.start(work, shift_id, body.at)
        for user_id in view.members:
            await open_for_unit(work, view.shift.unit_id, user_id)
        return _out(view)

    return await once(work, response, f"shifts.start:{shift_id}", body.id, body, effect)


def _noted(body: EndIn) -> dict[str, Any]:
    return {"odometer_to_km": body.odometer_to_km, "handover_note": (body.handover_note or "").strip() or None}


@router.post("/shifts/mine/end", response_model=Shift)
async def end_own(body: EndIn, response: Response, work: Own) -> Any:
    """End the shift the caller is on, for an app that does not know its id yet."""

    async def effect() -> Shift:
        return _out(await shifts.end_own(work, body.at, _noted(body)))

    return await once(work, response, "shifts.end_own", body.id, body, effect)


@router.post("/shifts/{shift_id}/end", response_model=Shift)
async def end(shift_id: UUID, response: Response, work: StartEnd, body: EndIn | None = None) -> Any:
    """End a shift: nothing of the unit is stored from then on."""
    body = body or EndIn()

    async def effect() -> Shift:
        return _out(await shifts.end(work, shift_id, body.at, _noted(body)))

    return await once(work, response, f"shifts.end:{shift_id}", body.id, body, effect)
