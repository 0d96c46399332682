"""The hub: what every open socket of this process is told, from one mirror of the database.

Wake-ups make it quick; reading what changed each second, with an overlap, makes it complete: a lost wake-up, or a
write of another process, costs at most that second. No database session outlives one round.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Actor, system
from core.bus import Bus, Wake
from core.work import Work, open_work
from dispatch_api.live import reads, wire
from dispatch_api.live.board import Board
from dispatch_api.live.client import Client, Reader, Turns, Watcher
from dispatch_api.live.fleet import Fleet
from geo.delivery import Latest
from mobile_contract.messages import HEARTBEAT_S

log = structlog.get_logger()

TICK_S = 1.0
RIGHTS_S = 3.0
OVERLAP = timedelta(seconds=10)
"""A row's time is older than its commit: so much is read again."""
LATEST_OVERLAP = timedelta(seconds=3)
"""The same for positions, which are many and are committed within milliseconds."""
WHOLE_EVERY = 60
"""Each so many rounds everything is read again, whenever it was written."""
COALESCE_S = 0.02
NOTICES_S = 0.5
"""A notice to everyone is received by hundreds within seconds: its counts are told this often."""
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
NOT_SIGNED_IN, NO_RIGHT = 4401, 4403
_USED = text("UPDATE sign_in SET used_at = now() WHERE id = ANY(:ids) AND used_at < now() - interval '1 minute'")


class Hub:
    """Tells open sockets what changed; entered before the server serves, left when it stops."""

    def __init__(self, engine: AsyncEngine, bus: Bus) -> None:
        self._engine, self._bus = engine, bus
        self._fleet, self._board = Fleet(), Board()
        self.turns = Turns()
        self._watchers: set[Watcher] = set()
        self._readers: dict[UUID, set[Reader]] = {}
        self._units: set[UUID] = set()
        self._tasks: set[UUID] = set()
        self._notices: set[UUID] = set()
        self._handovers: set[UUID] = set()
        self._inboxes: set[UUID] = set()
        self._access: set[UUID] = set()
        self._due = asyncio.Event()
        self._as_of, self._round, self._noticed = LONG_AGO, 0, 0.0
        self._loops: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Hub":
        """The hub with its mirror read, running."""
        async with self._reading() as work:
            await self._read(work, whole=True)
        loops = ((self._tick, TICK_S), (self._beat, HEARTBEAT_S), (self._check_rights, RIGHTS_S))
        self._loops = [asyncio.create_task(self._every(step, s), name=f"hub.{step.__name__}") for step, s in loops]
        self._loops.append(asyncio.create_task(self._tell(), name="hub.tell"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; the server closes the sockets itself (1012)."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    def _reading(self, actor: Actor | None = None) -> contextlib.AbstractAsyncContextManager[Work]:
        return open_work(self._engine, actor or system("live"))

    async def _every(self, step: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await step()
            except Exception as error:  # the database is away: what is shown grows old, and `as_of` says so
                log.warning("hub_round_failed", step=step.__name__, error=repr(error))

    # What was committed, told by the bus and the writer of positions.

    def positions_moved(self, latest: list[Latest]) -> None:
        """Take over units' newest fixes, just committed; shown with the next tick."""
        self._fleet.stage_fixes(latest)

    def units_changed(self, wake: Wake) -> None:
        """Look at these units again."""
        self._note(self._units, wake)

    def tasks_changed(self, wake: Wake) -> None:
        """Look at these tasks again."""
        self._note(self._tasks, wake)

    def notices_changed(self, wake: Wake) -> None:
        """Look at these notices again."""
        self._note(self._notices, wake)

    def handovers_changed(self, wake: Wake) -> None:
        """Look at these hand-overs again."""
        self._note(self._handovers, wake)

    def inbox_grew(self, wake: Wake) -> None:
        """Fetch what these users have new in their inboxes."""
        self._note(self._inboxes, wake)

    def access_changed(self, wake: Wake) -> None:
        """Check the rights of these users' sockets again."""
        self._note(self._access, wake)

    def _note(self, due: set[UUID], wake: Wake) -> None:
        due |= wake.ids
        self._due.set()

    # Sockets come and go.

    def watch(self, watcher: Watcher) -> None:
        """Show the whole view, then what changes. Nothing is awaited here, so nothing falls in between."""
        self._watchers.add(watcher)
        self.show(watcher)

    def show(self, watcher: Watcher) -> None:
        """Owe the view as it is now."""
        watcher.version, watcher.box = self._fleet.version, watcher.wanted
        board = self._board
        watcher.owe(
            wire.snapshot(
                self._as_of, watcher.version, self._fleet.rows(watcher.box),
                tasks=board.tasks.array(), notices=board.notices.array(), alerts=board.alerts.array(),
                handovers=board.handovers.array(),
            )
        )  # fmt: skip

    def frame(self, watcher: Watcher) -> str | None:
        """What changed in a view since it was last brought up to date; shared by views alike."""
        if watcher.behind:
            watcher.behind = False
            self.show(watcher)
            return wire.resync("behind")
        since, was = watcher.version, watcher.box
        watcher.version, watcher.box = self._fleet.version, watcher.wanted
        if watcher.box != was:
            return self._fleet.turned(self._as_of, since, watcher.box, was)
        return self._fleet.frame(self._as_of, since, was)

    def read_inbox(self, reader: Reader) -> None:
        """Send the inbox from the reader's place on, and whatever comes."""
        self._readers.setdefault(reader.actor.id, set()).add(reader)
        self.fetch(reader.actor.id)

    def fetch(self, user_id: UUID) -> None:
        """Look into this person's inbox."""
        self._inboxes.add(user_id)
        self._due.set()

    def leave(self, client: Client) -> None:
        """The socket is gone."""
        if isinstance(client, Watcher):
            self._watchers.discard(client)
        elif isinstance(client, Reader) and (mine := self._readers.get(client.actor.id)):
            mine.discard(client)
            if not mine:
                del self._readers[client.actor.id]

    def sockets_of(self, user_id: UUID) -> int:
        """How many sockets a person has open in this process."""
        return sum(client.actor.user_id == user_id for client in self._clients())

    def open_sockets(self) -> dict[str, list[int]]:
        """By kind of socket, how many messages each open one is still owed."""
        readers = [reader.owed for mine in self._readers.values() for reader in mine]
        return {"live": [watcher.owed for watcher in self._watchers], "inbox": readers}

    def _clients(self) -> list[Client]:
        return [*self._watchers, *(reader for readers in self._readers.values() for reader in readers)]

    # The rounds.

    async def _tick(self) -> None:
        self._round += 1
        async with self._reading() as work:
            await self._read(work, whole=self._round % WHOLE_EVERY == 0)
            heads = await reads.heads(work, self._readers)
        for user_id, head in heads.items():
            if any(reader.after < head for reader in self._readers.get(user_id, ())):
                self.fetch(user_id)
        self._board.forget(self._as_of - 2 * OVERLAP)

    async def _read(self, work: Work, *, whole: bool) -> None:
        """Take over what was changed since the last time this went well, and bring the views up to date."""
        begun, board = work.now, self._board
        since = (begun if self._as_of == LONG_AGO else self._as_of) - OVERLAP
        units, self._units = self._units, set()
        self._fleet.stage_standings(await reads.standings(work, LONG_AGO if whole else since, units))
        moved = await reads.moved(work, LONG_AGO if whole else self._as_of - LATEST_OVERLAP)
        if unknown := {unit_id: back for unit_id, at, back in moved if self._fleet.lacks(unit_id, at, back)}:
            self._fleet.stage_stored(await reads.latest(work, list(unknown)), unknown)
        tasks = await reads.changed_tasks(work, since, whole)
        notices = await reads.changed_notices(work, since, whole)
        waiting, self._notices = self._notices, set()
        await self._take_tasks(work, {i for i, at in tasks.items() if not board.tasks.known(i, at)})
        await self._take_alerts(work, since, whole=whole)
        await self._take_handovers(work, since, whole=whole)
        await self._take_notices(work, {i for i, at in notices.items() if not board.notices.known(i, at)} | waiting)
        changed = self._fleet.tick()
        self._as_of = begun
        if changed:
            for watcher in self._watchers:
                watcher.stir()

    async def _take_tasks(self, work: Work, ids: set[UUID]) -> None:
        if not ids:
            return
        for task_id, thing in (await reads.tasks(work, ids)).items():
            self.broadcast(self._board.tasks.put(task_id, thing))

    async def _take_alerts(self, work: Work, since: datetime, *, whole: bool = False) -> None:
        changed = await reads.changed_alerts(work, since, whole)
        new = {i: at for i, at in changed.items() if not self._board.alerts.known(i, at)}
        if new:
            for alert_id, thing in (await reads.alert_things(work, new)).items():
                self.broadcast(self._board.alerts.put(alert_id, thing))

    async def _take_handovers(self, work: Work, since: datetime, *, whole: bool = False) -> None:
        changed = await reads.changed_handovers(work, since, whole)
        new = {i: at for i, at in changed.items() if not self._board.handovers.known(i, at)}
        if new:
            for handover_id, thing in (await reads.handover_things(work, new)).items():
                self.broadcast(self._board.handovers.put(handover_id, thing))

    async def _take_notices(self, work: Work, ids: set[UUID]) -> None:
        if ids:
            for notice_id, thing in (await reads.notice_things(work, ids)).items():
                self.broadcast(self._board.notices.put(notice_id, thing))

    def broadcast(self, message: str | None) -> None:
        """Tell every screen; None says nothing."""
        if message:
            for watcher in self._watchers:
                watcher.owe(message)

    async def _beat(self) -> None:
        message = wire.beat(self._as_of)
        for client in self._clients():
            client.beat(message)

    async def _tell(self) -> None:
        """What cannot wait for the tick: tasks, notices, hand-overs, inboxes, and rights that were taken away."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                async with self._reading() as work:
                    await self._tell_now(work)
            except Exception as error:  # nothing is lost: the next tick reads it
                log.warning("hub_round_failed", step="_tell", error=repr(error))
            await asyncio.sleep(COALESCE_S)

    async def _tell_now(self, work: Work) -> None:
        tasks, self._tasks = self._tasks, set()
        inboxes, self._inboxes = self._inboxes & self._readers.keys(), set()
        access, self._access = self._access, set()
        handovers, self._handovers = self._handovers, set()
        if inboxes:
            await self._send_inboxes(work, inboxes)
        await self._take_tasks(work, tasks)
        if tasks:
            await self._take_alerts(work, work.now - OVERLAP)
        if handovers:
            await self._take_handovers(work, work.now - OVERLAP)
        now = asyncio.get_running_loop().time()
        if self._notices and now - self._noticed >= NOTICES_S:
            self._noticed = now
            notices, self._notices = self._notices, set()
            await self._take_notices(work, notices)
        if access:
            await self._check(work, [c for c in self._clients() if c.actor.user_id in access])

    async def _send_inboxes(self, work: Work, user_ids: Iterable[UUID]) -> None:
        readers = [reader for user_id in user_ids for reader in self._readers.get(user_id, ()) if reader.ready()]
        heads = await reads.heads(work, {r.actor.id for r in readers if not r.checked})
        for reader in readers:
            if not reader.checked and reader.after > heads.get(reader.actor.id, 0):
                reader.owe(wire.resync("unknown_seq"))
                reader.after = 0
            reader.checked = True
        found = await reads.items(work, list({reads.Want(r.actor.id, r.after) for r in readers}))
        for reader in readers:
            if items := found[reads.Want(reader.actor.id, reader.after)]:
                reader.give(items, again=len(items) == reads.PAGE)

    async def _check_rights(self) -> None:
        if clients := self._clients():
            async with self._reading() as work:
                await self._check(work, clients)
                await work.session.execute(_USED, {"ids": [c.actor.session_id for c in clients]})

    async def _check(self, work: Work, clients: list[Client]) -> None:
        good = await reads.rights(work, {c.actor.session_id for c in clients if c.actor.session_id})
        for client in clients:
            roles = good.get(client.actor.session_id) if client.actor.session_id else None
            if roles is None:
                client.end(NOT_SIGNED_IN, "not signed in any more")
            elif not Actor(client.actor.user_id, "", roles=roles).may(client.needs):
                client.end(NO_RIGHT, "no right any more")
