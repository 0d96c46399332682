"""F3: what a power cut would take: each acknowledgement must come after its write-ahead log was flushed to the disk."""

import asyncio
import contextlib
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from core.ids import new_id
from dispatch_api.process import cluster as clusters
from dispatch_api.process.children import spawn
from loadtests.faults import mutants, nemesis, scene
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.nemesis import Broken
from loadtests.faults.scene import Crew
from loadtests.faults.stage import Stage
from loadtests.faults.traffic import http, now_text

_DONE = re.compile(r"^\d+ +(?P<at>\d+\.\d+) (?:fdatasync\((?P<file>.*)\) += 0 <(?P<took>[\d.]+)>|(?P<rest>.*))$")
_BEGUN = re.compile(r"^(?P<pid>\d+) +\d+\.\d+ fdatasync\(\d+<.*pg_wal.*> <unfinished")
_ENDED = re.compile(r"^(?P<pid>\d+) +(?P<at>\d+\.\d+) <\.\.\. fdatasync resumed>.*= 0")


@contextmanager
def _traced(stage: Stage) -> Iterator[Path]:
    """Every flush of this cluster's processes, present and to come, written down by strace."""
    if not shutil.which("strace"):
        raise Broken("strace is missing")
    out = stage.folder / "strace"
    command = ["strace", "-f", "-qq", "-ttt", "-T", "-y", "-e", "trace=fdatasync", "-o", str(out)]
    tracer = spawn([*command, "-p", str(stage.cluster.pid)], log=stage.folder / "strace.log")
    time.sleep(1)
    if tracer.poll() is not None:
        raise Broken(f"strace may not look at PostgreSQL here: {(stage.folder / 'strace.log').read_text()}")
    try:
        yield out
    finally:
        tracer.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            tracer.wait(10)


def flushes(trace: str) -> list[float]:
    """When flushes of the write-ahead log were done, in Unix seconds."""
    done, begun = [], set()
    for line in trace.splitlines():
        if found := _BEGUN.match(line):
            begun.add(found["pid"])
        elif (found := _ENDED.match(line)) and found["pid"] in begun:
            begun.discard(found["pid"])
            done.append(float(found["at"]))
        elif (found := _DONE.match(line)) and found["file"] and "pg_wal" in found["file"]:
            done.append(float(found["at"]) + float(found["took"]))
    return sorted(done)


class _Client:
    """One client that writes one thing after another; when each was sent and acknowledged."""

    def __init__(self, session: aiohttp.ClientSession, crew: Crew) -> None:
        self._session, self._crew = session, crew
        self.writes: list[tuple[str, float, float]] = []

    async def write(self, what: str, path: str, token: str, body: dict[str, Any]) -> Any:
        began = time.time()
        headers = {"Authorization": f"Bearer {token}"}
        async with self._session.post(f"/api/v1{path}", json=body, headers=headers) as answer:
            told = await answer.json()
            self.writes.append((what, began, time.time()))
            answer.raise_for_status()
        return told

    async def round(self) -> None:
        """A fix, a violation, a task, its delivery and its steps."""
        crew, task_id = self._crew, str(new_id())
        await self.write("fix", "/positions", crew.device_key,
                         {"fixes": [{"fix_at": now_text(), "lon": 25.28, "lat": 54.69}]})  # fmt: skip
        await self.write("violation", "/violations", crew.officer_token, {
            "id": str(new_id()), "category": "tobacco", "occurred_at": now_text(), "lon": 25.28, "lat": 54.69,
            "coord_source": "gps",
        })  # fmt: skip
        await self.write("task", "/tasks", crew.dispatcher_token, {
            "id": task_id, "title": task_id, "kind": "stop_vehicle", "priority": "P3", "reason_code": "indicator",
            "lon": 25.28, "lat": 54.69, "unit_id": str(crew.unit_id), "issue": True,
        })  # fmt: skip
        headers = {"Authorization": f"Bearer {crew.officer_token}"}
        async with self._session.get("/api/v1/inbox?after=0&limit=1", headers=headers) as answer:
            head = (await answer.json())["head_seq"]
        await self.write("cursor", "/inbox/ack", crew.officer_token, {"upto": head})
        for verb in ("acknowledge", "en_route", "on_scene", "complete"):
            step = {"id": str(new_id()), "verb": verb, "at": now_text()}
            await self.write("step", f"/tasks/{task_id}/transitions", crew.officer_token, step)


def _restart(stage: Stage, durable: tuple[str, ...]) -> tuple[str, ...]:
    """Start the cluster again with these settings; those before."""
    before = clusters.DURABLE
    nemesis.shut_down(stage.cluster)
    vars(clusters)["DURABLE"] = durable
    stage.cluster.start()
    return before


async def _written(stage: Stage, rounds: int) -> tuple[list[tuple[str, float, float]], list[float]]:
    """What was written, and the flushes."""
    engine = stage.engine()
    (crew,) = await scene.crews(engine, 1)
    await engine.dispose()
    server = stage.server()
    if stage.mutant == "asynchronous_commit":
        server.add(mutants.asynchronous_commit(stage.urls))
    with _traced(stage) as out:
        server.spawn()
        for _ in range(600):  # a server that notices fsync=off never says that it is ready
            if (await asyncio.to_thread(server.ask, "/healthz"))[0] == 200:
                break
        async with http(server) as session:
            client = _Client(session, crew)
            for _ in range(rounds):
                await client.round()
    return client.writes[1:], flushes(out.read_text(errors="replace"))


async def play(stage: Stage) -> list[Figure]:
    """Write, and compare the two logs."""
    before = _restart(stage, ("fsync=off", *clusters.DURABLE[1:])) if stage.mutant == "fsync_off" else None
    try:
        writes, flushed = await _written(stage, stage.n(60, 15))
    finally:
        if before:
            _restart(stage, before)
    without = [
        f"{what} acknowledged after {(end - begin) * 1000:.1f} ms"
        for what, begin, end in writes
        if not any(begin <= at <= end for at in flushed)
    ]
    return [
        Figure("writes acknowledged, one after another", len(writes), least=stage.n(400, 100)),
        Figure("flushes of the write-ahead log", len(flushed)),
        zero("acknowledged without a flush since they were sent", without, stage),
        zero("server errors", stage.errors() if not stage.mutant else 0, stage),
    ]


F3 = Fault(
    "F3",
    "power loss: each 2xx comes after a flush of its write-ahead log (fdatasync, seen by strace)",
    "no virtual machine is reset: what the kernel calls flushed is believed",
    on_a_loop(play),
    {
        "fsync_off": Mutant(
            "PostgreSQL with fsync=off, under a server whose readiness is ignored",
            "acknowledged without a flush since they were sent",
        ),
        "asynchronous_commit": Mutant(
            "positions are written with synchronous_commit=off", "acknowledged without a flush since they were sent"
        ),
    },
)
