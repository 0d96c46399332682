"""What a dispatcher must not miss (domain.md 4.1): old positions, alarms, who was first, cancels, notices' receipts."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from core.actor import Role, system
from core.db import make_engine
from core.settings import Settings
from core.work import open_work
from dispatch_api.workers import deadlines
from tests.browser.conftest import Watch, log_in, run
from tests.browser.test_dispatcher import DESK, Field, sign_in, unit_row
from tests.helpers import Server, person

PLACE = {"lon": 23.9, "lat": 55.2}
COUNT_TONES = """() => {
let tones = 0;
const made = AudioContext.prototype.createOscillator;
AudioContext.prototype.createOscillator = function () {
  document.body.dataset.tones = ++tones;
  return made.call(this);
};
}"""


class Centre(Field):
    """A field with a second dispatcher, and the worker's rounds."""

    def __init__(self, server: Server, **unit: Any) -> None:
        super().__init__(server, **unit)
        self.second = run(self._second())
        self.rasa, self.jonas = self.token(self.dispatcher), self.token(self.second)

    async def _second(self, role: Role = Role.DISPATCHER) -> str:
        engine = make_engine(self.server.database.app_url)
        made = await person(engine, role, name="Jonas Petraitis")
        await engine.dispose()
        return made.login

    def sql(self, statement: str, **values: Any) -> None:
        """What the owner of time does: a statement, then the worker's rounds."""

        async def work() -> None:
            engine = make_engine(self.server.database.app_url)
            async with open_work(engine, system("test")) as opened:
                await opened.session.execute(text(statement), values)
            settings = Settings(_env_file=None)  # type: ignore[call-arg]
            await deadlines.round_(engine, settings)
            await deadlines.areas_round(engine)
            await deadlines.alarms_round(engine)
            await deadlines.interference_round(engine, settings)
            await engine.dispose()

        run(work())

    def drive(self, lon: float, lat: float) -> None:
        """Two minutes of driving, then half a minute of a false place near Minsk."""
        now = datetime.now(UTC)
        fixes = [
            {"fix_at": (now - timedelta(seconds=10 * n)).isoformat()}
            | ({"lon": lon - n * 0.002, "lat": lat} if n > 3 else {"lon": 27.56, "lat": 53.9 + n * 0.001})
            for n in range(15, -1, -1)
        ]
        headers = {"Authorization": f"Bearer {self.crew.device_key}"}
        assert self.http.post("/positions", json={"fixes": fixes}, headers=headers).json()["accepted"] == 16

    def latest(self, field: "Centre") -> dict[str, Any]:
        """Where a unit is shown."""
        found = self.http.get("/positions/latest", headers=self.rasa).json()["features"]
        return next(dict(one) for one in found if one["id"] == str(field.crew.unit.id))

    def issued(self, title: str, **fields: Any) -> dict[str, Any]:
        body = {"kind": "checkpoint", "priority": "P2", "title": title, "reason_code": "random", "issue": True}
        answer = self.http.post(
            "/tasks", json=body | PLACE | {"unit_id": str(self.crew.unit.id)} | fields, headers=self.rasa
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def post(self, headers: dict[str, str], path: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(path, json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return dict(answer.json())


@pytest.fixture
def centre(shared_server: Server) -> Iterator[Centre]:
    """A centre whose alarms are over when its test is: others look at the same server."""
    made = Centre(shared_server)
    yield made
    made.sql("UPDATE task SET status = 'closed', conflict = NULL WHERE unit_id = :unit", unit=made.crew.unit.id)
    made.sql("UPDATE alert SET cleared_at = now(), updated_at = now() WHERE cleared_at IS NULL")


def sign_in_second(watch: Watch, centre: Centre) -> Page:
    page = watch.open(centre.server.url, viewport=DESK)
    log_in(page, centre.second)
    expect(page.locator(".topbar .link.up")).to_be_visible()
    return page


def row_of(page: Page, task: dict[str, Any]) -> Any:
    return page.locator(f"[data-task='{task['id']}']")


def test_d2_an_old_position_is_never_drawn_as_live(watch: Watch, shared_server: Server) -> None:
    stale, lost = Centre(shared_server), Centre(shared_server)
    for field, age_s in ((stale, 75), (lost, 660)):
        field.report(23.9, 55.2, age_s)
    page = sign_in(watch, stale)
    for field, age, words in ((stale, "stale", r"^\d+ s$|^\d+ min$"), (lost, "lost", r"^1\d min$")):
        page.locator("#search").fill(field.crew.unit.call_sign)
        expect(unit_row(page, field).locator(f".age.{age}")).to_have_text(re.compile(words))
        expect(unit_row(page, field).locator(f".shape.{age}")).to_be_visible()
    page.locator("#search").fill("")


def test_d4_an_alarm_sounds_and_stands_on_every_screen_until_one_takes_it(watch: Watch, centre: Centre) -> None:
    pages = [sign_in(watch, centre), sign_in_second(watch, centre)]
    for page in pages:
        page.evaluate(COUNT_TONES)
        page.mouse.click(800, 500)  # browsers give sound only after a touch
    task = centre.issued(f"Alarm {centre.crew.unit.call_sign}", priority="P1")
    centre.sql("UPDATE task SET ack_due_at = now() WHERE id = :id", id=UUID(task["id"]))
    banners = [page.locator(".alert", has_text=task["title"]) for page in pages]
    for page, banner in zip(pages, banners, strict=True):
        expect(banner).to_contain_text("Not acknowledged")
        expect(row_of(page, task)).to_have_class(re.compile("late"))
        expect(page.locator("body")).to_have_attribute("data-tones", re.compile(r"\d"), timeout=10_000)
    banners[1].get_by_role("button", name="Take").click()
    for page, banner in zip(pages, banners, strict=True):
        expect(banner).to_have_count(0)
        expect(row_of(page, task)).to_contain_text("Jonas Petraitis has it since")
        quiet = page.locator("body").get_attribute("data-tones")
        page.wait_for_timeout(4_500)
        others = page.locator(".alert:not(.quiet)").count()
        assert others or page.locator("body").get_attribute("data-tones") == quiet, "what is taken is silent"
    pages[0].get_by_role("tab", name="Alarms").click()
    listed = pages[0].locator(".alert-row", has_text=task["title"])
    expect(listed).to_contain_text("Jonas Petraitis has it since")
    listed.locator(".row").click()
    expect(pages[0].locator(".history")).to_contain_text("took the alarm")


def test_the_link_in_an_e_mail_or_sms_opens_the_task_after_the_sign_in(watch: Watch, centre: Centre) -> None:
    supervisor = run(centre._second(Role.SUPERVISOR))
    first, second = (centre.issued(f"Linked {n} {centre.crew.unit.call_sign}") for n in (1, 2))
    page = watch.open(f"{centre.server.url}/#task/{first['id']}", viewport=DESK)
    log_in(page, supervisor)
    expect(page.locator(".task-detail h3").first).to_have_text(first["title"])
    assert "#" not in page.url, "so that a reload shows what is looked at"
    page.evaluate("id => { location.hash = `task/${id}`; }", second["id"])
    expect(page.locator(".task-detail h3").first).to_have_text(second["title"])


def told(centre: Centre, event: str, **fields: Any) -> None:
    """The unit's tracker reports an event, and what it calls for is raised."""
    headers = {"Authorization": f"Bearer {centre.crew.device_key}"}
    fix = {"fix_at": datetime.now(UTC).isoformat(), "lon": 23.9, "lat": 55.2, "event": event} | fields
    assert centre.http.post("/positions", json={"fixes": [fix]}, headers=headers).json()["accepted"] == 1
    centre.sql("SELECT 1")


def test_t10_a_trackers_panic_sounds_until_it_is_taken_and_stands_until_it_is_closed_with_a_reason(
    watch: Watch, centre: Centre, accessible: Callable[[Page], None]
) -> None:
    unit = centre.crew.unit.call_sign
    pages = [sign_in(watch, centre), sign_in_second(watch, centre)]
    for page in pages:
        page.evaluate(COUNT_TONES)
        page.mouse.click(800, 500)
    told(centre, "sos")
    banners = [page.locator(".alert:not(.quiet)", has_text=unit) for page in pages]
    for page, banner in zip(pages, banners, strict=True):
        expect(banner).to_contain_text(f"PANIC SOS {unit} · http")
        expect(page.locator("body")).to_have_attribute("data-tones", re.compile(r"\d"), timeout=10_000)
    told(centre, "sos")
    banners[0].get_by_role("button", name="Take").click()
    for page, banner in zip(pages, banners, strict=True):
        expect(banner).to_have_count(0)
        expect(page.locator(".row.task", has_text=f"SOS {unit}")).to_have_count(1)
    page = pages[1]
    page.keyboard.press("x")
    row = page.locator(".alert-row", has_text=unit)
    expect(row).to_contain_text("Rasa Budėtoja has it since")
    expect(row.locator(".place")).to_have_text("55.20000, 23.90000")
    reason = row.locator("[name=reason]")
    expect(reason).to_be_focused()
    accessible(page)
    page.keyboard.press("Escape")  # leaves the field, then the question
    page.keyboard.press("Escape")
    expect(reason).to_have_count(0)
    row.get_by_role("button", name="Close…").press("Enter")
    expect(reason).to_be_focused()
    page.keyboard.press("Enter")
    expect(row).to_have_count(1)  # not without a reason
    page.keyboard.type("pressed while cleaning")
    page.keyboard.press("Enter")
    for each in pages:
        expect(each.locator(".alert-row", has_text=unit)).to_have_count(0)
        each.keyboard.press("Escape")
        expect(each.locator(".row.task", has_text=f"SOS {unit}")).to_have_count(0)
    closed = centre.http.get("/alerts", params={"open": False}, headers=centre.rasa).json()["items"]
    assert [one["close_reason"] for one in closed if one["unit_id"] == str(centre.crew.unit.id)] == [
        "pressed while cleaning"
    ]


def test_other_alarms_of_trackers_are_quiet_and_name_what_which_when_and_where(watch: Watch, centre: Centre) -> None:
    unit = centre.crew.unit.call_sign
    page = sign_in(watch, centre)
    at = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    told(centre, "power_cut", lat=55.9)
    told(centre, "panic", fix_at=at)
    expect(page.locator(".alert.quiet", has_text=unit)).to_have_count(2)
    page.get_by_role("tab", name="Alarms").click()
    cut, late = (page.locator(".alert-row", has_text=f"{unit}: {words}") for words in ("a tracker lost", "an SOS from"))
    expect(cut).to_contain_text(re.compile(r"Power cut[\s\S]+lost its power at \d\d:\d\d"))
    expect(late).to_contain_text(re.compile(r"Late SOS[\s\S]+an SOS from \d\d:\d\d arrived only now"))
    cut.locator(".row").click()
    expect(page.locator(".card h3")).to_contain_text(unit)
    cut.locator(".place").click()
    expect(page.locator(".leaflet-overlay-pane canvas").first).to_be_visible()
    page.keyboard.press("x")  # the one in focus
    cut.locator("[name=reason]").fill("garage")
    page.keyboard.press("Enter")
    expect(cut).to_have_count(0)
    expect(late).to_have_count(1)
    page.locator("#earlier").click()
    page.locator(".past [name=day]").fill(f"{datetime.now(ZoneInfo('Europe/Vilnius')):%Y-%m-%d}")
    page.locator(".past [name=code]").select_option("incident")
    page.locator(".past").get_by_role("button", name="Show the track").press("Enter")
    told_then = page.locator(".events li")
    expect(told_then.first).to_contain_text("power cut")
    told_then.first.get_by_role("button").press("Enter")


def test_interference_is_drawn_listed_and_ended_by_keyboard(
    watch: Watch, shared_server: Server, accessible: Callable[[Page], None]
) -> None:
    fields = [Centre(shared_server) for _ in range(3)]
    for n, field in enumerate(fields):
        field.drive(24.0 + n * 0.1, 55.0 + n * 0.05)
    page = sign_in(watch, fields[0])
    fields[0].sql("SELECT 1")  # the worker's rounds
    banner = page.locator(".alert", has_text="Satellite navigation disturbed")
    expect(banner).to_contain_text("3 units without a position or at a false one since")
    expect(page.locator(".interference-label")).to_have_text("Interference · 3 units")
    banner.locator(".what").press("Enter")
    expect(page.locator("path.interference-area")).to_be_visible()
    listed = page.locator(".alert-row", has_text="Satellite navigation disturbed")
    listed.locator("summary").press("Enter")
    expect(listed.locator(".disturbed li")).to_have_text([re.compile(r"false position since \d\d:\d\d")] * 3)
    for field in fields:
        mark = fields[0].latest(field)
        assert mark["geometry"]["coordinates"][0] < 24.3, "markers are where the units last really were"
    accessible(page)
    page.evaluate("document.documentElement.dataset.theme = 'day'")
    accessible(page)
    listed.get_by_role("button", name="Close…").press("Enter")
    page.keyboard.type("The army says so")
    page.keyboard.press("Enter")
    expect(listed).to_have_count(0)
    expect(page.locator("path.interference-area")).to_have_count(0)


def test_d5_the_dispatcher_who_came_second_sees_who_and_when(watch: Watch, centre: Centre) -> None:
    task = centre.issued(f"First {centre.crew.unit.call_sign}")
    page = sign_in(watch, centre)
    watch.allow(re.compile("status of 409"))
    row_of(page, task).click()
    page.get_by_role("button", name="Cancel").press("Enter")
    page.keyboard.type("any more?")  # at once: what is typed is the reason, never a shortcut
    expect(page.locator(".ask [name=reason]")).to_have_value("any more?")
    page.locator(".ask").get_by_role("button", name="Cancel").click()  # held for ten seconds
    centre.post(centre.jonas, f"/tasks/{task['id']}/transitions", verb="cancel", reason="over", version=2)
    box = page.locator(".notice-box[role=alert]")
    expect(box).to_contain_text(re.compile(r"Jonas Petraitis was first \(Cancel, \d\d:\d\d:\d\d\)"), timeout=20_000)
    expect(page.locator(".task-detail .badge").first).to_have_text("cancelled")
    box.get_by_role("button", name="Close").click()
    expect(box).to_have_count(0)


def test_d7_a_cancelled_task_stays_until_the_officer_confirms_and_its_conflict_is_settled(
    watch: Watch, centre: Centre
) -> None:
    officer = centre.token(centre.crew.officer.login)
    task = centre.issued(f"Over {centre.crew.unit.call_sign}")
    path = f"/tasks/{task['id']}/transitions"
    centre.post(officer, path, verb="acknowledge")
    cancelled = centre.post(centre.jonas, path, verb="cancel", reason="over", version=3)["task"]
    page = sign_in(watch, centre)
    expect(row_of(page, task)).to_contain_text("cancel not confirmed")
    centre.post(officer, path, verb="on_scene", at="2026-01-02T03:04:05Z")
    expect(row_of(page, task)).to_contain_text("conflict")
    centre.post(officer, path, verb="acknowledge", version=cancelled["version"])
    row_of(page, task).click()
    form = page.locator(".conflict-form")
    expect(form).to_contain_text(re.compile(r"on scene · done at 05:04:05, received at \d\d:\d\d"))
    form.locator("[name=reason]").fill("called by radio")
    form.get_by_role("button", name="The cancel stands").click()
    expect(page.locator(".notice-box", has_text="the cancel stands")).to_be_visible()
    expect(page.locator(".history")).to_contain_text("settled the conflict")
    page.keyboard.press("Escape")
    expect(row_of(page, task)).to_have_count(0)


def test_d8_a_notice_to_an_area_its_receipts_answers_and_the_one_that_replaces_it(watch: Watch, centre: Centre) -> None:
    call_sign = centre.crew.unit.call_sign
    centre.report(20.90001, 56.4)
    page = sign_in(watch, centre)
    page.get_by_role("tab", name="Notices").click()
    page.get_by_role("button", name="New notice").click()
    page.locator("[name=headline]").fill(f"Ice {call_sign}")
    page.locator("[name=priority][value=P1]").check(force=True)  # goes at once
    page.get_by_role("button", name="Draw the corners").click()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".bars .bar.urgent")).to_contain_text("three corners")
    for x, y in ((500, 300), (700, 300), (700, 500)):
        page.mouse.click(x, y)
    expect(page.locator(".area-picks")).to_contain_text("3 corners")
    sent: list[dict[str, Any]] = []
    page.on("response", lambda r: sent.append(r.json()) if r.request.method == "POST" and "/notices" in r.url else None)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".task-detail h3").first).to_have_text(f"Ice {call_sign}")
    notice = sent[-1]
    ring = [[20.8, 56.3], [20.9, 56.3], [20.9, 56.5], [20.8, 56.5], [20.8, 56.3]]  # where nobody else's unit is
    replaced = centre.post(
        centre.rasa, "/notices", kind="be_on_lookout", priority="P2", headline=f"Van {call_sign}",
        supersedes=notice["id"], to={"area": {"type": "Polygon", "coordinates": [ring]}},
    )  # fmt: skip
    expect(page.locator(".task-detail")).to_contain_text("Replaced by Rasa Budėtoja")
    page.get_by_role("button", name="Open the new one").click()
    expect(page.locator(".task-detail h3").first).to_have_text(f"Van {call_sign}")
    centre.report(20.89999, 56.4)
    centre.sql("SELECT 1")
    row = page.locator(".receipts tbody tr", has_text=call_sign)
    expect(row).to_contain_text("Test Person")
    officer = centre.token(centre.crew.officer.login)
    centre.post(officer, f"/notices/{replaced['id']}/acknowledge")
    centre.post(officer, f"/notices/{replaced['id']}/reply", text="At the bridge")
    expect(row.locator("td").nth(2)).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    expect(page.locator(".replies")).to_contain_text("At the bridge")
    centre.post(centre.rasa, f"/notices/{replaced['id']}/cancel")
    expect(page.locator(".task-detail")).to_contain_text("1 to confirm")
    centre.post(officer, f"/notices/{replaced['id']}/acknowledge", state="cancelled")
    expect(page.locator(".task-detail")).not_to_contain_text("to confirm")
    expect(row.locator("td").nth(3)).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
