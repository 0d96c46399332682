"""`outrider worker`: what is due and what is owed, done by named loops in one process.

A round that fails is logged and tried again, later each time; nothing is lost by it, since every round starts from
what the database says. SIGTERM and Ctrl-C let the rounds that run come to their end.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from core.db import make_engine
from core.settings import Settings
from dispatch_api import logs
from dispatch_api.commands.database import with_database
from dispatch_api.metrics.measures import Measures, Rounds
from dispatch_api.metrics.pages import Page
from dispatch_api.workers import (
    condition,
    deadlines,
    heat,
    hotspots,
    imports,
    intervals,
    messages,
    patrol,
    push,
    retention,
    seals,
)
from geo.intervals import EVERY_S
from tasks.alert_messages import Channel

log = structlog.get_logger()

LONGEST_WAIT_S = 30.0
HEARD_AGAIN_S = 60
"""Who was not heard while nothing of Outrider ran is not silent: trackers need this long to be heard again."""


@dataclass(frozen=True)
class Desk:
    """What a loop's round works with."""

    engine: AsyncEngine
    settings: Settings
    stopping: asyncio.Event
    rounds: Rounds = field(default_factory=lambda: Rounds(Measures(), {}))


Round = Callable[[Desk], Awaitable[bool]]
"""One round; true when there is more to do at once."""


@dataclass(frozen=True)
class Loop:
    """A named round, the seconds between two of them, and from the start of the worker to the first."""

    name: str
    every_s: float
    round: Round
    after_s: float = 0


LOOPS = (
    Loop("deadlines", 1, lambda d: deadlines.round_(d.engine, d.settings)),
    Loop("alarms", 0.5, lambda d: deadlines.alarms_round(d.engine)),
    Loop("areas", 1, lambda d: deadlines.areas_round(d.engine)),
    Loop("silence", 5, lambda d: deadlines.silence_round(d.engine, d.settings), after_s=HEARD_AGAIN_S),
    Loop("doubts", 5, lambda d: deadlines.doubts_round(d.engine)),
    Loop("interference", 5, lambda d: deadlines.interference_round(d.engine, d.settings)),
    Loop("push", 1, lambda d: push.round_(d.engine, d.settings, push.FCM)),
    Loop("webpush", 1, lambda d: push.round_(d.engine, d.settings, push.WEBPUSH)),
    Loop("push_again", 1, lambda d: push.again(d.engine, d.settings, push.FCM, push.WEBPUSH)),
    Loop("email", 1, lambda d: messages.round_(d.engine, d.settings, Channel.EMAIL)),
    Loop("sms", 1, lambda d: messages.round_(d.engine, d.settings, Channel.SMS)),
    Loop("seals", 1, lambda d: seals.seal_round(d.engine)),
    Loop("heads", 60, lambda d: seals.head_round(d.engine, d.settings)),
    Loop("imports", 1, lambda d: imports.round_(d.engine, d.settings, d.stopping.is_set)),
    Loop("tracks", 1, lambda d: imports.tracks_round(d.engine, d.settings, d.stopping.is_set)),
    Loop("hotspots", 1, lambda d: hotspots.round_(d.engine, d.stopping.is_set)),
    Loop("heat", 2, lambda d: heat.round_(d.engine)),
    Loop("intervals", EVERY_S, lambda d: intervals.round_(d.engine)),
    Loop("patrol", 900, lambda d: patrol.round_(d.engine, d.settings, d.stopping.is_set)),
    Loop("retention", 3600, lambda d: retention.round_(d.engine, d.settings, d.stopping.is_set)),
    Loop("condition", 60, lambda d: condition.round_(d.engine, d.settings)),
)


def run(settings: Settings) -> int:
    """Work until SIGTERM or SIGINT; the exit code."""
    logs.configure(settings.log_level)
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    url = with_database(settings).database_url
    assert url is not None  # with_database filled it in
    measures = Measures()
    rounds = Rounds(measures, {one.name: one.every_s for one in LOOPS})
    desk = Desk(make_engine(url, pool_size=len(LOOPS)), settings, stopping, rounds)
    async with Page(settings.data_dir, "worker", measures.registry), asyncio.TaskGroup() as group:
        for one in LOOPS:
            group.create_task(keep(one, desk), name=one.name)
        log.info("worker_started", loops=[one.name for one in LOOPS])
    await desk.engine.dispose()
    log.info("worker_stopped")
    return 0


async def keep(loop: Loop, desk: Desk) -> None:
    """Do a loop's rounds until `desk.stopping`; a failing one waits longer each time, at most LONGEST_WAIT_S more."""
    failed = 0
    await _pause(desk, loop.after_s)
    while not desk.stopping.is_set():
        more, begun = False, time.monotonic()
        try:
            more = await loop.round(desk)
            failed = 0
            desk.rounds.went_well(loop.name, time.monotonic() - begun)
        except Exception:
            failed += 1
            desk.rounds.failed(loop.name)
            log.exception("round_failed", loop=loop.name, times=failed)
        if more:
            continue
        wait_s = min(loop.every_s * 2**failed, max(loop.every_s, LONGEST_WAIT_S)) if failed else loop.every_s
        await _pause(desk, wait_s)


async def _pause(desk: Desk, seconds: float) -> None:
    """Wait, but no longer than the worker goes on."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(desk.stopping.wait(), seconds)
