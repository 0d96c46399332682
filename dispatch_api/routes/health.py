"""Is the process alive, and may it be given work?"""

from functools import cache

from alembic.script import ScriptDirectory
from fastapi import APIRouter
from sqlalchemy import text

from core.errors import Overloaded
from dispatch_api.commands.migrate import ROOT
from dispatch_api.deps import GetState

AT_ROOT = True
router = APIRouter(tags=["operating"])
DURABLE = {"fsync": {"on"}, "full_page_writes": {"on"}, "synchronous_commit": {"on", "remote_apply"}}
_READ = text(
    "SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,"
    " current_setting('synchronous_commit') AS synchronous_commit,"
    " (SELECT version_num FROM alembic_version) AS revision"
)


@cache
def _newest() -> str | None:
    return ScriptDirectory(str(ROOT / "alembic")).get_current_head()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """This process answers."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(state: GetState) -> dict[str, str]:
    """The database answers to the app role, keeps what it commits, and has this version's schema; else 503."""
    async with state.engine.connect() as connection:
        row = (await connection.execute(_READ)).mappings().one()
    for name, good in DURABLE.items():
        if row[name] not in good:
            raise Overloaded(f"The database does not keep what it commits: {name} is {row[name]}.", 30)
    if row["revision"] != _newest():
        raise Overloaded(f"The schema is {row['revision']}, not {_newest()}: run `outrider migrate`.", 30)
    return {"status": "ready"}
