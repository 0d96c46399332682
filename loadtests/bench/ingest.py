"""How fast fixes become durable, as ratios to what the same machine does in the same run.

`python -m loadtests.bench.ingest [--json] [--rounds 3] [--seconds 5]`; needs wrk. Server, database and load
generator share the machine. Single fixes: 64 connections, against a POST that does nothing on the same server and
against the usual way (FastAPI, pydantic, one INSERT and commit a request), on uvicorn as it comes and, the stricter
comparison, behind our own HTTP protocol. Batches of 100: 16 connections, against one connection's binary COPY of 1,000
rows a transaction into the same table. Before each step the database finishes what the step before left to it; its
first second does not count.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg
import psutil

from core.db import asyncpg_dsn
from core.ids import digest, new_id, new_secret
from core.settings import Settings
from dispatch_api.process.serving import server_options
from loadtests.bench import scratch

DEVICES = 1_500
PORT = int(os.environ.get("OUTRIDER_BENCH_PORT", "8440"))
BATCH = 100
WARM_S = 1.0
LUA = Path(__file__).with_suffix(".lua")
Measured = dict[str, float]


async def _register(urls: dict[str, str], keys_file: Path) -> list[UUID]:
    """Units tracked always, each with one device; their keys go into a file for wrk."""
    db = await asyncpg.connect(asyncpg_dsn(urls["OUTRIDER_OWNER_DATABASE_URL"]))
    units, devices = [new_id() for _ in range(DEVICES)], [new_id() for _ in range(DEVICES)]
    keys = [new_secret("od") for _ in range(DEVICES)]
    await db.execute(
        "INSERT INTO unit (id, call_sign, kind, capabilities, tracking, status, status_at, version, created_at,"
        " updated_at) SELECT id, id::text, 'patrol', '{}', 'always', 'available', now(), 1, now(), now()"
        " FROM unnest($1::uuid[]) id",
        units,
    )
    await db.execute(
        "INSERT INTO device (id, protocol, key_digest, speed_unit, forwards_for, created_at, updated_at)"
        " SELECT id, 'http', key, 'knots', '{}', now(), now() FROM unnest($1::uuid[], $2::bytea[]) v (id, key)",
        devices,
        [digest(key) for key in keys],
    )
    await db.execute(
        "INSERT INTO device_assignment (id, device_id, unit_id) SELECT gen_random_uuid(), d, u"
        " FROM unnest($1::uuid[], $2::uuid[]) v (d, u)",
        devices,
        units,
    )
    # The usual way makes no partitions: a run at midnight writes into two days.
    await db.execute("SELECT ensure_position_day(current_date + d) FROM generate_series(-1, 1) d")
    await db.execute("ANALYZE")
    await db.close()
    keys_file.write_text("".join(f"{key} {device}\n" for key, device in zip(keys, devices, strict=True)))
    return devices


@dataclass(frozen=True)
class Served:
    """A server under load."""

    process: psutil.Process
    port: int


def _ours(urls: dict[str, str], folder: Path) -> contextlib.AbstractContextManager[Served]:
    options = server_options(Settings(port=PORT, data_dir=folder))
    return _served(urls, folder, PORT, "loadtests.bench.apps:ingest", "--factory", *options)


def _usual(urls: dict[str, str], folder: Path) -> contextlib.AbstractContextManager[Served]:
    """The usual way on uvicorn as it comes, but for the line of its log for each request."""
    return _served(urls, folder, PORT + 1, "loadtests.bench.apps:usual", "--no-access-log", "--log-level", "warning")


def _usual_own(urls: dict[str, str], folder: Path) -> contextlib.AbstractContextManager[Served]:
    """The same behind our own HTTP protocol."""
    options = server_options(Settings(port=PORT + 2, data_dir=folder))
    return _served(urls, folder, PORT + 2, "loadtests.bench.apps:usual", *options)


@contextlib.contextmanager
def _served(urls: dict[str, str], folder: Path, port: int, *app: str) -> Iterator[Served]:
    command = [sys.executable, "-m", "uvicorn", *app, "--port", str(port)]
    with scratch.listening(command, port, urls | {"OUTRIDER_DATA_DIR": str(folder)}) as process:
        yield Served(process, port)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Bench:
    """One server under load, and what was measured so far."""

    def __init__(self, urls: dict[str, str], folder: Path) -> None:
        self._urls = urls
        self._number = self._copies = 0
        self._first = int(time.time()) - 3600
        self.keys = folder / "keys"
        self.rounds: dict[str, list[Measured]] = defaultdict(list)

    def wrk(self, name: str, seconds: float, server: Served, path: str, connections: int, batch: int) -> None:
        """Load one path and note fixes per second, latency, and the server's CPU per fix."""
        command = [
            "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(LUA),
            f"http://127.0.0.1:{server.port}", "--", path, str(self.keys), str(batch), str(self._first),
            str(self._number),
        ]  # fmt: skip
        before = _cpu_s(server.process)
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        result = json.loads(out.partition("RESULT ")[2])
        # Requests that wrk had under way at the end were sent as well: leave their moments unused.
        self._number += (result["requests"] + 2 * connections) * batch
        fixes = result["requests"] * batch
        cpu_us = (_cpu_s(server.process) - before) / fixes * 1e6
        per_s = fixes / result["seconds"]
        self.rounds[name].append(
            {"per_s": per_s, "cpu_us": cpu_us}
            | {key: result[key] for key in ("p50_ms", "p99_ms", "refused", "errors", "requests")}
        )

    async def copy(self, name: str, seconds: float, devices: list[UUID]) -> None:
        """One connection's binary COPY, 1,000 rows a transaction, into the table the server writes."""
        db = await asyncpg.connect(asyncpg_dsn(self._urls["OUTRIDER_OWNER_DATABASE_URL"]))
        await db.set_type_codec("geometry", schema="public", encoder=bytes, decoder=bytes, format="binary")
        columns = ["device_id", "fix_at", "received_at", "unit_id", "point", "accuracy_m", "speed_mps", "heading_deg"]
        began, rows = time.perf_counter(), 0
        self._copies += 1
        start = datetime.fromtimestamp(self._first, UTC) + timedelta(microseconds=500 + self._copies)
        while time.perf_counter() - began < seconds:
            device = devices[(rows // 1000) % len(devices)]
            records = []
            for n in range(1000):
                point = struct.pack("<BIIdd", 1, 0x20000001, 4326, 25.2 + n / 1e5, 54.6 + n / 1e5)
                at = start + timedelta(milliseconds=rows + n)
                records.append((device, at, at, device, point, 5.5, 13.2, 87.0))
            await db.copy_records_to_table("position", records=records, columns=columns)
            rows += 1000
        self.rounds[name].append({"per_s": rows / (time.perf_counter() - began)})
        await db.close()

    def settle(self) -> None:
        """Have the database finish what the step before left to it, so that no step pays for another's rows."""
        asyncio.run(_settle(self._urls))

    def median(self, name: str, field: str = "per_s") -> float:
        """The median over the rounds."""
        return median(measured[field] for measured in self.rounds[name])

    def ratio(self, name: str, to: str) -> float:
        """The median over the rounds of the ratio within each."""
        both = zip(self.rounds[name], self.rounds[to], strict=True)
        return median(a["per_s"] / b["per_s"] for a, b in both)


async def _settle(urls: dict[str, str]) -> None:
    db = await asyncpg.connect(asyncpg_dsn(urls["OUTRIDER_OWNER_DATABASE_URL"]))
    for command in ("VACUUM ANALYZE position", "VACUUM ANALYZE unit_latest", "CHECKPOINT"):
        await db.execute(command)
    await db.close()


async def _stored(urls: dict[str, str]) -> dict[str, int]:
    db = await asyncpg.connect(asyncpg_dsn(urls["OUTRIDER_OWNER_DATABASE_URL"]))
    row = await db.fetchrow(
        "SELECT (SELECT count(*) FROM position WHERE suspect IS NOT NULL) AS suspect,"
        " (SELECT count(*) FROM unit_latest) AS units,"
        " (SELECT sum(accepted) FROM ingest_count) AS accepted,"
        " (SELECT sum(duplicates) FROM ingest_count) AS duplicates,"
        " (SELECT sum(off_duty + rejected) FROM ingest_count) AS dropped"
    )
    await db.close()
    return {name: int(value or 0) for name, value in row.items()}


def measure(rounds: int = 3, seconds: float = 5) -> dict[str, Any]:
    """Run everything `rounds` times in alternating order; the figures as ratios, with what they are made of."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name, scratch.database() as urls:
        bench = Bench(urls, Path(name))
        devices = asyncio.run(_register(urls, bench.keys))
        folder = Path(name)
        with _ours(urls, folder) as ours, _usual(urls, folder) as usual, _usual_own(urls, folder) as usual_own:
            steps: dict[str, Callable[[str, float], None]] = {
                "noop": lambda note, s: bench.wrk(note, s, ours, "/noop", 64, 1),
                "single": lambda note, s: bench.wrk(note, s, ours, "/api/v1/positions", 64, 1),
                "usual": lambda note, s: bench.wrk(note, s, usual, "/each", 64, 1),
                "usual_own": lambda note, s: bench.wrk(note, s, usual_own, "/each", 64, 1),
                "batch": lambda note, s: bench.wrk(note, s, ours, "/api/v1/positions", 16, BATCH),
                "copy": lambda note, s: asyncio.run(bench.copy(note, s, devices)),
            }
            for turn in range(rounds):
                for step in steps if turn % 2 == 0 else reversed(steps):
                    bench.settle()
                    steps[step]("warm", WARM_S)  # a page's first change after a checkpoint is logged whole
                    steps[step](step, seconds)
        stored = asyncio.run(_stored(urls))
    return _figures(bench, stored)


def _figures(bench: Bench, stored: dict[str, int]) -> dict[str, Any]:
    names = ("noop", "single", "usual", "usual_own", "batch")
    return {
        "single_to_noop": round(bench.ratio("single", "noop"), 3),
        "single_to_usual": round(bench.ratio("single", "usual"), 2),
        "single_to_usual_own": round(bench.ratio("single", "usual_own"), 2),
        "batch_to_copy": round(bench.ratio("batch", "copy"), 3),
        "single_per_s": round(bench.median("single")),
        "batch_per_s": round(bench.median("batch")),
        "copy_per_s": round(bench.median("copy")),
        "single_p50_ms": round(bench.median("single", "p50_ms"), 2),
        "single_p99_ms": round(bench.median("single", "p99_ms"), 2),
        "server_cpu_us_per_fix": {name: round(bench.median(name, "cpu_us"), 1) for name in names},
        "stored": stored,
        "rounds": dict(bench.rounds),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    figures = measure(arguments.rounds, arguments.seconds)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        if name != "rounds":
            print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
