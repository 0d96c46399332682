"""Sixteen clients that write without pause and never take no for an answer, as trackers and officers' apps do.

What fails is sent again with the same id or the same fixes. Now and then a client gives up after a failure, as a
tablet that breaks would: what it had sent may or may not be there, but not twice.
"""

import asyncio
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from core.ids import new_id
from loadtests.faults.ledger import Ledger, Op
from loadtests.faults.scene import Crew

SHARES = {"fixes": 7, "batches": 2, "violations": 3, "tasks": 4}
"""How many writers of each sort."""
WRITERS = sum(SHARES.values())
BATCH = 10
STEPS = ("acknowledge", "en_route", "on_scene", "complete")
TIMEOUT = aiohttp.ClientTimeout(total=4)
BACK_OFF_S = (0.05, 0.25)
PAUSE_S = 0.01
"""Between two writes, on average."""
GIVES_UP = 0.02
"""How often a failure is the client's last try."""
FINISHES_WITHIN_S = 20
MILLISECOND = timedelta(milliseconds=1)
OK, AGAIN = frozenset({200, 201}), frozenset({429, 503})


class GaveUp(Exception):
    """The client will not try again."""


@dataclass
class Seen:
    """What all writers saw together."""

    answers: Counter[str] = field(default_factory=Counter)
    """By status, and `none` for those that never came."""
    replayed: int = 0
    """Answers that told of an effect had before: a retry met what its lost first try had done."""
    gave_up: int = 0
    gaps: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Load(threading.Thread):
    """The writers, in a thread of their own: the main thread starts and kills what must end with it."""

    def __init__(self, url: str, crews: list[Crew], folder: Path, seed: int) -> None:
        super().__init__(name="writers", daemon=True)
        self._url, self._crews, self._seed = url, crews, seed
        self._stopping = threading.Event()
        self.path, self.seen = folder / "ledger.jsonl", Seen()
        self._writers: list[_Writer] = []
        self._ledger: Ledger | None = None
        self.failure: BaseException | None = None

    @property
    def acked(self) -> int:
        """Writes acknowledged so far."""
        return self._ledger.acked if self._ledger else 0

    def all_acked_since(self, moment: float) -> bool:
        """Whether every writer had an acknowledgement after this moment of the monotonic clock."""
        return bool(self._writers) and all(writer.acked_at > moment for writer in self._writers)

    @property
    def silence_s(self) -> float:
        """How long the writer that waits longest has had no acknowledgement."""
        now = time.monotonic()
        return max((now - writer.acked_at for writer in self._writers if writer.acked_at), default=0.0)

    def stop(self) -> None:
        """Let each writer finish what it has in hand; returns when they have."""
        self._stopping.set()
        self.join()
        if self.failure:
            raise self.failure

    def run(self) -> None:
        """Write until `stop`."""
        try:
            asyncio.run(self._run())
        except BaseException as failure:
            self.failure = failure

    async def _run(self) -> None:
        self._ledger = Ledger(self.path)
        names = [name for name, n in SHARES.items() for _ in range(n)]
        async with asyncio.TaskGroup() as group:
            for number, (name, crew) in enumerate(zip(names, self._crews, strict=True)):
                chance = random.Random(f"{self._seed} {number}")
                writer = _Writer(self._url, crew, self._ledger, self.seen, self._stopping, chance)
                self._writers.append(writer)
                group.create_task(writer.run(name), name=f"{name}-{number}")
        self._ledger.close()


class _Writer:
    """One client with one connection."""

    def __init__(
        self, url: str, crew: Crew, ledger: Ledger, seen: Seen, stopping: threading.Event, chance: random.Random
    ) -> None:
        self._url, self._crew, self._ledger, self._seen = url, crew, ledger, seen
        self._stopping, self._chance = stopping, chance
        self._last_fix = datetime.now(UTC)
        self._cursor = 0
        self._until = float("inf")
        self.acked_at = 0.0

    async def run(self, what: str) -> None:
        """Write one thing after another."""
        step = {"fixes": self._fix, "batches": self._batch, "violations": self._violation, "tasks": self._task}[what]
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(self._url, connector=connector, timeout=TIMEOUT) as self._http:
            while not self._stopping.is_set():
                try:
                    await step()
                except GaveUp:
                    self._seen.gave_up += 1
                await asyncio.sleep(self._chance.uniform(0, 2 * PAUSE_S))

    async def _write(self, op: Op, path: str, body: dict[str, Any], token: str) -> dict[str, Any]:
        """The answer to a write, once its acknowledgement is in the ledger; raises GaveUp."""
        self._ledger.begin(op)
        answer = await self._ask("POST", path, token, json=body)
        await self._ledger.ack(op)
        self.acked_at = time.monotonic()
        return answer

    async def _ask(self, method: str, path: str, token: str, **more: Any) -> dict[str, Any]:
        """The answer, however often it takes; raises GaveUp."""
        headers = {"Authorization": f"Bearer {token}"}
        while True:
            try:
                async with self._http.request(method, f"/api/v1{path}", headers=headers, **more) as answer:
                    status, told = answer.status, await answer.json(content_type=None)
            except (aiohttp.ClientError, TimeoutError):
                self._seen.answers["none"] += 1
            else:
                self._seen.answers[str(status)] += 1
                if status in OK:
                    self._seen.replayed += "Idempotency-Replayed" in answer.headers
                    return dict(told)
                if status not in AGAIN:
                    self._seen.wrong.append(f"{method} {path} was answered with {status}: {told}")
                    raise GaveUp
            if self._is_enough():
                raise GaveUp
            await asyncio.sleep(self._chance.uniform(*BACK_OFF_S))

    def _is_enough(self) -> bool:
        if self._stopping.is_set():
            self._until = min(self._until, time.monotonic() + FINISHES_WITHIN_S)
        return self._chance.random() < GIVES_UP or time.monotonic() > self._until

    # Trackers.

    async def _fix(self) -> None:
        await self._fixes(1)

    async def _batch(self) -> None:
        await self._fixes(BATCH)

    async def _fixes(self, n: int) -> None:
        """Report places; each moment is used once."""
        now = datetime.now(UTC)
        first = max(now - n * MILLISECOND, self._last_fix + MILLISECOND)
        moments = [(first + i * MILLISECOND).isoformat(timespec="milliseconds") for i in range(n)]
        self._last_fix = datetime.fromisoformat(moments[-1])
        fixes = [{"fix_at": at, "lon": 25.28, "lat": 54.69, "accuracy_m": 5, "speed_mps": 0} for at in moments]
        op = Op("fixes", (str(self._crew.device_id), *moments))
        told = await self._write(op, "/positions", {"fixes": fixes}, self._crew.device_key)
        self._seen.replayed += told["duplicates"] > 0
        if told["accepted"] + told["duplicates"] != n or told["suspect"]:
            self._seen.wrong.append(f"{n} fixes were answered with {told}")

    # Officers and dispatchers.

    async def _violation(self) -> None:
        """Record a violation; its note names it, since the record has an id of its own."""
        name = str(new_id())
        body = {
            "id": name, "note": name, "category": "tobacco", "occurred_at": datetime.now(UTC).isoformat(),
            "lon": 25.28, "lat": 54.69, "coord_source": "gps",
        }  # fmt: skip
        await self._write(Op("violation", (name,)), "/violations", body, self._crew.officer_token)

    async def _task(self) -> None:
        """Send a task, find it in the officer's inbox, note that it is there, and carry it out."""
        crew, task_id = self._crew, str(new_id())
        body = {
            "id": task_id, "title": task_id, "kind": "stop_vehicle", "priority": "P3", "reason_code": "indicator",
            "lon": 25.28, "lat": 54.69, "unit_id": str(crew.unit_id), "issue": True,
        }  # fmt: skip
        await self._write(Op("task", (task_id,)), "/tasks", body, crew.dispatcher_token)
        if task_id not in await self._read_inbox():
            self._seen.wrong.append(f"task {task_id} is not in its officer's inbox")
        stored = Op("cursor", (str(crew.officer_id), str(self._cursor)))
        await self._write(stored, "/inbox/ack", {"upto": self._cursor}, crew.officer_token)
        for verb in STEPS:
            await asyncio.sleep(self._chance.uniform(0, 2 * PAUSE_S))
            step = {"id": str(new_id()), "verb": verb, "at": datetime.now(UTC).isoformat()}
            op = Op("step", (task_id, verb))
            told = await self._write(op, f"/tasks/{task_id}/transitions", step, crew.officer_token)
            if told["result"] != "applied":
                self._seen.wrong.append(f"step {verb} of task {task_id} was {told['result']}")

    async def _read_inbox(self) -> set[str]:
        """The objects of what is new; each item's number must follow the one before."""
        found = set()
        while True:
            page = await self._ask("GET", f"/inbox?after={self._cursor}&limit=50", self._crew.officer_token)
            for item in page["items"]:
                if item["seq"] != self._cursor + 1:
                    self._seen.gaps.append(f"{self._crew.officer_id} read {item['seq']} after {self._cursor}")
                self._cursor = item["seq"]
                found.add(item["body"]["id"])
            if page["next"] is None:
                return found
