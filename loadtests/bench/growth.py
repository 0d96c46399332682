"""What a position costs as their number grows: the writer's own statement on tables of some sizes.

`python -m loadtests.bench.growth [--json] [--rows 1000000 20000000] [--rounds 40]`. Each table is in a database of its
own and filled by binary COPY, spread over ten days' partitions; then batches of 1,000 new fixes of the present day, and
of 20, are committed as the writer commits them, into one table after the other in turn: a disk that was just filled is
slow for a while, and so for both.

- `us_per_position`: the median by size, in batches of 1,000 and of 20.
- `growth`: that at the last size over that at the first.
"""

import argparse
import asyncio
import contextlib
import json
import struct
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg

from core.db import asyncpg_dsn
from core.ids import new_id
from geo.commit_line import Line, Row
from loadtests.bench import scratch

DEVICES, DAYS, CHUNK = 1_500, 10, 50_000
SIZES = (1_000, 20)
"""Fixes in a commit."""
COLUMNS = ["device_id", "fix_at", "received_at", "unit_id", "point", "accuracy_m", "speed_mps", "heading_deg"]


def _point(n: int) -> bytes:
    return struct.pack("<BIIdd", 1, 0x20000001, 4326, 21.0 + n % 977 / 200, 54.0 + n % 499 / 200)


def rows(devices: list[UUID], first: int, n: int) -> list[tuple[Any, ...]]:
    """The table's rows from number `first` on: each device's in the order of time, ten days in turn."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    for number in range(first, first + n):
        turn = number // len(devices)
        at = midnight - timedelta(days=1 + turn % DAYS) + timedelta(seconds=turn // DAYS * 5)
        device = devices[number % len(devices)]
        found.append((device, at, at, device, _point(number), 5.5, 13.2, 87.0))
    return found


async def _fill(owner: asyncpg.Connection, devices: list[UUID], size: int) -> None:
    """`size` rows by COPY."""
    for start in range(0, size, CHUNK):
        some = rows(devices, start, min(CHUNK, size - start))
        await owner.copy_records_to_table("position", records=some, columns=COLUMNS)
    for command in ("VACUUM ANALYZE position", "CHECKPOINT"):
        await owner.execute(command)


def _fresh(devices: list[UUID], number: int, n: int) -> list[Row]:
    """A commit's rows: new moments of today, of as many devices as it has rows."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + timedelta(milliseconds=number)
    chosen = [devices[(number * n + i) % DEVICES] for i in range(n)]
    return [(d, at, at, d, 25.2, 54.6, 5.5, None, 13.2, 87.0, None, None, None, None) for d in chosen]


@dataclass(frozen=True)
class Table:
    """Positions of one database, the devices they are of, and who writes more."""

    size: int
    devices: list[UUID]
    line: Line
    spent_s: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in SIZES})

    async def commit(self, number: int, n: int) -> None:
        """Commit new fixes, and note how long it took."""
        fresh = _fresh(self.devices, number, n)
        start = time.perf_counter()
        await self.line.store(fresh, n)
        self.spent_s[n].append(time.perf_counter() - start)

    def us(self, n: int) -> float:
        """What one position costs in commits of `n`; the first half of them warmed up."""
        spent = self.spent_s[n]
        return round(median(spent[len(spent) // 2 :]) / n * 1e6, 2)


async def _filled(urls: dict[str, str], size: int) -> Table:
    owner = await asyncpg.connect(asyncpg_dsn(urls["OUTRIDER_OWNER_DATABASE_URL"]))
    await owner.set_type_codec("geometry", schema="public", encoder=bytes, decoder=bytes, format="binary")
    await owner.execute("SELECT ensure_position_day(current_date - d) FROM generate_series(0, $1::int) d", DAYS)
    devices = [new_id() for _ in range(DEVICES)]
    await _fill(owner, devices, size)
    await owner.close()
    return Table(size, devices, Line(asyncpg_dsn(urls["OUTRIDER_INGEST_DATABASE_URL"]), 1))


async def _measure(databases: list[dict[str, str]], sizes: list[int], rounds: int) -> dict[str, Any]:
    tables = [await _filled(urls, size) for urls, size in zip(databases, sizes, strict=True)]
    number = 0
    for n in SIZES:
        for _ in range(2 * rounds):
            number += 1
            for table in tables:
                await table.commit(number, n)
    for table in tables:
        table.line.drop()
    cost = [{str(n): table.us(n) for n in SIZES} for table in tables]
    growth = {name: round(cost[-1][name] / cost[0][name], 3) for name in cost[0]}
    return {"rows": sizes, "us_per_position": cost, "growth": growth}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 20_000_000])
    parser.add_argument("--rounds", type=int, default=40)
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        databases = [stack.enter_context(scratch.database()) for _ in args.rows]
        figures = asyncio.run(_measure(databases, sorted(args.rows), args.rounds))
    print(json.dumps(figures) if args.json else "\n".join(f"{name:16} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
