"""The database a command works on: the one of the settings, else the private one, which must be running."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.db import make_engine
from core.errors import OutriderError
from core.settings import Settings
from core.work import Work, open_work


def with_database(settings: Settings) -> Settings:
    """The settings with the private database's addresses filled in where none are given."""
    if settings.database_url:
        return settings
    from dispatch_api.process.cluster import Cluster

    private = Cluster.for_settings(settings)
    return settings.model_copy(
        update={
            "database_url": private.url("outrider_app"),
            "owner_database_url": private.url("outrider_owner"),
            "ingest_database_url": private.url("outrider_ingest"),
        }
    )


@asynccontextmanager
async def app_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """The app role's connections to the database of these settings."""
    url = with_database(settings).database_url
    assert url is not None  # with_database filled it in
    engine = make_engine(url, pool_size=4)
    try:
        yield engine
    finally:
        await engine.dispose()


async def at_the_machine(settings: Settings, purpose: str, effect: Callable[[Work], Awaitable[str]]) -> int:
    """Do it in one transaction as the system and print what it says, or why not; the exit code."""
    async with app_engine(settings) as engine:
        try:
            async with open_work(engine, system(purpose)) as work:
                said = await effect(work)
        except OutriderError as error:
            print(f"{error}", file=sys.stderr)
            return 1
        except (OSError, ConnectionError):
            print("The database is not running: start `make run` (or `outrider up`) first.", file=sys.stderr)
            return 1
    print(said)
    return 0
