"""Making a backup while everything runs: one snapshot of the database, dumped and counted."""

import asyncio
import re
import subprocess
import threading
import zipfile
from importlib.metadata import version
from pathlib import Path

import asyncpg

from core.db import utcnow
from core.settings import Settings
from dispatch_api.backup import address, archive, content
from dispatch_api.backup.archive import Manifest
from dispatch_api.commands.progress import Progress
from dispatch_api.process.console import CannotStart

PIECE = 1 << 20
_TABLE = re.compile(rb"dumping contents of table")


async def backup(url: str, settings: Settings, file: Path, progress: Progress) -> Manifest:
    """Write the database at the owner's `url` and the data folder's files into `file`; what it holds.

    Raises CannotStart with the reason; then there is no file.
    """
    connection = await address.connect(url)
    try:
        await connection.execute("SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _write(connection, url, settings, file, progress)
    except asyncpg.UndefinedTableError as error:
        raise CannotStart("The database has no tables of Outrider yet: there is nothing to back up.") from error
    except OSError as error:
        raise CannotStart(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        await connection.close()


async def _write(
    connection: asyncpg.Connection, url: str, settings: Settings, file: Path, progress: Progress
) -> Manifest:
    major = await address.major_of(connection)
    tables = await content.tables(connection)
    if "alembic_version" not in tables:
        raise CannotStart("The database has no tables of Outrider yet: there is nothing to back up.")
    await connection.execute("SELECT pg_advisory_xact_lock_shared(hashtext('outrider.files'))")
    snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
    command = [str(address.programs(major).program("pg_dump")), "-Fc", "-v", "--lock-wait-timeout=30s"]
    with archive.writing(file) as out:
        dump = _Dump([*command, f"--snapshot={snapshot}"], url, len(tables), progress)
        await asyncio.to_thread(dump.run, out)
        files = await asyncio.to_thread(archive.add_files, out, settings)
        found = await content.read(connection)
        manifest = Manifest(archive.FORMAT, utcnow(), version("outrider"), major, found, files)
        archive.add_manifest(out, manifest)
    progress.done()
    return manifest


class _Dump:
    """pg_dump into an archive; it says on its standard error at which table it is."""

    def __init__(self, command: list[str], url: str, tables: int, progress: Progress) -> None:
        self._command, self._url, self._tables, self._progress = command, url, tables, progress
        self._at = self._bytes = 0
        self._last = b""

    def run(self, out: zipfile.ZipFile) -> None:
        """Dump; raises CannotStart with pg_dump's last words when it fails."""
        process = subprocess.Popen(
            self._command, env=address.environment(self._url), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        with process:
            listening = threading.Thread(target=self._listen, args=(process,))
            listening.start()
            assert process.stdout
            try:
                with out.open(archive.DUMP, "w", force_zip64=True) as dump:
                    while piece := process.stdout.read(PIECE):
                        dump.write(piece)
                        self._bytes += len(piece)
                        self._show()
            except BaseException:
                process.kill()
                raise
            finally:
                listening.join()
        if process.returncode:
            raise CannotStart(f"The database could not be dumped: {self._last.decode(errors='replace').strip()}")

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stderr
        for line in process.stderr:
            self._last = line
            if _TABLE.search(line):
                self._at += 1
                self._show()

    def _show(self) -> None:
        done = min(max(self._at - 1, 0), self._tables - 1)
        self._progress.show("tables backed up", done, self._tables, f"{self._bytes / 1e6:,.0f} MB")
