"""What is held about one person, as one file."""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from core.actor import Actor, May
from core.errors import Overloaded
from dispatch_api import subject_report
from dispatch_api.deps import GetState, allow
from mobile_contract.fields import Line

router = APIRouter(tags=["people"])
MEDIA = {"json": "application/json", "html": "text/html; charset=utf-8"}
_ONE_AT_A_TIME = asyncio.Semaphore(1)


@router.get(
    "/users/{user_id}/subject-report",
    response_class=FileResponse,
    responses={200: {"content": {media.partition(";")[0]: {} for media in MEDIA.values()}}},
)
async def subject(
    user_id: UUID,
    actor: Annotated[Actor, Depends(allow(May.REPORT_PEOPLE))],
    state: GetState,
    reason: Annotated[Line, Query(description="what it is made for, such as the number of the request")],
    format: subject_report.Form = "json",
) -> FileResponse:
    """Everything held about a person; JSON lists every position, HTML how many there are by day."""
    if _ONE_AT_A_TIME.locked():
        raise Overloaded("Another report is being made.")
    async with _ONE_AT_A_TIME:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=f".{format}", delete=False) as file:
            path = Path(file.name)
            try:
                user = await subject_report.write(state.engine, actor, user_id, reason, format, file)
            except BaseException:
                path.unlink()
                raise
    return FileResponse(
        path,
        media_type=MEDIA[format],
        filename=f"subject-{user.login}.{format}",
        headers={"Cache-Control": "private, no-store", "Content-Security-Policy": "sandbox; default-src 'none'"},
        background=BackgroundTask(path.unlink),
    )
