"""The database: engines by role, and the metadata every table belongs to."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, RowMapping, TextClause
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

TZ: Any = DateTime(timezone=True)
"""The column type of every moment."""


WAITS_S = 1.6
"""How long who asks may wait for connections and locks in all: with what is done beside, refused within 2 s."""


def utcnow() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


def make_engine(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """An engine whose pool refuses after WAITS_S (answered as 503) rather than queueing without end.

    The connection used last is used next: it has its statements prepared and planned, and a click that meets a cold
    one takes several times as long. Its errors tell no values: those of people would end in logs.
    """
    return create_async_engine(
        url,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=WAITS_S,
        pool_use_lifo=True,
        connect_args={
            "timeout": 5,
            "prepared_statement_cache_size": 500,
            "server_settings": {"application_name": "outrider", "jit": "off"},
        },
    )


async def look_up(engine: AsyncEngine, query: TextClause, values: dict[str, Any]) -> RowMapping | None:
    """The first row of a query that changes nothing, in one round trip: without a transaction around it.

    It sees what the role sees without an actor; everything else goes through core/work.py.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        return (await connection.execute(query, values)).mappings().first()


def asyncpg_dsn(url: str) -> str:
    """The same database for asyncpg itself."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)
