"""Which database a command works on: the one the settings name, or the private one, started if it sleeps."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dispatch_api.process.cluster import APP, INGEST, OWNER, Cluster

if TYPE_CHECKING:
    from core.settings import Settings


def environment(settings: "Settings", cluster: Cluster | None) -> dict[str, str]:
    """The variables that lead a child process to the database."""
    if cluster is not None:
        return {
            "OUTRIDER_DATABASE_URL": cluster.url(APP),
            "OUTRIDER_OWNER_DATABASE_URL": cluster.url(OWNER),
            "OUTRIDER_INGEST_DATABASE_URL": cluster.url(INGEST),
        }
    named = {
        "OUTRIDER_DATABASE_URL": settings.database_url,
        "OUTRIDER_OWNER_DATABASE_URL": settings.owner_database_url,
        "OUTRIDER_INGEST_DATABASE_URL": settings.ingest_database_url or settings.database_url,
    }
    return {name: url for name, url in named.items() if url}


def with_cluster(settings: "Settings", cluster: Cluster) -> "Settings":
    """The settings with the private database's addresses filled in."""
    return settings.model_copy(
        update={
            "database_url": cluster.url(APP),
            "owner_database_url": cluster.url(OWNER),
            "ingest_database_url": cluster.url(INGEST),
        }
    )


@contextmanager
def database(settings: "Settings") -> Iterator["Settings"]:
    """Settings whose database addresses are all filled in and answer, for a command that runs by itself.

    With a private database that `outrider up` runs already, its addresses; when it sleeps, it runs for as long
    as the block. Raises CannotStart.
    """
    if settings.database_url:
        yield settings
        return
    cluster = Cluster.for_settings(settings)
    if cluster.answers():
        yield with_cluster(settings, cluster)
        return
    with cluster:
        yield with_cluster(settings, cluster)
