"""How long whoever asks waits for the database before being refused."""

import time

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.db import WAITS_S
from core.work import AT_LEAST_S, open_work
from tests.helpers import Database


async def _lock_timeout(engine: AsyncEngine, asked_at: float | None) -> str:
    async with open_work(engine, system("test"), asked_at=asked_at) as work:
        return str((await work.session.execute(text("SHOW lock_timeout"))).scalar())


async def test_who_waited_for_a_connection_waits_the_less_for_a_lock(engine: AsyncEngine) -> None:
    assert await _lock_timeout(engine, time.monotonic() - 2 * WAITS_S) == f"{AT_LEAST_S * 1000:.0f}ms"
    usual = await _lock_timeout(engine, None)
    assert usual == await _lock_timeout(engine, None) == "2s", "what one request may wait is no other's affair"


async def test_a_lock_is_not_waited_for_beyond_that(engine: AsyncEngine, database: Database) -> None:
    owner: asyncpg.Connection = await database.owner()
    async with owner.transaction():
        await owner.execute("LOCK TABLE violation")
        with pytest.raises(DBAPIError) as refused:
            async with open_work(engine, system("test"), asked_at=time.monotonic() - 2 * WAITS_S) as work:
                await work.session.execute(text("SELECT count(*) FROM violation"))
    await owner.close()
    assert getattr(refused.value.orig, "sqlstate", None) == "55P03"
