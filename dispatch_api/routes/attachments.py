"""Photos and files of tasks, violations and stop forms: see mobile_contract/attachments.py for how one is sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse

from casework import attachments
from casework.attachments import Piece
from core.actor import Actor, May
from core.errors import HashMismatch, Invalid, MediaType
from core.file_store import FileStore
from core.work import Work, open_work
from dispatch_api.deps import After, GetState, Limit, allow, working
from dispatch_api.idempotent import once
from dispatch_api.paging import Page, id_after
from dispatch_api.uploads import copied
from mobile_contract.attachments import MAX_BYTES, PIECE_BYTES, Attachment, AttachmentIn, CompleteIn, Sha256
from mobile_contract.fields import Code, Line

router = APIRouter(prefix="/attachments", tags=["attachments"])
SENDERS = (May.ACT_ON_TASKS, May.RECORD_VIOLATIONS, May.DISPATCH_TASKS)
Sending = Annotated[Work, working(*SENDERS)]
Sender = Annotated[Actor, Depends(allow(*SENDERS))]
Reading = Annotated[Work, working(May.READ_TASKS, May.READ_VIOLATIONS)]
OCTETS = "application/octet-stream"
BINARY = {"schema": {"type": "string", "format": "binary"}}
PIECE_BODY = {"requestBody": {"required": True, "content": {OCTETS: BINARY}}}
FILE_HEADERS = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, no-store"}
FILE: dict[int | str, dict[str, Any]] = {200: {"content": {OCTETS: BINARY}, "description": "The file, to be saved"}}
FINISHING = asyncio.Semaphore(2)
"""Files checked at once: reading 50 MB and drawing a photo take a core for a moment."""


@router.post("", status_code=201, response_model=Attachment)
async def announce(body: AttachmentIn, response: Response, work: Sending, state: GetState) -> Any:
    """Announce a file; its pieces follow."""
    store = FileStore(state.settings.data_dir)
    return await once(
        work,
        response,
        "attachments.announce",
        body.id,
        body,
        lambda: attachments.announce(work, store, body),
        status=201,
    )


@router.put("/{attachment_id}/content", response_model=Attachment, openapi_extra=PIECE_BODY)
async def piece(
    attachment_id: UUID,
    request: Request,
    actor: Sender,
    state: GetState,
    offset: Annotated[int, Query(ge=0, lt=MAX_BYTES)],
    sha256: Annotated[Sha256, Query()],
) -> Any:
    """Receive a piece of at most 4 MiB at `offset`; a repeated one changes nothing."""
    store = FileStore(state.settings.data_dir)
    async with (
        _received(request, store, offset, sha256) as arrived,
        open_work(state.engine, actor, state.bus) as work,
    ):
        return await attachments.append(work, store, attachment_id, arrived)


@asynccontextmanager
async def _received(request: Request, store: FileStore, offset: int, sha256: str) -> AsyncIterator[Piece]:
    """The body in a file of its own, gone afterwards; raises MediaType, TooLarge, Malformed, Invalid, HashMismatch."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != OCTETS:
        raise MediaType(f"Send {OCTETS}.")
    file = await asyncio.to_thread(store.piece)
    try:
        with file.open("xb") as out:
            length, is_sha256 = await copied(request, out, PIECE_BYTES, "A piece")
        if not length:
            raise Invalid.at("content", "empty", "The piece is empty.")
        if is_sha256 != sha256:
            raise HashMismatch
        yield Piece(file, offset, length)
    finally:
        file.unlink(missing_ok=True)


@router.post("/{attachment_id}/complete", response_model=Attachment)
async def complete(attachment_id: UUID, actor: Sender, state: GetState, body: CompleteIn | None = None) -> Any:
    """Check the whole file and keep it; a second time changes nothing."""
    async with FINISHING:
        store = FileStore(state.settings.data_dir)
        return await attachments.complete(state.engine, state.bus, actor, store, attachment_id)


@router.get("", response_model=Page[Attachment])
async def listed(
    work: Reading,
    task_id: UUID | None = None,
    violation_id: UUID | None = None,
    stop_form_id: UUID | None = None,
    limit: Limit = 100,
    after: After = None,
) -> Any:
    """The files of one task, violation or stop form."""
    asked = {"task_id": task_id, "violation_id": violation_id, "stop_form_id": stop_form_id}
    owner = {name: value for name, value in asked.items() if value is not None}
    if len(owner) != 1:
        raise Invalid.at("task_id", "one_of", "Name one of task_id, violation_id and stop_form_id.")
    page, following = await attachments.listed(work, owner, limit, id_after(after))
    return {"items": page, "next": following and str(following)}


@router.get("/{attachment_id}", response_model=Attachment)
async def one(attachment_id: UUID, work: Reading) -> Any:
    """One file: what it is, and how much of it has arrived."""
    return await attachments.get(work, attachment_id)


@router.get("/{attachment_id}/screen", response_class=FileResponse, responses=FILE)
async def screen(attachment_id: UUID, work: Reading, state: GetState) -> Any:
    """A photo's copy for screens: at most 1,600 pixels, without the camera's data."""
    place, name = await attachments.screen(work, FileStore(state.settings.data_dir), attachment_id)
    return FileResponse(place, media_type="image/jpeg", filename=name, headers=FILE_HEADERS)


@router.get("/{attachment_id}/original", response_class=FileResponse, responses=FILE)
async def original(
    attachment_id: UUID, work: Reading, state: GetState, reason_code: Code | None = None, reason: Line | None = None
) -> Any:
    """The file as it was sent; whoever did not send it says why (`consultation_reason`)."""
    store = FileStore(state.settings.data_dir)
    place, name, media_type = await attachments.original(work, store, attachment_id, reason_code, reason)
    return FileResponse(place, media_type=media_type, filename=name, headers=FILE_HEADERS)
