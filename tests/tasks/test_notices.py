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
from core.errors import Invalid, NotAllowed, NotFound, TransitionNotAllowed
from core.ids import new_id
from core.models import Office
from core.work import open_work
from geo.models import UnitLatest
from mobile_contract.resources import NoticeAckIn, NoticeIn, ReplyIn
from tasks import audience, notices
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
        "supersedes", "superseded_by",
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


async def test_an_office_means_the_crews_of_its_units_and_its_own_officers(engine: AsyncEngine) -> None:
    async with open_work(engine, system("test")) as work:
        office = Office(code=new_id().hex[:8], name="Vilnius")
        work.session.add(office)
    sender, one, other = await dispatcher(engine), await crew(engine, office_id=office.id), await crew(engine)
    desk = actor_of(await person(engine, Role.OFFICER, office_id=office.id))  # of the office, with no unit
    await person(engine, Role.SUPERVISOR, office_id=office.id)
    assert (await send(engine, sender, to={"offices": [str(office.id)]}))["recipients"] == 2
    assert [len(await read(engine, actor)) for actor in (one.actor, desk, other.actor)] == [1, 1, 0]


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
            await notices.acknowledge(work, made["id"], NoticeAckIn(at=at))
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


async def acknowledge(engine: AsyncEngine, who: Crew, made: dict[str, Any], **fields: Any) -> dict[str, Any]:
    async with open_work(engine, who.actor) as work:
        return await notices.acknowledge(work, made["id"], NoticeAckIn(**fields))


async def cancel(engine: AsyncEngine, sender: Actor, made: dict[str, Any]) -> dict[str, Any]:
    async with open_work(engine, sender) as work:
        return await notices.cancel(work, made["id"])


async def test_a_cancel_is_told_once_and_confirmed_by_those_who_had_acknowledged(engine: AsyncEngine) -> None:
    sender, knows, did_not = await dispatcher(engine), await crew(engine), await crew(engine)
    late = await crew(engine)
    made = await send(engine, sender, to={"everyone": True})
    await acknowledge(engine, knows, made)
    for _ in range(2):
        cancelled = await cancel(engine, sender, made)
    assert (cancelled["state"], cancelled["unconfirmed"], cancelled["ended_by_name"]) == ("cancelled", 1, sender.name)
    assert cancelled["cancelled_at"] == cancelled["ended_at"] is not None
    assert [item["body"]["state"] for item in await read(engine, did_not.actor)] == ["sent", "cancelled"]
    # An old outbox brings an acknowledgement from before: it counts, and confirms nothing.
    assert (await acknowledge(engine, late, made))["acknowledged"] == 1
    assert (await get(engine, sender, made))["unconfirmed"] == 2
    for who in (knows, late):
        await acknowledge(engine, who, made, state="cancelled")
    whole = await get(engine, sender, made)
    assert (whole["acknowledged"], whole["unconfirmed"]) == (2, 0)
    confirmed = {receipt["user_id"] for receipt in whole["receipts"] if receipt["cancel_confirmed_at"]}
    assert confirmed == {str(knows.officer.id), str(late.officer.id)}


async def test_a_cancel_cannot_be_confirmed_before_there_is_one(engine: AsyncEngine) -> None:
    sender, one = await dispatcher(engine), await crew(engine)
    made = await send(engine, sender, to={"everyone": True})
    await acknowledge(engine, one, made, state="cancelled")
    (receipt,) = (await get(engine, sender, made))["receipts"]
    assert receipt["acknowledged_at"]
    assert receipt["cancel_confirmed_at"] is None


async def test_a_new_notice_takes_an_old_ones_place_for_all_who_got_it(engine: AsyncEngine) -> None:
    sender, one, other = await dispatcher(engine), await crew(engine), await crew(engine)
    old = await send(engine, sender, to={"units": [str(one.unit.id)]}, headline="Grey van")
    new = await send(engine, sender, supersedes=str(old["id"]), headline="Green van")
    assert new["recipients"] == 1
    first, replaced, second = [item["body"] for item in await read(engine, one.actor)]
    assert (first["id"], first["state"], first["superseded_by"]) == (str(old["id"]), "sent", None)
    assert (replaced["id"], replaced["state"], replaced["superseded_by"]) == (
        str(old["id"]), "superseded", str(new["id"]),
    )  # fmt: skip
    assert (second["id"], second["supersedes"], second["headline"]) == (str(new["id"]), str(old["id"]), "Green van")
    assert await read(engine, other.actor) == []
    wider = await send(engine, sender, supersedes=str(new["id"]), to={"units": [str(other.unit.id)]})
    assert wider["recipients"] == 2, "who got the old one is told what holds now, whomever the new one names"
    seen = await get(engine, sender, new)
    assert (seen["state"], seen["superseded_by"], seen["ended_by_name"]) == (
        "superseded", str(wider["id"]), sender.name,
    )  # fmt: skip


async def test_of_many_who_replace_a_notice_one_wins_and_the_others_learn_who_and_when(engine: AsyncEngine) -> None:
    senders, one = [await dispatcher(engine) for _ in range(4)], await crew(engine)
    old = await send(engine, senders[0], to={"everyone": True})
    outcomes = await asyncio.gather(
        *(send(engine, sender, supersedes=str(old["id"])) for sender in senders), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, TransitionNotAllowed)]
    assert len(refused) == 3, outcomes
    assert refused[0].extra["changed_by"] == senders[0].name
    assert str(refused[0].extra["changed_at"]).endswith("Z")
    assert [item["body"]["state"] for item in await read(engine, one.actor)] == ["sent", "superseded", "sent"]
    analyst = actor_of(await person(engine, Role.RISK_ANALYST))
    own = await send(engine, analyst, to={"everyone": True})
    await send(engine, analyst, supersedes=str(own["id"]))
    with pytest.raises(NotAllowed):  # another's: that is cancelling, which analysts may not
        await send(engine, analyst, supersedes=str((await send(engine, senders[0], to={"everyone": True}))["id"]))


async def test_a_reply_is_kept_with_its_own_time_and_only_recipients_may(engine: AsyncEngine) -> None:
    sender, one, other = await dispatcher(engine), await crew(engine), await crew(engine)
    made = await send(engine, sender, to={"units": [str(one.unit.id)]})
    await cancel(engine, sender, made)  # an answer from a dead zone comes late, and is kept all the same
    at = datetime.now(UTC) - timedelta(minutes=30)
    async with open_work(engine, one.actor) as work:
        await notices.reply(work, made["id"], ReplyIn(text="Seen at the bridge", at=at))
    with pytest.raises(NotFound):
        async with open_work(engine, other.actor) as work:
            await notices.reply(work, made["id"], ReplyIn(text="x"))
    whole = await get(engine, sender, made)
    (said,) = whole["replies"]
    assert (whole["replied"], said["text"], said["unit_id"]) == (1, "Seen at the bridge", str(one.unit.id))
    assert datetime.fromisoformat(said["received_at"]) - datetime.fromisoformat(said["at"]) > timedelta(minutes=29)
    assert (await get(engine, one.actor, made))["replies"] == [said]


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
            await audience.open_for_unit(work, one.unit.id, late.officer.id)
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
