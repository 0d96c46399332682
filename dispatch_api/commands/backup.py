"""`outrider backup` and `outrider restore`: a whole installation in one file, and back."""

import asyncio
import sys
from datetime import UTC
from pathlib import Path

from core.settings import Settings
from dispatch_api.backup import address, bring_back, make
from dispatch_api.backup.bring_back import FilesLeft, Wish
from dispatch_api.commands.progress import Progress
from dispatch_api.process.console import CannotStart


def run(settings: Settings, file: Path) -> int:
    """Write a backup of the running or sleeping installation; the exit code."""
    try:
        if file.exists():
            raise CannotStart(f"{file} exists already: name another.")
        with address.running(settings, alone=False) as url:
            manifest = asyncio.run(make.backup(url, settings, file.resolve(), Progress()))
    except CannotStart as error:
        print(f"No backup was made. {error}", file=sys.stderr)
        return 1
    rows = sum(manifest.content.rows.values())
    print(f"{file}: {file.stat().st_size / 1e6:,.1f} MB, {rows:,} rows, {len(manifest.files)} files")
    print("It holds people, places, keys and password hashes: keep it as safe as the database, and off this machine.")
    return 0


def restore(settings: Settings, file: Path, *, replace: bool) -> int:
    """Bring a backup back; the exit code."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        with address.running(settings, alone=True) as url:
            done = asyncio.run(bring_back.restore(url, settings, file, Progress(), Wish(replace=replace)))
    except CannotStart as error:
        print(f"Nothing was restored, and nothing was changed. {error}", file=sys.stderr)
        return 1
    except FilesLeft as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Restored as of {done.manifest.made_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC. Everybody must sign in anew.")
    print(
        "What was revoked, disabled or released after that moment is as it was then: look through people and devices."
    )
    if done.aside:
        print(f"The files that were here before are in {done.aside}.")
    return 0
