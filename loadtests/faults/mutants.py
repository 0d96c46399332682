"""Servers and databases that break a promise on purpose: the checker must find them out.

None of this is reachable from the product: it patches the running process of a load test. Each function without
arguments is a server, made by uvicorn as its application; mutants of other names belong to their fault test.
"""

import asyncio
import json
import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import text
from starlette.types import ASGIApp

from core import inbox, passwords
from core.actor import Actor
from core.settings import Settings
from core.work import Work, open_work
from dispatch_api import app
from dispatch_api.live import client, hub, reads, socket
from dispatch_api.state import State
from geo import commit_line
from geo.delivery import Stored
from geo.positions import Writer
from mobile_contract.messages import Ack

COMMIT_LATER_S = 0.25
"""How far commits lag behind their answers, so that a kill surely falls in between."""
SILENT_S = 60
SERVERS: dict[str, str] = {}
"""By mutant, the ASGI factory of its server."""


def factory(mutant: str | None) -> str | None:
    """The ASGI factory of a mutant that is a server; None for others and for none."""
    return SERVERS.get(mutant or "")


def _server(make: Any) -> Any:
    SERVERS[make.__name__] = f"{__name__}:{make.__name__}"
    return make


def _application() -> ASGIApp:
    return app.create_app(Settings())


class AnswersFirst(Writer):
    """A writer of positions that says "stored" when it has only queued."""

    def _put(self, *arguments: Any, **more: Any) -> None:
        *delivery, told = arguments
        fixes = delivery[1]
        said: list[Stored | Exception] = []

        def once(outcome: Stored | Exception) -> None:
            if not said:
                said.append(outcome)
                told(outcome)

        super()._put(*delivery, once, **more)
        if not said:
            once(Stored(accepted=len(fixes), duplicates=0, off_duty=0, suspect=0))

    async def _write(self, *arguments: Any) -> None:
        await asyncio.sleep(COMMIT_LATER_S)
        await super()._write(*arguments)


@_server
def ack_before_commit() -> ASGIApp:
    """The whole server, with that writer."""
    vars(app)["Writer"] = AnswersFirst
    return _application()


@_server
def plain_broadcast() -> ASGIApp:
    """Screens that are sent to one after another, each waited for as long as it takes."""
    one_at_a_time = asyncio.Lock()

    async def send(self: client.Client, message: str) -> None:
        async with one_at_a_time:
            await self.socket.send_text(message)

    client.Client._send = send  # type: ignore[method-assign]
    return _application()


@_server
def ack_on_send() -> ASGIApp:
    """An inbox whose items count as delivered once they are on their way."""
    send = hub.Hub._send_inboxes

    async def send_and_ack(self: hub.Hub, work: Work, user_ids: Iterable[UUID]) -> None:
        users = list(user_ids)
        await send(self, work, users)
        for reader in [reader for user_id in users for reader in self._readers.get(user_id, ()) if reader.after]:
            async with open_work(self._engine, reader.actor, self._bus) as its:
                await inbox.ack(its, reader.install_id, reader.after)

    hub.Hub._send_inboxes = send_and_ack  # type: ignore[method-assign]
    return _application()


@_server
def memory_queue() -> ASGIApp:
    """An inbox that forgets what nobody fetched for 5 s, as queues in memory do."""
    reads._ITEMS = text(str(reads._ITEMS).replace("seq > w.after", "seq > w.after AND at > now() - interval '5 s'"))
    return _application()


@_server
def check_at_connect() -> ASGIApp:
    """Sockets that nobody checks again."""

    async def check(*_: Any) -> None:
        return None

    hub.Hub._check = check  # type: ignore[method-assign]
    return _application()


@_server
def notify_alone() -> ASGIApp:
    """Sockets that are told what wake-ups tell of, and never look for themselves."""

    async def tick(*_: Any) -> None:
        return None

    hub.Hub._tick = tick  # type: ignore[method-assign]
    return _application()


@_server
def connection_per_socket() -> ASGIApp:
    """Sockets that keep a database session as long as they are open."""
    converse = socket._converse

    async def holding(its: client.Client, state: State, take: Any) -> None:
        async with state.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            await converse(its, state, take)

    socket._converse = holding
    return _application()


@_server
def latest_arrival() -> ASGIApp:
    """Markers that are wherever the last fix to arrive says."""
    commit_line.STORE = commit_line.STORE.replace("WHERE l.fix_at < excluded.fix_at", "")
    return _application()


@_server
def hash_per_reconnect() -> ASGIApp:
    """Sockets that hash a password before they open."""
    actor = socket._actor

    async def hashing(*arguments: Any) -> Actor:
        await passwords.matches("correct horse battery staple", None)
        return await actor(*arguments)

    socket._actor = hashing
    return _application()


@_server
def wall_clock() -> ASGIApp:
    """Sockets that are ended once, by the wall clock, nothing was sent on them for a minute."""
    send = client.Client._send
    sent_at: dict[client.Client, float] = {}

    async def timed(self: client.Client, message: str) -> None:
        if time.time() - sent_at.get(self, time.time()) > SILENT_S:
            self.end(client.TOO_SLOW, "silent for a minute")
        sent_at[self] = time.time()
        await send(self, message)

    client.Client._send = timed  # type: ignore[method-assign]
    return _application()


@_server
def unchecked_int() -> ASGIApp:
    """Sockets that take any number of a message as it is."""
    parse = socket.parse_to_server

    def unchecked(content: str) -> Any:
        found = json.loads(content)
        if isinstance(found, dict) and found.get("kind") == "ack":
            return Ack.model_construct(kind="ack", upto=found.get("upto"))
        return parse(content)

    socket.parse_to_server = unchecked  # type: ignore[assignment]
    return _application()


def asynchronous_commit(urls: dict[str, str]) -> dict[str, str]:
    """The database's addresses, where positions are written without waiting for the disk.

    Only the writer's: were it the pages' role as well, /readyz would refuse the database.
    """
    name = "OUTRIDER_INGEST_DATABASE_URL"
    return urls | {name: f"{urls[name]}&synchronous_commit=off"}
