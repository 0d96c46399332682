"""Wake-ups between processes: what one's bus announces the other's hears, by few NOTIFYs, through a cut connection."""

import asyncio

import asyncpg

from core.bus import Bus, InboxGrew, TasksChanged, Wake
from core.db import asyncpg_dsn
from core.ids import new_id
from core.relay import CHANNEL, IDS_IN_ONE, Relay
from tests.helpers import Database, eventually


async def test_wake_ups_reach_the_other_process_by_few_messages(database: Database) -> None:
    heard: list[Wake] = []
    own: list[Wake] = []
    said: list[str] = []
    here, there = Bus(), Bus()
    here.on(TasksChanged, own.append)
    there.on(TasksChanged, heard.append)
    there.on(InboxGrew, heard.append)
    wanted = {new_id() for _ in range(IDS_IN_ONE + 50)}
    listener = await asyncpg.connect(asyncpg_dsn(database.app_url))
    await listener.add_listener(CHANNEL, lambda *message: said.append(message[3]))
    async with Relay(database.app_url, here), Relay(database.app_url, there):

        async def ready() -> bool:
            await here.announce([InboxGrew(frozenset({new_id()}))])
            await asyncio.sleep(0.1)
            return bool(heard)

        await eventually(ready, 20)
        said.clear()
        for each in wanted:  # one commit after another, within moments
            await here.announce([TasksChanged(frozenset({each}))])
        told = lambda: {i for wake in heard if isinstance(wake, TasksChanged) for i in wake.ids}  # noqa: E731
        await eventually(lambda: told() == wanted, 20)
        assert len(own) == len(wanted), "what comes back from itself counts once"
        assert len(said) < len(wanted) / 5
        assert all(len(each.encode()) < 8_000 for each in said)
    await listener.close()


async def test_a_cut_connection_comes_back_and_nonsense_is_passed_over(database: Database) -> None:
    heard: list[Wake] = []
    here, there = Bus(), Bus()
    there.on(InboxGrew, heard.append)
    owner = await database.owner()
    async with Relay(database.app_url, here), Relay(database.app_url, there):

        async def passes() -> bool:
            before = len(heard)
            await here.announce([InboxGrew(frozenset({new_id()}))])
            await asyncio.sleep(0.1)
            return len(heard) > before

        await eventually(passes, 20)
        for nonsense in ("{", "[]", '{"Surprise": []}', '{"InboxGrew": [1]}'):
            await owner.execute("SELECT pg_notify($1, $2)", CHANNEL, nonsense)
        cut = await owner.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'outrider wake-ups' AND datname = current_database()"
        )
        assert len(cut) == 2
        await eventually(passes, 20)
    await owner.close()
