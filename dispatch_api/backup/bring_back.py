"""Restoring: into a new database beside the present one, which takes its place once everything in it was checked."""

import asyncio
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import asyncpg
from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError

from core import audit
from core.actor import system
from core.audit import Action
from core.db import make_engine, utcnow
from core.models import SignIn, SocketTicket
from core.settings import Settings
from core.work import open_work
from dispatch_api.backup import address, archive, content
from dispatch_api.backup.archive import Manifest
from dispatch_api.commands.progress import Progress
from dispatch_api.process.console import CannotStart
from dispatch_api.revisions import known_revisions

PIECE = 1 << 20
_ROLES = """
DO $$ DECLARE name text; BEGIN
  FOREACH name IN ARRAY ARRAY['outrider_app', 'outrider_ingest'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', name);
    END IF;
  END LOOP;
END $$
"""
_LIKE = "SELECT datcollate, datctype FROM pg_database WHERE datname = current_database()"


class FilesLeft(Exception):
    """The database is restored, the files beside it are not; the message says where they are."""


@dataclass(frozen=True)
class Restored:
    """What was brought back, and where what it replaced was put."""

    manifest: Manifest
    links: int
    newest_link: date | None
    aside: Path | None


@dataclass(frozen=True)
class Wish:
    """How to restore."""

    replace: bool = False
    """Also over a database that holds people."""
    end_sessions: bool = True
    """Sign everybody out: sessions that were ended after the backup would be open again."""
    say: Callable[[str], None] = print


async def restore(url: str, settings: Settings, file: Path, progress: Progress, wish: Wish) -> Restored:
    """Put the backup in `file` in the place of the database at the owner's `url` and of the data folder's files.

    Raises CannotStart with the reason; then database and files are as they were.
    """
    with archive.reading(file) as (source, manifest), tempfile.TemporaryDirectory(dir=settings.data_dir) as folder:
        _refuse_later_schema(manifest)
        unpacked, place = Path(folder), _Beside(url)
        try:
            archive.unpack(source, manifest, unpacked)
            await place.begin(manifest, replace=wish.replace)
            try:
                await asyncio.to_thread(_load, source, manifest, place, progress)
                links = await _check(place, manifest, unpacked / archive.HEADS, wish.say)
                await _sign(place.url, manifest, wish)
                await place.take_over()
            finally:
                await place.clear()
        except (OSError, asyncpg.PostgresError, SQLAlchemyError) as error:
            raise CannotStart(f"{type(error).__name__}: {error}") from error
        aside = settings.data_dir / f"replaced-{utcnow():%Y%m%dT%H%M%S}"
        try:
            moved = archive.put_in_place(unpacked, settings, aside)
        except OSError as error:
            told = f"The database was restored, but not the files beside it ({error})."
            raise FilesLeft(f"{told} {file} is a ZIP that holds them; those from before are in {aside}.") from error
    return Restored(manifest, *links, aside if moved else None)


def _refuse_later_schema(manifest: Manifest) -> None:
    if manifest.content.revision not in known_revisions():
        raise CannotStart(f"The backup is of a later Outrider (schema {manifest.content.revision}): restore with that.")


class _Beside:
    """The new database, and the one whose place it takes."""

    def __init__(self, url: str) -> None:
        self._target_url, self._name = url, address.name_of(url)
        self._new = f"{self._name}_restoring"
        self._admin_url = address.named(url, "postgres")
        self.url = address.named(url, self._new)
        self.major = 0

    async def begin(self, manifest: Manifest, *, replace: bool) -> None:
        """Make the new database, empty; raises CannotStart when the present one may not be replaced."""
        target = await address.connect(self._target_url)
        try:
            self.major = await address.major_of(target)
            if self.major < manifest.postgres:
                raise CannotStart(f"The backup is of PostgreSQL {manifest.postgres}, this is {self.major}.")
            if not replace and not await content.is_empty(target):
                raise CannotStart("The database holds records already: --replace restores over them.")
            await address.refuse_others(target)
            collation, kind = await target.fetchrow(_LIKE)
        finally:
            await target.close()
        new = _quoted(self._new)
        await self._execute(
            _ROLES,
            f"DROP DATABASE IF EXISTS {new} WITH (FORCE)",
            f"CREATE DATABASE {new} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE {_quoted(collation)}"
            f" LC_CTYPE {_quoted(kind)}",
        )

    async def take_over(self) -> None:
        """Give the new database the name of the present one, in one step; the present one goes."""
        old, new, name = map(_quoted, (f"{self._name}_replaced", self._new, self._name))
        target = await address.connect(self._target_url)
        try:
            await address.refuse_others(target)
        finally:
            await target.close()
        try:
            await self._execute(
                f"DROP DATABASE IF EXISTS {old} WITH (FORCE)",
                f"BEGIN; ALTER DATABASE {name} RENAME TO {old}; ALTER DATABASE {new} RENAME TO {name}; COMMIT",
                f"DROP DATABASE {old} WITH (FORCE)",
            )
        except asyncpg.ObjectInUseError as error:
            raise CannotStart("Somebody has just connected to the database: stop Outrider first.") from error

    async def clear(self) -> None:
        """Throw a new database away that took nobody's place."""
        await self._execute(f"DROP DATABASE IF EXISTS {_quoted(self._new)} WITH (FORCE)")

    async def _execute(self, *statements: str) -> None:
        connection = await address.connect(self._admin_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _load(source: zipfile.ZipFile, manifest: Manifest, place: _Beside, progress: Progress) -> None:
    """pg_restore from the archive; raises CannotStart with its last words when it fails."""
    command = [str(address.programs(max(place.major, manifest.postgres)).program("pg_restore"))]
    size, sent = source.getinfo(archive.DUMP).file_size, 0
    with (
        source.open(archive.DUMP) as dump,
        subprocess.Popen(
            [*command, "--no-owner", "--exit-on-error", "--dbname", address.name_of(place.url)],
            env=address.environment(place.url), cwd="/", stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process,
    ):  # fmt: skip
        assert process.stdin
        assert process.stderr
        said: list[bytes] = []
        listening = threading.Thread(target=said.extend, args=(process.stderr,))
        listening.start()
        try:
            while piece := dump.read(PIECE):
                process.stdin.write(piece)
                sent += len(piece)
                progress.show("restored", sent, size, "bytes")
            process.stdin.close()
        except BrokenPipeError:
            pass  # it ended early, and has said why
        except zipfile.BadZipFile as error:
            process.kill()
            raise CannotStart(f"The backup is damaged: {error}") from error
        finally:
            listening.join()
    progress.done()
    if process.returncode:
        raise CannotStart(f"The database could not be restored: {b''.join(said[-3:]).decode(errors='replace').strip()}")


async def _check(
    place: _Beside, manifest: Manifest, heads: Path, say: Callable[[str], None]
) -> tuple[int, date | None]:
    """The audit chain's extent; raises CannotStart when the copy is not what the backup says it is."""
    connection = await address.connect(place.url)
    try:
        await connection.execute("ANALYZE")
        now = await content.read(connection)
    finally:
        await connection.close()
    same = place.major == manifest.postgres
    faults = content.differences(manifest.content, now, wording=same)
    engine = make_engine(place.url, pool_size=2)
    try:
        faults += await audit.verify(engine, heads)
        extent = await audit.extent(engine)
    finally:
        await engine.dispose()
    if faults:
        raise CannotStart("What was restored is not what was backed up:\n  " + "\n  ".join(faults[:20]))
    rows, rules = sum(now.rows.values()), len(now.rules)
    say(
        f"checked: {rows:,} rows in {len(now.rows)} tables, {rules} grants, policies and other rules, {extent[0]} links"
    )
    return extent


async def _sign(url: str, manifest: Manifest, wish: Wish) -> None:
    """Write into the audit that this was restored, and sign everybody out if so wished."""
    engine = make_engine(url, pool_size=2)
    try:
        async with open_work(engine, system("restore")) as work:
            ended = 0
            if wish.end_sessions:
                await work.session.execute(delete(SocketTicket))
                ended = getattr(await work.session.execute(delete(SignIn)), "rowcount", 0)
            fields = {"made_at": manifest.made_at, "revision": manifest.content.revision, "sessions_ended": ended}
            work.audit(Action.ALTERATION, "database", "restored", **fields)
    finally:
        await engine.dispose()
