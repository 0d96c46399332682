"""F6: the same fixes in any order, some twice, some with wrong clocks: the database ends the same."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg

from loadtests.faults import scene
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.scene import Tracked
from loadtests.faults.stage import Stage
from loadtests.faults.traffic import http, signed

PLAUSIBLE, DAY_OLD, NOWHERE, FUTURE, ANCIENT = 160, 10, 10, 10, 10
FIXES = PLAUSIBLE + DAY_OLD + NOWHERE + FUTURE + ANCIENT
SUSPECT = NOWHERE + FUTURE + ANCIENT
AGAIN = 40
AT_ONCE = 8

_WATCHED = """
CREATE TABLE marker_back (unit_id uuid, was timestamptz, became timestamptz);
CREATE FUNCTION note_marker_back() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN INSERT INTO marker_back VALUES (NEW.unit_id, OLD.fix_at, NEW.fix_at); RETURN NEW; END $$;
CREATE TRIGGER marker_back AFTER UPDATE ON unit_latest FOR EACH ROW WHEN (NEW.fix_at < OLD.fix_at)
  EXECUTE FUNCTION note_marker_back();
"""
_STORED = """
SELECT array_agg((fix_at, ST_X(point), ST_Y(point), speed_mps, suspect)::text ORDER BY fix_at)::text AS track
FROM position WHERE device_id = $1
"""


def _fixes(chance: random.Random) -> list[dict[str, Any]]:
    """A drive of three hours; fixes of a clock a day late; without a place; of the future; months old."""
    now = datetime.now(UTC).replace(microsecond=0)
    moments = [now - timedelta(hours=3) + timedelta(seconds=60 * n) for n in range(PLAUSIBLE)]
    moments += [now - timedelta(days=1, seconds=60 * n) for n in range(DAY_OLD)]
    moments += [now - timedelta(hours=4, seconds=30 * n) for n in range(NOWHERE)]
    moments += [now + timedelta(hours=1) + timedelta(days=chance.uniform(0, 365)) for _ in range(FUTURE)]
    moments += [now - timedelta(days=31 + 20 * n) for n in range(ANCIENT)]
    fixes = []
    for n, at in enumerate(moments):
        nowhere = PLAUSIBLE + DAY_OLD <= n < PLAUSIBLE + DAY_OLD + NOWHERE
        lon, lat = (0, 0) if nowhere else (25.0 + 0.004 * min(n, PLAUSIBLE + DAY_OLD), 54.7)  # who moves changes place
        fixes.append({"fix_at": at.isoformat(timespec="milliseconds"), "lon": lon, "lat": lat, "speed_mps": 4})
    return fixes


async def _send(session: aiohttp.ClientSession, unit: Tracked, fixes: list[dict[str, Any]], chance: random.Random,
                sums: Counter[str]) -> None:  # fmt: skip
    """Send these fixes in this order, in deliveries of any length."""
    while fixes:
        n = chance.randint(1, 40)
        delivery, fixes = fixes[:n], fixes[n:]
        async with session.post("/api/v1/positions", json={"fixes": delivery}, headers=signed(unit)) as answer:
            told = await answer.json()
            answer.raise_for_status()
        sums.update({name: told[name] for name in ("accepted", "duplicates", "off_duty", "suspect")})


async def _all(stage: Stage, session: aiohttp.ClientSession, units: list[Tracked]) -> list[str]:
    """Send to each unit's device, the first in order and once, the others shuffled with some twice; wrong answers."""
    fixes, wrong, turns = _fixes(stage.chance), [], asyncio.Semaphore(AT_ONCE)

    async def one(n: int, unit: Tracked) -> None:
        chance, sums, again = random.Random(f"{stage.seed} {n}"), Counter[str](), AGAIN if n else 0
        mine = fixes + chance.sample(fixes, again)
        if n:
            chance.shuffle(mine)
        else:
            mine.sort(key=lambda fix: fix["fix_at"])
        async with turns:
            await _send(session, unit, mine, chance, sums)
        wanted = {"accepted": FIXES, "duplicates": again, "suspect": SUSPECT}
        wrong.extend(f"{name}: {sums[name]} for {n}" for name, n in wanted.items() if sums[name] != n)

    await asyncio.gather(*(one(n, unit) for n, unit in enumerate(units)))
    return wrong


async def _differing(db: asyncpg.Connection, units: list[Tracked]) -> tuple[list[str], list[str]]:
    """Units whose track, and whose marker, are not those of the first."""
    tracks = [await db.fetchval(_STORED, unit.device_id) for unit in units]
    newest = "SELECT fix_at, ST_X(point) AS lon FROM unit_latest WHERE unit_id = $1"
    markers = [await db.fetchrow(newest, unit.unit_id) for unit in units]
    places = range(1, len(units))
    return (
        [f"the track of shuffle {n}" for n in places if tracks[n] != tracks[0]],
        [f"the marker of shuffle {n}: {markers[n]}, not {markers[0]}" for n in places if markers[n] != markers[0]],
    )


async def play(stage: Stage) -> list[Figure]:
    """Send, and compare with the run in order."""
    engine, db, n = stage.engine(), await stage.owner(), stage.n(500, 40)
    await db.execute(_WATCHED)
    units = await scene.tracked(engine, n + 1)
    await engine.dispose()
    server = await stage.serving()
    async with http(server) as session:
        wrong = await _all(stage, session, units)
    tracks, markers = await _differing(db, units)
    back = await db.fetchval("SELECT count(*) FROM marker_back")
    suspect = await db.fetchval("SELECT count(*) FROM position WHERE suspect IS NOT NULL")
    await db.close()
    return [
        Figure("shuffles of the same 200 fixes", n, least=stage.n(500, 40)),
        zero("tracks that differ from the run in order", tracks, stage),
        zero("markers that differ from the run in order", markers, stage),
        zero("times a marker moved back", back, stage),
        zero("wrong counts in answers", wrong, stage),
        Figure("suspect fixes, of those injected", suspect / (SUSPECT * (n + 1)), "x", least=1, most=1),
        zero("server errors", stage.errors(), stage),
    ]


F6 = Fault(
    "F6",
    "fixes in any order, twice, a day late, of the future, months old: what is stored does not depend on the order",
    "",
    on_a_loop(play),
    {"latest_arrival": Mutant("the marker is where the last arrival says", "times a marker moved back")},
)
