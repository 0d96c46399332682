"""`outrider retention`: what is past its time, shown or deleted."""

import sys

from core.actor import system
from core.errors import OutriderError
from core.retention import PURPOSE, RecordClass
from core.settings import Settings
from core.work import open_work
from dispatch_api import retention
from dispatch_api.commands.database import app_engine
from dispatch_api.commands.progress import Progress


async def run(settings: Settings, *, dry_run: bool) -> int:
    """Print what is due and held of each class; unless it is a dry run, delete what is due, with progress."""
    async with app_engine(settings) as engine:
        try:
            async with open_work(engine, system(PURPOSE)) as work:
                found = await retention.tallies(work, settings)
        except (OutriderError, OSError) as error:
            print(f"The database is not running: start `make run` (or `outrider up`) first. ({error})", file=sys.stderr)
            return 1
        print(f"{'records':<20}{'before':<18}{'due':>12}{'held':>12}  oldest")
        for one, before, tally in found:
            oldest = f"{tally.oldest:%Y-%m-%d %H:%M}" if tally.oldest else "-"
            print(f"{one.name:<20}{before:%Y-%m-%d %H:%M}  {tally.due:>12,}{tally.held:>12,}  {oldest}")
        if dry_run:
            return 0
        progress, due = Progress(), {one.name: tally.due for one, _, tally in found}

        def told(one: RecordClass, n: int) -> None:
            progress.show(f"{one.name} deleted", n, max(due[one.name], n))

        failed = await retention.run(engine, settings, told=told)
        progress.done()
    for name in failed:
        print(f"{name}: not all could be deleted now; the next run goes on (the log says why)", file=sys.stderr)
    return 1 if failed else 0
