"""Tasks as the API, inboxes and live screens show them."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any
from uuid import UUID

from geoalchemy2.elements import WKBElement
from geoalchemy2.shape import from_shape, to_shape
from shapely.geometry import Point, mapping
from shapely.geometry.base import BaseGeometry
from sqlmodel import col, select

from core.shapes import polygon_of as polygon_of
from core.work import Work
from geo import units
from mobile_contract import resources as contract
from tasks.models import Task, TaskSupport

FORM_KIND, FORM_REASON = "control_declaration", "rerouted"
"""A control of a re-routed declaration is told by its kind or by its reason."""


def is_form_required(task: Task) -> bool:
    """Whether a crew must have recorded a stop form before this task can be completed."""
    return task.kind == FORM_KIND or task.reason_code == FORM_REASON


def point_of(lon: float | None, lat: float | None) -> WKBElement | None:
    """The database's point for two numbers in degrees, or None without them."""
    return None if lon is None or lat is None else from_shape(Point(lon, lat), srid=4326)


def _geojson(stored: WKBElement | None) -> dict[str, Any] | None:
    return None if stored is None else dict(mapping(_shape(stored)))


def _shape(stored: WKBElement) -> BaseGeometry:
    return to_shape(stored)


def lon_lat(stored: WKBElement | None) -> tuple[float, float] | tuple[None, None]:
    """Longitude and latitude of a stored point in degrees."""
    if stored is None:
        return None, None
    point = _shape(stored)
    return point.x, point.y


def _resource(task: Task, supports: Iterable[TaskSupport], call_signs: Mapping[UUID, str]) -> dict[str, Any]:
    """The Task resource, JSON-ready."""
    fields = task.model_dump(exclude={"point", "area", "updated_at"}) | {
        "point": _geojson(task.point),
        "area": _geojson(task.area),
        "unit_call_sign": call_signs[task.unit_id] if task.unit_id else None,
        "support_unit_ids": sorted(support.unit_id for support in supports),
        "supports": [
            {"unit_id": one.unit_id, "call_sign": call_signs[one.unit_id], "status": one.status, "since": one.since}
            for one in sorted(supports, key=lambda one: (one.added_at, one.unit_id))
        ],
        "form_required": is_form_required(task),
    }
    return contract.Task.model_validate(fields).model_dump(mode="json")


def _crews_in_sight(work: Work) -> AbstractAsyncContextManager[None]:
    """Who sees a task sees who leads it and who supports it."""
    return nullcontext() if work.actor.sees_all("tasks") and work.actor.sees_all("units") else work.elevated()


async def supports_of(work: Work, task_ids: Iterable[UUID]) -> dict[UUID, list[TaskSupport]]:
    """The supports of tasks the actor may see, by task."""
    async with _crews_in_sight(work):
        rows = await work.all(select(TaskSupport).where(col(TaskSupport.task_id).in_(list(task_ids))))
    found: dict[UUID, list[TaskSupport]] = {}
    for row in rows:
        found.setdefault(row.task_id, []).append(row)
    return found


async def resources(
    work: Work, tasks: Sequence[Task], supports: Mapping[UUID, Sequence[TaskSupport]] | None = None
) -> list[dict[str, Any]]:
    """The Task resources of these tasks, JSON-ready; one query for their supports, unless given, one for call signs."""
    async with _crews_in_sight(work):
        if supports is None:
            supports = await supports_of(work, [task.id for task in tasks])
        theirs = [supports.get(task.id, ()) for task in tasks]
        leads = {task.unit_id for task in tasks if task.unit_id}
        call_signs = await units.call_signs(work, leads.union(one.unit_id for many in theirs for one in many))
    return [_resource(task, many, call_signs) for task, many in zip(tasks, theirs, strict=True)]


async def one(work: Work, task: Task) -> dict[str, Any]:
    """The Task resource of one task, JSON-ready."""
    return (await resources(work, [task]))[0]
