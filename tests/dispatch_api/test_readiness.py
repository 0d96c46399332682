"""A server whose database does not keep what it commits, or has another schema, or is gone, takes no work (503)."""

from typing import Any

import asyncpg
import httpx
import pytest

from core.db import make_engine
from core.settings import Settings
from tests.conftest import serving
from tests.helpers import Database

OWNED = "ALTER ROLE outrider_app IN DATABASE {} SET synchronous_commit = {}"


async def states(settings: Settings, database: Database) -> tuple[httpx.Response, httpx.Response]:
    """What a server that starts now says of being ready, and of being alive."""
    engine = make_engine(database.app_url)
    async with serving(settings, engine) as client:
        found = await client.http.get("/readyz"), await client.http.get("/healthz")
    await engine.dispose()
    return found


def refused(answer: httpx.Response, word: str) -> None:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "overloaded"), answer.text
    assert word in problem["detail"]
    assert int(answer.headers["retry-after"]) == problem["retry_after_s"] > 0


@pytest.mark.parametrize(("level", "ready"), [("on", True), ("remote_apply", True), ("local", False), ("off", False)])
async def test_commits_must_be_kept(settings: Settings, database: Database, level: str, ready: bool) -> None:
    owner: asyncpg.Connection = await database.owner()
    await owner.execute(OWNED.format(database.name, level))
    answer, alive = await states(settings, database)
    await owner.execute(OWNED.format(database.name, "DEFAULT"))
    await owner.close()
    assert alive.status_code == 200
    if ready:
        assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    else:
        refused(answer, f"synchronous_commit is {level}")


async def test_another_schema_takes_no_work(settings: Settings, database: Database) -> None:
    owner: asyncpg.Connection = await database.owner()
    await owner.execute("UPDATE alembic_version SET version_num = '0001'")
    await owner.close()
    answer, alive = await states(settings, database)
    refused(answer, "outrider upgrade")
    assert alive.status_code == 200
