"""Background work somebody waits for."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter

from core import jobs
from core.actor import May
from core.work import Work
from dispatch_api.deps import working
from mobile_contract.fields import MomentOut, Out

router = APIRouter(tags=["jobs"])


class JobOut(Out):
    """A job; `result` once it is done, or with `detail` why it failed."""

    id: UUID
    kind: str
    status: Literal["queued", "running", "done", "failed"]
    progress: float
    result: dict[str, Any] | None = None
    created_at: MomentOut
    finished_at: MomentOut | None


@router.get("/jobs/{job_id}", response_model=JobOut)
async def one(job_id: UUID, work: Annotated[Work, working(May.IMPORT_VIOLATIONS, May.IMPORT_TRACKS)]) -> Any:
    """A job of one's own."""
    job = await jobs.get(work, job_id)
    result = job.result if job.status in {"done", "failed"} else None
    return JobOut.model_validate(job).model_copy(update={"result": result})
