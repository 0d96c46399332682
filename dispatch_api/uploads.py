"""Bodies too long for memory: streamed to a file, checked for size and encoding on the way."""

import asyncio
import codecs
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from core.errors import Malformed, MediaType, TooLarge
from core.ids import new_id
from geo.violation_import import read_ahead
from geo.violation_rows import CSV, GEOJSON, MAX_GEOJSON, Good, Refused

MAX_IMPORT = 512 * 2**20
LIMITS = {CSV: MAX_IMPORT, GEOJSON: MAX_GEOJSON}


class UploadKey(BaseModel):
    """What makes two uploads equal."""

    source: str
    media_type: str
    sha256: str


@dataclass
class Upload:
    """A body that is on the disk, whole and UTF-8."""

    file: Path
    media_type: str
    sha256: str
    kept: bool = False

    def keep(self) -> None:
        """Leave the file to the worker."""
        self.kept = True

    def key(self, source: str) -> UploadKey:
        """What an equal upload has in common with this one."""
        return UploadKey(source=source, media_type=self.media_type, sha256=self.sha256)

    async def rows(self, source: str) -> tuple[list[Good | Refused] | None, dict[str, None]]:
        """See violation_import.read_ahead."""
        return await asyncio.to_thread(read_ahead, self.file, self.media_type, source)


@asynccontextmanager
async def received(request: Request, folder: Path) -> AsyncIterator[Upload]:
    """The request's body in a file of `folder`, which is removed afterwards unless kept.

    Raises MediaType, TooLarge, and Malformed for text that is not UTF-8 or an upload that breaks off.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in LIMITS:
        raise MediaType(f"Send {CSV} or {GEOJSON}.")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{new_id()}.{'csv' if media_type == CSV else 'geojson'}"
    upload: Upload | None = None
    try:
        upload = Upload(file, media_type, await _written(request, file, LIMITS[media_type]))
        yield upload
    finally:
        if upload is None or not upload.kept:
            file.unlink(missing_ok=True)


async def _written(request: Request, file: Path, limit: int) -> str:
    digest, decoder, size = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")(), 0
    try:
        with file.open("xb") as out:
            async for piece in request.stream():
                size += len(piece)
                if size > limit:
                    raise TooLarge(f"The file may be {limit >> 20} MiB large.")
                decoder.decode(piece)
                digest.update(piece)
                out.write(piece)
            decoder.decode(b"", final=True)
            out.flush()
            await asyncio.to_thread(os.fsync, out.fileno())
    except UnicodeDecodeError as error:
        raise Malformed("The text is not UTF-8.") from error
    except ClientDisconnect as error:
        raise Malformed("The upload broke off.") from error
    await asyncio.to_thread(_sync_folder, file.parent)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
