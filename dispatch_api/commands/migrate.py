"""`outrider migrate`: bring the schema up (or, to an earlier revision, down)."""

import sys

from alembic import command
from alembic.config import Config

from core.settings import Settings
from dispatch_api import revisions


def run(settings: Settings, revision: str) -> int:
    """Migrate to `revision`; the exit code. Needs the owner's database address."""
    if not settings.owner_database_url:
        print("Set OUTRIDER_OWNER_DATABASE_URL, or start `outrider up`, which migrates by itself.", file=sys.stderr)
        return 2
    config = Config(str(revisions.ROOT / "alembic.ini"))
    config.attributes["url"] = settings.owner_database_url
    if revision == "base" or revision.startswith("-"):
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)
    return 0
