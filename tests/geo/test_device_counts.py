"""What is counted of devices by day: through the writer, and by the worker from what it stored."""

from datetime import timedelta
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.work import open_work
from geo import intervals
from geo.counts import SKEW_BOUNDS_S
from geo.fix import Fix
from geo.intervals import GAP_BOUNDS_S
from tests.geo.fleet import Fleet, Ingest, fix, now

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


async def counted(fleet: Fleet, ingest: Ingest, device_id: Any) -> asyncpg.Record:
    """The device's row after what waits was written."""
    await ingest.writer._counts.write(ingest.writer._pool)
    (row,) = await fleet.db.fetch("SELECT * FROM ingest_count WHERE device_id = $1", device_id)
    return row


async def test_the_state_in_which_fixes_come_is_counted(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    live = [fix(at - 5 * SECOND, battery_pct=70), fix(at - 4 * MINUTE), fix(at - 3 * MINUTE)]
    odd = [fix(at, 500), Fix(fix_at=at + SECOND), fix(at - 31 * DAY), fix(at + HOUR)]
    await ingest.writer.store(device, live)
    await ingest.writer.store(device, [*odd, live[0], live[1]])
    ingest.writer.unreadable(device, 25)
    row = await counted(fleet, ingest, device_id)
    sums = ("accepted", "duplicates", "suspect", "rejected", "late", "jumps", "no_fix", "off_clock", "unreadable")
    assert [row[name] for name in sums] == [7, 2, 4, 25, 3, 1, 1, 2, 1]
    assert row["battery_pct"] == 70
    assert 4 < row["skew_s"] < 10
    assert sum(row["skews"]) == 1
    assert row["skews"][sum(bound <= 5 for bound in SKEW_BOUNDS_S)] == 1


async def test_the_clock_is_looked_at_once_between_two_writes_and_looks_add_up(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    for n in range(30):  # a buffer, one by one
        await ingest.writer.store(device, [fix(at - 59 * MINUTE + n * MINUTE)])
    await counted(fleet, ingest, device_id)
    for n in range(2):
        await ingest.writer.store(device, [fix(at + n * SECOND, battery_pct=50 - n)])
        row = await counted(fleet, ingest, device_id)
    assert row["late"] == 30
    by_class = dict(enumerate(row["skews"]))
    assert {place: n for place, n in by_class.items() if n} == {6: 2, 11: 1}
    assert row["battery_pct"] == 49


async def test_what_a_device_says_of_itself_is_kept_and_nothing_unprintable(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    device = await ingest.device(key)
    for said in ("Owntracks-Android/420412000", None, "", "\x1b[31m", "x" * 500):
        ingest.writer.describe(device, said)
        if said == "":
            assert (await counted(fleet, ingest, device_id))["about"] == "Owntracks-Android/420412000"
    assert (await counted(fleet, ingest, device_id))["about"] == "x" * 120


async def test_what_was_imported_from_a_file_is_not_the_devices_doing(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    await ingest.writer.store(device, [fix(at)])
    assert (await ingest.writer.store(device, [fix(at - DAY)], is_counted=False)).accepted == 1
    row = await counted(fleet, ingest, device_id)
    assert (row["accepted"], row["late"]) == (1, 0)


# Intervals


async def round_(engine: AsyncEngine) -> bool:
    """A round of the worker."""
    async with open_work(engine, system("test")) as work:
        return await intervals.count(work)


async def a_minute_later(fleet: Fleet) -> None:
    """What was counted is as old as when the worker comes again."""
    await fleet.db.execute("UPDATE fix_interval SET counted_at = counted_at - interval '1 minute'")


async def gaps(fleet: Fleet, device_id: Any) -> tuple[dict[str, int], float, float]:
    """How often each class of intervals was counted, by where it begins; and the seconds heard and silent."""
    rows = await fleet.db.fetch("SELECT * FROM fix_interval WHERE device_id = $1", device_id)
    sums = [sum(row["gaps"][place] for row in rows) for place in range(len(GAP_BOUNDS_S) + 1)]
    begins = ["0", *map(str, GAP_BOUNDS_S)]
    named = {begin: n for begin, n in zip(begins, sums, strict=True) if n}
    return named, sum(row["heard_s"] for row in rows), sum(row["silent_s"] for row in rows)


async def test_intervals_are_counted_once_over_rounds_and_midnights(
    fleet: Fleet, ingest: Ingest, engine: AsyncEngine
) -> None:
    _, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now() - HOUR
    await ingest.writer.store(device, [fix(at + n * 10 * SECOND) for n in range(11)])
    await counted(fleet, ingest, device_id)
    assert not await round_(engine)
    assert await gaps(fleet, device_id) == ({"8": 10}, 100, 0)
    await a_minute_later(fleet)
    await round_(engine)
    assert await gaps(fleet, device_id) == ({"8": 10}, 100, 0)
    more = [fix(at + 100 * SECOND + 20 * MINUTE), fix(at + 105 * SECOND + 20 * MINUTE), fix(at - MINUTE)]
    await ingest.writer.store(device, more)
    await counted(fleet, ingest, device_id)
    await a_minute_later(fleet)
    await round_(engine)
    assert await gaps(fleet, device_id) == ({"3": 1, "8": 10, "600": 1}, 1305, 1200)


async def test_the_time_between_two_shifts_is_no_silence(fleet: Fleet, ingest: Ingest, engine: AsyncEngine) -> None:
    at = now()
    unit_id = await fleet.unit()
    await fleet.shift(unit_id, at - 12 * HOUR, at - 10 * HOUR)
    await fleet.shift(unit_id, at - 2 * HOUR)
    device_id, key = await fleet.device(unit_id)
    device = await ingest.device(key)
    moments = [at - 11 * HOUR, at - 10 * HOUR - MINUTE, at - 2 * HOUR + MINUTE, at - HOUR]
    await ingest.writer.store(device, [fix(each) for each in moments])
    await counted(fleet, ingest, device_id)
    await round_(engine)
    assert (await gaps(fleet, device_id))[0] == {"1800": 2}


async def test_all_devices_have_their_turn_and_the_quiet_ones_stop_nobody(
    fleet: Fleet, ingest: Ingest, engine: AsyncEngine, monkeypatch: Any
) -> None:
    monkeypatch.setattr(intervals, "DEVICES_AT_ONCE", 2)
    crews = [await fleet.crew() for _ in range(5)]
    for _, _, key in crews:
        await ingest.writer.store(await ingest.device(key), [fix(now() - n * MINUTE) for n in range(3, 0, -1)])
    await ingest.writer._counts.write(ingest.writer._pool)
    assert [await round_(engine) for _ in range(3)] == [True, True, False]
    for _, device_id, _ in crews:
        assert (await gaps(fleet, device_id))[0] == {"45": 2}
    assert not await round_(engine)
