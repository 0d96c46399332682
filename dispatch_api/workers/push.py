"""Pushes: what is owed is sent in batches; while nothing gets through, one at a time and ever more rarely."""

import asyncio
import time
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from core import pushes
from core.actor import system
from core.pushes import Outcome
from core.settings import Settings
from core.work import open_work
from dispatch_api.fcm import Fcm
from dispatch_api.pushed import Sender
from dispatch_api.webpush import keys
from dispatch_api.webpush.sender import Webpush

log = structlog.get_logger()

BATCH = 50
"""Each message of a batch has a thread of its own."""


@dataclass
class Post:
    """One channel: who sends, None while it is not set up, and how it went lately."""

    channel: str
    sender: Sender | None = None
    failed: int = 0
    closed_until: float = 0.0

    def open(self, settings: Settings) -> Sender | None:
        """Who sends, made when it is first needed; None when the channel is not set up."""
        if self.sender is None and self.channel == "fcm" and settings.fcm_credentials:
            self.sender = Fcm(settings.fcm_credentials, settings.fcm_url)
        if self.sender is None and self.channel == "webpush" and (identity := keys.identity(settings)):
            self.sender = Webpush(settings, identity)
        return self.sender


FCM, WEBPUSH = Post("fcm"), Post("webpush")


async def round_(engine: AsyncEngine, settings: Settings, post: Post) -> bool:
    """Send what is owed by a channel, at most BATCH pushes; true when there may be more to send at once."""
    sender = post.open(settings)
    if sender is None or time.monotonic() < post.closed_until:
        return False
    wanted = 1 if post.failed else BATCH
    async with open_work(engine, system("push")) as work:
        owed = await pushes.take(work, post.channel, wanted)
    if not owed:
        return False
    told = await asyncio.to_thread(sender.send, owed)
    async with open_work(engine, system("push")) as work:
        await pushes.settle(work, owed, told)
    through = [one for one in told if one.outcome is not Outcome.LATER]
    post.failed = 0 if through else post.failed + 1
    if post.failed:
        pause_s = max(pushes.wait_s(post.failed), *(one.retry_after_s or 0 for one in told))
        post.closed_until = time.monotonic() + pause_s
        log.warning("push_waits", channel=post.channel, failed=post.failed, seconds=round(pause_s, 1))
    return not post.failed and (len(owed) == wanted or wanted == 1)
