"""What becomes of events of devices: an alert to every dispatcher once an episode, and of a panic a draft P1 as well.

Ingest writes what is owed in the transaction of the fix (`device_event`); here each row is taken and deleted in the
transaction that raises what it calls for, so that nothing is lost or raised twice however a process ends. Devices
repeat an alarm for minutes and send their buffers again: an episode takes all of that in, by the device's own times.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, text, update
from sqlmodel import col, select

from core.audit import Action
from core.bus import TasksChanged
from core.work import Work
from geo.device_events import PANIC, PANIC_CANCELLED
from tasks import alerts, calls
from tasks.models import Alert
from tasks.resource import point_of

BATCH = 500
LATE = timedelta(minutes=30)
"""A panic that is told so long after it was pressed is shown, and alarms nobody."""
PANIC_SHOWN, SHOWN = timedelta(days=30), timedelta(days=1)
"""A panic, and another event, that is told longer after it happened is history alone."""
PANIC_PAUSE, PANIC_GOES_ON = timedelta(minutes=2), timedelta(minutes=10)
"""After a panic was closed, frames that follow each other this closely are still its own, and for so long at most."""
PAUSE = timedelta(hours=1)
"""The same of other events, without end."""
GOOD = {None, "off_duty", "future"}
"""What a fix may be suspected of and still name a good place."""

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('outrider.device_events'))")
_TAKE = text("""
WITH taken AS (SELECT device_id, fix_at, event FROM device_event ORDER BY received_at, fix_at LIMIT :n)
DELETE FROM device_event e USING taken t
WHERE (e.device_id, e.fix_at, e.event) = (t.device_id, t.fix_at, t.event)
RETURNING e.device_id, e.event, least(e.fix_at, e.received_at), e.received_at, e.unit_id, ST_X(e.point), ST_Y(e.point),
  e.suspect
""")
_WAITING = text("SELECT EXISTS (SELECT FROM device_event)")


@dataclass(frozen=True)
class Told:
    """An event that a device told of: `at` its own clock, which is never ahead."""

    device_id: UUID
    event: str
    at: datetime
    received_at: datetime
    unit_id: UUID | None
    lon: float | None
    lat: float | None
    suspect: str | None

    @property
    def age(self) -> timedelta:
        """How long after it happened it came."""
        return self.received_at - self.at

    @property
    def is_shown(self) -> bool:
        """Whether it is worth anybody's eyes yet."""
        return self.age <= (PANIC_SHOWN if self.event == PANIC else SHOWN)

    @property
    def is_late(self) -> bool:
        """Whether it is a panic that alarms nobody any more."""
        return self.event == PANIC and self.age > LATE

    @property
    def place(self) -> Any:
        """Where it was, if that is to be trusted."""
        return point_of(self.lon, self.lat) if self.suspect in GOOD else None


async def due(work: Work) -> int:
    """Raise what is owed, at most for BATCH events; how many of them were taken."""
    if not (await work.session.execute(_WAITING)).scalar_one():
        return 0
    await work.session.execute(_ONE_AT_A_TIME)  # an episode begins once
    told = [Told(*row) for row in await work.session.execute(_TAKE, {"n": BATCH})]
    for device_id, event, group in _by_device(told):
        if event == PANIC_CANCELLED:
            await _withdraw(work, device_id, group[-1].at)
        else:
            await _follow(work, group)
    return len(told)


def _by_device(told: list[Told]) -> Iterator[tuple[UUID, str, Sequence[Told]]]:
    """Each device's events of one kind in order of time; panics before what takes them back."""
    told.sort(key=lambda one: (one.device_id, one.event, one.at))
    for (device_id, event), group in groupby(told, key=lambda one: (one.device_id, one.event)):
        yield device_id, event, list(group)


async def _follow(work: Work, told: Sequence[Told]) -> None:
    """Let one device's events of one kind go on with the episodes they belong to, and begin others."""
    episodes = await _episodes(work, told)
    for one in told:
        episode = next((each for each in episodes if belongs(each, one)), None)
        if episode is not None:
            _go_on(work, episode, one.at)
        elif one.is_shown:
            episodes.append(await _begin(work, one, episodes))


def _go_on(work: Work, episode: Alert, at: datetime) -> None:
    """One more frame of an episode; a panic that was taken back and is pressed again counts as before."""
    episode.last_at = max(episode.last_at or at, at)
    if episode.withdrawn_at is not None and episode.withdrawn_at < at and episode.cleared_at is None:
        episode.withdrawn_at, episode.updated_at = None, work.now
        work.publish(TasksChanged, *filter(None, [episode.task_id]))
    work.session.add(episode)


async def _episodes(work: Work, told: Sequence[Told]) -> list[Alert]:
    """The alerts that these may belong to."""
    kinds = [told[0].event, alerts.PANIC_LATE] if told[0].event == PANIC else [told[0].event]
    query = select(Alert).where(
        Alert.device_id == told[0].device_id, col(Alert.kind).in_(kinds),
        or_(col(Alert.cleared_at).is_(None), func.greatest(Alert.cleared_at, Alert.last_at) >= told[0].at - PAUSE),
    )  # fmt: skip
    return await work.all(query.order_by(col(Alert.raised_at)))


def belongs(episode: Alert, one: Told) -> bool:
    """Whether an event is one more frame of what an alert was raised for."""
    since, last, closed = episode.since or episode.raised_at, episode.last_at or episode.raised_at, episode.cleared_at
    if episode.kind == alerts.PANIC_LATE:
        return one.is_late and since - LATE <= one.at <= last + LATE
    if one.event != PANIC:
        return closed is None or since - PAUSE <= one.at <= max(closed, last + PAUSE)
    if one.at < since - LATE:
        return False
    return closed is None or one.at <= max(closed, min(last + PANIC_PAUSE, closed + PANIC_GOES_ON))


async def _begin(work: Work, one: Told, episodes: Sequence[Alert]) -> Alert:
    """Raise the alert of a new episode, which every dispatcher sees; of a panic with its task."""
    kind, since = alerts.PANIC_LATE if one.is_late else one.event, one.at
    if kind == PANIC:
        for late in episodes:  # the same press, whose first frames came late
            if late.kind == alerts.PANIC_LATE and late.cleared_at is None and one.at <= (late.last_at or since) + LATE:
                since = min(late.since or since, since)
                late.cleared_at = late.updated_at = work.now
                work.session.add(late)
        alert = await calls.panic_of_device(
            work, Alert(kind=kind, unit_id=one.unit_id, device_id=one.device_id, since=since, last_at=one.at), one.place
        )
    else:
        alert = Alert(
            kind=kind, unit_id=one.unit_id, device_id=one.device_id, since=since, last_at=since, point=one.place,
            raised_at=work.now, updated_at=work.now,
        )  # fmt: skip
        work.session.add(alert)
        work.audit(Action.COLLECTION, "device_event", one.device_id, event=one.event, unit_id=one.unit_id, at=since)
    await work.session.flush()
    return alert


async def _withdraw(work: Work, device_id: UUID, at: datetime) -> None:
    """Note that the device took its panic back; the alarm stands, for who took it back is not known."""
    query = update(Alert).where(
        col(Alert.device_id) == device_id, col(Alert.kind) == PANIC, col(Alert.cleared_at).is_(None),
        col(Alert.last_at) <= at,
    )  # fmt: skip
    query = query.values(withdrawn_at=at, updated_at=work.now)
    tasks = (await work.session.execute(query.returning(col(Alert.task_id)))).scalars()
    work.publish(TasksChanged, *(task_id for task_id in tasks if task_id))
