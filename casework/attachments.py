"""Photos and files: announced, received in pieces, checked and kept, shown to whoever may see what they belong to.

No transaction is held while a file is read or written but for the piece that is appended, which others of the same file
wait for. What a row says of a file is true: the file is durable before the row is committed.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from geoalchemy2.shape import from_shape
from shapely.geometry import Point
from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from casework import pictures
from casework.models import Attachment, StopForm
from core import codes
from core.actor import Actor, May
from core.audit import Action
from core.bus import Bus, TasksChanged
from core.errors import (
    Conflict,
    HashMismatch,
    Invalid,
    MediaType,
    NotFound,
    OutriderError,
    PieceOutOfOrder,
    TooLarge,
)
from core.file_store import FileStore, sha256_of
from core.ids import new_id
from core.work import Work, open_work
from geo.models import Violation
from mobile_contract import attachments as contract
from tasks.models import Task
from tasks.resource import lon_lat
from tasks.steps import locked
from tasks.transitions import acting_unit

MAX_OF_ONE = 300
"""Files of one task, violation or stop form."""
_REFUSALS: dict[str, OutriderError] = {
    "media_type": MediaType("This kind of file is not taken."),
    "too_large": TooLarge("The picture has too many pixels."),
    "invalid": Invalid.at("content", "picture", "The picture is damaged."),
}


def resource(row: Attachment) -> dict[str, Any]:
    """The Attachment resource."""
    lon, lat = lon_lat(row.point)
    return row.model_dump(exclude={"point"}) | {"lon": lon, "lat": lat}


async def announce(work: Work, store: FileStore, body: contract.AttachmentIn) -> dict[str, Any]:
    """A file to be received, of something the actor may see; raises NotFound, Conflict, IdReused, Overloaded.

    A task that was theirs counts too: it may be another unit's when an officer's outbox is emptied.
    """
    await _check_owner(work, body)
    await asyncio.to_thread(store.check_room, body.size)
    point = None if body.lon is None else from_shape(Point(body.lon, body.lat), srid=4326)
    plain = body.model_dump(exclude={"lon", "lat"})
    made = Attachment(**plain, point=point, created_by=work.actor.id, created_at=work.now)
    await work.add(made)
    work.audit(Action.COLLECTION, "attachment", made.id, **_owner(made), size=made.size)
    return resource(made)


def _owner(row: Attachment | contract.AttachmentIn) -> dict[str, Any]:
    names = ("task_id", "violation_id", "stop_form_id")
    return {name: str(value) for name in names if (value := getattr(row, name)) is not None}


async def _check_owner(work: Work, body: contract.AttachmentIn) -> None:
    ((name, owner_id),) = _owner(body).items()
    table = {"task_id": Task, "violation_id": Violation, "stop_form_id": StopForm}[name]
    seen: Any = await work.first(select(table.id).where(table.id == UUID(owner_id)))  # type: ignore[attr-defined]
    if seen is None and not (name == "task_id" and await _was_theirs(work, UUID(owner_id))):
        raise NotFound
    query = select(func.count()).select_from(Attachment).where(getattr(Attachment, name) == UUID(owner_id))
    async with work.elevated():  # those of others count as well
        if await work.first(query) >= MAX_OF_ONE:
            raise Conflict(f"There are {MAX_OF_ONE} files here already.")


async def _was_theirs(work: Work, task_id: UUID) -> bool:
    return work.actor.may(May.ACT_ON_TASKS) and (await acting_unit(work, task_id, None))[1] is not None


async def _own(work: Work, attachment_id: UUID, *, lock: bool = False) -> Attachment:
    query = select(Attachment).where(Attachment.id == attachment_id, Attachment.created_by == work.actor.id)
    row: Attachment | None = await work.first(query.with_for_update(key_share=True)) if lock else None
    row = row or await work.first(query)  # the database lets nobody lock one that is complete or refused
    if row is None:
        raise NotFound
    return row


@dataclass(frozen=True)
class Piece:
    """A piece that arrived: the file it is in, where it belongs, and how long it is."""

    file: Path
    offset: int
    length: int


async def append(work: Work, store: FileStore, attachment_id: UUID, piece: Piece) -> dict[str, Any]:
    """The attachment with one more piece of it, by whoever announced it; a piece that is there already adds nothing.

    Raises NotFound, PieceOutOfOrder with `received`, TooLarge for more than was announced.
    """
    row = await _own(work, attachment_id, lock=True)
    if row.status != "receiving":
        return resource(row)
    end = piece.offset + piece.length
    if end > row.size:
        raise TooLarge(f"The file was announced with {row.size} bytes.")
    received = await asyncio.to_thread(store.arrived, row.id, row.received)
    if piece.offset > received:
        raise PieceOutOfOrder(received=received)
    if end > received:
        skip = received - piece.offset
        row.received = await asyncio.to_thread(store.append, row.id, received, piece.file, skip)
    return resource(row)


async def complete(
    engine: AsyncEngine, bus: Bus, actor: Actor, store: FileStore, attachment_id: UUID
) -> dict[str, Any]:
    """The attachment once its whole content is checked and kept; a second time the same.

    Raises NotFound, PieceOutOfOrder when bytes are missing, HashMismatch (all is to be sent again), and MediaType,
    TooLarge or Invalid for a file that is refused for good.
    """
    async with open_work(engine, actor) as work:
        row = await _own(work, attachment_id)
        if row.status != "receiving":
            return _taken(resource(row))
        arrived = await asyncio.to_thread(store.arrived, row.id, row.received)
        if arrived < row.size and not await asyncio.to_thread(_is_kept, store, row):
            raise PieceOutOfOrder(received=arrived)
    found: _Kept | OutriderError
    try:
        found = await asyncio.to_thread(_take_in, store, row)
    except HashMismatch:
        await _reset(engine, actor, store, attachment_id)
        raise
    except OutriderError as refusal:
        found = refusal
    async with open_work(engine, actor, bus) as work:
        settled = await _settle(work, store, attachment_id, found)
    return _taken(settled)


def _taken(settled: dict[str, Any]) -> dict[str, Any]:
    """The attachment, or its refusal raised: after the commit that wrote it down."""
    if settled["refused"]:
        raise _REFUSALS[settled["refused"]]
    return settled


def _is_kept(store: FileStore, row: Attachment) -> bool:
    return row.received == row.size and store.original(row.sha256).exists()


async def _reset(engine: AsyncEngine, actor: Actor, store: FileStore, attachment_id: UUID) -> None:
    async with open_work(engine, actor) as work:
        row = await _own(work, attachment_id, lock=True)
        row.received = 0
        await asyncio.to_thread(store.forget, attachment_id)
        work.audit(Action.DENIAL, "attachment", attachment_id, code=HashMismatch.code)


@dataclass(frozen=True)
class _Kept:
    media_type: str
    picture: pictures.Picture | None


def _take_in(store: FileStore, row: Attachment) -> _Kept:
    """Check a whole file and move it to its place, with its copy for screens; raises what `complete` raises."""
    part, place = store.part(row.id), store.original(row.sha256)
    try:
        if part.stat().st_size != row.size or sha256_of(part) != row.sha256:
            raise HashMismatch
        kept = _looked_at(store, row.sha256, part)
        store.keep(part, place)
    except FileNotFoundError:  # moved already: by another request, or before a commit that failed
        return _looked_at(store, row.sha256, place)
    return kept


def _looked_at(store: FileStore, sha256: str, file: Path) -> _Kept:
    media_type = pictures.kind_of(file)
    if media_type not in pictures.PILLOW:
        return _Kept(media_type, None)
    made = store.uploads / f"{new_id()}.jpg"
    store.uploads.mkdir(parents=True, exist_ok=True)
    try:
        picture = pictures.screen_copy(file, media_type, made)
        store.keep(made, store.screen(sha256))
    finally:
        made.unlink(missing_ok=True)
    return _Kept(media_type, picture)


async def _settle(work: Work, store: FileStore, attachment_id: UUID, found: _Kept | OutriderError) -> dict[str, Any]:
    """Write down what became of a file."""
    row = await _own(work, attachment_id, lock=True)
    if row.status != "receiving":
        return resource(row)
    if isinstance(found, OutriderError):
        row.status, row.refused = "refused", found.code
        await asyncio.to_thread(store.forget, attachment_id)
        work.audit(Action.DENIAL, "attachment", row.id, code=found.code, detail=str(found))
        return resource(row)
    row.status, row.media_type, row.received, row.completed_at = "complete", found.media_type, row.size, work.now
    if picture := found.picture:
        row.screen, row.width_px, row.height_px = True, picture.width_px, picture.height_px
    work.audit(Action.COLLECTION, "attachment", row.id, **_owner(row), complete=True, media_type=row.media_type)
    await _count(work, row)
    return resource(row)


async def _count(work: Work, row: Attachment) -> None:
    """Let the thing it belongs to show how many files it has."""
    async with work.elevated():  # an officer's own file, of a task that may be another unit's by now
        if row.task_id:
            task = await locked(work, row.task_id)
            if task:
                task.attachments += 1
                task.updated_at = work.now
                work.publish(TasksChanged, task.id)
        elif row.stop_form_id:
            more = update(StopForm).where(col(StopForm.id) == row.stop_form_id)
            await work.session.execute(more.values(attachments=StopForm.attachments + 1))


async def get(work: Work, attachment_id: UUID) -> dict[str, Any]:
    """One attachment the actor may see; raises NotFound."""
    return resource(await _seen(work, attachment_id))


async def _seen(work: Work, attachment_id: UUID) -> Attachment:
    row: Attachment | None = await work.first(select(Attachment).where(Attachment.id == attachment_id))
    if row is None:
        raise NotFound
    return row


async def listed(work: Work, owner: dict[str, UUID], limit: int, after: UUID | None) -> tuple[list[Any], UUID | None]:
    """A page of the files of one task, violation or stop form, the oldest first; and where the next page starts.

    `owner` is one of task_id, violation_id and stop_form_id with its id; of an unknown one there are none.
    """
    query = select(Attachment).filter_by(**owner).order_by(col(Attachment.id)).limit(limit + 1)
    rows = await work.all(query.where(col(Attachment.id) > after) if after else query)
    work.audit(Action.CONSULTATION, "attachment", None, **{name: str(id_) for name, id_ in owner.items()})
    return [resource(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None


async def screen(work: Work, store: FileStore, attachment_id: UUID) -> tuple[Path, str]:
    """The copy for screens and its name, to be shown; the look is audited. Raises NotFound when there is none."""
    row = await _seen(work, attachment_id)
    if not row.screen:
        raise NotFound
    work.audit(Action.CONSULTATION, "attachment", row.id, **_owner(row))
    return store.screen(row.sha256), f"{Path(row.name).stem or 'photo'}.jpg"


async def original(
    work: Work, store: FileStore, attachment_id: UUID, reason_code: str | None, reason: str | None
) -> tuple[Path, str, str]:
    """The file as it was sent, its name and media type; a disclosure, which asks all but its sender for a reason.

    Raises NotFound, Invalid without a reason.
    """
    row = await _seen(work, attachment_id)
    if row.status != "complete" or row.media_type is None:
        raise NotFound
    told = reason_code in codes.CONSULTATION_REASON and (reason_code != "other" or reason)
    if row.created_by != work.actor.id and not told:
        raise Invalid.at("reason_code", "needed", "Say why you open the original: a reason_code of the code list.")
    work.audit(Action.DISCLOSURE, "attachment", row.id, **_owner(row), reason_code=reason_code, reason=reason)
    return store.original(row.sha256), row.name, row.media_type


_HELD_STILL = text("SELECT pg_try_advisory_xact_lock(hashtext('outrider.files'))")
"""A backup holds this lock shared: its rows and its files must tell of the same."""


async def sweep(work: Work, store: FileStore) -> int:
    """Remove the files no row names any more, a day after they came, unless a backup runs; how many contents.

    For the system's actor, who sees every row.
    """
    if not await work.first(_HELD_STILL):
        return 0
    old = await asyncio.to_thread(lambda: list(store.old()))
    gone = 0
    for start in range(0, len(old), 1_000):
        some = dict(old[start : start + 1_000])
        named = set(await work.all(select(Attachment.sha256).where(col(Attachment.sha256).in_(some))))
        orphans = [file for sha256, files in some.items() if sha256 not in named for file in files]
        await asyncio.to_thread(store.remove, orphans)
        gone += len(some.keys() - named)
    if gone:
        work.audit(Action.ERASURE, "attachment_file", None, n=gone)
    return gone
