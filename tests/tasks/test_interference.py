"""An interference from the fixes that come in to its end: one alert, false places off the map, and back to normal."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role, system
from core.work import open_work
from geo.fix import Fix, NoFix
from tasks import alerts, closing, interference
from tests.geo.fleet import Fleet, Ingest, now
from tests.helpers import Database, actor_of, eventually, person

SECOND = timedelta(seconds=1)
FALSE_LON, FALSE_LAT = 27.56, 53.9
UNITS = 3


class Scene:
    """Three units that drive near Vilnius, ten seconds between two fixes, the last of them now."""

    def __init__(self, engine: AsyncEngine, fleet: Fleet, ingest: Ingest) -> None:
        self.engine, self.fleet, self.ingest = engine, fleet, ingest
        self.crews: list[tuple[UUID, UUID, str]] = []
        self.begun = now() - timedelta(minutes=4)

    async def drive(self, until: int = 12) -> None:
        for n in range(UNITS):
            self.crews.append(await self.fleet.crew())
            await self.send(n, [self.good(n, step) for step in range(until)])

    def at(self, step: float) -> Any:
        return self.begun + 10 * step * SECOND

    def good(self, n: int, step: float) -> Fix:
        return Fix(fix_at=self.at(step), lon=25.28 + step * 0.003, lat=54.6 + n * 0.05)

    def false(self, step: float) -> Fix:
        return Fix(fix_at=self.at(step), lon=FALSE_LON + step * 0.001, lat=FALSE_LAT)

    async def send(self, n: int, fixes: list[Fix]) -> int:
        device = await self.ingest.device(self.crews[n][2])
        return (await self.ingest.writer.store(device, fixes)).suspect

    async def spoof(self) -> None:
        for n in range(UNITS):
            assert await self.send(n, [self.false(step) for step in range(12, 18)]) == 2, "the third was believed"

    async def watch(self, **limits: Any) -> None:
        async with open_work(self.engine, system("worker")) as work:
            assert await interference.watch(work, interference.Limits(**limits))

    async def standing(self) -> list[dict[str, Any]]:
        async with open_work(self.engine, system("test")) as work:
            return list((await alerts.listed(work, is_open=True, limit=50, after=None))[0])

    async def places(self) -> list[tuple[float, float]]:
        rows = [await self.fleet.latest(crew[0]) for crew in self.crews]
        return [(round(row["lon"], 4), round(row["lat"], 4)) for row in rows if row]

    async def doubted(self, *, doubted: bool = True) -> None:
        async def all_so() -> bool:
            devices = [await self.ingest.device(crew[2]) for crew in self.crews]
            return all((device.doubt is not None) is doubted for device in devices)

        await eventually(all_so)


@pytest_asyncio.fixture
async def scene(database: Database, engine: AsyncEngine) -> AsyncIterator[Scene]:
    db = await database.owner()
    async with Ingest(database) as ingest:
        made = Scene(engine, Fleet(db), ingest)
        await made.drive()
        yield made
    await db.close()


async def test_spoofing_is_one_alert_and_markers_go_back(scene: Scene) -> None:
    good = await scene.places()
    await scene.spoof()
    assert await scene.places() != good
    for _ in range(2):
        await scene.watch()
    (alert,) = await scene.standing()
    assert (alert["kind"], alert["unit_id"], alert["device_id"]) == ("interference", None, None)
    assert alert["text"] == "Satellite navigation is disturbed: 3 units"
    assert {(one["unit_id"], one["sign"]) for one in alert["units"]} == {(str(c[0]), "jumped") for c in scene.crews}
    assert alert["area"]["type"] == "Polygon"
    assert await scene.places() == good
    reasons = [row["suspect"] for row in await scene.fleet.track(scene.crews[0][1])]
    assert reasons == [None] * 12 + ["jump"] * 2 + ["interference"] * 4

    await scene.doubted()  # what comes now is judged at once, and the true place is believed
    assert await scene.send(0, [scene.false(step) for step in range(18, 23)]) == 5
    assert await scene.send(1, [scene.good(1, 19)]) == 0
    assert (await scene.places())[0] == good[0]
    assert (await scene.places())[1] != good[1]


async def test_jamming_ends_by_itself_after_a_quiet_time(scene: Scene) -> None:
    good = await scene.places()
    for n in range(UNITS):
        await scene.send(n, [NoFix(fix_at=scene.at(step)) for step in range(12, 20)])
    await scene.watch()
    (alert,) = await scene.standing()
    assert {one["sign"] for one in alert["units"]} == {"lost"}
    assert await scene.places() == good
    await scene.watch(quiet=timedelta(minutes=3))
    assert len(await scene.standing()) == 1
    await scene.watch(quiet=timedelta(seconds=5))
    assert await scene.standing() == []
    await scene.doubted(doubted=False)
    await scene.watch()  # the old signs are still there, and dealt with
    assert await scene.standing() == []


async def test_a_unit_that_fails_later_joins(scene: Scene) -> None:
    await scene.spoof()
    await scene.watch()
    unit_id, _, key = await scene.fleet.crew()
    device = await scene.ingest.device(key)
    fixes = [scene.good(0, step) for step in range(12)] + [NoFix(fix_at=scene.at(step)) for step in range(15, 20)]
    await scene.ingest.writer.store(device, fixes)
    before = (await scene.standing())[0]
    await scene.watch()
    (alert,) = await scene.standing()
    assert alert["id"] == before["id"]
    assert {one["unit_id"] for one in alert["units"]} - {one["unit_id"] for one in before["units"]} == {str(unit_id)}


async def test_two_units_are_no_interference(scene: Scene) -> None:
    for n in range(UNITS - 1):
        await scene.send(n, [scene.false(step) for step in range(12, 18)])
    await scene.watch()
    assert await scene.standing() == []


async def test_a_dispatcher_ends_it_with_a_reason_and_its_rest_does_not_raise_it_again(scene: Scene) -> None:
    await scene.spoof()
    await scene.watch()
    (alert,) = await scene.standing()
    dispatcher = actor_of(await person(scene.engine, Role.DISPATCHER))
    async with open_work(scene.engine, dispatcher) as work:
        ended = await closing.close(work, UUID(alert["id"]), "An exercise of the army")
    assert ended["close_reason"] == "An exercise of the army"
    await scene.doubted(doubted=False)
    await scene.watch()
    assert await scene.standing() == []


async def test_one_worker_at_a_time_looks(scene: Scene) -> None:
    async with open_work(scene.engine, system("worker")) as work:
        assert await interference.watch(work)
        async with open_work(scene.engine, system("other")) as other:
            assert not await interference.watch(other)
