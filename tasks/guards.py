"""What a step needs beside its arrow: codes and reasons (422), and what an issue asks of the unit (409)."""

from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from core import codes
from core.actor import May
from core.errors import Invalid, TransitionNotAllowed, WindowOverlap
from core.work import Work
from geo.models import Shift, Unit
from mobile_contract.resources import TransitionIn
from tasks import states
from tasks.models import Task

NEEDED_BY_KIND = {"scan_request": ["xray"]}
"""Capabilities a kind of task asks for, unless the task itself says which."""

_REASON_CODES = {"decline": codes.DECLINE_REASON, "pause": codes.PAUSE_REASON, "fail": codes.FAIL_REASON}
_NEED_REASON = frozenset({"decline", "pause", "cancel", "return"})
_OVERLAP = text(
    "SELECT number FROM task WHERE unit_id = :unit_id AND id <> :task_id AND status = ANY(:open)"
    " AND coalesce(window_from, window_to) IS NOT NULL"
    " AND tstzrange(window_from, window_to) && tstzrange(:since, :until) ORDER BY number LIMIT 1"
)
OCCUPYING = states.OPEN - {"draft", "declined", "completed", "failed"}


def known(field: str, value: str | None, values: tuple[str, ...]) -> None:
    """Nothing, or Invalid for a code that is not in its list."""
    if value is not None and value not in values:
        raise Invalid.at(field, "unknown", f"must be one of {', '.join(values)}")


def check_command(command: TransitionIn) -> None:
    """Raises Invalid for a step without its reason or with an unknown code; the task's status plays no part."""
    verb = command.verb
    if verb == "fail":
        outcome = command.result or command.reason_code
        if outcome is None:
            raise Invalid.at("result", "missing", f"must be one of {', '.join(codes.FAIL_REASON)}")
        known("result", command.result, codes.FAIL_REASON)
    if verb == "complete":
        known("result", command.result, codes.TASK_RESULT)
    if verb in _REASON_CODES:
        known("reason_code", command.reason_code, _REASON_CODES[verb])
    if verb == "decline" and command.reason_code is None:
        raise Invalid.at("reason_code", "missing", "Say why the task is declined.")
    if verb in _NEED_REASON and not (command.reason_code or command.reason):
        raise Invalid.at("reason", "missing", "A reason is needed.")
    if verb == "reassign" and command.unit_id is None:
        raise Invalid.at("unit_id", "missing", "Name the unit that takes the task.")


def check_codes(values: dict[str, object]) -> None:
    """Raises Invalid for an unknown kind, reason or capability of a task."""
    for field, allowed in (("kind", codes.TASK_KIND), ("reason_code", codes.CONTROL_REASON)):
        value = values.get(field)
        known(field, value if isinstance(value, str) else None, allowed)


async def check_unit(work: Work, unit_id: UUID | None, *, lock: bool = False) -> Unit | None:
    """The unit a task names, or None without one; raises Invalid for an unknown one."""
    if unit_id is None:
        return None
    query = select(Unit).where(Unit.id == unit_id)
    unit: Unit | None = await work.first(query.with_for_update(key_share=True) if lock else query)
    if unit is None:
        raise Invalid.at("unit_id", "unknown", "There is no such unit.")
    return unit


async def check_on_shift(work: Work, unit: Unit) -> None:
    """Raises TransitionNotAllowed for a unit that is off duty: nobody of it would be told."""
    on_shift = select(Shift.id).where(Shift.unit_id == unit.id, col(Shift.on_at).is_not(None))
    if await work.first(on_shift.where(col(Shift.off_at).is_(None))) is None:
        raise TransitionNotAllowed(f"{unit.call_sign} is not on shift.", guard="shift")


async def check_issue(work: Work, task: Task, unit: Unit, override_reason: str | None) -> None:
    """Raises TransitionNotAllowed or WindowOverlap when this unit cannot be sent; `guard` says which rule it was."""
    if task.point is None and task.area is None:
        raise TransitionNotAllowed("The task has no place: set a point or an area first.", guard="place")
    await check_on_shift(work, unit)
    missing = set(task.required_capabilities) - set(unit.capabilities) - {unit.kind}
    if missing:
        lacking = ", ".join(sorted(missing))
        raise TransitionNotAllowed(f"{unit.call_sign} does not have: {lacking}.", guard="capability")
    if override_reason or not (task.window_from or task.window_to):
        return
    window = {"unit_id": unit.id, "task_id": task.id, "since": task.window_from, "until": task.window_to}
    other = (await work.session.execute(_OVERLAP, window | {"open": sorted(OCCUPYING)})).scalar()
    if other is not None:
        raise WindowOverlap(f"The window overlaps task {other} of {unit.call_sign}; give override_reason to issue.")


def may_discard(work: Work, task: Task) -> bool:
    """Dispatchers discard any draft, others their own."""
    return work.actor.may(May.DISPATCH_TASKS) or task.created_by == work.actor.user_id
