"""A shift with crew, checks and own position, also without a network; tracker apps by code; aide-memoires."""

import base64
import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from playwright.sync_api import APIResponse, Geolocation, Page, Route, expect
from sqlalchemy import text

from core.actor import Role, system
from core.db import make_engine
from core.models import UserAccount
from core.work import open_work
from tests.browser.conftest import TABLET, Watch, on_phone_and_tablet, run
from tests.browser.officer_pages import Centre, big, kept, sign_in, until
from tests.browser.test_officer_offline import RECORDS, cut
from tests.helpers import PASSWORD, Server, person

HERE: Geolocation = {"longitude": 21.25, "latitude": 55.71, "accuracy": 9}
AWAY_FROM_HERE: Geolocation = {"longitude": 21.35, "latitude": 55.75, "accuracy": 12}
WITH_GPS: dict[str, Any] = {"geolocation": HERE, "permissions": ["geolocation"]}


class Trackerless(Centre):
    """A crew off shift whose unit has no tracker, with a colleague."""

    colleague: UserAccount

    def __init__(self, server: Server) -> None:
        super().__init__(server, on_shift=False)
        run(self._arrange())

    async def _arrange(self) -> None:
        engine = make_engine(self.server.database.app_url)
        self.colleague = await person(engine, Role.OFFICER, name="Rasa Kazlauskienė")
        async with open_work(engine, system("test")) as work:
            revoke = "UPDATE device SET revoked_at = now(), updated_at = clock_timestamp() WHERE id = :id"
            await work.session.execute(text(revoke), {"id": self.crew.device.id})
            join = "INSERT INTO unit_member (unit_id, user_id) VALUES (:unit, :user)"
            await work.session.execute(text(join), {"unit": self.crew.unit.id, "user": self.colleague.id})
        await engine.dispose()

    def shifts(self) -> list[dict[str, Any]]:
        return list(self.get(f"/shifts?unit_id={self.crew.unit.id}")["items"])

    def seen_at(self) -> list[list[float]]:
        """Where the dispatcher sees the unit."""
        found = self.get("/positions/latest")["features"]
        return [one["geometry"]["coordinates"] for one in found if one["id"] == str(self.crew.unit.id)]

    def as_colleague(self) -> httpx.Client:
        http = httpx.Client(base_url=f"{self.server.url}/api/v1", timeout=20)
        token = http.post("/session", json={"login": self.colleague.login, "password": PASSWORD}).json()["token"]
        http.headers["Authorization"] = f"Bearer {token}"
        return http


def open_(page: Page, fragment: str) -> None:
    page.goto(f"{page.url.partition('#')[0]}{fragment}")


def begin(page: Page) -> None:
    """Begin a shift as the form stands."""
    open_(page, "#/shift/start")
    page.locator(".steps .next").click()


def move(page: Page, place: Geolocation = HERE) -> None:
    """The device is somewhere now: what it said before the shift began counts for nothing."""
    page.context.set_geolocation(place)


def fixes(page: Page) -> int:
    """How many own positions wait on this device."""
    return len([store for _, store, _ in page.evaluate(RECORDS) if store == "fixes"])


def test_a_shift_from_the_crew_to_the_handover(
    watch: Watch, shared_server: Server, accessible: Callable[[Page], None]
) -> None:
    centre = Trackerless(shared_server)
    page = sign_in(watch, centre, **WITH_GPS)
    page.get_by_role("link", name="Begin a shift").click()
    page.get_by_role("button", name="Rasa Kazlauskienė").click()
    accessible(page)
    page.get_by_role("button", name="All in order").click()
    page.get_by_role("group", name="Fire extinguisher").get_by_role("button", name="missing").click()
    page.get_by_label("Odometer, km").fill("128450")
    page.get_by_role("button", name=f"Start shift · {centre.crew.unit.call_sign}").click()
    expect(page.locator(".tracking")).to_contain_text(re.compile(r"Tracking ON since \d\d:\d\d\s+by this device"))
    move(page)
    until(page, lambda: centre.seen_at() == [[21.25, 55.71]])
    (shift,) = centre.shifts()
    assert set(shift["members"]) == {str(centre.crew.officer.id), str(centre.colleague.id)}
    assert shift["odometer_from_km"] == 128_450
    checked = {one["item"]: one["state"] for one in shift["equipment_check"]}
    assert (checked["radio"], checked["fire_extinguisher"], len(checked)) == ("ok", "missing", 10)

    move(page, AWAY_FROM_HERE)
    open_(page, "#/track")  # O10: the own track
    expect(page.get_by_text(re.compile(r"^Positions: [12],"))).to_be_visible()
    page.reload()
    expect(page.get_by_text(re.compile(r"^Positions: [12],"))).to_be_visible()
    expect(page.locator("officer-map .leaflet-control-attribution")).to_contain_text("Natural Earth")
    accessible(page)
    open_(page, "#/duty")
    accessible(page)
    open_(page, "#/shift/end")
    page.get_by_label("Odometer, km").fill("128440")
    page.get_by_label("For the next crew").fill("Tyre loses air.")
    expect(page.get_by_text("Fewer than the 128450 km")).to_be_visible()
    page.get_by_label("Odometer, km").fill("128640")
    page.locator(".steps .next").click()
    expect(page.locator(".tracking")).to_contain_text("Tracking off", timeout=25_000)
    (shift,) = centre.shifts()
    assert (shift["odometer_to_km"], shift["handover_note"]) == (128_640, "Tyre loses air.")


def test_a_shift_begun_without_a_network_sends_what_was_kept(watch: Watch, shared_server: Server) -> None:
    centre = Trackerless(shared_server)
    page = sign_in(watch, centre, viewport=TABLET, **WITH_GPS)
    expect(page.get_by_role("link", name="Begin a shift").first).to_be_visible()
    until(page, lambda: page.evaluate(RECORDS) != [])
    kept(page)
    cut(page, watch)
    begin(page)
    expect(page.locator(".tracking")).to_contain_text("Tracking ON")
    move(page)
    until(page, lambda: fixes(page) == 1)
    assert not [held for _, store, held in page.evaluate(RECORDS) if store == "fixes" and "55.71" in held]
    page.close()  # and a cold start
    page = watch.beside(page.context, f"{centre.server.url}/officer")
    expect(page.locator(".tracking")).to_contain_text("Tracking ON")
    open_(page, "#/duty")
    expect(page.get_by_text("Kept here until sent: 1.")).to_be_visible()
    assert centre.shifts() == []
    page.context.set_offline(False)
    until(page, lambda: centre.seen_at() == [[21.25, 55.71]])
    until(page, lambda: fixes(page) == 0)
    expect(page.locator(".tracking")).to_contain_text("by this device")


def test_what_was_asked_before_a_shift_began_does_not_end_it(watch: Watch, shared_server: Server) -> None:
    """An answer that says "no shift" and comes after the begin of one is of a time before; the page asks again."""
    centre = Trackerless(shared_server)
    page = sign_in(watch, centre)
    expect(page.get_by_role("link", name="Begin a shift")).to_be_visible()
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if len(held) < 2:
            held.append((route, route.fetch()))
        else:
            route.continue_()

    page.route("**/api/v1/shifts/mine", hold)
    page.reload()
    until(page, lambda: len(held) == 2)  # when the page begins, and, in its place, when its line stands
    begin(page)
    until(page, lambda: [one["off_at"] for one in centre.shifts()] == [None])
    expect(page.locator(".tracking")).to_contain_text("Tracking ON since")
    route, answer = held[-1]
    assert answer.json() is None
    with page.expect_request("**/api/v1/shifts/mine"):
        route.fulfill(response=answer)
    expect(page.locator(".tracking")).to_contain_text("Tracking ON since")


def test_a_refused_shift_gives_its_positions_up(watch: Watch, shared_server: Server) -> None:
    """The unit was taken from the officer meanwhile: nothing of where they were reaches the server, or stays here."""
    centre = Trackerless(shared_server)
    page = sign_in(watch, centre, **WITH_GPS)
    expect(page.get_by_role("link", name="Begin a shift")).to_be_visible()
    kept(page)
    cut(page, watch)
    begin(page)
    move(page)
    until(page, lambda: fixes(page) == 1)

    async def taken_away() -> None:
        engine = make_engine(centre.server.database.app_url)
        async with open_work(engine, system("test")) as work:
            leave = "DELETE FROM unit_member WHERE user_id = :user"
            await work.session.execute(text(leave), {"user": centre.crew.officer.id})
        await engine.dispose()

    run(taken_away())
    watch.allow(re.compile("status of 404"))
    page.context.set_offline(False)
    expect(page.locator("#badge")).to_have_text("Refused · 1", timeout=30_000)
    until(page, lambda: fixes(page) == 0)
    expect(page.locator(".tracking")).to_contain_text("Tracking off")
    assert (centre.shifts(), centre.seen_at()) == ([], [])


def test_a_shift_begun_and_ended_without_a_network_is_one_shift(watch: Watch, shared_server: Server) -> None:
    centre = Trackerless(shared_server)
    page = sign_in(watch, centre)
    expect(page.get_by_role("link", name="Begin a shift")).to_be_visible()
    cut(page, watch)
    begin(page)
    expect(page.locator(".tracking")).to_contain_text("shift is starting")
    open_(page, "#/shift/end")
    page.get_by_label("For the next crew").fill("All quiet.")
    page.locator(".steps .next").click()
    expect(page.get_by_text("The shift's end is not sent yet", exact=False)).to_be_visible()
    page.context.set_offline(False)
    until(page, lambda: [shift["handover_note"] for shift in centre.shifts()] == ["All quiet."], 40)
    assert centre.shifts()[0]["off_at"] is not None


def test_tracker_apps_are_paired_by_a_code(watch: Watch, shared_server: Server) -> None:
    centre = Trackerless(shared_server)
    page = sign_in(watch, centre)
    begin(page)
    expect(page.locator(".tracking")).to_contain_text("Tracking ON")
    open_(page, "#/phone")
    with page.expect_response("**/api/v1/phones") as answered:
        page.get_by_role("button", name="Traccar Client").click()
    expect(page.get_by_role("img", name="Code that sets up Traccar Client")).to_be_visible()
    made = answered.value.json()
    code = urlsplit(made["code"])
    assert f"{code.scheme}://{code.netloc}" == centre.server.url
    assert modules(made["code_svg"]) > 300
    page.get_by_text("Set it up by hand").click()
    expect(page.get_by_text(made["key"])).to_be_visible()
    when = int(datetime.now(UTC).timestamp() * 1000)  # the second it is now began before the shift
    assert httpx.get(f"{made['server_url']}?id={made['key']}&lat=55.6&lon=21.2&timestamp={when}").status_code == 200
    until(page, lambda: centre.seen_at() == [[21.2, 55.6]])
    open_(page, "#/duty")
    open_(page, "#/phone")
    expect(page.get_by_text(made["key"])).to_have_count(0)
    with page.expect_response("**/api/v1/phones") as answered:
        page.get_by_role("button", name="OwnTracks").click()
    link = urlsplit(page.get_by_role("link", name="OwnTracks is on this device").get_attribute("href") or "")
    settings = json.loads(base64.urlsafe_b64decode(parse_qs(link.query)["inline"][0]))
    assert settings["url"] == f"{centre.server.url}/ingest/owntracks"
    page.get_by_role("button", name="Shut out").first.click()
    expect(page.get_by_role("button", name="Shut out")).to_have_count(1)


def modules(svg: str) -> int:
    """How many runs of dark squares a code is drawn with."""
    return len(re.findall(r"h\d", svg))


AWAKE = """() => {
  window.awake = 0;
  navigator.wakeLock.request = async () => {
    window.awake++;
    return { released: false, async release() { this.released = true; window.awake--; } };
  };
}"""


def test_the_screen_stays_on_during_a_task_for_whoever_wants_that(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    page.context.add_init_script(f"({AWAKE})()")
    page.reload()
    task = centre.issue("Wait for the lorry")
    big(page, "acknowledge")
    open_(page, "#/duty")
    assert page.evaluate("() => window.awake") == 0, "nobody has asked for it"
    switch = page.get_by_role("switch", name="Keep the screen on during a task")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    page.wait_for_function("() => window.awake === 1")
    until(page, lambda: centre.steps(task["id"]) == [("acknowledge", "applied")])
    version = centre.task(task["id"])["version"]
    centre.send(f"/tasks/{task['id']}/transitions", {"verb": "cancel", "version": version, "reason": "Over"})
    page.wait_for_function("() => window.awake === 0")


def test_aide_memoires_are_there_for_the_task_without_a_network(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    centre.issue("Stop the coach")
    expect(page.locator(".card.now")).to_be_visible()
    kept(page)
    cut(page, watch)
    page.close()
    page = watch.beside(page.context, f"{centre.server.url}/officer")
    page.locator(".card.now").get_by_role("link").click()
    page.get_by_role("link", name="Stopping a vehicle").click()
    expect(page.get_by_text("Version 1 of 2026-11-30")).to_be_visible()
    expect(page.locator(".numbered li")).to_have_count(8)


@on_phone_and_tablet
def test_o10_an_officer_sees_what_is_theirs_and_nobody_elses(watch: Watch, shared_server: Server) -> None:
    """O10: own queue, last contact, tracking and own track; of other units nothing."""
    centre, other = Trackerless(shared_server), Trackerless(shared_server)
    answers: list[str] = []
    page = sign_in(watch, centre)
    page.on("response", lambda answer: answers.append(answer.text()) if "/api/v1/" in answer.url else None)
    page.reload()
    expect(page.locator("#badge")).to_have_text("Online")
    expect(page.locator(".tracking")).to_contain_text("Tracking off")
    open_(page, "#/outbox")
    expect(page.get_by_text(re.compile(r"Last contact \d\d:\d\d"))).to_be_visible()
    expect(page.get_by_text("Everything has been sent.")).to_be_visible()
    open_(page, "#/track")
    expect(page.get_by_text("No positions of this shift yet.")).to_be_visible()
    until(page, lambda: any('"has_tracker"' in answer for answer in answers))
    for secret in (str(other.crew.unit.id), str(other.crew.officer.id), str(other.colleague.id)):
        assert not [answer for answer in answers if secret in answer]
    other.http.close()


def test_o6_a_page_of_the_version_before_still_begins_and_ends_shifts(shared_server: Server) -> None:
    """O6: what pages sent before there were crew, checks and notes is taken as it was."""
    centre = Trackerless(shared_server)
    http = centre.as_colleague()
    at = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    body = {"id": str(uuid.uuid4()), "unit_id": str(centre.crew.unit.id), "at": at}
    shift = http.post("/shifts/start", json=body).json()
    assert (shift["equipment_check"], shift["odometer_from_km"]) == ([], None)
    ended = http.post(f"/shifts/{shift['id']}/end", json={"id": str(uuid.uuid4()), "at": at})
    assert ended.status_code == 200
    http.close()
