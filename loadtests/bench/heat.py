"""How fast violations become heat, as ratios to the usual way (ST_SnapToGrid over a GiST index) in the same run.

`python -m loadtests.bench.heat [--json] [--rows 1000000] [--rounds 5]`. Both count the same rows of one database, in
turn; ours goes through the app role with row-level security and counts what it leaves out, the other is the owner's
bare query.
"""

import argparse
import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import asyncpg
import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.db import asyncpg_dsn, make_engine
from core.ids import new_id
from core.work import open_work
from geo import cells, heat
from geo.violations import Filter
from loadtests.bench import scratch
from web_map import heat_tile

COUNTRY: cells.Box = (20.0, 53.0, 29.0, 57.0)
CITY: cells.Box = (25.1, 54.6, 25.45, 54.8)
VIEWS = {"country": (COUNTRY, 7), "city": (CITY, 12)}
CENTRES = np.array(
    [(25.28, 54.69, 0.25), (21.13, 55.71, 0.15), (23.2, 54.4, 0.1), (26.3, 55.1, 0.2), (25.6, 54.55, 0.1)]
)
CATEGORIES = ("tobacco", "alcohol", "fuel", "drugs", "cash")
CHUNK = 20_000
EXACT = (
    "SELECT count(*) FROM violation WHERE ST_X(point) BETWEEN $1 AND $3 AND ST_Y(point) BETWEEN $2 AND $4"
    " AND ($5::text IS NULL OR category = $5)"
)
SNAP = (
    "SELECT ST_SnapToGrid(point, $5), count(*) FROM violation"
    " WHERE point && ST_MakeEnvelope($1, $2, $3, $4, 4326) AND ($6::text IS NULL OR category = $6) GROUP BY 1"
)


def _places(n: int) -> Iterator[tuple[float, float, str]]:
    rng = np.random.default_rng(3)
    centre = CENTRES[rng.integers(0, len(CENTRES), n)]
    lon, lat = rng.normal(centre[:, 0], centre[:, 2] * 1.6), rng.normal(centre[:, 1], centre[:, 2])
    inside = (lon > COUNTRY[0]) & (lon < COUNTRY[2]) & (lat > COUNTRY[1]) & (lat < COUNTRY[3])
    kinds = rng.integers(0, len(CATEGORIES), n)
    for x, y, kind in zip(lon[inside].tolist(), lat[inside].tolist(), kinds[inside].tolist(), strict=True):
        yield x, y, CATEGORIES[kind]


async def _load(url: str, rows: int) -> int:
    db = await asyncpg.connect(asyncpg_dsn(url))
    await db.executemany("INSERT INTO violation_category VALUES ($1, now())", [(name,) for name in CATEGORIES])
    await db.execute(
        "CREATE TEMP TABLE loading (id uuid, lon float8, lat float8, x int, y int, category text, at timestamptz)"
    )
    places, start, loaded = _places(rows), datetime(2025, 1, 1, tzinfo=UTC), 0
    while chunk := list(islice(places, CHUNK)):
        records = [
            (new_id(), lon, lat, cells.column(lon), cells.row(lat), kind, start + timedelta(seconds=31 * (loaded + i)))
            for i, (lon, lat, kind) in enumerate(chunk)
        ]
        await db.copy_records_to_table("loading", records=records)
        loaded += len(chunk)
    await db.execute(
        "INSERT INTO violation (id, source, category, occurred_at, recorded_at, point, cell_x, cell_y, coord_source,"
        " in_area) SELECT id, 'bench', category, at, at, ST_SetSRID(ST_MakePoint(lon, lat), 4326), x, y, 'gps', true"
        " FROM loading"
    )
    await db.execute("CREATE INDEX ON violation USING gist (point)")
    await db.execute("VACUUM ANALYZE violation")
    await db.close()
    return loaded


Way = Callable[[cells.Box, int, str | None], Awaitable[int]]


def _ways(engine: AsyncEngine, owner: asyncpg.Connection) -> dict[str, Way]:
    scales = heat_tile.Scales()

    async def ours(box: cells.Box, zoom: int, category: str | None) -> int:
        async with open_work(engine, system("bench")) as work:
            return (await heat.heat(work, Filter(box, categories=(category,) if category else ()), zoom)).total

    async def snap(box: cells.Box, zoom: int, category: str | None) -> int:
        degrees = 360 / cells.SIDE * (1 << heat.shift_for(zoom, cells.span(box)))
        return sum(row[1] for row in await owner.fetch(SNAP, *box, degrees, category))

    async def tile(box: cells.Box, zoom: int, category: str | None) -> int:
        x, y = (number >> (cells.CELL_ZOOM - zoom) for number in (cells.column(25.28), cells.row(54.69)))
        async with open_work(engine, system("bench")) as work:
            return len(
                await heat_tile.draw(work, Filter(categories=(category,) if category else ()), scales, zoom, x, y)
            )

    return {"ours": ours, "snap_to_grid": snap, "tile": tile}


async def _measure(urls: dict[str, str], rows: int, rounds: int) -> dict[str, Any]:
    loaded = await _load(urls["OUTRIDER_OWNER_DATABASE_URL"], rows)
    engine = make_engine(urls["OUTRIDER_DATABASE_URL"], pool_size=2)
    owner = await asyncpg.connect(asyncpg_dsn(urls["OUTRIDER_OWNER_DATABASE_URL"]))
    taken_ms: dict[str, list[float]] = defaultdict(list)
    ways = _ways(engine, owner)
    for _ in range(rounds):
        for view, (box, zoom) in VIEWS.items():
            for category in (None, "fuel"):
                totals = {}
                for name, way in ways.items():
                    start = time.perf_counter()
                    totals[name] = await way(box, zoom, category)
                    spent = (time.perf_counter() - start) * 1_000
                    taken_ms[f"{view}{'_filtered' if category else ''}.{name}"].append(spent)
                # `&&` compares boxes of single precision, so the usual way is off by a few points at the edge.
                assert totals["ours"] == await owner.fetchval(EXACT, *box, category), totals
                assert abs(totals["ours"] - totals["snap_to_grid"]) <= 0.001 * totals["ours"], totals
    await owner.close()
    await engine.dispose()
    # The best of several: what else the machine does only ever adds time.
    best = {name: round(min(spent), 1) for name, spent in taken_ms.items()}
    views = sorted({name.partition(".")[0] for name in best})
    ratios = {view: round(best[f"{view}.snap_to_grid"] / best[f"{view}.ours"], 2) for view in views}
    return {"rows": loaded, "rounds": rounds, "times_faster_than_snap_to_grid": ratios, "best_ms": best}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with scratch.database() as urls:
        measured = asyncio.run(_measure(urls, args.rows, args.rounds))
    if args.json:
        print(json.dumps(measured))
        return
    print(f"{measured['rows']} violations, best of {measured['rounds']} rounds")
    for view, ratio in measured["times_faster_than_snap_to_grid"].items():
        ms = [f"{name} {measured['best_ms'][f'{view}.{name}']} ms" for name in ("ours", "snap_to_grid", "tile")]
        print(f"  {view:<18} {ratio:>5} x   {', '.join(ms)}")


if __name__ == "__main__":
    main()
