"""Records of stops and controls: written once, as the officer saw it, and never altered (domain.md 2.5)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from casework import checks
from casework.models import StopForm
from core import codes
from core.audit import Action
from core.errors import NotFound
from core.ids import new_id
from core.work import Work
from geo import shifts
from mobile_contract import stop_forms as contract
from tasks import forms as task_forms
from tasks import guards
from tasks.resource import point_of


@dataclass(frozen=True)
class Filter:
    """Which stops; nothing said is no limit. `plate` as it is written, `since` and `until` of the first stop."""

    task_id: UUID | None = None
    unit_id: UUID | None = None
    plate: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def resource(row: StopForm) -> dict[str, Any]:
    """The StopForm resource, JSON-ready."""
    plain = row.model_dump(include={
        "id", "number", "unit_id", "recorded_by", "recorded_by_name", "recorded_at", "plate_key", "attachments",
        "warnings",
    })  # fmt: skip
    return contract.StopForm.model_validate(row.body | plain).model_dump(mode="json")


async def record(work: Work, body: contract.StopFormIn) -> dict[str, Any]:
    """A new stop form by the actor, with the unit of their active shift and what looks wrong about it.

    Raises Invalid for unknown codes, IdReused.
    """
    _check_codes(body)
    shift = await shifts.active_of_user(work, work.actor.id)
    plate = body.vehicle.plate if body.vehicle else None
    made = StopForm(
        id=body.id or new_id(), task_id=body.task_id, unit_id=shift.shift.unit_id if shift else None,
        recorded_by=work.actor.id, recorded_by_name=work.actor.name or work.actor.login, recorded_at=work.now,
        first_stopped_at=body.first_stopped_at, point=point_of(body.lon, body.lat), reason_code=body.reason_code,
        result=body.result, exercise=body.exercise, plate_key=checks.key(plate) if plate else None,
        body=body.model_dump(mode="json", exclude={"id"}), warnings=checks.form(body, work.now),
    )  # fmt: skip
    await work.add(made)
    if body.task_id:
        await task_forms.noted(work, body.task_id, made.id, body.exercise)
    task_id = body.task_id and str(body.task_id)
    work.audit(Action.COLLECTION, "stop_form", made.id, number=made.number, unit_id=made.unit_id, task_id=task_id)
    return resource(made)


def _check_codes(body: contract.StopFormIn) -> None:
    guards.known("reason_code", body.reason_code, codes.CONTROL_REASON)
    guards.known("result", body.result, codes.TASK_RESULT)
    if body.no_seizure_reason:
        guards.known("no_seizure_reason", body.no_seizure_reason, codes.NO_SEIZURE_REASON)
    for name, values in (("control_types", codes.CONTROL_TYPE), ("measures", codes.MEASURE)):
        for value in getattr(body, name):
            guards.known(name, value, values)


async def get(work: Work, form_id: UUID) -> dict[str, Any]:
    """One stop form the actor may see; the look is audited. Raises NotFound."""
    row: StopForm | None = await work.first(select(StopForm).where(StopForm.id == form_id))
    if row is None:
        raise NotFound
    work.audit(Action.CONSULTATION, "stop_form", row.id)
    return resource(row)


async def listed(work: Work, wanted: Filter, limit: int, after: int | None) -> tuple[list[dict[str, Any]], int | None]:
    """A page of the stop forms the actor may see, the newest number first; and where the next one starts. Audited."""
    query = select(StopForm).order_by(col(StopForm.number).desc()).limit(limit + 1)
    for name in ("task_id", "unit_id"):
        if value := getattr(wanted, name):
            query = query.where(getattr(StopForm, name) == value)
    if wanted.plate:
        query = query.where(StopForm.plate_key == checks.key(wanted.plate))
    if wanted.since:
        query = query.where(StopForm.first_stopped_at >= wanted.since)
    if wanted.until:
        query = query.where(StopForm.first_stopped_at < wanted.until)
    if after is not None:
        query = query.where(StopForm.number < after)
    rows = await work.all(query)
    page = rows[:limit]
    work.audit(Action.CONSULTATION, "stop_form", None, n=len(page), **{k: v for k, v in vars(wanted).items() if v})
    return [resource(row) for row in page], page[-1].number if len(rows) > limit else None
