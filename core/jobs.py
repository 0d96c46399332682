"""Background work somebody waits for: queued by a request, done by a worker, shown with its progress.

A worker holds a job by its heartbeat: each write of the worker must find the heartbeat it left, so that one that
was thought dead and comes back changes nothing. What a job does with each beat is in the beat's transaction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlmodel import col

from core.errors import NotFound, OutriderError
from core.ids import new_id
from core.models import Job
from core.work import Work

LOST_AFTER = timedelta(seconds=30)
"""A running job whose heartbeat is older than this is taken up by another worker."""
MAX_TRIES = 5


class JobLost(OutriderError):
    """Another worker has taken this job."""

    code, title = "job_lost", "Job taken over"


@dataclass
class Held:
    """A job in a worker's hands."""

    id: UUID
    kind: str
    params: dict[str, Any]
    created_by: UUID
    heartbeat_at: datetime
    so_far: dict[str, Any]
    """What earlier tries committed; empty at first."""


def submit(work: Work, kind: str, params: dict[str, Any]) -> Job:
    """A job queued in this transaction for the actor; `params` must be JSON-ready."""
    job = Job(id=new_id(), kind=kind, params=params, created_by=work.actor.id, created_at=work.now)
    work.session.add(job)
    return job


async def get(work: Work, job_id: UUID) -> Job:
    """The job, if it is the actor's to see; raises NotFound."""
    job: Job | None = await work.first(select(Job).where(col(Job.id) == job_id))
    if job is None:
        raise NotFound
    return job


def _open(work: Work) -> ColumnElement[bool]:
    silent = col(Job.heartbeat_at) < work.now - LOST_AFTER
    return or_(col(Job.status) == "queued", and_(col(Job.status) == "running", silent))


async def take(work: Work, kind: str) -> Held | None:
    """The oldest job of a kind that waits or was left by a dead worker, now held; None when there is none.

    One that brought down MAX_TRIES workers is given up as failed.
    """
    query = select(Job).where(col(Job.kind) == kind, _open(work)).order_by(col(Job.id)).limit(1)
    job: Job | None = await work.first(query.with_for_update(skip_locked=True))
    if job is None:
        return None
    tries = int(job.params.get("tries", 0)) + 1
    job.params = job.params | {"tries": tries}
    job.heartbeat_at = work.now
    if tries > MAX_TRIES:
        job.status, job.finished_at = "failed", work.now
        job.result = (job.result or {}) | {"detail": f"Given up after {MAX_TRIES} tries."}
        return None
    job.status = "running"
    return Held(job.id, kind, job.params, job.created_by, work.now, job.result or {})


async def _write(work: Work, held: Held, **values: Any) -> None:
    mine = and_(col(Job.id) == held.id, col(Job.status) == "running", col(Job.heartbeat_at) == held.heartbeat_at)
    done = await work.session.execute(update(Job).where(mine).values(**values).returning(col(Job.id)))
    if done.first() is None:
        raise JobLost


async def beat(work: Work, held: Held, progress: float, so_far: dict[str, Any]) -> None:
    """Say how far the job is (0 to 1) and keep what a next try needs; raises JobLost.

    If the transaction then fails, the job is no longer held: whoever takes it next goes on from the last beat.
    """
    await _write(work, held, heartbeat_at=work.now, progress=min(max(progress, 0.0), 1.0), result=so_far)
    held.heartbeat_at, held.so_far = work.now, so_far


async def give_back(work: Work, held: Held) -> None:
    """Let another worker go on at once (this one is stopping); raises JobLost."""
    await _write(work, held, status="queued", params=held.params | {"tries": 0})


async def finish(work: Work, held: Held, result: dict[str, Any]) -> None:
    """The job is done; raises JobLost."""
    await _write(work, held, status="done", progress=1.0, result=result, finished_at=work.now)


async def fail(work: Work, held: Held, detail: str) -> None:
    """The job cannot be done, and why; what was committed stays. Raises JobLost."""
    result = held.so_far | {"detail": detail}
    await _write(work, held, status="failed", result=result, finished_at=work.now)
