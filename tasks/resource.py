"""Tasks as the API, inboxes and live screens show them."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from geoalchemy2.elements import WKBElement
from geoalchemy2.shape import from_shape, to_shape
from shapely.geometry import Point, mapping
from shapely.geometry.base import BaseGeometry
from sqlmodel import col, select

from core.shapes import polygon_of as polygon_of
from core.work import Work
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


def resource(task: Task, support_unit_ids: Iterable[UUID] = ()) -> dict[str, Any]:
    """The Task resource, JSON-ready."""
    fields = task.model_dump(exclude={"point", "area", "updated_at"}) | {
        "point": _geojson(task.point),
        "area": _geojson(task.area),
        "support_unit_ids": sorted(support_unit_ids),
        "form_required": is_form_required(task),
    }
    return contract.Task.model_validate(fields).model_dump(mode="json")


async def supports_of(work: Work, task_ids: Iterable[UUID]) -> dict[UUID, list[TaskSupport]]:
    """The supports of tasks the actor may see, by task."""
    query = select(TaskSupport).where(col(TaskSupport.task_id).in_(list(task_ids)))
    if work.actor.sees_all("tasks"):
        rows = await work.all(query)
    else:
        async with work.elevated():  # who sees a task sees who supports it
            rows = await work.all(query)
    found: dict[UUID, list[TaskSupport]] = {}
    for row in rows:
        found.setdefault(row.task_id, []).append(row)
    return found


async def resources(work: Work, tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """The Task resources of these tasks, JSON-ready, with one further query for their supports."""
    supports = await supports_of(work, [task.id for task in tasks])
    return [resource(task, [s.unit_id for s in supports.get(task.id, [])]) for task in tasks]


async def one(work: Work, task: Task) -> dict[str, Any]:
    """The Task resource of one task, JSON-ready."""
    return (await resources(work, [task]))[0]
