"""Files by their content: one file for each SHA-256 below the data folder, durable before a row names it.

    attachments/originals/ab/ab12…    what was sent, byte for byte
    attachments/screens/ab/ab12….jpg  its copy for screens
    uploads/<id>                      what has arrived so far of an upload, and pieces on their way

A file is written apart, synced, moved to its name, and its folder synced. Files that no row names are orphans, which a
round of retention removes; a row never names a file that is not there.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from core.errors import Overloaded
from core.ids import new_id

PIECE = 1 << 20
SPARE_BYTES = 256 * 2**20
"""What must stay free on the disk: the database needs it more."""
ORPHAN_AFTER_S = 86_400
PART_AFTER_S = 30 * 86_400
"""A tablet may be without coverage for days between two pieces."""


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@dataclass(frozen=True)
class FileStore:
    """The files of one installation. Every method blocks: call it in a thread."""

    data_dir: Path

    @property
    def uploads(self) -> Path:
        """Where uploads grow."""
        return self.data_dir / "uploads"

    def original(self, sha256: str) -> Path:
        """Where the content with this hash is, if it is here."""
        return self.data_dir / "attachments" / "originals" / sha256[:2] / sha256

    def screen(self, sha256: str) -> Path:
        """Where its copy for screens is, if it has one."""
        return self.data_dir / "attachments" / "screens" / sha256[:2] / f"{sha256}.jpg"

    def part(self, upload_id: UUID) -> Path:
        """What has arrived of an upload."""
        return self.uploads / str(upload_id)

    def piece(self) -> Path:
        """A new name for a piece on its way; raises Overloaded when the disk is nearly full."""
        self.uploads.mkdir(parents=True, exist_ok=True)
        self.check_room(PIECE)
        return self.uploads / f"{new_id()}.piece"

    def check_room(self, size: int) -> None:
        """Nothing, or Overloaded: so much more would fill the disk."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.data_dir).free < size + SPARE_BYTES:
            raise Overloaded("The disk is nearly full: try again later.", retry_after_s=60)

    def arrived(self, upload_id: UUID, noted: int) -> int:
        """How many bytes of an upload are here: what was noted, unless the file lost some (a restored backup)."""
        part = self.part(upload_id)
        return min(noted, part.stat().st_size) if part.exists() else 0

    def append(self, upload_id: UUID, at: int, piece: Path, skip: int) -> int:
        """Put a piece, without its first `skip` bytes, at byte `at`, durably; the new length."""
        part = self.part(upload_id)
        is_new = not part.exists()
        with part.open("wb" if is_new else "r+b") as out, piece.open("rb") as source:
            out.seek(at)
            out.truncate()
            source.seek(skip)
            shutil.copyfileobj(source, out, PIECE)
            length = out.tell()
            out.flush()
            os.fsync(out.fileno())
        if is_new:
            sync_folder(part.parent)
        return length

    def forget(self, upload_id: UUID) -> None:
        """Throw away what arrived of an upload."""
        self.part(upload_id).unlink(missing_ok=True)

    def keep(self, file: Path, place: Path) -> None:
        """Move a whole file to its place, durably; the same content may be there already."""
        place.parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as content:
            os.fsync(content.fileno())
        file.replace(place)
        sync_folder(place.parent)
        sync_folder(place.parent.parent)

    def old(self) -> Iterator[tuple[str, list[Path]]]:
        """Each hash that has files here, all of them at least a day old; and these files."""
        for original in sorted((self.data_dir / "attachments" / "originals").glob("??/*")):
            files = [file for file in (original, self.screen(original.name)) if file.exists()]
            if all(_older(file, ORPHAN_AFTER_S) for file in files):
                yield original.name, files

    @staticmethod
    def remove(files: Iterable[Path]) -> None:
        """Remove files, those that are gone already as well."""
        for file in files:
            file.unlink(missing_ok=True)

    def sweep_uploads(self) -> int:
        """Remove pieces left for a day, and uploads to which nothing was added for a month; how many."""
        swept = 0
        for file in self.uploads.glob("*"):
            if _older(file, ORPHAN_AFTER_S if file.suffix else PART_AFTER_S):
                file.unlink(missing_ok=True)
                swept += 1
        return swept


def _older(file: Path, seconds: float) -> bool:
    try:
        return file.stat().st_mtime < time.time() - seconds
    except FileNotFoundError:
        return False
