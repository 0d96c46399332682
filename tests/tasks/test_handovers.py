"""Hand-overs: what is listed, who confirms, what the database itself forbids."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.actor import Actor, Role, system
from core.bus import Bus, HandoversChanged, Wake
from core.errors import IdReused, Malformed, NotFound, OwnHandover, VersionConflict
from core.ids import new_id
from core.work import open_work
from mobile_contract.handovers import HandoverIn, OpenNow, WholeHandover
from mobile_contract.resources import NoticeAckIn, NoticeIn
from tasks import handovers, notices, silence
from tests.helpers import Crew, actor_of, person
from tests.tasks.conftest import Scene


async def another(scene: Scene, *roles: Role, **fields: Any) -> Actor:
    return actor_of(await person(scene.engine, *(roles or (Role.DISPATCHER,)), **fields))


async def now(scene: Scene, actor: Actor | None = None) -> OpenNow:
    async with open_work(scene.engine, actor or scene.dispatcher) as work:
        return await handovers.now(work)


async def give(
    scene: Scene, actor: Actor | None = None, note: str = " The ferry is late.\n", **fields: Any
) -> WholeHandover:
    async with open_work(scene.engine, actor or scene.dispatcher) as work:
        return await handovers.give(work, HandoverIn(note=note, **fields))


async def confirm(scene: Scene, actor: Actor, handover_id: UUID, bus: Bus | None = None) -> WholeHandover:
    async with open_work(scene.engine, actor, bus) as work:
        return await handovers.confirm(work, handover_id)


async def told(scene: Scene) -> list[tuple[str, str, dict[str, Any]]]:
    async with open_work(scene.engine, system("test")) as work:
        found = await work.session.execute(
            text("SELECT action, actor_login, fields FROM audit_event WHERE object_kind = 'handover' ORDER BY id")
        )
        return [(row.action, row.actor_login, row.fields) for row in found]


async def notice(scene: Scene, headline: str, *to: Crew) -> UUID:
    body = {"kind": "information", "priority": "P3", "headline": headline, "to": {"units": [one.unit.id for one in to]}}
    async with open_work(scene.engine, scene.dispatcher) as work:
        made: UUID = (await notices.send(work, NoticeIn.model_validate(body)))["id"]
    return made


async def acknowledge(scene: Scene, who: Crew, notice_id: UUID) -> None:
    async with open_work(scene.engine, who.actor) as work:
        await notices.acknowledge(work, notice_id, NoticeAckIn())


async def silent(scene: Scene) -> None:
    async with open_work(scene.engine, system("worker")) as work:
        await silence.watch(work, timedelta(minutes=10))


async def test_every_task_that_has_not_ended_is_listed_the_most_urgent_first(scene: Scene) -> None:
    until = datetime.now(UTC) + timedelta(hours=2)
    planned = await scene.draft(priority="P4", title="Planned", window_to=until)
    issued = await scene.issued(title="Issued")
    urgent = await scene.draft(priority="P1", title="Urgent")
    ended = await scene.draft(title="Not any more")
    await scene.centre(ended, "discard", version=ended["version"])
    called_off = await scene.issued(title="Called off")
    await scene.officer(called_off, "acknowledge")
    await scene.centre(called_off, "cancel", reason="r")  # its crew has not confirmed that yet
    found = await now(scene)
    assert [one.title for one in found.tasks] == ["Urgent", "Issued", "Called off", "Planned"]
    assert (found.n_tasks, found.n_notices, found.n_silent) == (4, 0, 0)
    by_id = {str(one.id): one for one in found.tasks}
    assert (by_id[urgent["id"]].call_sign, by_id[urgent["id"]].due_at) == (None, None)
    assert by_id[issued["id"]].call_sign == scene.crew.unit.call_sign
    assert by_id[issued["id"]].model_dump(mode="json")["due_at"] == issued["ack_due_at"]
    assert by_id[planned["id"]].due_at == until
    await scene.officer(issued, "acknowledge")
    by_id = {str(one.id): one for one in (await now(scene)).tasks}
    assert (by_id[issued["id"]].status, by_id[issued["id"]].due_at) == ("acknowledged", None)


async def test_notices_that_somebody_has_not_confirmed_are_listed_with_how_many_have(scene: Scene) -> None:
    other = await scene.another()
    first = await notice(scene, "Ice", scene.crew, other)
    assert [(one.headline, one.confirmed, one.of) for one in (await now(scene)).notices] == [("Ice", 0, 2)]
    await acknowledge(scene, other, first)
    assert [(one.confirmed, one.of) for one in (await now(scene)).notices] == [(1, 2)]
    async with open_work(scene.engine, scene.dispatcher) as work:
        await notices.cancel(work, first)
    (cancelled,) = (await now(scene)).notices  # who had acknowledged it is to confirm that it is cancelled
    assert (cancelled.state, cancelled.confirmed, cancelled.of) == ("cancelled", 0, 1)
    async with open_work(scene.engine, other.actor) as work:
        await notices.acknowledge(work, first, NoticeAckIn(state="cancelled"))
    assert (await now(scene)).notices == []
    second = await notice(scene, "Fog", other)
    await acknowledge(scene, other, second)
    over = await notice(scene, "Over", other)
    async with open_work(scene.engine, system("test")) as work:
        await work.session.execute(text("UPDATE notice SET valid_to = now() WHERE id = :id"), {"id": over})
    assert (await now(scene)).notices == []


async def test_who_is_silent_is_listed_since_when(scene: Scene) -> None:
    assert scene.crew.shift
    await silent(scene)
    (one,) = (await now(scene)).silent
    assert (one.call_sign, one.device_id, one.since) == (
        scene.crew.unit.call_sign, None, scene.crew.shift.on_at,
    )  # fmt: skip
    async with open_work(scene.engine, system("test")) as work:
        await work.session.execute(text("UPDATE shift SET off_at = now()"))
    await silent(scene)
    assert (await now(scene)).silent == []


async def test_a_hand_over_holds_what_was_open_then_and_waits_for_another_dispatcher(scene: Scene) -> None:
    task = await scene.issued()
    await notice(scene, "Ice", scene.crew)
    await silent(scene)
    given = await give(scene)
    assert (given.note, given.n_tasks, given.n_notices, given.n_silent) == ("The ferry is late.", 1, 1, 1)
    assert (given.given_by, given.given_by_name, given.confirmed_at) == (scene.dispatcher.id, "Dana Dispatcher", None)
    await scene.officer(task, "acknowledge")
    with pytest.raises(OwnHandover):
        await confirm(scene, scene.dispatcher, given.id)
    bus, heard = Bus(), list[Wake]()
    bus.on(HandoversChanged, heard.append)
    eva, ona = await another(scene, name="Eva"), await another(scene)
    done = await confirm(scene, eva, given.id, bus)
    assert (done.confirmed_by_name, heard[0].ids) == ("Eva", {given.id})
    assert await confirm(scene, eva, given.id, bus) == done
    assert len(heard) == 1  # the second time nothing changed
    with pytest.raises(VersionConflict) as refused:
        await confirm(scene, ona, given.id)
    assert refused.value.extra["changed_by"] == "Eva"
    async with open_work(scene.engine, await another(scene, Role.AUDITOR)) as work:
        read = await handovers.get(work, given.id)
    assert [(one.number, one.status, one.unit_id) for one in read.tasks] == [
        (task["number"], "issued", scene.crew.unit.id)
    ]
    assert [(one.confirmed, one.of) for one in read.notices] == [(0, 1)]
    assert [one.unit_id for one in read.silent] == [scene.crew.unit.id]
    audited = [(action, fields) for action, _, fields in await told(scene)]
    assert audited == [
        ("collection", {"tasks": 1, "notices": 1, "silent": 1}),
        ("alteration", {"confirmed": True, "given_by": str(scene.dispatcher.id)}),
        ("consultation", {}),
    ]


async def test_of_two_who_confirm_at_once_one_did(scene: Scene) -> None:
    given = await give(scene)
    both = [await another(scene), await another(scene)]
    done = await asyncio.gather(*(confirm(scene, one, given.id) for one in both), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["VersionConflict", "WholeHandover"]


async def test_they_are_listed_newest_first_in_pages(scene: Scene) -> None:
    made = [(await give(scene, note=str(n))).id for n in range(5)]
    found, after = list[UUID](), None
    while True:
        async with open_work(scene.engine, scene.dispatcher) as work:
            page, after = await handovers.listed(work, 2, after)
        found += [one.id for one in page]
        if not after:
            break
    assert found == made[::-1]
    with pytest.raises(Malformed):
        async with open_work(scene.engine, scene.dispatcher) as work:
            await handovers.listed(work, 2, "x")


async def test_many_are_counted_beyond_what_is_listed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handovers, "LISTED", 2)
    for _ in range(3):
        await scene.draft()
    given = await give(scene)
    assert (given.n_tasks, len(given.tasks)) == (3, 2)


async def test_an_id_makes_one_and_no_other_is_found(scene: Scene) -> None:
    made = new_id()
    await give(scene, id=made)
    with pytest.raises(IdReused):
        await give(scene, id=made)
    with pytest.raises(NotFound):
        await confirm(scene, scene.dispatcher, new_id())


async def test_the_database_itself_lets_nobody_confirm_their_own_or_anothers_again(scene: Scene) -> None:
    given = await give(scene)
    eva, supervisor = await another(scene), await another(scene, Role.SUPERVISOR)
    confirmed = text("UPDATE handover SET confirmed_by = :by, confirmed_at = now() WHERE id = :id")

    async def tried(actor: Actor, by: UUID | None) -> int:
        async with open_work(scene.engine, actor) as work:
            done: Any = await work.session.execute(confirmed, {"by": by, "id": given.id})
            return int(done.rowcount)

    for actor, by in ((scene.dispatcher, scene.dispatcher.id), (scene.dispatcher, eva.id), (eva, supervisor.id)):
        with pytest.raises(DBAPIError, match=r"ck_handover_another|row-level security"):
            await tried(actor, by)
    assert await tried(supervisor, supervisor.id) == 0
    assert await tried(eva, eva.id) == 1
    assert await tried(await another(scene), eva.id) == 0
    with pytest.raises(DBAPIError, match="row-level security"):
        await give(scene, supervisor)
    with pytest.raises(DBAPIError, match="permission denied"):
        async with open_work(scene.engine, eva) as work:
            await work.session.execute(text("UPDATE handover SET note = 'all quiet'"))
    for nobody in (scene.crew.actor, await another(scene, Role.RISK_ANALYST)):
        async with open_work(scene.engine, nobody) as work:
            assert await work.all(text("SELECT id FROM handover")) == []
