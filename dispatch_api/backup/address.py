"""Reaching the database as its owner: by Outrider's own connections, and by PostgreSQL's programs."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.engine import make_url

from core.db import asyncpg_dsn
from core.settings import Settings
from dispatch_api.commands.database import with_database
from dispatch_api.process.cluster import Cluster
from dispatch_api.process.console import CannotStart
from dispatch_api.process.postgres import Binaries

LEAVING_S = 3.0
"""Who was stopped just now is seen for a moment longer."""
_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
_MIGHTY = "SELECT rolsuper OR (rolbypassrls AND rolcreatedb) FROM pg_roles WHERE rolname = current_user"


@contextmanager
def running(settings: Settings, *, alone: bool) -> Iterator[str]:
    """The owner's address of the database, which runs for that time; the private one is started when it sleeps.

    Raises CannotStart when there is no such address, or Outrider runs where it is to be `alone`.
    """
    if settings.database_url or settings.owner_database_url:
        if not settings.owner_database_url:
            raise CannotStart("Set OUTRIDER_OWNER_DATABASE_URL: the owner's address of the database.")
        yield settings.owner_database_url
        return
    cluster = Cluster.for_settings(settings)
    if cluster.answers():
        if alone:
            raise CannotStart("Outrider runs on this database: stop it first.")
        yield _owner(settings)
        return
    with cluster:
        yield _owner(settings)


def _owner(settings: Settings) -> str:
    url = with_database(settings).owner_database_url
    assert url is not None  # with_database filled it in
    return url


def named(url: str, database: str) -> str:
    """The same address with another database."""
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def name_of(url: str) -> str:
    """The database of an address."""
    return make_url(url).database or ""


async def connect(url: str) -> asyncpg.Connection:
    """A connection as the owner; raises CannotStart when there is none to be had, or it may not see every row."""
    try:
        connection = await asyncpg.connect(asyncpg_dsn(url), timeout=10, server_settings={"jit": "off"})
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise CannotStart(f"The database does not answer ({error or type(error).__name__}).") from error
    if not await connection.fetchval(_MIGHTY):
        await connection.close()
        raise CannotStart(
            "The database's owner may not see every row, or make databases: "
            "as a superuser, ALTER ROLE … BYPASSRLS CREATEDB; or back up by other means, then `outrider migrate`."
        )
    return connection


async def refuse_others(connection: asyncpg.Connection) -> None:
    """Nothing, or CannotStart when somebody else stays connected to this database."""
    until = time.monotonic() + LEAVING_S
    while others := await connection.fetchval(_OTHERS):
        if time.monotonic() > until:
            raise CannotStart(f"The database is in use ({others} connections): stop Outrider first.")
        await asyncio.sleep(0.1)


async def major_of(connection: asyncpg.Connection) -> int:
    """The server's version, as 15."""
    return int(await connection.fetchval("SHOW server_version_num")) // 10_000


def programs(major: int) -> Binaries:
    """PostgreSQL's programs of just this version, or else of a newer one; raises CannotStart."""
    fitting = [each for each in Binaries.installed() if int(each.version) >= major]
    if not fitting:
        raise CannotStart(f"pg_dump of PostgreSQL {major} is needed here: apt-get install postgresql-client-{major}")
    return min(fitting, key=lambda each: int(each.version))


def environment(url: str) -> dict[str, str]:
    """The variables by which PostgreSQL's programs find the database; a password is in no process list."""
    parts = make_url(url)
    host = parts.host or parts.query.get("host")
    found = {
        "PGHOST": host, "PGPORT": parts.port or parts.query.get("port"), "PGUSER": parts.username,
        "PGPASSWORD": parts.password, "PGDATABASE": parts.database,
        "PGSSLMODE": parts.query.get("ssl") or parts.query.get("sslmode"),
    }  # fmt: skip
    return os.environ | {name: str(value) for name, value in found.items() if value} | {"LC_ALL": "C"}
