"""Background work somebody waits for."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter

from core import jobs
from core.actor import May
from core.errors import NotFound
from core.work import Work
from dispatch_api.deps import working
from geo import track_import, violation_import
from mobile_contract.fields import MomentOut, Out

router = APIRouter(tags=["jobs"])
IMPORTS = (violation_import.KIND, track_import.KIND)


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
    """An import of one's own."""
    job = await jobs.get(work, job_id)
    if job.kind not in IMPORTS:  # others have routes of their own, which say who may, and write down who read
        raise NotFound
    result = job.result if job.status in {"done", "failed"} else None
    return JobOut.model_validate(job).model_copy(update={"result": result})
