"""The writer: what is stored, what moves a marker, what is counted, and what callers are told when things break."""

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Overloaded
from geo.delivery import Stored
from geo.fix import Fix
from geo.positions import Writer
from tests.geo.fleet import Fleet, Ingest, fix, now
from tests.helpers import Database

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


async def test_a_fix_is_stored_with_all_it_tells(fleet: Fleet, ingest: Ingest) -> None:
    unit_id, device_id, key = await fleet.crew()
    at = now()
    whole = fix(
        at, accuracy_m=5, altitude_m=120, speed_mps=12.5, heading_deg=90, satellites=9, battery_pct=80, event="sos"
    )
    stored = await ingest.writer.store(await ingest.device(key), [whole])
    assert stored == Stored(accepted=1, duplicates=0, off_duty=0, suspect=0)
    (row,) = await fleet.track(device_id)
    kept = {name: row[name] for name in ("fix_at", "unit_id", "lon", "lat", "accuracy_m", "altitude_m", "speed_mps",
                                         "heading_deg", "satellites", "battery_pct", "event", "suspect")}  # fmt: skip
    assert kept == {
        "fix_at": at, "unit_id": unit_id, "lon": 25.28, "lat": 54.69, "accuracy_m": 5, "altitude_m": 120,
        "speed_mps": 12.5, "heading_deg": 90, "satellites": 9, "battery_pct": 80, "event": "sos", "suspect": None,
    }  # fmt: skip
    assert abs(row["received_at"] - at) < MINUTE
    latest = await fleet.latest(unit_id)
    assert latest is not None
    assert (latest["fix_at"], latest["lon"], latest["device_id"]) == (at, 25.28, device_id)
    (moved,) = ingest.moved
    assert (moved.unit_id, moved.device_id, moved.fix_at, moved.lon, moved.lat) == (
        unit_id,
        device_id,
        at,
        25.28,
        54.69,
    )
    assert (moved.accuracy_m, moved.speed_mps, moved.heading_deg, moved.battery_pct) == (5, 12.5, 90, 80)
    assert moved.received_at == row["received_at"]


async def test_the_first_of_two_fixes_of_one_moment_is_kept(fleet: Fleet, ingest: Ingest) -> None:
    unit_id, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    assert await ingest.writer.store(device, [fix(at, 1), fix(at, 2), fix(at + SECOND, 3)]) == Stored(2, 1, 0, 0)
    assert await ingest.writer.store(device, [fix(at, 4), fix(at + SECOND, 5), fix(at + 9 * SECOND, 6)]) == Stored(
        1, 2, 0, 0
    )
    track = await fleet.track(device_id)
    assert [round((row["lon"] - 25.28) * 1000) for row in track] == [1, 3, 6]
    latest = await fleet.latest(unit_id)
    assert latest is not None
    assert round((latest["lon"] - 25.28) * 1000) == 6


async def test_each_caller_of_one_commit_gets_its_own_account(fleet: Fleet, ingest: Ingest) -> None:
    crews = [await fleet.crew() for _ in range(4)]
    devices = [await ingest.device(key) for _, _, key in crews]
    at = now()
    for device in devices:
        await ingest.writer.store(device, [fix(at)])
    calls = [
        ingest.writer.store(device, [fix(at), *(fix(at + n * SECOND) for n in range(1, 2 + place)), fix(at)])
        for place, device in enumerate(devices)
    ]
    assert await asyncio.gather(*calls) == [Stored(1 + place, 2, 0, 0) for place in range(4)]


async def test_suspect_fixes_are_kept_and_move_nothing(fleet: Fleet, ingest: Ingest) -> None:
    unit_id, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    odd = [
        fix(at + 3 * MINUTE), fix(at - 31 * DAY), fix(at + SECOND, 500),
        Fix(fix_at=at + 2 * SECOND, lon=0.0, lat=0.0), Fix(fix_at=at + 3 * SECOND, battery_pct=7),
    ]  # fmt: skip
    assert await ingest.writer.store(device, [fix(at), *odd]) == Stored(6, 0, 0, 5)
    assert [row["suspect"] for row in await fleet.track(device_id)] == [
        "old",
        None,
        "jump",
        "no_fix",
        "no_fix",
        "future",
    ]
    latest = await fleet.latest(unit_id)
    assert latest is not None
    assert latest["fix_at"] == at
    assert [moved.fix_at for moved in ingest.moved] == [at]
    assert await ingest.writer.store(device, [fix(at), *odd]) == Stored(0, 6, 0, 0)


async def test_the_marker_never_moves_back(fleet: Fleet, ingest: Ingest) -> None:
    unit_id, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    for ago in (10, 30, 5, 20, 5, 6):
        await ingest.writer.store(device, [fix(at - ago * SECOND, ago)])
        latest = await fleet.latest(unit_id)
        assert latest is not None
        assert latest["fix_at"] == max(moved.fix_at for moved in ingest.moved)
    assert [at - moved.fix_at for moved in ingest.moved] == [10 * SECOND, 5 * SECOND]
    assert len(await fleet.track(device_id)) == 5


async def test_two_devices_of_one_unit_show_the_newer(fleet: Fleet, ingest: Ingest) -> None:
    unit_id, _, key = await fleet.crew()
    other_id, other = await fleet.device(unit_id)
    at = now()
    await asyncio.gather(
        ingest.writer.store(await ingest.device(key), [fix(at - SECOND, 1)]),
        ingest.writer.store(await ingest.device(other), [fix(at, 2)]),
    )
    latest = await fleet.latest(unit_id)
    assert latest is not None
    assert latest["device_id"] == other_id


async def test_a_late_fix_moves_the_unit_it_was_taken_for(fleet: Fleet, ingest: Ingest) -> None:
    old_unit, new_unit = await fleet.unit("always"), await fleet.unit("always")
    device_id, key = await fleet.device(old_unit)
    at = now()
    await fleet.assign(device_id, new_unit, at - MINUTE)
    device = await ingest.device(key)
    await ingest.writer.store(device, [fix(at)])
    await ingest.writer.store(device, [fix(at - HOUR)])
    moments = [latest["fix_at"] for unit in (old_unit, new_unit) if (latest := await fleet.latest(unit))]
    assert moments == [at - HOUR, at]


async def test_off_duty_fixes_leave_no_trace_but_a_count(fleet: Fleet, ingest: Ingest) -> None:
    unit_id = await fleet.unit()
    at = now()
    await fleet.shift(unit_id, at - HOUR, at - 30 * MINUTE)
    device_id, key = await fleet.device(unit_id)
    device = await ingest.device(key)
    batch = [fix(at - 2 * HOUR), fix(at - 45 * MINUTE), fix(at - 30 * MINUTE), fix(at), fix(at - 400 * DAY)]
    assert await ingest.writer.store(device, batch, rejected=2) == Stored(2, 0, 3, 0)
    assert [row["fix_at"] for row in await fleet.track(device_id)] == [at - 45 * MINUTE, at - 30 * MINUTE]
    old_days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'position'::regclass"
    assert await fleet.db.fetchval(old_days) <= 2
    await ingest.writer.__aexit__(None, None, None)
    counts = await fleet.db.fetchrow("SELECT * FROM ingest_count WHERE device_id = $1", device_id)
    assert [counts[n] for n in ("accepted", "duplicates", "off_duty", "suspect", "rejected")] == [2, 0, 3, 0, 2]
    assert abs(counts["seen_at"] - at) < MINUTE
    await ingest.writer.__aenter__()


async def test_counts_add_up_over_writes(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    for n in range(3):
        await ingest.writer.store(device, [fix(at + n * SECOND), fix(at + n * SECOND)])
        await ingest.writer._counts.write(ingest.writer._pool)
    counts = await fleet.db.fetchrow("SELECT accepted, duplicates FROM ingest_count WHERE device_id = $1", device_id)
    assert tuple(counts) == (3, 3)


async def test_days_long_gone_and_days_to_come_get_their_partition(fleet: Fleet, ingest: Ingest) -> None:
    device_id, key = await fleet.device(await fleet.unit("always"))
    device = await ingest.device(key)
    fixes = [fix(now() - 4000 * DAY), fix(now() - 40 * DAY), fix(now()), fix(now() + 300 * DAY)]
    assert await ingest.writer.store(device, fixes) == Stored(4, 0, 0, 3)
    assert len(await fleet.track(device_id)) == 4


async def test_a_day_that_retention_dropped_is_made_again(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    await ingest.writer.store(device, [fix(at)])
    await fleet.db.execute(f"DROP TABLE position_{at:%Y%m%d}")
    assert await ingest.writer.store(device, [fix(at + SECOND)]) == Stored(1, 0, 0, 0)
    assert len(await fleet.track(device_id)) == 1


async def test_a_bad_row_fails_alone(fleet: Fleet, ingest: Ingest) -> None:
    _, _, key = await fleet.crew()
    _, other_id, other = await fleet.crew()
    one, two, at = await ingest.device(key), await ingest.device(other), now()
    await asyncio.gather(ingest.writer.store(one, [fix(at)]), ingest.writer.store(two, [fix(at)]))
    for wrong in (
        fix(at + SECOND, event="a\x00b"),
        fix(at + SECOND, event="\ud800"),
        fix(at + SECOND, satellites=10**9),
    ):
        both = ingest.writer.store(one, [wrong]), ingest.writer.store(two, [fix(now())])
        bad, good = await asyncio.gather(*both, return_exceptions=True)
        assert isinstance(bad, Exception)
        assert not isinstance(bad, Overloaded)
        assert good == Stored(1, 0, 0, 0)
    assert len(await fleet.track(other_id)) == 4


CUT = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = 'outrider_ingest'"
)


async def test_a_lost_database_is_never_a_false_success(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    acknowledged: list[datetime] = []
    refused = 0

    async def send(start: int) -> None:
        nonlocal refused
        for n in range(start, 400, 4):
            try:
                await ingest.writer.store(device, [fix(at + n * timedelta(milliseconds=1))])
                acknowledged.append(at + n * timedelta(milliseconds=1))
            except Overloaded:
                refused += 1

    async def cut() -> None:
        for _ in range(5):
            await asyncio.sleep(0.02)
            await fleet.db.execute(CUT)

    await asyncio.gather(*(send(start) for start in range(4)), cut())
    stored = {row["fix_at"] for row in await fleet.track(device_id)}
    assert refused > 0
    assert set(acknowledged) <= stored
    assert (await ingest.writer.store(device, [fix(at + MINUTE)])).accepted == 1


async def test_what_was_judged_but_not_stored_does_not_count(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now() - MINUTE
    await ingest.writer.store(device, [fix(at)])
    await fleet.db.execute(CUT)
    jump = [fix(at + n * SECOND, 500) for n in (1, 2)]
    with pytest.raises(Overloaded):
        await ingest.writer.store(device, jump)
    assert await ingest.writer.store(device, jump) == Stored(2, 0, 0, 2)
    assert await ingest.writer.store(device, [fix(at + 3 * SECOND, 500)]) == Stored(1, 0, 0, 0)
    assert [row["suspect"] for row in await fleet.track(device_id)] == [None, "jump", "jump", None]


async def test_verdicts_continue_after_a_restart(database: Database, fleet: Fleet) -> None:
    _, device_id, key = await fleet.crew()
    at = now() - MINUTE
    verdicts = [(0, None), (900, "jump"), (901, "jump"), (902, None), (1, "jump"), (903, None)]
    for second, (east, suspect) in enumerate(verdicts):
        async with Ingest(database) as ingest:
            stored = await ingest.writer.store(await ingest.device(key), [fix(at + second * SECOND, east)])
            assert stored.suspect == (suspect is not None)
    assert [row["suspect"] for row in await fleet.track(device_id)] == [suspect for _, suspect in verdicts]


class Counted:
    """A pool that counts what is fetched through it, and answers first when so many devices are asked about or wait."""

    def __init__(self, writer: Writer, devices: int) -> None:
        self._pool, self._recent, self._devices = writer._pool, writer._recent, devices
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def fetch(self, *args: Any) -> Any:
        self.asked += 1
        async with asyncio.timeout(20):
            while self.asked == 1 and len(args[1]) + len(self._recent._asked) < self._devices:
                await asyncio.sleep(0.01)
        return await self._pool.fetch(*args)


async def test_after_a_restart_many_devices_are_looked_up_together(database: Database, fleet: Fleet) -> None:
    crews = [await fleet.crew() for _ in range(8)]
    at = now() - MINUTE
    async with Ingest(database) as before:
        for _, _, key in crews:
            await before.writer.store(await before.device(key), [fix(at)])
    async with Ingest(database) as after:
        counted = Counted(after.writer, len(crews))
        after.writer._pool = counted
        devices = [await after.device(key) for _, _, key in crews]
        far = fix(at + SECOND, 9_000)
        told = await asyncio.gather(*(after.writer.store(device, [far]) for device in devices))
    assert told == [Stored(1, 0, 0, 1)] * len(crews), "each is judged by its own last fix"
    assert counted.asked <= 2, "one statement for those who ask at once"


async def test_a_listener_that_fails_fails_alone(fleet: Fleet, ingest: Ingest) -> None:
    _, _, key = await fleet.crew()

    def broken(latest: list[Any]) -> None:
        raise RuntimeError("deaf")

    ingest.writer._on_latest = broken
    assert (await ingest.writer.store(await ingest.device(key), [fix(now())])).accepted == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.integers(1, 120), st.integers(-60, 60)), min_size=1, max_size=60),
    seed=st.integers(0, 2**32),
    size=st.integers(1, 25),
)
async def test_order_and_repetition_change_nothing(
    fleet: Fleet, ingest: Ingest, steps: list[tuple[int, int]], seed: int, size: int
) -> None:
    """Shuffled and repeated batches leave the rows and the latest that sending once in order leaves."""
    dice = random.Random(seed)
    second, metres, way = 0, 0.0, []
    for pause, mps in steps:
        second, metres = second + pause, metres + mps * pause
        way.append(fix(now().replace(microsecond=0) - 3 * HOUR + second * SECOND, metres / 64))
    sent = [dice.sample(way, len(way)), dice.choices(way, k=len(way)), dice.sample(way, len(way))]
    messy = [one for wave in sent for one in wave]
    results = []
    for fixes in (way, messy):
        unit_id, device_id, key = await fleet.crew()
        device = await ingest.device(key)
        batches = [fixes[n : n + size] for n in range(0, len(fixes), size)]
        accounts = await asyncio.gather(*(ingest.writer.store(device, batch) for batch in batches))
        assert sum(account.accepted for account in accounts) == len(way)
        assert sum(account.duplicates for account in accounts) == len(fixes) - len(way)
        latest = await fleet.latest(unit_id)
        assert latest is not None
        rows = [(row["fix_at"], row["lon"], row["lat"], row["suspect"]) for row in await fleet.track(device_id)]
        results.append((rows, latest["fix_at"], latest["lon"], latest["lat"]))
    assert results[0] == results[1]
    assert results[0][1] == way[-1].fix_at
