"""`outrider upgrade`: bring the schema to this version, with a restore point to go back to."""

import asyncio
import sys
from pathlib import Path

import asyncpg

from core.db import asyncpg_dsn, utcnow
from core.settings import Settings
from dispatch_api.backup import address, bring_back, content, make
from dispatch_api.backup.bring_back import FilesLeft, Wish
from dispatch_api.commands import migrate
from dispatch_api.commands.progress import Progress
from dispatch_api.process.console import CannotStart
from dispatch_api.revisions import newest_revision

POINTS_KEPT = 3


def run(settings: Settings) -> int:
    """Back up, migrate, and on failure restore what was; the exit code."""
    try:
        with address.running(settings, alone=True) as url:
            return _upgrade(settings.model_copy(update={"owner_database_url": url}), url)
    except CannotStart as error:
        print(f"Nothing was upgraded, and nothing was changed. {error}", file=sys.stderr)
        return 1


def _upgrade(settings: Settings, url: str) -> int:
    newest = newest_revision()
    revision, empty = asyncio.run(_state(url))
    if revision == newest:
        print(f"The schema is of this version already ({newest}).")
        return 0
    if empty:
        return migrate.run(settings, "head")
    point = _point(settings, revision or "none")
    asyncio.run(make.backup(url, settings, point, Progress()))
    print(f"restore point: {point}", flush=True)
    try:
        migrate.run(settings, "head")
    except Exception as error:
        print(f"The migration failed: {error}\nRestoring what was …", file=sys.stderr, flush=True)
        return _back(settings, url, point)
    _prune(point.parent)
    print(f"The schema went from {revision} to {newest}.")
    return 0


def _back(settings: Settings, url: str, point: Path) -> int:
    wish = Wish(replace=True, end_sessions=False)
    try:
        done = asyncio.run(bring_back.restore(url, settings, point, Progress(), wish))
    except (CannotStart, FilesLeft) as error:
        print(f"It could NOT be restored: {error}", file=sys.stderr)
        print(f"Mend that, then: outrider restore --replace {point}", file=sys.stderr)
        return 2
    print(
        f"Restored: the database is as it was, of schema {done.manifest.content.revision}. This version does not run"
        f" on it: go back to the version that did. The restore point stays: {point}",
        file=sys.stderr,
    )
    return 1


async def _state(url: str) -> tuple[str | None, bool]:
    """The schema's revision, and whether there is nobody's work to lose; raises CannotStart while others are at it."""
    try:
        connection = await asyncpg.connect(asyncpg_dsn(url), timeout=10)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise CannotStart(f"The database does not answer ({error or type(error).__name__}).") from error
    try:
        known = await connection.fetchval("SELECT to_regclass('public.alembic_version')")
        revision = await connection.fetchval("SELECT version_num FROM alembic_version") if known else None
        empty = await content.is_empty(connection)
        if not empty and revision != newest_revision():
            await address.refuse_others(connection)
        return revision, empty
    finally:
        await connection.close()


def _point(settings: Settings, revision: str) -> Path:
    folder = settings.data_dir.resolve() / "restore-points"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{utcnow():%Y%m%dT%H%M%S}-schema-{revision}.outrider"


def _prune(folder: Path) -> None:
    for old in sorted(folder.glob("*.outrider"))[:-POINTS_KEPT]:
        old.unlink()
