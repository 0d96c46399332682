"""A connection that the database ended is not used again, however that shows."""

import asyncio
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from core.db import make_engine
from core.errors import Overloaded
from dispatch_api.errors import from_database
from tests.helpers import Database


async def held_up(engine: AsyncEngine) -> None:
    """A transaction whose session ends while its last answer is unread: the process was held up, and finds both."""
    async with engine.begin() as connection:
        await connection.execute(text("SET idle_in_transaction_session_timeout = '100ms'"))
        asked = asyncio.create_task(connection.execute(text("SELECT 1")))
        await asyncio.sleep(0.01)
        time.sleep(0.5)  # nothing may be read meanwhile
        await asked
        await connection.execute(text("SELECT 2"))


async def test_a_session_that_ended_unread_fails_one_transaction_and_none_after_it(database: Database) -> None:
    """The driver then says that another operation is in progress; nobody shared the connection."""
    engine = make_engine(database.app_url, pool_size=1)
    for _ in range(2):
        with pytest.raises(DBAPIError) as caught:
            await held_up(engine)
        assert caught.value.connection_invalidated
        assert isinstance(from_database(caught.value), Overloaded)
        async with engine.begin() as connection:
            assert (await connection.execute(text("SELECT 3"))).scalar_one() == 3
    await engine.dispose()
