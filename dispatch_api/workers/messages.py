"""E-mails and SMS about alarms: one at a time, in their order; ever more rarely while nothing gets through."""

import asyncio
import time
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.pushes import wait_s
from core.settings import Settings
from core.work import open_work
from dispatch_api import outside
from tasks import alert_messages
from tasks.alert_messages import Channel, Outcome

log = structlog.get_logger()

LONGEST_PAUSE_S = 60.0


@dataclass
class Line:
    """How it went lately on one channel."""

    failed: int = 0
    closed_until: float = 0.0


@dataclass
class Lines:
    """The channels of one worker."""

    of: dict[Channel, Line] = field(default_factory=lambda: {channel: Line() for channel in Channel})


_lines = Lines()


async def round_(engine: AsyncEngine, settings: Settings, channel: Channel, lines: Lines = _lines) -> bool:
    """Send the next message of this channel; true when there may be another to send at once."""
    line = lines.of[channel]
    if channel not in outside.channels(settings) or time.monotonic() < line.closed_until:
        return False
    async with open_work(engine, system("messages")) as work:
        if late := await alert_messages.give_up(work, channel):
            log.error("messages_late", channel=channel.value, n=late)
        owed = await alert_messages.take(work, channel)
    if owed is None:
        return False
    told = await asyncio.to_thread(outside.sender(settings, channel).send, owed)
    async with open_work(engine, system("messages")) as work:
        await alert_messages.settle(work, owed, told)
    if told.outcome is not Outcome.DOWN:
        line.failed = 0
        return True
    line.failed += 1
    pause_s = max(min(wait_s(line.failed), LONGEST_PAUSE_S), told.retry_after_s or 0)
    line.closed_until = time.monotonic() + pause_s
    log.warning("messages_wait", channel=channel.value, failed=line.failed, seconds=round(pause_s, 1))
    return False
