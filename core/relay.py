"""Wake-ups between the processes of one installation, by PostgreSQL's NOTIFY: hints, as on the bus of one process.

A NOTIFY takes a lock over the whole database at its commit. So none is sent in a transaction that writes, and each
process sends one for everything that it committed in 50 ms.
"""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Self
from uuid import UUID

import asyncpg
import structlog

from core.bus import (
    AccessChanged,
    Bus,
    DeviceEventsCame,
    DutyChanged,
    HandoversChanged,
    InboxGrew,
    NoticesChanged,
    TasksChanged,
    UnitsChanged,
    Wake,
)
from core.db import asyncpg_dsn

log = structlog.get_logger()

CHANNEL = "outrider_wake"
EVERY_S = 0.05
AGAIN_AFTER_S = 1.0
IDS_IN_ONE = 200
"""PostgreSQL takes less than 8,000 bytes in one message."""
_KINDS = (
    UnitsChanged, DutyChanged, TasksChanged, NoticesChanged, HandoversChanged, InboxGrew, AccessChanged,
    DeviceEventsCame,
)  # fmt: skip
KINDS = {kind.__name__: kind for kind in _KINDS}
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
Due = dict[str, set[UUID]]


class Relay:
    """Tells the other processes what this one's bus announces, and this one's bus what they tell.

    It connects by itself, again and again; what is lost meanwhile costs the second until the readers' next poll.
    """

    def __init__(self, url: str, bus: Bus) -> None:
        """`url` is the database as the app role sees it."""
        self._dsn, self._bus = asyncpg_dsn(url), bus
        self._due: Due = defaultdict(set)
        self._stirred = asyncio.Event()
        self._delivering: set[asyncio.Task[None]] = set()
        bus.beyond(self.note)

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run(), name="wake-ups")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, *self._delivering, return_exceptions=True)

    def note(self, wakes: list[Wake]) -> None:
        """Tell the others of these soon."""
        for wake in wakes:
            self._due[type(wake).__name__] |= wake.ids
        self._stirred.set()

    async def _run(self) -> None:
        lost = False
        while True:
            try:
                async with self._connected() as connection:
                    lost = False
                    await self._send_from_now_on(connection)
            except _AWAY as failure:
                if not lost:
                    log.warning("wake_ups_not_sent", error=type(failure).__name__)
                lost = True
            await asyncio.sleep(AGAIN_AFTER_S)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        named = {"application_name": "outrider wake-ups"}
        connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=5, server_settings=named)
        try:
            connection.add_termination_listener(lambda _: self._stirred.set())
            await connection.add_listener(CHANNEL, self._heard)
            yield connection
        finally:
            connection.terminate()

    async def _send_from_now_on(self, connection: asyncpg.Connection) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            due, self._due = self._due, defaultdict(set)
            if due or connection.is_closed():
                await connection.execute(
                    "SELECT pg_notify($1, said) FROM unnest($2::text[]) said", CHANNEL, list(_messages(due))
                )
            await asyncio.sleep(EVERY_S)

    def _heard(self, connection: asyncpg.Connection, sender: int, _: str, said: str) -> None:
        if sender == connection.get_server_pid():
            return
        try:
            wakes: list[Wake] = [KINDS[kind](frozenset(map(UUID, ids))) for kind, ids in json.loads(said).items()]
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("wake_up_not_understood", sender=sender)
            return
        task = asyncio.create_task(self._bus.deliver(wakes), name="wake-up")
        self._delivering.add(task)
        task.add_done_callback(self._delivering.discard)


def _messages(due: Due) -> Iterator[str]:
    """What is due, in messages that PostgreSQL takes."""
    for kind, ids in due.items():
        listed = sorted(each.hex for each in ids)
        for start in range(0, len(listed), IDS_IN_ONE):
            yield json.dumps({kind: listed[start : start + IDS_IN_ONE]})
