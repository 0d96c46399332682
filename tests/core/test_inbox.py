"""Inboxes: no gap, order of commit, cursors that never move back, also with many writers at once."""

import asyncio
import random
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import select

from core import inbox
from core.actor import Role, system
from core.bus import Bus, InboxGrew, Wake
from core.db import make_engine
from core.errors import Invalid
from core.ids import new_id
from core.models import Recipient
from core.work import open_work
from tests.helpers import Database, actor_of, person

WRITERS = 16
NOTICES = 10


async def _push(engine: AsyncEngine, *users: UUID, body: str = "x", bus: Bus | None = None) -> None:
    async with open_work(engine, system("test"), bus) as work:
        await inbox.push(work, users, new_id(), "message", new_id(), {"text": body})


async def test_items_come_in_order_and_pages_join(engine: AsyncEngine) -> None:
    user = await person(engine, Role.OFFICER)
    for n in range(5):
        await _push(engine, user.id, body=str(n))
    async with open_work(engine, actor_of(user)) as work:
        first = await inbox.fetch(work, 0, 3)
        rest = await inbox.fetch(work, first["next"], 3)
    assert [item["seq"] for item in first["items"]] == [1, 2, 3]
    assert (first["next"], first["head_seq"]) == (3, 5)
    assert [item["body"]["text"] for item in rest["items"]] == ["3", "4"]
    assert rest["next"] is None


async def test_nobody_reads_anothers_inbox(engine: AsyncEngine) -> None:
    mine, other = await person(engine, Role.OFFICER), await person(engine, Role.OFFICER)
    await _push(engine, other.id)
    async with open_work(engine, actor_of(mine)) as work:
        assert await inbox.fetch(work, 0, 10) == {"items": [], "next": None, "head_seq": 0}


async def test_a_rolled_back_push_leaves_no_gap_and_wakes_nobody(engine: AsyncEngine) -> None:
    user = await person(engine, Role.OFFICER)
    woken: list[Wake] = []
    bus = Bus()
    bus.on(InboxGrew, woken.append)

    async def fail_late() -> None:
        async with open_work(engine, system("test"), bus) as work:
            await inbox.push(work, [user.id], new_id(), "message", new_id(), {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_late()
    assert woken == []
    await _push(engine, user.id, bus=bus)
    assert [wake.ids for wake in woken] == [{user.id}]
    async with open_work(engine, actor_of(user)) as work:
        assert [item["seq"] for item in (await inbox.fetch(work, 0, 10))["items"]] == [1]


async def test_a_cursor_is_per_install_and_never_moves_back(engine: AsyncEngine, database: Database) -> None:
    user = await person(engine, Role.OFFICER)
    for _ in range(3):
        await _push(engine, user.id)
    one, two = new_id(), new_id()
    async with open_work(engine, actor_of(user)) as work:
        assert await inbox.ack(work, one, 3) == 3
        assert await inbox.ack(work, one, 1) == 3
        assert await inbox.ack(work, two, 1) == 1
        with pytest.raises(Invalid):
            await inbox.ack(work, one, 4)
    owner = await database.owner()
    stored = await owner.fetch("SELECT install_id, upto FROM inbox_cursor ORDER BY upto")
    await owner.close()
    assert [(row["install_id"], row["upto"]) for row in stored] == [(two, 1), (one, 3)]


async def test_so_many_cursors_and_no_more_whatever_installations_are_named(
    engine: AsyncEngine, database: Database
) -> None:
    user, other = await person(engine, Role.OFFICER), await person(engine, Role.OFFICER)
    names = [new_id() for _ in range(inbox.MAX_CURSORS + 5)]
    for who, named in ((other, names[:1]), (user, names)):
        await _push(engine, who.id)
        for name in named:
            async with open_work(engine, actor_of(who)) as work:
                assert await inbox.ack(work, name, 1) == 1
    owner = await database.owner()
    kept = {row[0] for row in await owner.fetch("SELECT install_id FROM inbox_cursor WHERE user_id = $1", user.id)}
    others = await owner.fetchval("SELECT count(*) FROM inbox_cursor WHERE user_id = $1", other.id)
    await owner.close()
    assert kept == set(names[5:]), "the oldest go"
    assert others == 1


async def _poll(database: Database, users: list[UUID], stop: asyncio.Event) -> dict[UUID, list[int]]:
    seen: dict[UUID, list[int]] = {user: [] for user in users}
    connection: asyncpg.Connection = await database.owner()
    last_round = False
    while True:
        for user, seqs in seen.items():
            after = seqs[-1] if seqs else 0
            rows = await connection.fetch(
                "SELECT seq FROM inbox WHERE user_id = $1 AND seq > $2 ORDER BY seq", user, after
            )
            seqs.extend(row["seq"] for row in rows)
        if last_round:
            await connection.close()
            return seen
        last_round = stop.is_set()


async def test_overlapping_group_pushes_leave_no_gap_and_miss_no_reader(
    engine: AsyncEngine, database: Database
) -> None:
    """Writers that overlap in their recipients and commit out of step; a poller that reads `seq > last`."""
    users = [(await person(engine, Role.OFFICER)).id for _ in range(12)]
    dice = random.Random(7)
    groups = [dice.sample(users, dice.randint(1, 12)) for _ in range(WRITERS * NOTICES)]
    many = make_engine(database.app_url, pool_size=WRITERS)
    stop = asyncio.Event()
    poller = asyncio.create_task(_poll(database, users, stop))

    async def writer(mine: list[list[UUID]], wait: random.Random) -> None:
        for group in mine:
            async with open_work(many, system("test")) as work:
                await inbox.push(work, group, new_id(), "message", new_id(), {})
                await asyncio.sleep(wait.random() * 0.01)  # the commit comes after a while, as in real work

    await asyncio.gather(*(writer(groups[n::WRITERS], random.Random(n)) for n in range(WRITERS)))
    stop.set()
    seen = await poller
    await many.dispose()
    for user, seqs in seen.items():
        sent = sum(user in group for group in groups)
        assert seqs == list(range(1, sent + 1)), "a gap, a missed item, or items out of order"


async def test_several_pushes_in_one_transaction_hold_everybody_first(engine: AsyncEngine) -> None:
    """Two transactions that push to the same two people in opposite order both end."""
    a, b = [(await person(engine, Role.OFFICER)).id for _ in range(2)]

    async def both(first: UUID, second: UUID) -> None:
        for _ in range(10):
            async with open_work(engine, system("test")) as work:
                await inbox.hold(work, [first, second])
                for user in (first, second):
                    await inbox.push(work, [user], new_id(), "message", new_id(), {})
                    await asyncio.sleep(0.002)

    await asyncio.wait_for(asyncio.gather(both(a, b), both(b, a)), 20)
    async with open_work(engine, system("test")) as work:
        assert sorted(await work.all(select(Recipient.seq))) == [20, 20]
