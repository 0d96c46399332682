"""What waits for its commit: how much, in which order, and what becomes of it when the writer or its caller goes."""

import asyncio
from datetime import timedelta

import pytest

from core.errors import Overloaded
from geo.delivery import Stored
from geo.duty import KnownDevice
from geo.fix import Fix
from geo.positions import LINES_FROM_ROWS, QUEUE_ROWS
from tests.geo.fleet import Fleet, Ingest, fix, now
from tests.helpers import eventually

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


async def test_too_much_waiting_is_refused_before_any_effect(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    await ingest.writer.store(device, [fix(at)])
    lock = fleet.db.transaction()
    await lock.start()
    await fleet.db.execute("LOCK TABLE unit_latest IN ACCESS EXCLUSIVE MODE")
    millisecond = timedelta(milliseconds=1)
    batches = [[fix(at + (n * 1000 + m) * millisecond) for m in range(1000)] for n in range(1, QUEUE_ROWS // 1000 + 3)]
    calls = [asyncio.create_task(ingest.writer.store(device, batch)) for batch in batches]
    await asyncio.sleep(1)
    assert [call.done() for call in calls] == [False] * 20 + [True] * 2
    await lock.rollback()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(outcome, Stored) and outcome.accepted for outcome in outcomes[:20]] == [1000] * 20
    assert all(isinstance(outcome, Overloaded) for outcome in outcomes[20:])
    assert len(await fleet.track(device_id)) == 1 + QUEUE_ROWS


async def test_who_comes_for_the_first_time_finds_no_more_room_than_others(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    kept = [[fix(at - n * MINUTE + m * SECOND / 20) for m in range(1000)] for n in range(1, QUEUE_ROWS // 1000 + 6)]
    outcomes = await asyncio.gather(*(ingest.writer.store(device, batch) for batch in kept), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Stored] * 20 + [Overloaded] * 5
    assert len(await fleet.track(device_id)) == QUEUE_ROWS
    assert ingest.writer.queued_rows == 0


async def test_a_fix_of_now_passes_by_what_others_kept(fleet: Fleet, ingest: Ingest) -> None:
    cut_off, live = [await ingest.device((await fleet.crew())[2]) for _ in range(2)]
    at, answered = now(), list[int]()
    for device in (cut_off, live):
        await ingest.writer.store(device, [fix(at)])
    lock = fleet.db.transaction()
    await lock.start()
    await fleet.db.execute("LOCK TABLE unit_latest IN ACCESS EXCLUSIVE MODE")

    async def send(device: KnownDevice, fixes: list[Fix]) -> Stored:
        stored = await ingest.writer.store(device, fixes)
        answered.append(len(fixes))
        return stored

    async def queued(rows: int) -> None:
        async with asyncio.timeout(20):
            while ingest.writer.queued_rows < rows:
                assert not any(call.done() for call in calls), "there is room for it beside a full queue"
                await asyncio.sleep(0.01)

    kept = [[fix(at - n * MINUTE + m * SECOND / 20) for m in range(1000)] for n in range(1, QUEUE_ROWS // 1000 + 1)]
    calls = [asyncio.create_task(send(cut_off, batch)) for batch in kept]
    await queued(QUEUE_ROWS)
    calls.append(asyncio.create_task(send(live, [fix(at + SECOND)])))
    await queued(QUEUE_ROWS + 1)
    await lock.rollback()
    assert sum([stored.accepted for stored in await asyncio.gather(*calls)]) == QUEUE_ROWS + 1
    assert answered.index(1) <= len(LINES_FROM_ROWS) + 1, "it waits for the commits that had begun"


async def test_stopping_stores_what_was_taken(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    await ingest.writer.store(device, [fix(at)])
    calls = [asyncio.create_task(ingest.writer.store(device, [fix(at + n * SECOND)])) for n in range(1, 30)]
    await asyncio.sleep(0)
    await ingest.writer.__aexit__(None, None, None)
    assert all(stored.accepted == 1 for stored in await asyncio.gather(*calls))
    with pytest.raises(Overloaded):
        await ingest.writer.store(device, [fix(at + MINUTE)])
    assert len(await fleet.track(device_id)) == 30
    await ingest.writer.__aenter__()


async def test_a_caller_that_left_disturbs_nobody(fleet: Fleet, ingest: Ingest) -> None:
    _, device_id, key = await fleet.crew()
    device, at = await ingest.device(key), now()
    await ingest.writer.store(device, [fix(at)])
    leaving = asyncio.create_task(ingest.writer.store(device, [fix(at + SECOND)]))
    staying = asyncio.create_task(ingest.writer.store(device, [fix(at + 2 * SECOND)]))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).accepted == 1
    await eventually(lambda: fleet.track(device_id))
