"""Ordinary traffic on the loop of a fault test: trackers that report, screens that read, and how late they were."""

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
import websockets

from loadtests.faults.nemesis import Server
from loadtests.faults.scene import Person, Tracked


def now_text() -> str:
    """Now, as clients send it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def percentile(values: list[float], share: float = 0.99) -> float:
    """The value that this share of the values does not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


@asynccontextmanager
async def http(server: Server, *, limit: int = 64, timeout_s: float = 10) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a server's API: paths begin with /api/v1."""
    connector, timeout = aiohttp.TCPConnector(limit=limit), aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(server.url, connector=connector, timeout=timeout) as session:
        yield session


def signed(who: Person | Tracked) -> dict[str, str]:
    """The headers by which somebody is known."""
    return {"Authorization": f"Bearer {who.token if isinstance(who, Person) else who.key}"}


@dataclass
class Trackers:
    """Units that report in turn, so many fixes a second in all; what they were answered is counted."""

    session: aiohttp.ClientSession
    units: list[Tracked]
    per_s: float
    answers: Counter[str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator["Trackers"]:
        """Report until the block ends."""
        going = [asyncio.create_task(self._report(n, unit)) for n, unit in enumerate(self.units)]
        try:
            yield self
        finally:
            for each in going:
                each.cancel()
            await asyncio.gather(*going, return_exceptions=True)

    async def _report(self, n: int, unit: Tracked) -> None:
        lon, lat = random.uniform(21.2, 26.4), random.uniform(54.0, 56.3)
        every_s = len(self.units) / self.per_s
        due = time.monotonic() + every_s * n / len(self.units)
        while True:
            await asyncio.sleep(due - time.monotonic())
            due = max(due + every_s, time.monotonic())
            lon += random.uniform(-0.0005, 0.0005)
            fix = {"fix_at": now_text(), "lon": lon, "lat": lat, "accuracy_m": 5, "speed_mps": 3}
            began = time.monotonic()
            try:
                async with self.session.post("/api/v1/positions", json={"fixes": [fix]}, headers=signed(unit)) as told:
                    self.answers[str(told.status)] += 1
            except (aiohttp.ClientError, TimeoutError):
                self.answers["none"] += 1
            self.took_s.append(time.monotonic() - began)


class Frame(msgspec.Struct):
    """What is looked at of a message to a dispatcher."""

    kind: str
    rows: list[tuple[str, float, float, datetime, Any, Any, Any, str, bool]] = []


_frame = msgspec.json.Decoder(Frame)


@dataclass
class Screens:
    """Dispatchers' live sockets that read whatever comes, and how old each fix was when they first had it."""

    server: Server
    people: list[Person]
    but: frozenset[str] = frozenset()
    """Units whose fixes are old because they come late: they are not looked at."""
    ages_s: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    last: dict[int, float] = field(default_factory=dict)
    """By screen, when it last had anything."""

    @asynccontextmanager
    async def watching(self) -> AsyncIterator["Screens"]:
        """Watch until the block ends; entered once every screen has its snapshot."""
        going = [asyncio.create_task(self._watch(n, person)) for n, person in enumerate(self.people)]
        while len(self.last) < len(going):
            await asyncio.sleep(0.05)
        try:
            yield self
        finally:
            for each in going:
                each.cancel()
            await asyncio.gather(*going, return_exceptions=True)

    async def _watch(self, n: int, person: Person) -> None:
        await asyncio.sleep(n * 0.01)
        shown: dict[str, datetime] = {}
        async with websockets.connect(f"{self.server.socket_url}/live", compression=None, max_size=None) as socket:
            await socket.send(json.dumps({"kind": "hello", "token": person.token}))
            with contextlib.suppress(websockets.ConnectionClosed):
                async for text in socket:
                    self.last[n] = time.monotonic()
                    if isinstance(text, str) and text.startswith('{"kind":"units"'):
                        self._look(shown, text)
            self.lost.append(f"screen {n} was closed with {socket.close_code}")

    def _look(self, shown: dict[str, datetime], text: str) -> None:
        now = time.time()
        for row in _frame.decode(text).rows:
            if row[0] not in self.but and shown.get(row[0]) != row[3]:
                shown[row[0]] = row[3]
                self.ages_s.append(now - row[3].timestamp())
