"""Trackers played by this process: each device keeps its fixes until they are acknowledged, as real ones do."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

BATCH = 1_000
RETRY_S = 1.0
CONNECTIONS = 32


@dataclass
class Tracker:
    """One device: its key and what it still has to send, oldest first."""

    key: str
    waiting: deque[Mapping[str, Any]] = field(default_factory=deque)
    sending: bool = False


@dataclass
class Tally:
    """What became of the fixes so far."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    suspect: int = 0
    off_duty: int = 0
    rejected: int = 0
    refused_keys: int = 0

    def count(self, sent: int, answer: Mapping[str, Any]) -> None:
        """Add one batch and its answer."""
        self.sent += sent
        for name in ("accepted", "duplicates", "suspect", "off_duty"):
            setattr(self, name, getattr(self, name) + answer[name])
        self.rejected += len(answer["rejected"])


class Fleet:
    """Many trackers over few connections; a device's fixes go in order, one request at a time."""

    def __init__(self, base_url: str) -> None:
        self.tally = Tally()
        self._url = f"{base_url}/api/v1/positions"
        self._ready: asyncio.Queue[Tracker] = asyncio.Queue()
        self._pending = 0
        self._drained = asyncio.Event()

    async def __aenter__(self) -> "Fleet":
        """Open the connections."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS), timeout=aiohttp.ClientTimeout(total=30)
        )
        self._senders = [asyncio.create_task(self._send_ready()) for _ in range(CONNECTIONS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them; what is not sent by now is lost with this process."""
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        await self._http.close()

    def report(self, tracker: Tracker, fix: Mapping[str, Any]) -> None:
        """Let a tracker send this fix as soon as it can."""
        tracker.waiting.append(fix)
        self._pending += 1
        self._wake(tracker)

    def resume(self, tracker: Tracker) -> None:
        """Let a tracker send what it had buffered before it came to this fleet."""
        self._pending += len(tracker.waiting)
        if tracker.waiting:
            self._wake(tracker)

    def _wake(self, tracker: Tracker) -> None:
        self._drained.clear()
        if not tracker.sending:
            tracker.sending = True
            self._ready.put_nowait(tracker)

    @property
    def pending(self) -> int:
        """Fixes not acknowledged yet."""
        return self._pending

    async def drain(self) -> None:
        """Wait until every fix is acknowledged."""
        if self._pending:
            await self._drained.wait()

    async def _send_ready(self) -> None:
        while True:
            tracker = await self._ready.get()
            batch = [tracker.waiting[i] for i in range(min(BATCH, len(tracker.waiting)))]
            if not await self._send(tracker, batch):
                await asyncio.sleep(RETRY_S)
                self._ready.put_nowait(tracker)
                continue
            for _ in batch:
                tracker.waiting.popleft()
            self._pending -= len(batch)
            if tracker.waiting:
                self._ready.put_nowait(tracker)
            else:
                tracker.sending = False
            if not self._pending:
                self._drained.set()

    async def _send(self, tracker: Tracker, batch: list[Mapping[str, Any]]) -> bool:
        """Whether the server answered for good; False means: keep and try again."""
        headers = {"Authorization": f"Bearer {tracker.key}"}
        try:
            async with self._http.post(self._url, json={"fixes": batch}, headers=headers) as answer:
                if answer.status == 200:
                    self.tally.count(len(batch), await answer.json())
                    return True
                if answer.status in {400, 401, 413}:  # sending it again cannot help
                    self.tally.refused_keys += len(batch)
                    return True
                return False
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return False
