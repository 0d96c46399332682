"""Pushes: what is owed is sent in batches; to a service that cannot be reached one at a time, ever more rarely.

Apps have one service, browsers have several: what is wrong with one of them, or with one person's push, holds up nobody
else's.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from core import pushes
from core.actor import system
from core.pushes import Outcome, Owed, Told
from core.settings import Settings
from core.work import open_work
from dispatch_api.fcm import Fcm
from dispatch_api.pushed import Sender
from dispatch_api.webpush import keys
from dispatch_api.webpush.sender import Webpush

log = structlog.get_logger()

BATCH = 50
"""Each message of a batch has a thread of its own."""


@dataclass(frozen=True)
class Down:
    """A service that nothing gets through to: how often in a row that was tried, and when it is tried again."""

    failed: int
    until: float


@dataclass
class Post:
    """One channel: who sends, None while it is not set up, and the services that cannot be reached."""

    channel: str
    sender: Sender | None = None
    down: dict[str, Down] = field(default_factory=dict)

    def open(self, settings: Settings) -> Sender | None:
        """Who sends, made when it is first needed; None when the channel is not set up."""
        if self.sender is None and self.channel == "fcm" and settings.fcm_credentials:
            self.sender = Fcm(settings.fcm_credentials, settings.fcm_url)
        if self.sender is None and self.channel == "webpush" and (identity := keys.identity(settings)):
            self.sender = Webpush(settings, identity)
        return self.sender

    def learn(self, owed: Sequence[Owed], told: Sequence[Told]) -> None:
        """Which services cannot be reached, by what became of these."""
        pairs = list(zip(owed, told, strict=True))
        through = {one.service for one, result in pairs if result.outcome is not Outcome.DOWN}
        for service in {one.service for one in owed}:
            before = self.down.pop(service, None)
            if service in through:
                continue
            failed = before.failed + 1 if before else 1
            asked = [result.retry_after_s or 0 for one, result in pairs if one.service == service]
            pause_s = max(pushes.wait_s(failed), *asked)
            self.down[service] = Down(failed, time.monotonic() + pause_s)
            where = {"channel": self.channel, "service": service}
            log.warning("push_waits", **where, failed=failed, seconds=round(pause_s, 1))

    def due(self) -> list[str]:
        """The services to be tried again now; those nobody wanted anything of for long are forgotten."""
        now = time.monotonic()
        self.down = {name: one for name, one in self.down.items() if now < one.until + pushes.LONGEST_WAIT_S}
        return [name for name, one in self.down.items() if one.until <= now]


FCM, WEBPUSH = Post("fcm"), Post("webpush")


async def round_(engine: AsyncEngine, settings: Settings, post: Post) -> bool:
    """Send what is owed by a channel, at most BATCH pushes; true when there may be more to send at once."""
    sender = post.open(settings)
    if sender is None:
        return False
    async with open_work(engine, system("push")) as work:
        owed = await pushes.take(work, post.channel, BATCH, post.down)
    await _send(engine, sender, post, owed)
    return len(owed) == BATCH


async def again(engine: AsyncEngine, settings: Settings, *posts: Post) -> bool:
    """Try one push to each service that could not be reached, once its time has come; false."""
    for post in posts:
        if (sender := post.open(settings)) and (services := post.due()[:BATCH]):
            async with open_work(engine, system("push")) as work:
                owed = [
                    one for name in services for one in await pushes.take(work, post.channel, 1, [name], only=True)
                ]  # fmt: skip
            await _send(engine, sender, post, owed)
    return False


async def _send(engine: AsyncEngine, sender: Sender, post: Post, owed: Sequence[Owed]) -> None:
    if not owed:
        return
    told = await asyncio.to_thread(sender.send, owed)
    post.learn(owed, told)
    async with open_work(engine, system("push")) as work:
        await pushes.settle(work, owed, told)
