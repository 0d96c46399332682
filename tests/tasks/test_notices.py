"""Notices: who they reach, what becomes of them, and what joiners get."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from geoalchemy2.shape import from_shape
from shapely.geometry import Point
from sqlalchemy.ext.asyncio import AsyncEngine

from core import inbox
from core.actor import Actor, Role, system
from core.errors import Invalid, NotFound
from core.ids import new_id
from core.models import Office
from core.work import open_work
from geo.models import UnitLatest
from mobile_contract.resources import NoticeIn
from tasks import notices
from tests.helpers import Crew, actor_of, crew, person

BOX = {"type": "Polygon", "coordinates": [[[25.0, 54.5], [25.5, 54.5], [25.5, 54.9], [25.0, 54.9], [25.0, 54.5]]]}


async def dispatcher(engine: AsyncEngine) -> Actor:
    return actor_of(await person(engine, Role.DISPATCHER))


async def send(engine: AsyncEngine, sender: Actor, **fields: Any) -> dict[str, Any]:
    body = {"kind": "information", "priority": "P3", "headline": "Road closed"} | fields
    async with open_work(engine, sender) as work:
        return await notices.send(work, NoticeIn.model_validate(body))


async def read(engine: AsyncEngine, actor: Actor) -> list[dict[str, Any]]:
    async with open_work(engine, actor) as work:
        found: list[dict[str, Any]] = (await inbox.fetch(work, 0, 500))["items"]
        return found


async def get(engine: AsyncEngine, actor: Actor, made: dict[str, Any]) -> dict[str, Any]:
    async with open_work(engine, actor) as work:
        return await notices.get(work, made["id"])


async def place(engine: AsyncEngine, unit_id: UUID, lon: float, lat: float) -> None:
    now = datetime.now(UTC)
    async with open_work(engine, system("test")) as work:
        point = from_shape(Point(lon, lat), srid=4326)
        work.session.add(UnitLatest(unit_id=unit_id, device_id=new_id(), fix_at=now, received_at=now, point=point))


async def test_a_notice_reaches_the_crews_of_its_units_and_nobody_else(engine: AsyncEngine) -> None:
    sender, one, other = await dispatcher(engine), await crew(engine), await crew(engine)
    made = await send(engine, sender, to={"units": [str(one.unit.id)]}, body="Detour", instruction="Turn back")
    assert made["recipients"] == 1
    (item,) = await read(engine, one.actor)
    assert item["kind"] == "notice"
    assert item["body"].keys() == {
        "id", "number", "kind", "priority", "state", "headline", "body", "instruction", "valid_to", "created_at",
    }  # fmt: skip
    assert await read(engine, other.actor) == []
    with pytest.raises(NotFound):
        await get(engine, other.actor, made)


async def test_everyone_means_every_active_officer(engine: AsyncEngine) -> None:
    sender, one = await dispatcher(engine), await crew(engine)
    off = await crew(engine, on_shift=False)
    gone = await person(engine, Role.OFFICER, disabled_at=datetime.now(UTC))
    assert (await send(engine, sender, to={"everyone": True}))["recipients"] == 2
    assert [len(await read(engine, actor)) for actor in (one.actor, off.actor, actor_of(gone), sender)] == [1, 1, 0, 0]


async def test_an_office_means_the_crews_of_its_units(engine: AsyncEngine) -> None:
    async with open_work(engine, system("test")) as work:
        office = Office(code=new_id().hex[:8], name="Vilnius")
        work.session.add(office)
    sender, one, other = await dispatcher(engine), await crew(engine, office_id=office.id), await crew(engine)
    assert (await send(engine, sender, to={"offices": [str(office.id)]}))["recipients"] == 1
    assert [len(await read(engine, c.actor)) for c in (one, other)] == [1, 0]


async def test_an_area_means_the_units_inside_now(engine: AsyncEngine) -> None:
    inside, edge, outside, unknown = [await crew(engine) for _ in range(4)]
    for unit, lon in ((inside, 25.2), (edge, 25.5), (outside, 25.6)):
        await place(engine, unit.unit.id, lon, 54.7)
    analyst = actor_of(await person(engine, Role.RISK_ANALYST))  # who may send, but sees no position
    assert (await send(engine, analyst, to={"area": BOX}))["recipients"] == 2
    assert [len(await read(engine, c.actor)) for c in (inside, edge, outside, unknown)] == [1, 1, 0, 0]


async def test_named_twice_is_sent_once(engine: AsyncEngine) -> None:
    sender, one = await dispatcher(engine), await crew(engine)
    assert (await send(engine, sender, to={"units": [str(one.unit.id)], "everyone": True}))["recipients"] == 1
    (receipt,) = (await get(engine, sender, await send(engine, sender, to={"everyone": True})))["receipts"]
    assert receipt["unit_id"] == str(one.unit.id)


async def test_what_is_refused(engine: AsyncEngine) -> None:
    sender = await dispatcher(engine)
    crossed = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
    cases: list[dict[str, Any]] = [
        {"to": {"units": [str(new_id())]}}, {"to": {"offices": [str(new_id())]}}, {"to": {"area": crossed}},
        {"to": {"everyone": True}, "kind": "gossip"},
        {"to": {"everyone": True}, "valid_to": datetime.now(UTC) - timedelta(minutes=1)},
    ]  # fmt: skip
    for fields in cases:
        with pytest.raises(Invalid):
            await send(engine, sender, **fields)


async def test_receipts_are_three_times_and_the_first_stays(engine: AsyncEngine) -> None:
    sender, one = await dispatcher(engine), await crew(engine)
    made = await send(engine, sender, to={"units": [str(one.unit.id)]})

    async def mine() -> dict[str, Any]:
        (receipt,) = (await get(engine, sender, made))["receipts"]
        return receipt  # type: ignore[no-any-return]

    first = await mine()
    assert first["queued_at"]
    assert {first[name] for name in ("delivered_at", "seen_at", "acknowledged_at")} == {None}
    async with open_work(engine, one.actor) as work:
        await inbox.ack(work, None, 1)
    assert (await mine())["delivered_at"]
    assert (await mine())["acknowledged_at"] is None
    early = datetime.now(UTC) - timedelta(minutes=3)
    for at in (early, None):
        async with open_work(engine, one.actor) as work:
            await notices.receipt(work, made["id"], "acknowledged_at", at)
    done = await mine()
    assert done["acknowledged_at"] == done["seen_at"]
    assert abs(datetime.fromisoformat(done["acknowledged_at"]) - early) < timedelta(milliseconds=2)
    whole = await get(engine, sender, made)
    assert [whole[name] for name in ("recipients", "delivered", "seen", "acknowledged")] == [1, 1, 1, 1]


async def test_officers_see_only_their_own_receipt(engine: AsyncEngine) -> None:
    sender, one, _ = await dispatcher(engine), await crew(engine), await crew(engine)
    made = await send(engine, sender, to={"everyone": True})
    assert [r["user_id"] for r in (await get(engine, one.actor, made))["receipts"]] == [str(one.officer.id)]
    assert len((await get(engine, sender, made))["receipts"]) == 2


async def test_a_cancel_is_told_once_and_late_receipts_still_count(engine: AsyncEngine) -> None:
    sender, one = await dispatcher(engine), await crew(engine)
    made = await send(engine, sender, to={"everyone": True})
    for _ in range(2):
        async with open_work(engine, sender) as work:
            assert (await notices.cancel(work, made["id"]))["state"] == "cancelled"
    assert [item["body"]["state"] for item in await read(engine, one.actor)] == ["sent", "cancelled"]
    async with open_work(engine, one.actor) as work:
        assert (await notices.receipt(work, made["id"], "acknowledged_at", None))["acknowledged"] == 1


async def test_the_list_pages_and_tells_what_is_valid(engine: AsyncEngine) -> None:
    sender = await dispatcher(engine)
    made = [await send(engine, sender, to={"everyone": True}) for _ in range(3)]
    async with open_work(engine, sender) as work:
        await notices.cancel(work, made[1]["id"])
        first, following = await notices.listed(work, valid=None, limit=2, after=None)
        rest, end = await notices.listed(work, valid=None, limit=2, after=following)
        valid, _ = await notices.listed(work, valid=True, limit=9, after=None)
    assert [n["number"] for n in first + rest] == sorted((n["number"] for n in made), reverse=True)
    assert (len(first), end) == (2, None)
    assert [n["id"] for n in valid] == [str(made[2]["id"]), str(made[0]["id"])]


async def test_who_joins_gets_the_valid_notices_of_the_unit_once(engine: AsyncEngine) -> None:
    sender, one = await dispatcher(engine), await crew(engine)
    wanted = await send(engine, sender, to={"units": [str(one.unit.id)]})
    for_all = await send(engine, sender, to={"everyone": True})
    over = await send(engine, sender, to={"everyone": True})
    async with open_work(engine, sender) as work:
        await notices.cancel(work, over["id"])
    await send(engine, sender, to={"units": [str((await crew(engine)).unit.id)]})
    late: Crew = await crew(engine, on_shift=False)
    for _ in range(2):
        async with open_work(engine, one.actor) as work:
            await notices.open_for_unit(work, one.unit.id, late.officer.id)
    assert [item["body"]["id"] for item in await read(engine, late.actor)] == [str(wanted["id"]), str(for_all["id"])]
    assert (await get(engine, sender, wanted))["recipients"] == 2


async def test_concurrent_group_notices_neither_deadlock_nor_leave_gaps(engine: AsyncEngine) -> None:
    sender = await dispatcher(engine)
    crews = [await crew(engine) for _ in range(5)]
    groups = [[str(crews[(n + k) % 5].unit.id) for k in range(1 + n % 4)] for n in range(32)]
    slots = asyncio.Semaphore(8)

    async def one(units: list[str]) -> None:
        async with slots:
            await send(engine, sender, to={"units": units[::-1]})

    await asyncio.wait_for(asyncio.gather(*map(one, groups)), 60)
    for member in crews:
        expected = sum(str(member.unit.id) in group for group in groups)
        assert [item["seq"] for item in await read(engine, member.actor)] == list(range(1, expected + 1))
