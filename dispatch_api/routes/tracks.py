"""Tracks from files: preview, import at once or by a job."""

import asyncio
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from core.actor import Actor, May
from core.db import utcnow
from core.errors import Conflict, MediaType
from core.work import Work, open_work
from dispatch_api import uploads
from dispatch_api.deps import GetState, allow
from dispatch_api.idempotent import once
from dispatch_api.routes.violations import QueuedOut
from geo import track_import
from geo.duty import KnownDevice
from geo.positions import Writer
from geo.track_import import Tally
from geo.track_rows import Numbered
from mobile_contract.fields import MomentOut

router = APIRouter(tags=["devices"])
Importer = Annotated[Actor, Depends(allow(May.IMPORT_TRACKS))]
Format = Literal["gpx", "kml", "nmea", "geojson", "csv"]
MEDIA_TYPES: dict[str, Format] = {
    "application/gpx+xml": "gpx", "application/vnd.google-earth.kml+xml": "kml", "application/x-nmea": "nmea",
    "application/geo+json": "geojson", "text/csv": "csv",
}  # fmt: skip


class RefusedOut(BaseModel):
    """A line (of GeoJSON: the number of the feature) with a fix that cannot be used, and why."""

    line: int
    code: str
    detail: str


class TrackImportOut(BaseModel):
    """What became of a file's fixes; `suspect` and `old` are among the accepted, `rejected` lists at most 1,000."""

    rows: int
    accepted: int
    duplicates: int
    off_duty: int
    suspect: int
    old: int
    days: int
    rejected_total: int
    rejected: list[RefusedOut]


class FixShown(BaseModel):
    """A fix of the file, and whether the unit was on duty then."""

    line: int
    fix_at: MomentOut
    on_duty: bool
    lat: float | None
    lon: float | None
    altitude_m: float | None
    speed_mps: float | None
    heading_deg: float | None
    accuracy_m: float | None


class TrackPreviewOut(BaseModel):
    """What an import would meet: `whole` is false when only the first 10,000 rows were read.

    `off_duty` fixes would be dropped; `old` (over 30 days), `future` and `nowhere` ones kept as suspect.
    """

    preview: Literal[True] = True
    format: Format
    whole: bool
    rows: int
    fixes: int
    off_duty: int
    old: int
    future: int
    nowhere: int
    days: int
    first_at: MomentOut | None
    last_at: MomentOut | None
    bbox: tuple[float, float, float, float] | None
    sample: list[FixShown]
    rejected_total: int
    rejected: list[RefusedOut]


class TrackKey(BaseModel):
    """What makes two imports equal."""

    device_id: UUID
    format: str
    sha256: str


@router.post(
    "/devices/{device_id}/tracks/import",
    response_model=TrackPreviewOut | TrackImportOut | QueuedOut,
    responses={202: {"model": QueuedOut}},
    openapi_extra=uploads.body_of(*MEDIA_TYPES),
)
async def import_track(
    device_id: UUID,
    request: Request,
    response: Response,
    actor: Importer,
    state: GetState,
    preview: bool = False,
    format: Format | None = None,
    client_id: Annotated[UUID | None, Query(alias="id")] = None,
) -> Any:
    """Import a GPX, KML, NMEA, GeoJSON or CSV file as this device's fixes; over 10,000 rows by a job.

    The format is the content type's unless `format` says it. The same file again adds nothing.
    """
    async with open_work(state.engine, actor) as work:
        await track_import.check_device(work, device_id)
    form = format or MEDIA_TYPES.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())
    if form is None:
        raise MediaType(f"Send {', '.join(MEDIA_TYPES)}, or say the `format`.")
    device = await state.duty.find_known(device_id)
    if device is None:
        raise Conflict("The device is revoked.")
    folder = state.settings.data_dir / "imports"
    async with uploads.streamed(request, folder, form, uploads.MAX_IMPORT, any_bytes=True) as upload:
        now = utcnow()
        rows, is_whole = await asyncio.to_thread(track_import.read_ahead, upload.file, form, now)
        if preview:
            seen = await track_import.preview(state.duty, device, rows, now)
            return TrackPreviewOut.model_validate({"format": form, "whole": is_whole, **seen})
        async with open_work(state.engine, actor, state.bus) as work:

            async def effect() -> Any:
                if is_whole:
                    return await _stored(work, state.writer, device, form, rows)
                upload.keep()
                return {"job_id": track_import.queue(work, device_id, upload.file.name, form)}

            key = TrackKey(device_id=device_id, format=form, sha256=upload.sha256)
            return await once(work, response, "tracks.import", client_id, key, effect, status=200 if is_whole else 202)


async def _stored(work: Work, writer: Writer, device: KnownDevice, form: str, rows: list[Numbered]) -> TrackImportOut:
    """What became of rows that are stored now; what is stored stays, should the rest fail: it can be sent again."""
    tally = Tally()
    await track_import.store(writer, device, rows, tally, work.now)
    track_import.audit(work, device.id, form, tally, work.actor.id)
    return TrackImportOut.model_validate(tally.result())
