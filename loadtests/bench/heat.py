"""How fast violations become heat, as ratios to the usual way (ST_SnapToGrid over a GiST index) in the same run.

`python -m loadtests.bench.heat [--json] [--rows 1000000 5000000] [--rounds 5]`. The database grows through these
sizes. Both ways count the same rows of it, in turn; ours goes through the app role with row-level security and counts
what it leaves out, the other is the owner's bare query. Totals are compared with an exact count each time.

- `times_faster_than_snap_to_grid`: by view and filter, at the last size; `at_first` at the first.
- `growth`: our time at the last size over that at the first; `sums`: the same of the pyramid's counts of the country,
  which are more where more violations lie in more places.
- `import`: rows stored by second in chunks as an import stores them, with what keeps the pyramid and without, in turn.
"""

import argparse
import asyncio
import io
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.db import asyncpg_dsn, make_engine
from core.models import UserAccount
from core.work import open_work
from geo import cells, heat, pyramid
from geo.heat_scale import Scales
from geo.violation_import import CHUNK, Batch, Tally, store
from geo.violation_rows import Good, Refused, Row
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
START, APART_S = datetime(2021, 1, 1, tzinfo=UTC), 31
PERIOD = (datetime(2021, 3, 9, 22, tzinfo=UTC), datetime(2021, 12, 5, 22, tzinfo=UTC))
FILTERS: dict[str, dict[str, Any]] = {
    "": {},
    "_category": {"categories": ("fuel",)},
    "_period": {"since": PERIOD[0], "until": PERIOD[1]},
}
IMPORTS = 12
_LIMITS = (
    " AND ($5::text IS NULL OR category = $5) AND ($6::timestamptz IS NULL OR occurred_at >= $6)"
    " AND ($7::timestamptz IS NULL OR occurred_at < $7)"
)
EXACT = "SELECT count(*) FROM violation WHERE ST_X(point) BETWEEN $1 AND $3 AND ST_Y(point) BETWEEN $2 AND $4" + _LIMITS
SNAP = (
    "SELECT ST_SnapToGrid(point, $8), count(*) FROM violation"
    " WHERE point && ST_MakeEnvelope($1, $2, $3, $4, 4326)" + _LIMITS + " GROUP BY 1"
)
SUMS = "SELECT count(*) FROM heat_cell WHERE shift = $1 AND months = 0"
FILL = """
INSERT INTO violation (id, source, category, occurred_at, recorded_at, point, cell_x, cell_y, coord_source, in_area)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex($4 + n), 12, '0'))::uuid, 'bench', ($1::text[])[kind + 1],
  $2::timestamptz + ($4 + n) * $3::interval, now(), ST_SetSRID(ST_MakePoint(lon, lat), 4326), x, y, 'gps', true
FROM loading
"""


def _places(n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    centre = CENTRES[rng.integers(0, len(CENTRES), n)]
    lon, lat = rng.normal(centre[:, 0], centre[:, 2] * 1.6), rng.normal(centre[:, 1], centre[:, 2])
    lon, lat = np.clip(lon, COUNTRY[0] + 0.01, COUNTRY[2] - 0.01), np.clip(lat, COUNTRY[1] + 0.01, COUNTRY[3] - 0.01)
    x = np.floor((lon + 180) / 360 * cells.SIDE)
    y = np.floor((1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * cells.SIDE)
    return {"lon": lon, "lat": lat, "x": x, "y": y, "kind": rng.integers(0, len(CATEGORIES), n), "n": np.arange(n)}


def _binary(columns: dict[str, Any]) -> io.BytesIO:
    """Columns as PostgreSQL's binary COPY format: each value behind its length."""
    kinds = {"lon": ">f8", "lat": ">f8"}
    fields = [(name, kinds.get(name, ">i4")) for name in columns]
    parts = [part for name, kind in fields for part in ((f"{name}_", ">i4"), (name, kind))]
    rows = np.zeros(len(columns["n"]), [("count", ">i2"), *parts])
    rows["count"] = len(fields)
    for name, kind in fields:
        rows[f"{name}_"], rows[name] = np.dtype(kind).itemsize, columns[name]
    return io.BytesIO(b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff")


async def _grow(owner: asyncpg.Connection, engine: AsyncEngine, there: int, rows: int) -> None:
    """Fill the table to `rows`, past its triggers and without its indexes, then count the pyramid anew."""
    await owner.execute("CREATE TEMP TABLE loading (lon float8, lat float8, x int, y int, kind int, n int)")
    await owner.copy_to_table("loading", source=_binary(_places(rows - there, seed=rows)), format="binary")
    indexes = await owner.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'violation' AND indexname <> 'pk_violation'"
    )
    for name, _ in indexes:
        await owner.execute(f"DROP INDEX {name}")
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(FILL, list(CATEGORIES), START, timedelta(seconds=APART_S), there)
    await owner.execute("SET session_replication_role = origin")
    await owner.execute("DROP TABLE loading")
    for _, definition in indexes:
        await owner.execute(definition)
    if not there:
        await owner.execute("CREATE INDEX violation_point ON violation USING gist (point)")
    async with open_work(engine, system("bench")) as work:
        await pyramid.recount(work)
    await _merged(engine)
    for table in ("violation", "heat_cell", "heat_pending"):
        await owner.execute(f"VACUUM ANALYZE {table}")


async def _merged(engine: AsyncEngine) -> None:
    more = True
    while more:
        async with open_work(engine, system("bench")) as work:
            more = await pyramid.merge(work) > 0


Way = Callable[[cells.Box, int, dict[str, Any]], Awaitable[int]]


def _ways(engine: AsyncEngine, owner: asyncpg.Connection) -> dict[str, Way]:
    scales = Scales()

    async def ours(box: cells.Box, zoom: int, limits: dict[str, Any]) -> int:
        async with open_work(engine, system("bench")) as work:
            return (await heat.heat(work, Filter(box, **limits), zoom)).total

    async def snap(box: cells.Box, zoom: int, limits: dict[str, Any]) -> int:
        degrees = 360 / cells.SIDE * (1 << heat.shift_for(zoom, cells.span(box)))
        return sum(row[1] for row in await owner.fetch(SNAP, *_values(box, limits), degrees))

    async def tile(_: cells.Box, zoom: int, limits: dict[str, Any]) -> int:
        x, y = (number >> (cells.CELL_ZOOM - zoom) for number in (cells.column(25.28), cells.row(54.69)))
        async with open_work(engine, system("bench")) as work:
            return len(await heat_tile.draw(work, Filter(**limits), scales, zoom, x, y))

    return {"ours": ours, "snap_to_grid": snap, "tile": tile}


def _values(box: cells.Box, limits: dict[str, Any]) -> tuple[Any, ...]:
    (category,) = limits.get("categories", (None,))
    return *box, category, limits.get("since"), limits.get("until")


async def _timed(engine: AsyncEngine, owner: asyncpg.Connection, rounds: int) -> dict[str, float]:
    """The best time of several by view, filter and way: what else the machine does only ever adds."""
    taken_ms: dict[str, list[float]] = defaultdict(list)
    exact: dict[str, int] = {}
    for _ in range(rounds):
        for view, (box, zoom) in VIEWS.items():
            for name, limits in FILTERS.items():
                asked, totals = view + name, {}
                for way, count in _ways(engine, owner).items():
                    start = time.perf_counter()
                    totals[way] = await count(box, zoom, limits)
                    taken_ms[f"{asked}.{way}"].append((time.perf_counter() - start) * 1_000)
                if asked not in exact:
                    exact[asked] = await owner.fetchval(EXACT, *_values(box, limits))
                # `&&` compares boxes of single precision, so the usual way is off by a few points at the edge.
                assert totals["ours"] == exact[asked], (asked, totals, exact)
                assert abs(totals["ours"] - totals["snap_to_grid"]) <= 0.001 * totals["ours"], totals
    return {name: round(min(spent), 1) for name, spent in taken_ms.items()}


def _ratios(best_ms: dict[str, float]) -> dict[str, float]:
    asked = {name.partition(".")[0] for name in best_ms}
    return {name: round(best_ms[f"{name}.snap_to_grid"] / best_ms[f"{name}.ours"], 2) for name in sorted(asked)}


def _file(name: str) -> list[Good | Refused]:
    """A chunk of an import, checked already: rows of any time, as a file of older years has them."""
    places, at = _places(CHUNK, seed=len(name)), np.random.default_rng(len(name)).integers(0, 86_400 * 365, CHUNK)
    return [
        Good(
            n,
            Row(
                id=f"{name}-{n}", category=CATEGORIES[kind], occurred_at=START + timedelta(seconds=s), lat=lat, lon=lon
            ),
            None,
        )
        for n, (lon, lat, kind, s) in enumerate(
            zip(*(places[k].tolist() for k in ("lon", "lat", "kind")), at.tolist(), strict=True)
        )
    ]


async def _stored(engine: AsyncEngine, user_id: UUID, rows: list[Good | Refused]) -> float:
    """Rows stored by second, in one transaction."""
    start = time.perf_counter()
    async with open_work(engine, system("bench")) as work:
        await store(work, Batch("bench", user_id), rows, Tally())
    return len(rows) / (time.perf_counter() - start)


async def _imports(engine: AsyncEngine, owner: asyncpg.Connection) -> dict[str, float]:
    """What an import stores by second beside what it would without the pyramid, and what merging adds by second.

    Of each way the best of several, in turn and each as often first: a flush of what was loaded before slows one or the
    other down by more than the pyramid does.
    """
    async with open_work(engine, system("bench")) as work:
        user = UserAccount(login="bench", name="Bench", roles=["supervisor"])
        work.session.add(user)
    await _stored(engine, user.id, _file("warm"))
    by_way: dict[str, list[float]] = {"ENABLE": [], "DISABLE": []}
    for n in range(IMPORTS):
        for way in list(by_way)[:: 1 if n % 2 else -1]:
            await owner.execute(f"ALTER TABLE violation {way} TRIGGER violation_heat_insert")
            by_way[way].append(await _stored(engine, user.id, _file(f"{way}{'-' * n}")))
    await owner.execute("ALTER TABLE violation ENABLE TRIGGER violation_heat_insert")
    start = time.perf_counter()
    await _merged(engine)
    merged = CHUNK * (IMPORTS + 1) / (time.perf_counter() - start)
    kept, bare = (max(speeds) for speeds in by_way.values())
    return {
        "per_s": round(kept),
        "per_s_bare": round(bare),
        "kept": round(kept / bare, 2),
        "merged_per_s": round(merged),
    }


async def _mib(owner: asyncpg.Connection) -> dict[str, float]:
    sizes = await owner.fetch(
        "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
        " WHERE relname IN ('violation', 'heat_cell', 'ix_violation_band', 'ix_violation_occurred', 'violation_point')"
    )
    return {name: round(size / 2**20, 1) for name, size in sizes}


async def _measure(urls: dict[str, str], sizes: list[int], rounds: int) -> dict[str, Any]:
    engine = make_engine(urls["OUTRIDER_DATABASE_URL"], pool_size=2)
    owner = await asyncpg.connect(asyncpg_dsn(urls["OUTRIDER_OWNER_DATABASE_URL"]))
    await owner.executemany("INSERT INTO violation_category VALUES ($1, now())", [(name,) for name in CATEGORIES])
    best_ms, sums, there = [], [], 0
    for rows in sizes:
        await _grow(owner, engine, there, rows)
        sums.append(await owner.fetchval(SUMS, pyramid.COARSEST))
        best_ms.append(await _timed(engine, owner, rounds))
        there = rows
    mib, imported = await _mib(owner), await _imports(engine, owner)
    await owner.close()
    await engine.dispose()
    first, last = best_ms[0], best_ms[-1]
    growth = {name: round(last[f"{name}.ours"] / first[f"{name}.ours"], 2) for name in _ratios(last)}
    growth["sums"] = round(sums[-1] / sums[0], 2)
    return {
        "rows": sizes, "rounds": rounds, "times_faster_than_snap_to_grid": _ratios(last), "at_first": _ratios(first),
        "growth": growth, "best_ms": last, "best_ms_at_first": first, "import": imported, "mib": mib,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with scratch.database() as urls:
        measured = asyncio.run(_measure(urls, sorted(args.rows), args.rounds))
    if args.json:
        print(json.dumps(measured))
        return
    for rows, ratios, best_ms in (
        (measured["rows"][0], measured["at_first"], measured["best_ms_at_first"]),
        (measured["rows"][-1], measured["times_faster_than_snap_to_grid"], measured["best_ms"]),
    ):
        print(f"{rows} violations, best of {measured['rounds']} rounds")
        for view, ratio in ratios.items():
            ms = [f"{name} {best_ms[f'{view}.{name}']} ms" for name in ("ours", "snap_to_grid", "tile")]
            print(f"  {view:<18} {ratio:>7} x   {', '.join(ms)}")
    print(f"growth {measured['growth']}\nimport {measured['import']}\nMiB    {measured['mib']}")


if __name__ == "__main__":
    main()
