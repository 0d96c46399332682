"""Is the process alive, and may it be given work?"""

from functools import cache
from typing import Any

from fastapi import APIRouter
from sqlalchemy import text

from core.errors import Overloaded
from dispatch_api.deps import GetState
from dispatch_api.metrics.probe import clock_skew_s
from dispatch_api.process.condition import warnings
from dispatch_api.revisions import newest_revision

AT_ROOT = True
router = APIRouter(tags=["operating"])
DURABLE = {"fsync": {"on"}, "full_page_writes": {"on"}, "synchronous_commit": {"on", "remote_apply"}}
_READ = text(
    "SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,"
    " current_setting('synchronous_commit') AS synchronous_commit,"
    " (SELECT version_num FROM alembic_version) AS revision"
)


_newest = cache(newest_revision)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """This process answers."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(state: GetState) -> dict[str, Any]:
    """The database answers to the app role, keeps what it commits, and has this version's schema; else 503.

    `warnings` names what will get worse: `disk_low` (less than 3 GiB free), `clock_skew` (over 2 s from the database).
    """
    async with state.engine.connect() as connection:
        row = (await connection.execute(_READ)).mappings().one()
    for name, good in DURABLE.items():
        if row[name] not in good:
            raise Overloaded(f"The database does not keep what it commits: {name} is {row[name]}.", 30)
    if row["revision"] != _newest():
        raise Overloaded(f"The schema is {row['revision']}, not {_newest()}: run `outrider upgrade`.", 30)
    return {"status": "ready", "warnings": warnings(state.settings, await clock_skew_s(state.engine))}
