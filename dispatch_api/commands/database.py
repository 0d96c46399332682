"""The database a command works on: the one of the settings, else the private one, which must be running."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from core.db import make_engine
from core.settings import Settings


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
