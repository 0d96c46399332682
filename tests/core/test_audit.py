"""The audit: in one transaction with what it tells of, chained afterwards, and any change of it is found."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from core import audit
from core.actor import Actor, Role, system
from core.audit import Action
from core.ids import new_id
from core.work import open_work
from tests.helpers import Database


async def write(engine: AsyncEngine, n: int, **fields: object) -> None:
    for number in range(n):
        async with open_work(engine, system("test")) as work:
            work.audit(Action.ALTERATION, "thing", f"{number}", number=number, **fields)


async def seal_all(engine: AsyncEngine) -> int:
    sealed = 0
    while done := await audit.seal(engine):
        sealed += done
    return sealed


async def test_rows_are_sealed_once_and_intact(engine: AsyncEngine, tmp_path: Path) -> None:
    await write(engine, 5, text="ąžuolas ☂", nothing=None, ratio=0.1)
    assert await seal_all(engine) == 5
    assert await seal_all(engine) == 0
    file = await audit.export_head(engine, tmp_path)
    assert file
    assert file.read_text().startswith("5 ")
    assert await audit.verify(engine, tmp_path) == []
    assert (await audit.extent(engine))[0] == 5


async def test_nothing_is_written_for_what_was_undone(engine: AsyncEngine) -> None:
    async def undone() -> None:
        async with open_work(engine, system("test")) as work:
            work.audit(Action.ALTERATION, "thing", "1")
            await work.session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await undone()
    assert await seal_all(engine) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE audit_event SET fields = '{\"number\": 9}' WHERE object_id = '2'", "was altered"),
        ("UPDATE audit_event SET actor_login = 'nobody' WHERE object_id = '2'", "was altered"),
        ("UPDATE audit_event SET at = at + interval '1 ms' WHERE object_id = '2'", "was altered"),
        ("DELETE FROM audit_event WHERE object_id = '2'", "is gone"),
        ("DELETE FROM audit_chain WHERE seq = 3", "is missing"),
        ("UPDATE audit_chain SET hash = '\\x00' WHERE seq = 3", "was altered"),
        ("DELETE FROM audit_chain WHERE seq = 5", "never queued"),
    ],
)
async def test_every_change_behind_our_back_is_found(
    engine: AsyncEngine, database: Database, change: str, told: str
) -> None:
    await write(engine, 5)
    await seal_all(engine)
    owner = await database.owner()
    await owner.execute(change)
    await owner.close()
    assert any(told in fault for fault in await audit.verify(engine))


async def test_a_chain_made_anew_differs_from_the_exported_head(
    engine: AsyncEngine, database: Database, tmp_path: Path
) -> None:
    await write(engine, 3)
    await seal_all(engine)
    await audit.export_head(engine, tmp_path)
    owner = await database.owner()
    await owner.execute("UPDATE audit_event SET actor_login = 'nobody' WHERE object_id = '1'")
    await owner.execute("INSERT INTO audit_pending SELECT id FROM audit_event; DELETE FROM audit_chain")
    await owner.close()
    await seal_all(engine)
    assert await audit.verify(engine) == []  # the chain alone is whole again
    assert any("exported head" in fault for fault in await audit.verify(engine, tmp_path))


async def test_many_writers_and_sealers_leave_one_chain(engine: AsyncEngine) -> None:
    async def writer() -> None:
        for _ in range(20):
            async with open_work(engine, system("test")) as work:
                for _ in range(3):
                    work.audit(Action.CONSULTATION, "thing", new_id())
                await work.session.flush()
                await asyncio.sleep(0.002)

    async def sealer(done: asyncio.Event) -> None:
        while not done.is_set():
            await audit.seal(engine)
            await asyncio.sleep(0.005)

    done = asyncio.Event()
    sealers = [asyncio.create_task(sealer(done)) for _ in range(2)]
    await asyncio.gather(*(writer() for _ in range(6)))
    done.set()
    await asyncio.gather(*sealers)
    await seal_all(engine)
    assert await audit.verify(engine) == []
    assert (await audit.extent(engine))[0] == 360


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET actor_login = 'nobody'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
        "UPDATE audit_chain SET hash = '\\x00'",
        "DELETE FROM audit_chain",
        "TRUNCATE audit_chain",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "DROP TABLE audit_chain",
        "SET SESSION AUTHORIZATION outrider_owner",
    ],
)
async def test_the_serving_role_cannot_change_it(engine: AsyncEngine, statement: str) -> None:
    await write(engine, 1)
    await seal_all(engine)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT set_config('app.sees', '*', true)"))
        with pytest.raises(DBAPIError) as refused:
            await connection.execute(text(statement))
    assert isinstance(refused.value.orig.__cause__, asyncpg.InsufficientPrivilegeError)


async def test_only_auditors_read_it(engine: AsyncEngine) -> None:
    await write(engine, 3)
    for role in Role:
        actor = Actor(user_id=new_id(), login="x", roles=frozenset({role}))
        async with open_work(engine, actor) as work:
            n = (await work.session.execute(text("SELECT count(*) FROM audit_event"))).scalar_one()
        assert (n > 0) == (role == Role.AUDITOR), role
