"""What a position costs as their number grows: the writer's own statement on a table of some sizes.

`python -m loadtests.bench.growth [--json] [--rows 1000000 20000000] [--rounds 40]`. The table is filled by binary COPY,
spread over ten days' partitions; then batches of new fixes of the present day, and of 20 fixes each, are committed by
one connection as the writer commits them.

- `us_per_position`: the median by size, in batches of 1,000 and of 20.
- `growth`: that at the last size over that at the first.
"""

import argparse
import asyncio
import json
import struct
import time
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


async def _fill(owner: asyncpg.Connection, devices: list[UUID], there: int, size: int) -> None:
    """The table filled up to `size` rows by COPY."""
    for start in range(there, size, CHUNK):
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


async def _cost_us(line: Line, devices: list[UUID], first: int, n: int, rounds: int) -> float:
    spent_s = []
    for number in range(first, first + rounds):
        fresh = _fresh(devices, number, n)
        start = time.perf_counter()
        await line.store(fresh, n)
        spent_s.append(time.perf_counter() - start)
    return median(spent_s) / n * 1e6


async def _measure(urls: dict[str, str], sizes: list[int], rounds: int) -> dict[str, Any]:
    owner = await asyncpg.connect(asyncpg_dsn(urls["OUTRIDER_OWNER_DATABASE_URL"]))
    await owner.set_type_codec("geometry", schema="public", encoder=bytes, decoder=bytes, format="binary")
    await owner.execute("SELECT ensure_position_day(current_date - d) FROM generate_series(0, $1::int) d", DAYS)
    devices = [new_id() for _ in range(DEVICES)]
    line = Line(asyncpg_dsn(urls["OUTRIDER_INGEST_DATABASE_URL"]), 1)
    cost, there, number = [], 0, 0
    for size in sizes:
        await _fill(owner, devices, there, size)
        found = {}
        for n in SIZES:
            await _cost_us(line, devices, number, n, rounds)  # warm
            found[str(n)] = round(await _cost_us(line, devices, number + rounds, n, rounds), 2)
            number += 2 * rounds
        cost.append(found)
        there = size
    line.drop()
    await owner.close()
    growth = {name: round(cost[-1][name] / cost[0][name], 3) for name in cost[0]}
    return {"rows": sizes, "us_per_position": cost, "growth": growth}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 20_000_000])
    parser.add_argument("--rounds", type=int, default=40)
    args = parser.parse_args()
    with scratch.database() as urls:
        figures = asyncio.run(_measure(urls, sorted(args.rows), args.rounds))
    print(json.dumps(figures) if args.json else "\n".join(f"{name:16} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
