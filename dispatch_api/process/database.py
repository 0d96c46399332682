"""How child processes find the database: the one the settings name, or the private one."""

from core.settings import Settings
from dispatch_api.process.cluster import APP, INGEST, OWNER, Cluster


def environment(settings: Settings, cluster: Cluster | None) -> dict[str, str]:
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
