"""The file of a backup: a ZIP of PostgreSQL's own dump, the files beside the database, and what both must amount to."""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from core.settings import Settings
from dispatch_api.backup.content import Content
from dispatch_api.process.console import CannotStart

FORMAT = 1
DUMP, MANIFEST, FILES = "database.dump", "manifest.json", "files/"
HEADS = "audit-heads"
KEPT = (HEADS, "tls", "webpush", "imports", "attachments", "demo-accounts.json", "demo-devices.json")
"""What of the data folder cannot be made again; logs, uploads that go on, the database and restore points need not."""


class Manifest(msgspec.Struct, frozen=True):
    """What the file says about itself."""

    format: int
    made_at: datetime
    version: str
    postgres: int
    content: Content
    files: dict[str, str]
    """SHA-256 of each file by its place in the data folder."""


def source(settings: Settings, name: str) -> Path:
    """Where a kept file or folder is; audit heads may lie elsewhere."""
    if name == HEADS and settings.audit_head_dir:
        return settings.audit_head_dir
    return settings.data_dir / name


@contextmanager
def writing(file: Path) -> Iterator[zipfile.ZipFile]:
    """A new archive that stands under its name only once it is whole; only the owner of the process may read it."""
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as out:
            with zipfile.ZipFile(out, "w") as archive:
                yield archive
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def add_files(archive: zipfile.ZipFile, settings: Settings) -> dict[str, str]:
    """Put the data folder's files in; their digests."""
    digests = {}
    for name in KEPT:
        top = source(settings, name)
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            place = str(PurePosixPath(name, *file.relative_to(top).parts))
            try:
                with file.open("rb") as content:
                    digests[place] = _copy(content, archive, f"{FILES}{place}")
            except (FileNotFoundError, IsADirectoryError):
                continue  # an import's file that was done with just now
    return digests


def _copy(content: IO[bytes], archive: zipfile.ZipFile, name: str) -> str:
    sha = hashlib.sha256()
    with archive.open(name, "w", force_zip64=True) as out:
        while piece := content.read(1 << 20):
            sha.update(piece)
            out.write(piece)
    return sha.hexdigest()


def add_manifest(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Say what is in."""
    archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))


@contextmanager
def reading(file: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """An archive and its manifest; raises CannotStart when it is none, or of a later form."""
    try:
        archive = zipfile.ZipFile(file)
        manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    except (OSError, KeyError, zipfile.BadZipFile, msgspec.DecodeError) as error:
        raise CannotStart(f"{file} is no whole backup of Outrider: {error}") from error
    with archive:
        if manifest.format != FORMAT:
            raise CannotStart(f"{file} was made by a later Outrider ({manifest.version}): restore it with that.")
        yield archive, manifest


def unpack(archive: zipfile.ZipFile, manifest: Manifest, folder: Path) -> None:
    """Lay the files down below `folder`; raises CannotStart for one that is not what it was."""
    for place, digest in manifest.files.items():
        parts = PurePosixPath(place).parts
        if parts[0] not in KEPT or ".." in parts:
            raise CannotStart(f"The backup holds a file where none belongs: {place}")
        target = folder.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        sha = hashlib.sha256()
        opener = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with archive.open(f"{FILES}{place}") as content, os.fdopen(opener, "wb") as out:
            while piece := content.read(1 << 20):
                sha.update(piece)
                out.write(piece)
        if sha.hexdigest() != digest:
            raise CannotStart(f"The backup's file {place} is damaged.")


def put_in_place(folder: Path, settings: Settings, aside: Path) -> list[str]:
    """Move unpacked files to where they belong, and those that were there `aside`; the names of what was moved so.

    Audit heads kept elsewhere are only added to: they are proof also of what came after the backup.
    """
    moved = []
    for name in KEPT:
        new, place = folder / name, source(settings, name)
        elsewhere = name == HEADS and settings.audit_head_dir is not None
        if place.exists() and not elsewhere:
            aside.mkdir(parents=True, exist_ok=True, mode=0o700)
            place.rename(aside / name)
            moved.append(name)
        if not new.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if not elsewhere:
            shutil.move(new, place)
            continue
        place.mkdir(parents=True, exist_ok=True)
        for file in new.iterdir():
            if not (place / file.name).exists():
                shutil.copy2(file, place)
    return moved
