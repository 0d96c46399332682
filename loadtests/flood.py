"""T8 of the scenarios: `python -m loadtests.flood [--minutes 10]`.

500 devices report 100 fixes a second for so long, while three dispatchers look on. When half of the time is over, 100
others that were cut off for three hours come back at once, each with 2,160 fixes, which they send as fast as they are
answered. Nothing may be lost, and nobody else may feel it. The exit code is 1 when a bound is missed.
"""

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role
from dispatch_api.process.cluster import Cluster
from geo.protocols.fixes import MAX_FIXES
from loadtests.faults import scene
from loadtests.faults.fault import Figure, told
from loadtests.faults.nemesis import Server
from loadtests.faults.scene import Person, Tracked
from loadtests.faults.stage import Stage, migrate, staged
from loadtests.faults.traffic import Screens, Trackers, http, percentile, signed

DEVICES, PER_S, MINUTES, SCREENS = 500, 100, 10, 3
RETURNING, FIXES_EACH, APART_S = 100, 2_160, 5
ANSWERED_WITHIN_S, SHOWN_WITHIN_S = 0.2, 2.0
AGAIN_S, NEVER_S = 0.5, 300


@dataclass
class Returned:
    """What the devices that came back were answered."""

    accepted: int = 0
    sent_again: int = 0
    seconds: float = 0.0


async def _come_back(session: aiohttp.ClientSession, devices: list[Tracked]) -> Returned:
    """All of them at once, each one batch after the other; what is refused for now is sent again."""
    told, began = Returned(), time.monotonic()
    async with asyncio.timeout(NEVER_S):
        await asyncio.gather(*(_deliver(session, device, told) for device in devices))
    told.seconds = time.monotonic() - began
    return told


async def _deliver(session: aiohttp.ClientSession, device: Tracked, told: Returned) -> None:
    first = datetime.now(UTC) - timedelta(seconds=FIXES_EACH * APART_S)
    moments = [(first + timedelta(seconds=n * APART_S)).isoformat(timespec="milliseconds") for n in range(FIXES_EACH)]
    fixes = [
        {"fix_at": at, "lon": 25.0 + n * 1e-4, "lat": 54.7, "accuracy_m": 5, "speed_mps": 3}
        for n, at in enumerate(moments)
    ]
    for start in range(0, FIXES_EACH, MAX_FIXES):
        batch = {"fixes": fixes[start : start + MAX_FIXES]}
        while True:
            async with session.post("/api/v1/positions", json=batch, headers=signed(device)) as answer:
                if answer.status == 200:
                    told.accepted += (await answer.json())["accepted"]
                    break
            told.sent_again += 1
            await asyncio.sleep(AGAIN_S)


@dataclass
class Flood:
    """What was seen: of the steady trackers and the screens all of it, and apart what came while the flood did."""

    trackers: Trackers
    screens: Screens
    returned: Returned
    took_s: list[float]
    ages_s: list[float]
    lost: list[str]


async def _played(server: Server, people: list[Person], minutes: float, engine: AsyncEngine) -> Flood:
    devices, returning = await scene.tracked(engine, DEVICES), await scene.tracked(engine, RETURNING)
    half_s, late = minutes * 30, frozenset(str(each.unit_id) for each in returning)
    async with (
        http(server, limit=0) as session,
        http(server, limit=0, timeout_s=NEVER_S) as theirs,
        Screens(server, people, late).watching() as screens,
    ):
        async with Trackers(session, devices, PER_S).reporting() as trackers:
            await asyncio.sleep(half_s)
            before, ages_before = len(trackers.took_s), len(screens.ages_s)
            told = await _come_back(theirs, returning)
            during, ages = trackers.took_s[before:], screens.ages_s[ages_before:]
            await asyncio.sleep(max(0.0, half_s - told.seconds))
        await asyncio.sleep(1)
        return Flood(trackers, screens, told, during, ages, list(screens.lost))


async def flood(stage: Stage, minutes: float) -> list[Figure]:
    """Run it, and what was measured."""
    engine, db = stage.engine(), await stage.owner()
    people = await scene.people(engine, Role.DISPATCHER, SCREENS)
    server = await stage.serving()
    server.start_worker()
    seen = await _played(server, people, minutes, engine)
    await engine.dispose()
    stored = await db.fetchval("SELECT count(DISTINCT (device_id, fix_at)) FROM position")
    rows = await db.fetchval("SELECT count(*) FROM position")
    await db.close()
    server.end_worker()
    answers, told = seen.trackers.answers, seen.returned
    sent, taken = answers.total(), answers["200"] + told.accepted
    answered_ms = percentile(seen.trackers.took_s, 0.95) * 1_000
    return [
        Figure("fixes of 500 devices sent, one by one", sent, least=0.98 * PER_S * minutes * 60),
        Figure("refused for now, which trackers send again", answers["503"]),
        Figure("answered in any other way", sent - answers["200"] - answers["503"], most=0),
        Figure("fixes of 100 that came back at once", told.accepted, least=RETURNING * FIXES_EACH),
        Figure("their batches that were refused for now", told.sent_again),
        Figure("accepted and not stored, stored twice", max(0, taken - stored) + rows - stored, most=0),
        Figure("until all of the flood was stored", told.seconds, "s"),
        Figure("a fix's answer, p95", answered_ms, "ms", most=ANSWERED_WITHIN_S * 1_000),
        Figure("while the flood came", percentile(seen.took_s, 0.95) * 1_000, "ms"),
        Figure("fix to map, p95", percentile(seen.screens.ages_s, 0.95), "s", most=SHOWN_WITHIN_S),
        Figure("while the flood came", percentile(seen.ages_s, 0.95), "s"),
        Figure("screens closed", len(seen.lost), most=0),
        Figure("server errors", len(stage.errors()), most=0),
    ]


def main() -> int:
    """Run and print; 1 when a bound was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    arguments = parser.parse_args()
    if arguments.minutes != MINUTES:
        print(f"scaled: {arguments.minutes:g} minutes for {MINUTES}", flush=True)
    with Cluster.temporary() as cluster:
        migrate(cluster)
        with staged(cluster, lambda line: print(line, flush=True)) as stage:
            found = asyncio.run(flood(stage, arguments.minutes))
    return told(found)


if __name__ == "__main__":
    sys.exit(main())
