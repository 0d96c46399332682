"""The group-commit writer of positions: many callers, one transaction after another, each answered after its commit."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from types import TracebackType
from typing import Self
from uuid import UUID

import asyncpg
import structlog

from core.db import asyncpg_dsn, utcnow
from core.errors import Overloaded
from geo import eager
from geo.commit_line import OFF_DUTY, SUSPECT, Line, Row, is_away
from geo.counts import Counts
from geo.delivery import Delivery, Latest, Stored, Told, hand_over, newest_of, tell
from geo.duty import UNAVAILABLE, DutyBook, KnownDevice
from geo.fix import Fix
from geo.judging import judged
from geo.motion import Motion
from geo.recent import RecentFixes
from geo.senders import Sender, Senders

log = structlog.get_logger()

QUEUE_ROWS = 20_000
"""Fixes waiting for their commit; more are refused before any effect."""
LIVE_ROWS = 10
"""Deliveries of so few fixes are of now: they go before what others kept while they were cut off."""
LIVE_ROOM = 5_000
"""Fixes of now that find room beside a full queue."""
COMMIT_ROWS = 1_000
"""A commit takes whole deliveries up to this many fixes; more gain nothing and make the others wait."""
LINES_FROM_ROWS = 1, 24, 48
"""So many waiting while commits run make the second and third connection help: with fewer they would only split the
commits, with more the server would wait for the database."""
AT_ONCE_ROWS = LINES_FROM_ROWS[1]
"""So many do not wait for the end of the loop's turn: while the rest of it is read, they are being committed."""
COUNTS_EVERY_S = 10


class Writer:
    """Stores fixes of on-duty units. It takes all that is queued the moment its last commit returns: no timer.

    Lost connections are made anew by the next delivery; until then callers get Overloaded, never a false success.
    """

    def __init__(
        self,
        url: str,
        duty: DutyBook,
        on_latest: Callable[[list[Latest]], None],
        on_commit: Callable[[float, float], None] = lambda commit_s, delivery_s: None,
    ) -> None:
        """`url` is the database as the ingest role; `on_latest` hears after each commit which units moved.

        `on_commit` hears how long it took, and how long ago its oldest delivery was received (seconds).
        """
        self._dsn, self._duty, self._on_latest, self._on_commit = asyncpg_dsn(url), duty, on_latest, on_commit
        self._live: deque[Delivery] = deque()
        self._kept: deque[Delivery] = deque()
        self._queued_rows = self._waiting_rows = 0
        self._motion: dict[UUID, Motion] = {}
        self._recent = RecentFixes()
        self._days: set[date] = set()
        self._day_from = self._day_to = datetime(1970, 1, 1, tzinfo=UTC)
        self._counts, self._senders = Counts(), Senders()
        self._lines = [Line(self._dsn, rows) for rows in LINES_FROM_ROWS]
        self._open = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._pool = await asyncpg.create_pool(
            self._dsn, min_size=0, max_size=4, timeout=5, command_timeout=10,
            server_settings={"application_name": "outrider ingest"},
        )  # fmt: skip
        self._open, self._looking = True, False
        self._writing: set[asyncio.Task[None]] = set()
        self._counting = asyncio.create_task(self._keep_counts(), name="ingest-counts")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        self._look()
        while self._writing:
            await asyncio.wait(self._writing)
        self._counting.cancel()
        await asyncio.gather(self._counting, return_exceptions=True)
        with contextlib.suppress(*UNAVAILABLE):
            await self.write_down()
        for line in self._lines:
            line.drop()
        await self._pool.close()

    async def store(
        self, device: KnownDevice, fixes: list[Fix], *, rejected: int = 0, sender: Sender | None = None,
        is_counted: bool = True,
    ) -> Stored:  # fmt: skip
        """Pass fixes through the duty gate and plausibility, store them, and return once they are committed.

        `rejected` only counts what the caller could not use; `sender` is who brought them, if that is known; nothing is
        counted of what the device itself did not send. Raises Overloaded, with nothing stored, when too much waits or
        the database is away; after an Overloaded in the middle of a commit the same delivery may be sent again: what
        was stored then counts as duplicates.
        """
        if self._is_full(fixes):
            raise Overloaded
        received_at = utcnow()
        units = None
        if not self._is_ready(device, fixes):
            self._queued_rows += len(
                fixes
            )  # what is being prepared has its place, or all who come at once would have one
            try:
                units = await self._prepare(device, fixes)
            finally:
                self._queued_rows -= len(fixes)
        done: asyncio.Future[Stored] = self._loop.create_future()
        told = partial(hand_over, done)
        self._put(device, fixes, units, received_at, rejected, sender, told, is_counted=is_counted)
        return await done

    def store_soon(
        self, device: KnownDevice, fixes: list[Fix], told: Told, *, rejected: int = 0, received_at: datetime,
        sender: Sender | None = None,
    ) -> bool:  # fmt: skip
        """The same without waiting, when all that judging needs is in memory and there is room; else False.

        `told` is called once, perhaps before this returns.
        """
        if self._is_full(fixes) or not self._is_ready(device, fixes):
            return False
        self._put(device, fixes, None, received_at, rejected, sender, told)
        return True

    def unreadable(self, device: KnownDevice, readings: int) -> None:
        """Count a frame that came damaged, or that could not be decoded and had so many readings."""
        self._counts.unreadable(device.id, utcnow(), readings)

    def describe(self, device: KnownDevice, about: str | None) -> None:
        """Note what a device says of itself, if anything: its model and version."""
        if about:
            self._counts.describe(device.id, utcnow(), about)

    @property
    def queued_rows(self) -> int:
        """Fixes that wait for their commit, or are being committed."""
        return self._queued_rows

    def totals(self) -> list[int]:
        """Fixes given to it so far: accepted, duplicates, off duty, suspect (among the accepted), rejected."""
        return self._counts.totals()

    def _is_full(self, fixes: list[Fix]) -> bool:
        most = QUEUE_ROWS if len(fixes) > LIVE_ROWS else QUEUE_ROWS + LIVE_ROOM
        return not self._open or self._queued_rows + len(fixes) > most

    def _put(
        self, device: KnownDevice, fixes: list[Fix], units: list[UUID | None] | None, at: datetime, rejected: int,
        sender: Sender | None, told: Told, *, is_counted: bool = True,
    ) -> None:  # fmt: skip
        """Queue fixes received `at` that are on duty; `told` hears of them once they are committed."""
        gate = partial(self._duty.unit_on_duty, device)
        rows, newest, suspect = judged(
            device.id, fixes, units, at, gate, device.last_unit, self._motion[device.id].judge
        )
        delivery = Delivery(device.id, rows, newest, len(fixes) - len(rows), suspect, rejected, at, told, is_counted)
        if not rows:
            self._settle(delivery, ())
            return
        if sender is not None and rows[-1][SUSPECT] not in OFF_DUTY:
            self._senders.heard(device.id, rows[-1][3], sender, fixes[-1], at)
        (self._kept if len(rows) > LIVE_ROWS else self._live).append(delivery)
        self._queued_rows += len(rows)
        self._waiting_rows += len(rows)
        if self._waiting_rows >= AT_ONCE_ROWS:
            self._look()
        elif not self._looking:
            self._looking = True
            self._loop.call_soon(self._look)  # what this turn of the loop still brings goes along

    def _is_ready(self, device: KnownDevice, fixes: list[Fix]) -> bool:
        """Whether all that judging needs is in memory: the device's last fixes, and the day's partition."""
        if not self._is_known(device):
            return False
        day_from, day_to = self._day_from, self._day_to
        for fix in fixes:  # noqa: SIM110 - twice as fast as all() on the one fix most deliveries hold
            if not day_from <= fix.fix_at < day_to:
                return False
        return True

    def _is_known(self, device: KnownDevice) -> bool:
        """Whether its last fixes are in memory, read since the doubt about it last changed."""
        motion = self._motion.get(device.id)
        return motion is not None and motion.doubt is device.doubt

    async def _prepare(self, device: KnownDevice, fixes: list[Fix]) -> list[UUID | None]:
        """Fetch what judging needs; returns the unit on duty for each fix, None where there was none."""
        try:
            units = await self._duty.units_on_duty(device, [fix.fix_at for fix in fixes])
            await self._ensure_days(fix.fix_at for fix, unit_id in zip(fixes, units, strict=True) if unit_id)
            if not self._is_known(device):
                seen = await self._recent.of(self._pool, device.id)
                if not self._is_known(device):  # judged with meanwhile, it knows more
                    self._motion[device.id] = Motion(seen, device.doubt)
        except UNAVAILABLE as failure:
            await self._pool.expire_connections()
            raise Overloaded("The database is away.") from failure
        return units

    async def _ensure_days(self, moments: Iterable[datetime]) -> None:
        for day in sorted({at.astimezone(UTC).date() for at in moments}):
            if day not in self._days:
                await self._pool.execute("SELECT ensure_position_day($1)", day)
                self._days.add(day)
            begins = datetime.combine(day, time(), UTC)
            if begins >= max(self._day_from, self._duty.horizon):
                self._day_from, self._day_to = begins, begins + timedelta(days=1)

    def _look(self) -> None:
        """Let free lines take what waits."""
        self._looking = False
        for line in self._lines:
            if self._waiting_rows and not line.busy and (self._waiting_rows >= line.from_rows or not self._open):
                line.busy, turn = True, self._turn(line)
                if task := eager.begin(turn) if line.connected else asyncio.create_task(turn):
                    self._writing.add(task)
                    task.add_done_callback(self._writing.discard)

    async def _turn(self, line: Line) -> None:
        taken, n = [], 0
        while (queue := self._live or self._kept) and n < COMMIT_ROWS:
            taken.append(queue.popleft())
            n += len(taken[-1].rows)
        self._waiting_rows -= n
        if taken:
            await self._commit(line, taken)
            self._queued_rows -= n
        line.busy = False
        self._look()

    async def _commit(self, line: Line, taken: list[Delivery]) -> None:
        """Commit these deliveries together; when something in them is refused, each on its own."""
        try:
            await self._write(line, taken)
        except Exception as failure:
            self._forget_motion(taken)
            if is_away(failure):
                self._refuse(line, taken, failure)
                await self._pool.expire_connections()
                return
            log.warning("commit_split", deliveries=len(taken), error=type(failure).__name__)
            for delivery in taken:
                await self._commit_alone(line, delivery)

    async def _commit_alone(self, line: Line, delivery: Delivery) -> None:
        try:
            # Retention may have dropped a day that was known here.
            self._days.clear()
            await self._ensure_days(row[1] for row in delivery.rows)
            await self._write(line, [delivery])
        except Exception as failure:
            self._refuse(line, [delivery], failure)

    async def _write(self, line: Line, taken: list[Delivery]) -> None:
        rows = [row for delivery in taken for row in delivery.rows] if len(taken) > 1 else taken[0].rows
        newest = newest_of(taken)
        begun = self._loop.time()
        duplicates, devices, moments = await line.store(rows, len(newest))
        self._on_commit(self._loop.time() - begun, (utcnow() - min(each.received_at for each in taken)).total_seconds())
        self._answer(taken, duplicates)
        if devices is None:
            self._tell(newest.values())
        elif devices:
            moved = set(zip(devices, moments, strict=True))
            self._tell({row[:2]: row for row in reversed(rows) if row[:2] in moved}.values())

    def _answer(self, taken: list[Delivery], duplicates: list[int] | None) -> None:
        """Answer the callers of committed deliveries; `duplicates` are places among all their rows, None for none."""
        if duplicates is None:
            for delivery in taken:
                self._settle(delivery, ())
            return
        known, seen, start = set(duplicates), set(), 0
        for delivery in taken:
            again = []
            for place, row in enumerate(delivery.rows):
                if start + place in known or row[:2] in seen:
                    again.append(row)
                seen.add(row[:2])
            start += len(delivery.rows)
            self._settle(delivery, again)

    def _settle(self, delivery: Delivery, again: Sequence[Row]) -> None:
        """Count a delivery and answer its caller; `again` are those of its rows that were there before."""
        rows, suspect = delivery.rows, delivery.suspect
        if again:
            suspect -= sum(1 for row in again if row[-1] is not None)
            there = set(map(id, again))
            rows = [row for row in rows if id(row) not in there]
        sums = len(again), delivery.off_duty, suspect
        if delivery.is_counted:
            self._counts.add(delivery.device_id, delivery.received_at, rows, *sums, delivery.rejected)
        tell(delivery, Stored(len(rows), *sums))

    def _tell(self, moved: Iterable[Row]) -> None:
        latest = [
            Latest(row[3], row[0], row[1], row[2], row[4], row[5], row[6], row[8], row[9], row[10]) for row in moved
        ]
        try:
            self._on_latest(latest)
        except Exception:
            log.exception("announcement_failed")

    def _refuse(self, line: Line, taken: list[Delivery], failure: Exception) -> None:
        away = is_away(failure)
        if away:
            line.drop()
        log.warning("positions_refused", deliveries=len(taken), error=type(failure).__name__, away=away)
        for delivery in taken:
            tell(delivery, Overloaded("The database is away.") if away else failure)

    def _forget_motion(self, taken: list[Delivery]) -> None:
        """What was judged but not stored must not count: it is read from the database again."""
        for delivery in taken:
            self._motion.pop(delivery.rows[0][0], None)

    async def _keep_counts(self) -> None:
        while True:
            await asyncio.sleep(COUNTS_EVERY_S)
            with contextlib.suppress(*UNAVAILABLE):
                await self.write_down()

    async def write_down(self) -> None:
        """Write the counts and findings that are only in memory so far."""
        await self._counts.write(self._pool)
        await self._senders.write(self._pool)
