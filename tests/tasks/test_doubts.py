"""Trackers that cannot be believed: alerts, suspect fixes, and the marker that goes back to the last good one."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.work import open_work
from geo.fix import Fix
from tasks import alerts, doubts
from tests.geo.fleet import Fleet, Ingest, now
from tests.helpers import Database, eventually, person

SECOND = timedelta(seconds=1)


async def watch(engine: AsyncEngine) -> tuple[int, int]:
    async with open_work(engine, system("worker")) as work:
        return await doubts.watch(work)


async def standing(engine: AsyncEngine) -> list[dict[str, Any]]:
    async with open_work(engine, system("test")) as work:
        return list((await alerts.listed(work, is_open=True, limit=50, after=None))[0])


async def test_a_frozen_tracker_is_told_of_until_it_moves(engine: AsyncEngine, fleet: Fleet, ingest: Ingest) -> None:
    unit_id, device_id, key = await fleet.crew()
    device, begun = await ingest.device(key), now() - 120 * SECOND
    stuck = [Fix(fix_at=begun + 10 * i * SECOND, lon=25.3, lat=54.7, speed_mps=14) for i in range(11)]
    stored = await ingest.writer.store(device, stuck)
    assert stored.suspect == 4
    latest = await fleet.latest(unit_id)
    assert latest is not None
    assert latest["fix_at"] == stuck[6].fix_at
    assert await watch(engine) == (1, 0)
    assert await watch(engine) == (0, 0)
    (alert,) = await standing(engine)
    assert (alert["kind"], alert["unit_id"], alert["device_id"]) == ("tracker_frozen", str(unit_id), str(device_id))
    await ingest.writer.store(device, [Fix(fix_at=now(), lon=25.301, lat=54.7, speed_mps=14)])
    assert await watch(engine) == (0, 1)


async def test_two_senders_are_told_of_and_neither_is_believed(
    engine: AsyncEngine, fleet: Fleet, ingest: Ingest, database: Database
) -> None:
    unit_id, device_id, key = await fleet.crew()
    begun = now() - 200 * SECOND
    last_good = Fix(fix_at=begun - 20 * SECOND, lon=25.3, lat=54.7)
    await ingest.writer.store(await ingest.device(key), [last_good])
    for i in range(8):
        fix = Fix(fix_at=begun + 20 * i * SECOND, lon=25.3 + i / 1000, lat=54.7)
        await ingest.writer.store(await ingest.device(key), [fix], sender=i % 2)
    await ingest.writer.write_down()
    assert await watch(engine) == (1, 0)
    (alert,) = await standing(engine)
    assert (alert["kind"], alert["unit_id"], alert["device_id"]) == ("tracker_doubled", str(unit_id), str(device_id))

    async def is_doubted() -> bool:
        return (await ingest.device(key)).doubt is not None

    await eventually(is_doubted)
    stored = await ingest.writer.store(await ingest.device(key), [Fix(fix_at=now(), lon=25.31, lat=54.7)], sender=0)
    assert stored.suspect == 1
    found = {row["suspect"] for row in await fleet.track(device_id) if row["fix_at"] > now() - 30 * SECOND}
    assert found == {"two_senders"}

    await fleet.db.execute("UPDATE device_doubt SET seen_at = now() - interval '11 minutes'")
    assert await watch(engine) == (0, 1)

    async def is_believed() -> bool:
        return (await ingest.device(key)).doubt is None

    await eventually(is_believed)
    assert (await ingest.writer.store(await ingest.device(key), [Fix(fix_at=now(), lon=25.31, lat=54.7)])).suspect == 0


async def test_what_turns_out_suspect_takes_the_marker_back(engine: AsyncEngine, fleet: Fleet, ingest: Ingest) -> None:
    unit_id, device_id, key = await fleet.crew()
    good, bad = now() - 60 * SECOND, now() - 30 * SECOND
    fixes = [Fix(fix_at=good, lon=25.3, lat=54.7, battery_pct=80), Fix(fix_at=bad, lon=25.31, lat=54.7)]
    await ingest.writer.store(await ingest.device(key), fixes)
    await fleet.db.execute(
        "INSERT INTO device_doubt (device_id, reason, unit_id, since, seen_at) VALUES ($1, $2, $3, $4, now())",
        device_id, "two_senders", unit_id, good + SECOND,
    )  # fmt: skip
    for _ in range(2):
        await watch(engine)
        latest = await fleet.latest(unit_id)
        assert latest is not None
        assert (latest["fix_at"], latest["lon"], latest["battery_pct"]) == (good, 25.3, 80)
        assert latest["moved_back_at"] is not None
    assert [row["suspect"] for row in await fleet.track(device_id)] == [None, "two_senders"]


async def test_a_tracker_far_from_its_units_others_is_told_of_and_the_marker_stays_with_them(
    engine: AsyncEngine, fleet: Fleet, ingest: Ingest
) -> None:
    unit_id, box_id, box_key = await fleet.crew()
    phone_id, phone_key = await fleet.device(unit_id)
    await fleet.db.execute("UPDATE device SET protocol = 'teltonika' WHERE id = $1", box_id)

    async def report(key: str, lon: float, at: datetime) -> int:
        return (await ingest.writer.store(await ingest.device(key), [Fix(fix_at=at, lon=lon, lat=54.7)])).suspect

    begun = now() - 180 * SECOND
    for i in range(3):
        await report(phone_key, 25.3 + i / 1000, begun + 60 * i * SECOND)
        await report(box_key, 25.9 + i / 1000, begun + (60 * i + 10) * SECOND)
    latest = await fleet.latest(unit_id)
    assert latest is not None
    assert latest["device_id"] == box_id
    assert await watch(engine) == (1, 0)
    assert await watch(engine) == (0, 0)
    (alert,) = await standing(engine)
    assert (alert["kind"], alert["unit_id"], alert["device_id"]) == ("tracker_apart", str(unit_id), str(box_id))
    latest = await fleet.latest(unit_id)
    assert latest is not None
    assert (latest["device_id"], latest["lon"]) == (phone_id, pytest.approx(25.302))

    async def is_doubted() -> bool:
        return (await ingest.device(box_key)).doubt is not None

    await eventually(is_doubted)
    assert await report(box_key, 25.91, now()) == 1
    assert [row["suspect"] for row in await fleet.track(box_id)] == [None, "apart", "apart", "apart"]
    assert (await fleet.latest(unit_id))["device_id"] == phone_id  # type: ignore[index]

    await report(box_key, 25.31, now())
    assert await watch(engine) == (0, 1), "they are together again"

    async def is_believed() -> bool:
        return not await is_doubted()

    await eventually(is_believed)
    assert await report(box_key, 25.903, now()) == 0, "judged by itself alone"


async def test_the_last_tracker_of_a_unit_is_believed(engine: AsyncEngine, fleet: Fleet, ingest: Ingest) -> None:
    unit_id, first_id, first_key = await fleet.crew()
    second_id, second_key = await fleet.device(unit_id, now() - timedelta(hours=1))
    await fleet.device(await fleet.unit())
    fixes = [(first_key, 25.3, 100), (second_key, 25.9, 95), (first_key, 25.3, 40), (second_key, 25.9, 35)]
    for key, lon, ago in fixes:
        await ingest.writer.store(await ingest.device(key), [Fix(fix_at=now() - ago * SECOND, lon=lon, lat=54.7)])
    assert await watch(engine) == (1, 0)
    (alert,) = await standing(engine)
    assert alert["device_id"] == str(second_id), "it was given to the unit last"
    await fleet.db.execute("UPDATE device SET revoked_at = now() WHERE id = $1", first_id)
    assert await watch(engine) == (0, 1)
    assert await fleet.db.fetchval("SELECT count(*) FROM device_doubt") == 0


async def test_a_phone_whose_person_is_on_two_shifts_counts_for_the_later_unit(
    engine: AsyncEngine, fleet: Fleet, ingest: Ingest
) -> None:
    """Far from the trackers of both, with fixes stored for both: it is doubted once, and the round goes on."""
    (former, former_box, _), (later, later_box, _) = await fleet.crew(), await fleet.crew()
    user, phone_id = await person(engine, "officer"), (await fleet.device(later))[0]
    await fleet.db.execute("UPDATE device SET user_id = $2, protocol = 'owntracks' WHERE id = $1", phone_id, user.id)
    await fleet.db.execute("DELETE FROM device_assignment WHERE device_id = $1", phone_id)
    for unit_id, ago in ((former, 500), (later, 300)):
        await fleet.db.execute(
            "INSERT INTO shift_member (shift_id, user_id, joined_at) SELECT id, $2, $3 FROM shift WHERE unit_id = $1",
            unit_id, user.id, now() - ago * SECOND,
        )  # fmt: skip
    places = [(former_box, former, 25.3, 100), (later_box, later, 25.3, 100), (phone_id, former, 25.9, 110)]
    for device_id, unit_id, lon, ago in [*places, (phone_id, later, 25.9, 90)]:
        await fleet.db.execute("SELECT ensure_position_day($1)", (now() - ago * SECOND).date())
        await fleet.db.execute(
            "INSERT INTO position (device_id, fix_at, received_at, unit_id, point)"
            " VALUES ($1, $2, now(), $3, ST_SetSRID(ST_MakePoint($4, 54.7), 4326))",
            device_id, now() - ago * SECOND, unit_id, lon,
        )  # fmt: skip
    assert await watch(engine) == (1, 0)
    (alert,) = await standing(engine)
    assert (alert["kind"], alert["unit_id"]) == ("tracker_apart", str(later))
