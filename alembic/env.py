"""Runs migrations as the owner of the database; partitions and PostGIS's own tables are not ours to compare."""

import asyncio
import re

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

import casework.models  # noqa: F401
import geo.device_models  # noqa: F401
from core.settings import Settings

PARTITION = re.compile(r"^position_\d{8}$")


def include_name(name: str | None, kind: str, parents: dict[str, str]) -> bool:
    return not (kind == "table" and name and PARTITION.match(name))


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        include_name=include_name,
        include_object=alembic_helpers.include_object,
        process_revision_directives=alembic_helpers.writer,
        render_item=alembic_helpers.render_item,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    url = context.config.attributes.get("url") or Settings().owner_database_url
    if not url:
        raise SystemExit("No owner database: set OUTRIDER_OWNER_DATABASE_URL, or use `outrider migrate`.")
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


asyncio.run(main())
