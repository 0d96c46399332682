"""What devices report becomes an alert once an episode, and a panic a draft P1, whatever is sent again or cut off."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text

from core.actor import system
from core.errors import NotFound, TransitionNotAllowed, VersionConflict
from core.ids import digest, new_id
from core.work import open_work
from geo.fix import Fix, NoFix
from geo.positions import Stored
from mobile_contract.resources import TransitionIn
from mobile_contract.talk import PanicIn
from tasks import alerts, calls, closing, device_alarms
from tasks.device_alarms import LATE, PANIC_GOES_ON, PANIC_PAUSE, PAUSE, Told, belongs
from tasks.models import Alert
from tasks.transitions import transition
from tests.geo.fleet import Ingest, now
from tests.helpers import Crew, Database, crew
from tests.tasks.conftest import Scene

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
T = datetime(2026, 5, 1, 12, tzinfo=UTC)


@dataclass
class Station:
    """Trackers that report, and the centre that is told."""

    scene: Scene
    database: Database
    ingest: Ingest
    crew: Crew = field(init=False)

    def __post_init__(self) -> None:
        self.crew = self.scene.crew

    async def send(self, *fixes: Fix, of: Crew | None = None) -> Stored:
        """What a tracker is told of these fixes, once they are committed."""
        device = await self.ingest.duty.find_device(digest((of or self.crew).device_key))
        assert device is not None
        return await self.ingest.writer.store(device, list(fixes))

    async def panic(self, at: datetime | None = None, of: Crew | None = None, **fields: Any) -> Stored:
        return await self.send(fix(at or now(), event="panic", **fields), of=of)

    async def raised(self) -> int:
        """Raise what is owed; how many events that were."""
        async with open_work(self.scene.engine, system("alarms")) as work:
            return await device_alarms.due(work)

    async def standing(self, *kinds: str) -> list[dict[str, Any]]:
        """The alerts that stand, the newest first."""
        async with open_work(self.scene.engine, self.scene.dispatcher) as work:
            found = (await alerts.listed(work, is_open=True, limit=100, after=None))[0]
        return [alert for alert in found if not kinds or alert["kind"] in kinds]

    async def close(self, alert: dict[str, Any], reason: str = "false alarm") -> dict[str, Any]:
        async with open_work(self.scene.engine, self.scene.dispatcher) as work:
            return await closing.close(work, UUID(alert["id"]), reason)

    async def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        async with open_work(self.scene.engine, system("test")) as work:
            return [dict(row) for row in (await work.session.execute(text(query), values)).mappings()]

    async def drafts(self) -> list[dict[str, Any]]:
        return await self.rows("SELECT *, ST_X(point) AS lon, ST_Y(point) AS lat FROM task ORDER BY number")

    async def track(self, of: Crew | None = None) -> list[dict[str, Any]]:
        values = {"id": (of or self.crew).device.id}
        return await self.rows("SELECT * FROM position WHERE device_id = :id ORDER BY fix_at", **values)

    async def status(self) -> str:
        (unit,) = await self.rows("SELECT status FROM unit WHERE id = :id", id=self.crew.unit.id)
        return str(unit["status"])


def fix(at: datetime, *, lon: float = 25.3, lat: float = 54.7, **fields: Any) -> Fix:
    return Fix(fix_at=at, lon=lon, lat=lat, **fields)


@pytest_asyncio.fixture
async def station(scene: Scene, database: Database) -> AsyncIterator[Station]:
    async with Ingest(database) as ingest:
        yield Station(scene, database, ingest)


async def test_a_panic_becomes_one_alarm_and_one_draft_however_often_it_is_sent(
    station: Station, database: Database
) -> None:
    pressed = now() - 5 * MINUTE
    await station.send(fix(pressed - MINUTE))
    frames = [fix(pressed + n * 20 * SECOND, event="panic", lat=54.7 + n / 1e4) for n in range(12)]
    assert await station.send(*frames[:3]) == Stored(3, 0, 0, 0)
    assert await station.raised() == 3
    (alert,) = await station.standing()
    (draft,) = await station.drafts()
    assert (draft["priority"], draft["status"], draft["kind"]) == ("P1", "draft", "support_unit")
    assert draft["title"] == f"SOS {station.crew.unit.call_sign} · http"
    assert (draft["lon"], draft["lat"]) == (25.3, 54.7)
    assert (alert["kind"], alert["task_id"]) == ("panic", str(draft["id"]))
    assert (alert["unit_id"], alert["device_id"]) == (str(station.crew.unit.id), str(station.crew.device.id))
    assert alert["point"] == {"type": "Point", "coordinates": [25.3, 54.7]}
    assert datetime.fromisoformat(alert["since"]) == pressed
    assert await station.status() == "emergency"
    for frame in frames[3:]:
        await station.send(frame)
        await station.raised()
    async with Ingest(database) as station.ingest:  # the server was started again, and the tracker sends its buffer
        assert (await station.send(*frames)).duplicates == len(frames)
        await station.panic()
        await station.raised()
    assert len(await station.standing()) == len(await station.drafts()) == 1
    assert [row["event"] for row in await station.track()] == [None] + ["panic"] * 13


async def test_what_is_owed_outlives_any_end_and_is_raised_once(station: Station) -> None:
    await station.panic()
    async with open_work(station.scene.engine, system("alarms")) as work:
        assert await device_alarms.due(work) == 1
        await work.session.rollback()  # killed before the commit
    await station.panic()
    assert sum(await asyncio.gather(*(station.raised() for _ in range(4)))) == 2
    assert len(await station.drafts()) == 1
    assert await station.raised() == 0


async def test_a_press_that_comes_late_is_shown_and_alarms_nobody(station: Station) -> None:
    pressed = now() - 2 * HOUR
    await station.send(*(fix(pressed + n * MINUTE, event="panic") for n in range(5)))
    await station.raised()
    (late,) = await station.standing()
    assert (late["kind"], late["task_id"], await station.drafts()) == ("panic_late", None, [])
    assert datetime.fromisoformat(late["since"]) == pressed
    assert await station.status() == "available"
    await station.close(late, "was on the radio")
    await station.send(*(fix(pressed + (n + 0.5) * MINUTE, event="panic") for n in range(5)))
    await station.panic(now() - 31 * DAY)
    await station.raised()
    assert await station.standing() == []


async def test_a_press_without_coverage_that_goes_on_is_one_alarm_from_its_beginning(station: Station) -> None:
    pressed = now() - 50 * MINUTE
    await station.send(*(fix(pressed + n * MINUTE, event="panic") for n in range(51)))
    await station.raised()
    (alert,) = await station.standing()
    assert alert["kind"] == "panic"
    assert datetime.fromisoformat(alert["since"]) == pressed
    assert len(await station.drafts()) == 1


async def test_off_duty_a_panic_is_the_one_thing_taken_with_one_place(station: Station) -> None:
    off = await crew(station.scene.engine, on_shift=False)
    at = now() - 10 * MINUTE
    sent = [fix(at, event="ignition_on"), fix(at + SECOND, event="panic"), fix(at + 2 * SECOND, event="power_cut")]
    assert await station.send(*sent, fix(at + 3 * SECOND), of=off) == Stored(1, 0, 3, 1)
    await station.send(*(fix(at + n * MINUTE, event="panic", lat=55) for n in range(1, 5)), of=off)
    await station.raised()
    await station.panic(of=off, lat=56)
    await station.raised()
    (alert,) = await station.standing()
    (draft,) = await station.drafts()
    assert (alert["kind"], alert["unit_id"], draft["lat"]) == ("panic", str(off.unit.id), 54.7)
    assert [(row["fix_at"], row["event"], row["suspect"]) for row in await station.track(off)] == [
        (at + SECOND, "panic", None)
    ]
    audited = await station.rows("SELECT fields FROM audit_event WHERE object_kind = 'panic'")
    assert [(row["fields"]["lat"], row["fields"]["device_id"]) for row in audited] == [(54.7, str(off.device.id))]
    assert await station.rows("SELECT * FROM device_event") == await station.rows("SELECT * FROM unit_latest") == []


async def test_off_duty_and_without_a_fix_the_last_known_place_counts(station: Station) -> None:
    await station.send(fix(now() - MINUTE, lat=54.9))
    off = await crew(station.scene.engine, on_shift=False)
    await station.send(NoFix(fix_at=now(), lon=1, lat=2, event="panic"), of=off)
    await station.send(NoFix(fix_at=now(), lon=1, lat=2, event="panic"))
    await station.raised()
    places = {alert["unit_id"]: alert["point"] and alert["point"]["coordinates"] for alert in await station.standing()}
    assert places == {str(off.unit.id): None, str(station.crew.unit.id): [25.3, 54.9]}
    (row,) = await station.track(off)
    assert (row["point"], row["suspect"]) == (None, "no_fix")


async def test_a_place_nobody_trusts_is_not_where_help_is_sent(station: Station) -> None:
    at = now() - MINUTE
    await station.send(fix(at, lat=54.9))
    await station.panic(at + SECOND, lat=10)
    await station.raised()
    (draft,) = await station.drafts()
    assert (draft["lon"], draft["lat"]) == (25.3, 54.9)
    assert [row["suspect"] for row in await station.track()] == [None, "jump"]


@pytest.mark.parametrize("together", [True, False])
async def test_an_alarm_of_the_same_second_as_an_ordinary_fix_is_no_duplicate(station: Station, together: bool) -> None:
    at = now()
    both = [fix(at, event=None), fix(at, event="panic")]
    for some in [both] if together else [[one] for one in both]:
        await station.send(*some)
    await station.raised()
    assert len(await station.drafts()) == 1
    assert [row["event"] for row in await station.track()] == ["panic"]


async def test_a_panic_that_is_taken_back_stands_and_says_so(station: Station) -> None:
    at = now() - MINUTE
    await station.panic(at)
    await station.raised()
    await station.send(fix(at + SECOND, event="panic_cancelled"))
    await station.raised()
    (alert,) = await station.standing("panic")
    assert datetime.fromisoformat(alert["withdrawn_at"]) == at + SECOND
    await station.panic(at + 2 * SECOND)
    await station.send(fix(at + SECOND / 2, event="panic_cancelled"))
    await station.raised()
    (alert,) = await station.standing("panic")
    assert alert["withdrawn_at"] is None, "pressed again"


async def test_a_persons_phone_calls_for_its_person_on_a_shift_or_not(station: Station) -> None:
    off = await crew(station.scene.engine, on_shift=False)
    await station.rows(
        "UPDATE device SET user_id = :user WHERE id = :id RETURNING id", user=off.officer.id, id=off.device.id
    )
    assert await station.panic(of=off) == Stored(1, 0, 0, 1)
    await station.raised()
    (alert,) = await station.standing()
    (draft,) = await station.drafts()
    assert (alert["unit_id"], draft["title"], draft["lat"]) == (None, "SOS Test Person", 54.7)
    await station.panic(now() - 3 * HOUR, of=off)
    await station.raised()
    (late,) = await station.standing("panic_late")
    assert late["whose"] == "Test Person"
    assert await station.close(alert)


# Episodes


def alert_of(kind: str = "panic", *, last: timedelta = timedelta(), closed: timedelta | None = None) -> Alert:
    return Alert(kind=kind, since=T, last_at=T + last, cleared_at=None if closed is None else T + closed)


@pytest.mark.parametrize(
    ("alert", "after", "late", "expected"),
    [
        (alert_of(), 5 * HOUR, False, True),
        (alert_of(), -LATE, False, True),
        (alert_of(), -LATE - SECOND, True, False),
        (alert_of(closed=MINUTE), MINUTE, False, True),
        (alert_of(closed=MINUTE), MINUTE + SECOND, False, True),
        (alert_of(closed=MINUTE), PANIC_PAUSE + SECOND, False, False),
        (alert_of(last=5 * MINUTE, closed=MINUTE), 5 * MINUTE + PANIC_PAUSE, False, True),
        (alert_of(last=20 * MINUTE, closed=MINUTE), MINUTE + PANIC_GOES_ON, False, True),
        (alert_of(last=20 * MINUTE, closed=MINUTE), MINUTE + PANIC_GOES_ON + SECOND, False, False),
        (alert_of("panic_late"), timedelta(), False, False),
        (alert_of("panic_late"), LATE, True, True),
        (alert_of("panic_late"), LATE + SECOND, True, False),
        (alert_of("panic_late", closed=5 * HOUR), LATE, True, True),
        (alert_of("tow"), 5 * DAY, False, True),
        (alert_of("tow", closed=MINUTE), PAUSE, False, True),
        (alert_of("tow", closed=MINUTE), PAUSE + SECOND, False, False),
        (alert_of("tow", last=9 * HOUR, closed=MINUTE), 9 * HOUR + PAUSE, False, True),
        (alert_of("tow", closed=MINUTE), -PAUSE - SECOND, False, False),
    ],
)
def test_what_belongs_to_an_episode(alert: Alert, after: timedelta, late: bool, expected: bool) -> None:
    event = "panic" if alert.kind.startswith("panic") else alert.kind
    received = T + after + (LATE + SECOND if late else timedelta())
    assert belongs(alert, Told(new_id(), event, T + after, received, new_id(), None, None, None)) is expected


async def test_once_closed_a_new_press_is_a_new_alarm(station: Station) -> None:
    await station.panic()
    await station.raised()
    (first,) = await station.standing()
    await station.close(first)
    await station.panic()
    await station.raised()
    assert await station.standing() == [], "the same press goes on"
    await station.rows(
        "UPDATE alert SET since = since - interval '1 h', last_at = last_at - interval '1 h',"
        " cleared_at = cleared_at - interval '59 min' RETURNING id"
    )
    await station.panic()
    await station.raised()
    (second,) = await station.standing()
    assert second["task_id"] != first["task_id"]


# What else devices tell


async def test_other_alarms_are_told_once_an_episode_and_the_rest_is_history(station: Station) -> None:
    at = now() - 10 * MINUTE
    events = ["ignition_on", "power_cut", "low_battery", "low_battery", "overspeed", "tow", "power_cut", "jamming"]
    events += ["tamper", "crash", "fall", "ignition_off", "mock"]
    await station.send(*(fix(at + n * SECOND, event=event) for n, event in enumerate(events)))
    await station.raised()
    await station.send(fix(now(), event="power_cut"))
    await station.send(fix(now() - 25 * HOUR, event="tow"), of=await crew(station.scene.engine, since="3 days"))
    await station.raised()
    found = await station.standing()
    kinds = {"power_cut", "low_battery", "tow", "jamming", "tamper", "crash", "fall"}
    assert sorted(alert["kind"] for alert in found) == sorted(kinds)
    assert {alert["task_id"] for alert in found} == {None}
    (cut,) = [alert for alert in found if alert["kind"] == "power_cut"]
    assert (cut["point"]["coordinates"], datetime.fromisoformat(cut["since"])) == ([25.3, 54.7], at + SECOND)
    assert station.crew.unit.call_sign in cut["text"]
    assert [row["event"] for row in await station.track()][:-1] == events
    assert await station.drafts() == []
    assert await station.status() == "available"
    closed = await station.close(cut, "mechanic")
    assert (closed["close_reason"], closed["closed_by_name"]) == ("mechanic", "Dana Dispatcher")
    assert len(await station.standing()) == len(kinds) - 1


async def test_closing_a_panic_discards_its_draft_and_frees_its_unit(station: Station) -> None:
    await station.panic()
    await station.raised()
    (alert,) = await station.standing()
    closed = await station.close(alert, "pressed by mistake")
    assert (closed["close_reason"], closed["closed_by_name"]) == ("pressed by mistake", "Dana Dispatcher")
    assert await station.close(alert, "again") == closed
    (draft,) = await station.drafts()
    assert (draft["status"], await station.status()) == ("discarded", "available")
    events = await station.scene.events({"id": str(draft["id"])})
    assert (events[-1]["verb"], events[-1]["reason"]) == ("discard", "pressed by mistake")
    other = (await station.scene.another()).actor
    async with open_work(station.scene.engine, system("test")) as work:
        with pytest.raises(NotFound):
            await closing.close(work, new_id(), "r")
    async with open_work(station.scene.engine, system("test")) as work:
        work.actor = other
        with pytest.raises(VersionConflict, match="Dana Dispatcher"):
            await closing.close(work, UUID(alert["id"]), "r")


async def test_a_task_that_a_crew_is_at_goes_on_when_the_alarm_is_closed(station: Station) -> None:
    await station.panic()
    await station.raised()
    (alert,) = await station.standing()
    helper = await station.scene.another()
    task = {"id": alert["task_id"]}
    await station.scene.centre(task, "issue", unit_id=helper.unit.id, version=1)
    await station.close(alert, "they are safe")
    assert (await station.scene.get(task))["status"] == "issued"
    assert (await station.scene.events(task))[-1]["verb"] == "close_alarm"
    assert await station.status() == "available"


@pytest.mark.parametrize("reason", [None, "mistake"])
async def test_a_devices_panic_outlives_a_task_that_was_ended_without_a_word(
    station: Station, reason: str | None
) -> None:
    await station.panic()
    await station.raised()
    (alert,) = await station.standing()
    await station.scene.centre({"id": alert["task_id"]}, "discard", version=1, reason=reason)
    assert len(await station.standing()) == (0 if reason else 1)
    assert await station.status() == ("available" if reason else "emergency")
    if reason is None:
        assert (await station.close(alert, "late word"))["close_reason"] == "late word"
        assert await station.status() == "available"


async def test_a_unit_stands_in_emergency_until_its_last_panic_is_closed(station: Station) -> None:
    await station.panic()
    await station.raised()
    async with open_work(station.scene.engine, station.crew.actor) as work:
        await calls.panic(work, PanicIn(id=new_id()))
    assert await station.status() == "emergency"
    first, second = await station.standing("panic")
    await station.close(first)
    assert await station.status() == "emergency"
    await station.close(second)
    assert await station.status() == "available"


async def test_alerts_that_end_by_themselves_are_not_closed(station: Station) -> None:
    task = await station.scene.issued()
    async with open_work(station.scene.engine, station.crew.actor) as work:
        await transition(work, UUID(task["id"]), TransitionIn(verb="decline", reason_code="busy"))
    (alert,) = await station.standing("task_declined")
    with pytest.raises(TransitionNotAllowed):
        await station.close(alert)
