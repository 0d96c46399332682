"""The gate before storage: which device, which unit, on duty or not, as soon as it is committed."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from core.bus import DutyChanged
from core.ids import digest
from tests.geo.fleet import Fleet, Ingest, now
from tests.helpers import Database, eventually

REVOKE = "UPDATE device SET revoked_at = now(), updated_at = clock_timestamp() WHERE id = $1"
ON_SHIFT = "UPDATE unit SET tracking = 'on_shift', updated_at = clock_timestamp() WHERE id = $1"
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


def wake(*ids: UUID) -> DutyChanged:
    return DutyChanged(frozenset(ids))


async def test_a_device_made_elsewhere_is_known_at_its_first_knock(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    assert (await ingest.device(key)).id == device_id
    assert await ingest.duty.find_device(digest("od_nobody")) is None


async def test_strangers_knocking_read_the_database_together(fleet: Fleet, ingest: Ingest) -> None:
    reads = "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'unit'"
    before = await fleet.db.fetchval(reads)
    answers = await asyncio.gather(*(ingest.duty.find_device(digest(f"od_{n}")) for n in range(500)))
    assert answers == [None] * 500
    await asyncio.sleep(1.2)
    assert await fleet.db.fetchval(reads) - before < 30


async def test_a_revoked_key_opens_nothing(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    await ingest.device(key)
    await fleet.db.execute(
        "UPDATE device SET revoked_at = now(), updated_at = clock_timestamp() WHERE id = $1", device_id
    )
    await ingest.duty.changed(wake(device_id))
    assert ingest.duty.device(digest(key)) is None


async def test_what_another_process_revokes_is_known_within_a_second(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    await ingest.device(key)
    await fleet.db.execute(
        "UPDATE device SET revoked_at = now(), updated_at = clock_timestamp() WHERE id = $1", device_id
    )
    await eventually(lambda: ingest.duty.device(digest(key)) is None, timeout_s=1.5)


async def test_a_change_whose_transaction_took_long_is_not_missed(
    database: Database, fleet: Fleet, ingest: Ingest
) -> None:
    _, device_id, key = await fleet.crew()
    await ingest.device(key)
    slow = await database.owner()
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute("UPDATE device SET revoked_at = now(), updated_at = now() WHERE id = $1", device_id)
    await asyncio.sleep(2)
    assert ingest.duty.device(digest(key)) is not None
    await transaction.commit()
    await eventually(lambda: ingest.duty.device(digest(key)) is None, timeout_s=1.5)
    await slow.close()


async def test_a_rotated_key_ends_at_once_or_after_its_overlap(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, old = await fleet.crew()
    device = await ingest.device(old)
    rotate = (
        "UPDATE device SET key_digest = $2, old_key_digest = $3, old_key_until = $4, updated_at = clock_timestamp()"
        " WHERE id = $1"
    )
    await fleet.db.execute(rotate, device_id, digest("new"), digest(old), now() + SECOND)
    await ingest.duty.changed(wake(device_id))
    assert (await ingest.device("new")).id == (await ingest.device(old)).id == device.id
    await eventually(lambda: ingest.duty.device(digest(old)) is None, timeout_s=2)
    await fleet.db.execute(rotate, device_id, digest("newest"), None, None)
    await ingest.duty.changed(wake(device_id))
    assert ingest.duty.device(digest("new")) is None
    assert ingest.duty.device(digest("newest")) is not None


async def test_on_duty_is_decided_by_when_the_fix_was_taken(fleet: Fleet, ingest: Ingest) -> None:
    unit_id = await fleet.unit()
    on, off = now() - 3 * HOUR, now() - HOUR
    await fleet.shift(unit_id, on, off)
    _, key = await fleet.device(unit_id)
    device = await ingest.device(key)
    on_duty = {
        at: ingest.duty.unit_on_duty(device, at) == unit_id
        for at in (on - SECOND, on, on + HOUR, off, off + SECOND, now())
    }
    assert list(on_duty.values()) == [False, True, True, True, False, False]


async def test_the_gate_has_closed_when_changed_returns(fleet: Fleet, ingest: Ingest) -> None:
    unit_id = await fleet.unit()
    _, key = await fleet.device(unit_id)
    shift = await fleet.shift(unit_id, now() - HOUR)
    device = await ingest.device(key)
    for _ in range(20):
        await fleet.end(shift, now())
        await ingest.duty.changed(wake(unit_id))
        assert ingest.duty.unit_on_duty(device, now() + SECOND) is None
        shift = await fleet.shift(unit_id, now())
        await ingest.duty.changed(wake(unit_id))
        assert ingest.duty.unit_on_duty(device, now() + SECOND) == unit_id


async def test_tracked_always_and_not_any_more(fleet: Fleet, ingest: Ingest) -> None:
    unit_id = await fleet.unit(tracking="always")
    _, key = await fleet.device(unit_id)
    device = await ingest.device(key)
    assert ingest.duty.unit_on_duty(device, now()) == unit_id
    await fleet.db.execute(
        "UPDATE unit SET tracking = 'on_shift', updated_at = clock_timestamp() WHERE id = $1", unit_id
    )
    await ingest.duty.changed(wake(unit_id))
    assert ingest.duty.unit_on_duty(device, now()) is None


async def test_a_fix_belongs_to_the_unit_of_its_time(fleet: Fleet, ingest: Ingest) -> None:
    first, second = await fleet.unit("always"), await fleet.unit("always")
    device_id, key = await fleet.device(first, since=now() - 2 * DAY)
    await fleet.assign(device_id, second, now() - HOUR)
    device = await ingest.device(key)
    units = [device.unit_at(now() - ago) for ago in (3 * DAY, DAY, 30 * timedelta(minutes=1))]
    assert units == [None, first, second]


async def test_a_shift_of_last_month_opens_the_gate_for_its_late_fixes(fleet: Fleet, ingest: Ingest) -> None:
    unit_id = await fleet.unit()
    _, key = await fleet.device(unit_id)
    on, off = now() - 30 * DAY, now() - 30 * DAY + 8 * HOUR
    await fleet.shift(unit_id, on, off)
    device = await ingest.device(key)
    moments = [on - SECOND, on, off, off + SECOND]
    assert await ingest.duty.unit_long_ago(device, moments) == [None, unit_id, unit_id, None]


async def test_a_forgotten_shift_closed_long_back_counts_as_closed(fleet: Fleet, ingest: Ingest) -> None:
    unit_id = await fleet.unit()
    shift = await fleet.shift(unit_id, now() - 9 * DAY)
    _, key = await fleet.device(unit_id)
    device = await ingest.device(key)
    assert ingest.duty.unit_on_duty(device, now()) == unit_id
    await fleet.end(shift, now() - 5 * DAY)
    await ingest.duty.changed(wake(unit_id))
    assert ingest.duty.unit_on_duty(device, now()) is None


async def test_a_device_without_a_unit_reports_for_nobody(fleet: Fleet, ingest: Ingest) -> None:
    unit_id = await fleet.unit("always")
    _, key = await fleet.device(unit_id, since=now())
    device = await ingest.device(key)
    assert ingest.duty.unit_on_duty(device, now() - HOUR) is None


async def test_lost_connections_are_made_again(fleet: Fleet, ingest: Ingest) -> None:
    await fleet.db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'outrider duty'"
    )
    _, _, key = await fleet.crew()
    await eventually(lambda: ingest.duty.device(digest(key)) is not None, timeout_s=3)


@pytest.mark.parametrize("hours", [1, 49])
async def test_forgetting_keeps_what_still_counts(fleet: Fleet, ingest: Ingest, hours: int) -> None:
    unit_id = await fleet.unit()
    await fleet.shift(unit_id, now() - 50 * HOUR, now() - hours * HOUR)
    _, key = await fleet.device(unit_id)
    running = await fleet.unit()
    await fleet.shift(running, now() - 90 * DAY)
    _, other = await fleet.device(running)
    device, always_on = await ingest.device(key), await ingest.device(other)
    ingest.duty.horizon -= 2 * HOUR
    await ingest.duty.changed(wake())
    assert now() - ingest.duty.horizon < 2 * DAY + SECOND
    remembered = ingest.duty.unit_on_duty(device, now() - 49.5 * HOUR) == unit_id
    assert remembered is (hours == 1)
    assert (await ingest.duty.unit_long_ago(device, [now() - 49.5 * HOUR])) == [unit_id]
    assert ingest.duty.unit_on_duty(always_on, now()) == running
