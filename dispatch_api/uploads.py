"""Bodies too long for memory: streamed to a file, checked for size and encoding on the way."""

import asyncio
import codecs
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import Request
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from core.errors import Malformed, MediaType, TooLarge
from core.file_store import sync_folder
from core.ids import new_id
from geo.violation_import import read_ahead
from geo.violation_rows import CSV, GEOJSON, MAX_GEOJSON, Good, Refused

MAX_IMPORT = 512 * 2**20
LIMITS = {CSV: MAX_IMPORT, GEOJSON: MAX_GEOJSON}


def body_of(*media_types: str) -> dict[str, Any]:
    """What OpenAPI says of a body that is a file of one of these kinds."""
    file = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "content": dict.fromkeys(media_types, file)}}


class UploadKey(BaseModel):
    """What makes two uploads equal."""

    source: str
    media_type: str
    sha256: str


@dataclass
class Upload:
    """A body that is on the disk, whole."""

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
    async with streamed(request, folder, media_type, LIMITS[media_type]) as upload:
        yield upload


@asynccontextmanager
async def streamed(
    request: Request, folder: Path, media_type: str, limit: int, *, any_bytes: bool = False
) -> AsyncIterator[Upload]:
    """The same for a body of at most `limit` bytes, whatever its header says; with `any_bytes` not only UTF-8."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{new_id()}.{media_type.rpartition('/')[2]}"
    upload: Upload | None = None
    try:
        upload = Upload(file, media_type, await _written(request, file, limit, "latin-1" if any_bytes else "utf-8"))
        yield upload
    finally:
        if upload is None or not upload.kept:
            file.unlink(missing_ok=True)


async def _written(request: Request, file: Path, limit: int, encoding: str) -> str:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with file.open("xb") as out:
            _, sha256 = await copied(request, out, limit, "The file", decoder.decode)
            decoder.decode(b"", final=True)
            out.flush()
            await asyncio.to_thread(os.fsync, out.fileno())
    except UnicodeDecodeError as error:
        raise Malformed("The text is not UTF-8.") from error
    await asyncio.to_thread(sync_folder, file.parent)
    return sha256


async def copied(
    request: Request, out: BinaryIO, limit: int, what: str, heed: Callable[[bytes], object] | None = None
) -> tuple[int, str]:
    """Write a request's body, each part seen by `heed` before; its bytes and SHA-256.

    Raises TooLarge for more than `limit` bytes, and Malformed when the upload breaks off.
    """
    digest, size = hashlib.sha256(), 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise TooLarge(f"{what} may be {limit >> 20} MiB large.")
            if heed is not None:
                heed(part)
            digest.update(part)
            out.write(part)
    except ClientDisconnect as error:
        raise Malformed("The upload broke off.") from error
    return size, digest.hexdigest()
