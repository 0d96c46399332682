"""Hotspot runs: asked for at the centre, made by the worker (geo/hotspots/making.py), read by who asked."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Text, case, func, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import col

from core import jobs
from core.actor import May
from core.audit import Action
from core.errors import Conflict, Invalid, NotAllowed, NotFound
from core.models import Job
from core.work import Work
from geo.violations import Filter

KIND = "hotspots"
LEAST = timedelta(days=28)
SHOWN = ("from", "to", "horizon_days", "cell_m", "area_share", "method", "placement", "categories")
_CELLS, _BUT_CELLS = (col(Job.result).op(sign, return_type=JSONB)(literal("features", Text)) for sign in ("->", "-"))
_REST = case((func.jsonb_typeof(col(Job.result)) == "object", _BUT_CELLS))


class NotDone(Conflict):
    """The run has not ended yet, or ended without a forecast."""

    code, title = "not_done", "Not done"


def submit(work: Work, wanted: dict[str, Any]) -> UUID:
    """The id of a run, queued; `wanted` is the request as JSON. Raises Invalid for a period that is of no use."""
    since, until = period(wanted)
    Filter(since=since, until=until).check(work.now)
    if until - since < LEAST:
        raise Invalid.at("from", "range", f"At least {LEAST.days} days of history are needed.")
    sees_patrol = work.actor.may(May.READ_PATROL)
    if wanted["method"] == "eb_per_hour" and not sees_patrol:
        raise NotAllowed("Hours of patrol are not yours to read.")
    if not work.actor.sees_all("violations"):
        raise NotAllowed("A forecast is made from everybody's violations.")
    job = jobs.submit(work, KIND, wanted | {"patrol": sees_patrol})
    told = {name: wanted[name] for name in SHOWN}
    work.audit(Action.CONSULTATION, "hotspot_run", job.id, **told)
    return job.id


def period(wanted: dict[str, Any]) -> tuple[datetime, datetime]:
    """Of the history a request names."""
    return datetime.fromisoformat(wanted["from"]), datetime.fromisoformat(wanted["to"])


async def _job(work: Work, run_id: UUID, *more: Any) -> Any:
    query = select(col(Job.id), col(Job.status), *more).where(col(Job.id) == run_id, col(Job.kind) == KIND)
    found = (await work.session.execute(query)).one_or_none()
    if found is None:
        raise NotFound
    return found


async def get(work: Work, run_id: UUID) -> dict[str, Any]:
    """A run of the actor's own, with what it found but for the places; raises NotFound."""
    columns = [col(getattr(Job, name)) for name in ("progress", "created_at", "finished_at", "params")]
    run = await _job(work, run_id, *columns, _REST.label("result"))
    told = {name: run.params[name] for name in SHOWN}
    result = run.result if run.status in {"done", "failed"} else None
    return told | dict(run._mapping) | (result or {})


async def places(work: Work, run_id: UUID) -> list[dict[str, Any]]:
    """The places of a run of the actor's own as GeoJSON features; raises NotFound, and NotDone without any."""
    run = await _job(work, run_id, _CELLS.label("features"))
    if run.status != "done":
        raise NotDone
    work.audit(Action.CONSULTATION, "hotspot_cells", run_id)
    return list(run.features)


async def cancel(work: Work, run_id: UUID) -> dict[str, Any]:
    """The run, ended if it had not ended by itself; raises NotFound."""
    await _job(work, run_id)
    going = col(Job.status).in_(("queued", "running"))
    ended = {"status": "cancelled", "finished_at": work.now}
    await work.session.execute(update(Job).where(col(Job.id) == run_id, going).values(**ended))
    return await get(work, run_id)
