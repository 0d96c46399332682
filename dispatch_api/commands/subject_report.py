"""`outrider subject-report`: everything held about one person, written to a file only its owner may read."""

import argparse
import os
import sys
from pathlib import Path

from core.actor import system
from core.db import utcnow
from core.errors import OutriderError
from core.settings import Settings
from core.subject import Section
from dispatch_api import subject_report
from dispatch_api.commands.database import app_engine
from dispatch_api.commands.progress import Progress


async def run(settings: Settings, args: argparse.Namespace) -> int:
    """Write the report on `args.login`; the exit code."""
    login, progress = args.login.strip().lower(), Progress()
    path = Path(args.output or f"subject-{login}-{utcnow():%Y-%m-%d}.{args.format}")

    def told(n: int, section: Section) -> None:
        progress.show("sections", n, len(subject_report.SECTIONS), section.title)

    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            async with app_engine(settings) as engine:
                actor = system("subject-report")
                await subject_report.write(engine, actor, login, args.reason, args.format, file, told)
    except FileExistsError:
        print(f"{path} is there already: name another with --output.", file=sys.stderr)
        return 1
    except (OutriderError, OSError) as error:
        path.unlink(missing_ok=True)
        print(f"No report was made: {error}", file=sys.stderr)
        return 1
    progress.done()
    print(f"{path}   (personal data: give it to nobody but the person and those who must see it)")
    return 0
