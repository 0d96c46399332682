"""`outrider import`: a file of violations sent to the server, and what became of its rows."""

import argparse
import asyncio
import gzip
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import aiohttp

from core.errors import OutriderError
from core.settings import Settings
from dispatch_api.commands.client import Refused, Session, credentials, server_url, signed_in
from dispatch_api.commands.progress import Progress
from geo.violation_rows import CSV, GEOJSON

MEDIA_TYPES = {".csv": CSV, ".geojson": GEOJSON, ".json": GEOJSON}
PIECE_BYTES = 256 * 1024
POLL_S = 0.5
SHOWN = 20


def _opened(file: Path) -> tuple[BinaryIO, str]:
    """The content of a file, unpacked if it is packed, and its media type; raises Refused, OSError."""
    packed = file.suffix == ".gz"
    media_type = MEDIA_TYPES.get(file.with_suffix("").suffix if packed else file.suffix)
    if media_type is None:
        raise Refused(f"{file} is none of {', '.join(MEDIA_TYPES)}, packed with gzip or not.")
    return cast(BinaryIO, gzip.open(file)) if packed else file.open("rb"), media_type


async def _pieces(content: BinaryIO) -> AsyncIterator[bytes]:
    content.seek(0)
    while piece := await asyncio.to_thread(content.read, PIECE_BYTES):
        yield piece


async def _finished(session: Session, job_id: str, progress: Progress) -> dict[str, Any]:
    """The result of a job once it is done; raises Refused when it failed."""
    while True:
        job = await session.call("GET", f"/jobs/{job_id}")
        progress.show("imported", round(job["progress"] * 100), 100)
        if job["status"] == "failed":
            raise Refused(job["result"]["detail"])
        if job["status"] == "done":
            result: dict[str, Any] = job["result"]
            return result
        await asyncio.sleep(POLL_S)


def _report(result: dict[str, Any]) -> None:
    for name, n in (("accepted", "accepted"), ("duplicates", "duplicates"), ("rejected", "rejected_total")):
        print(f"{name:>10}  {result[n]}")
    if result["ignored_columns"]:
        print(f"Columns ignored: {', '.join(result['ignored_columns'])}")
    for row in result["rejected"][:SHOWN]:
        print(f"line {row['line']}: {row['code']}: {row['detail']}")
    if result["rejected_total"] > SHOWN:
        print(f"… and {result['rejected_total'] - SHOWN} more")


async def run(settings: Settings, args: argparse.Namespace) -> int:
    """Import the file; prints how many rows were accepted, known already or rejected, and why; the exit code."""
    progress = Progress()
    try:
        content, media_type = _opened(Path(args.file))
        login, password = credentials(settings, "supervisor", args.login, args.password)
        with content:
            async with signed_in(server_url(settings, args.url), login, password, args.code) as session:
                result = await session.call(
                    "POST",
                    "/violations/import",
                    data=lambda: _pieces(content),
                    params={"source": args.source},
                    headers={"Content-Type": media_type},
                )
                if job_id := result.get("job_id"):
                    result = await _finished(session, job_id, progress)
    except (OutriderError, aiohttp.ClientError, OSError) as error:
        progress.done()
        print(f"Import stopped: {error}", file=sys.stderr)
        return 1
    progress.done()
    _report(result)
    return 0
