"""Whether the nearest units are the nearest, and what that costs: as a ratio to the same query with planar distances.

`python -m loadtests.bench.nearest [--json] [--units 1500] [--places 1000]`. Units on duty all over Lithuania. For each
place the ten nearest are asked for as the API asks, and compared with every unit's distance on the spheroid (Karney's
algorithm, geographiclib through PostGIS). The planar query orders by degrees, in the same joins and for the same rows.

- `equal`: share of places for which all ten, and their order, are those of the geodesic.
- `planar_wrong`: share of places for which the planar query names another nearest unit.
- `to_planar`: median over rounds of our time over that of the planar query, in turn.
"""

import argparse
import asyncio
import json
import random
import time
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.db import asyncpg_dsn, make_engine
from core.work import Work, open_work
from geo import where
from geo.models import Shift, Unit
from loadtests.bench import scratch

LIMIT = 10
EXACT = (
    "SELECT unit_id FROM unit_latest ORDER BY ST_Distance(point::geography, ST_Point($1, $2, 4326)::geography) LIMIT 10"
)
PLANAR = (
    f"SELECT u.id AS unit_id, u.call_sign, u.status, u.capabilities, l.fix_at, {where.ON_SHIFT} AS on_shift,"
    " l.point <-> ST_Point(:lon, :lat, 4326) AS distance FROM unit_latest l JOIN unit u ON u.id = l.unit_id"
    f" WHERE {where.ON_DUTY} ORDER BY distance, u.call_sign LIMIT {LIMIT}"
)
STATEMENTS = {"ours": where.NEAREST, "planar": text(PLANAR)}
TIMED = 200
"""So many of the places are asked for again in each timed round."""
Place = tuple[float, float]


async def _units(engine: AsyncEngine, owner: asyncpg.Connection, units: int) -> None:
    """Units on shift with a newest place each."""
    dice = random.Random(7)
    async with open_work(engine, system("bench")) as work:
        made = [Unit(call_sign=f"N-{n}", kind="patrol", status="available") for n in range(units)]
        work.session.add_all(made)
        await work.session.flush()
        work.session.add_all([Shift(unit_id=unit.id, on_at=work.now) for unit in made])
    places = [(unit.id, *_place(dice)) for unit in made]
    await owner.executemany(
        "INSERT INTO unit_latest (unit_id, device_id, fix_at, received_at, point)"
        " VALUES ($1, $1, now(), now(), ST_Point($2, $3, 4326))",
        places,
    )
    await owner.execute("VACUUM ANALYZE unit_latest, unit, shift")


def _place(dice: random.Random) -> Place:
    return dice.uniform(20.9, 26.8), dice.uniform(53.9, 56.4)


async def _found(work: Work, statement: TextClause, place: Place) -> list[UUID]:
    asked = {"lon": place[0], "lat": place[1], "capability": None, "limit": LIMIT, "fresh_from": work.now}
    connection = await work.session.connection()
    return [row.unit_id for row in await connection.execute(statement, asked)]


async def _timed(work: Work, statement: TextClause, places: list[Place]) -> float:
    start = time.perf_counter()
    for place in places:
        await _found(work, statement, place)
    return time.perf_counter() - start


async def _measure(urls: dict[str, str], units: int, places: int, rounds: int) -> dict[str, Any]:
    engine = make_engine(urls["OUTRIDER_DATABASE_URL"], pool_size=2)
    owner = await asyncpg.connect(asyncpg_dsn(urls["OUTRIDER_OWNER_DATABASE_URL"]))
    await _units(engine, owner, units)
    dice = random.Random(8)
    asked = [_place(dice) for _ in range(places)]
    equal, wrong, spent_s = 0, 0, []
    async with open_work(engine, system("bench")) as work:
        for place in asked:
            exact = [row["unit_id"] for row in await owner.fetch(EXACT, *place)]
            found = {way: await _found(work, statement, place) for way, statement in STATEMENTS.items()}
            equal += found["ours"] == exact
            wrong += found["planar"][0] != exact[0]
        for _ in range(rounds):
            spent_s.append({way: await _timed(work, statement, asked[:TIMED]) for way, statement in STATEMENTS.items()})
    await owner.close()
    await engine.dispose()
    return {
        "units": units, "places": places, "equal": equal / places, "planar_wrong": wrong / places,
        "to_planar": round(median(each["ours"] / each["planar"] for each in spent_s), 2),
        "ms": {way: round(min(each[way] for each in spent_s) / len(asked[:TIMED]) * 1_000, 2) for way in STATEMENTS},
    }  # fmt: skip


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--units", type=int, default=1_500)
    parser.add_argument("--places", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with scratch.database() as urls:
        figures = asyncio.run(_measure(urls, args.units, args.places, args.rounds))
    print(json.dumps(figures) if args.json else "\n".join(f"{name:16} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
