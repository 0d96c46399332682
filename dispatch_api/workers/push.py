"""Pushes: what is owed is sent in batches; while nothing gets through, one at a time and ever more rarely."""

import asyncio
import time
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from core import pushes
from core.actor import system
from core.pushes import Outcome
from core.settings import Settings
from core.work import open_work
from dispatch_api.fcm import Fcm, Sender

log = structlog.get_logger()

BATCH = 50
"""The library starts a thread for each message of a batch."""


@dataclass
class Post:
    """Who sends, and how it went lately."""

    senders: dict[str, Sender] = field(default_factory=dict)
    failed: int = 0
    closed_until: float = 0.0

    def sender(self, settings: Settings, channel: str) -> Sender | None:
        """The sender of a channel; None when it is not configured."""
        if channel == "fcm" and channel not in self.senders and settings.fcm_credentials:
            self.senders[channel] = Fcm(settings.fcm_credentials, settings.fcm_url)
        return self.senders.get(channel)


_post = Post()


async def round_(engine: AsyncEngine, settings: Settings, post: Post = _post) -> bool:
    """Send what is owed, at most BATCH pushes; true when there may be more to send at once."""
    if not (settings.fcm_credentials or post.senders) or time.monotonic() < post.closed_until:
        return False
    wanted = 1 if post.failed else BATCH
    async with open_work(engine, system("push")) as work:
        owed = await pushes.take(work, wanted)
    if not owed:
        return False
    sender = post.sender(settings, "fcm")
    assert sender  # something is configured
    told = await asyncio.to_thread(sender.send, [one for one in owed if one.push["channel"] == "fcm"])
    answers = iter(told)
    results = [next(answers) if one.push["channel"] == "fcm" else pushes.Told(Outcome.REFUSED) for one in owed]
    async with open_work(engine, system("push")) as work:
        await pushes.settle(work, owed, results)
    through = [one for one in told if one.outcome is not Outcome.LATER]
    post.failed = 0 if through or not told else post.failed + 1
    if post.failed:
        pause_s = max(pushes.wait_s(post.failed), *(one.retry_after_s or 0 for one in told))
        post.closed_until = time.monotonic() + pause_s
        log.warning("push_waits", failed=post.failed, seconds=round(pause_s, 1))
    return not post.failed and (len(owed) == wanted or wanted == 1)
