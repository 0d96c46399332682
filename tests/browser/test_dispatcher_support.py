"""A further unit is sent in support: chosen by keyboard, told on its tablet, its steps shown to centre and lead."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Watch
from tests.browser.officer_pages import big, until
from tests.browser.test_dispatcher import sign_in
from tests.browser.test_dispatcher_alarms import Centre, row_of
from tests.helpers import PASSWORD, Server

LON, LAT = 26.3, 55.7  # far from what other tests place


@pytest.fixture
def scene(shared_server: Server) -> Iterator[tuple[Centre, Centre]]:
    """The lead's crew at the place, and a van with an x-ray 3 km off; their tasks are over when the test is."""
    lead, van = Centre(shared_server), Centre(shared_server, capabilities=["xray"])
    lead.report(LON, LAT)
    van.report(LON + 0.05, LAT)
    yield lead, van
    for one in (lead, van):
        one.sql("UPDATE task SET status = 'closed' WHERE unit_id = :unit", unit=one.crew.unit.id)
        one.sql("UPDATE unit_latest SET point = ST_Point(21, 56, 4326) WHERE unit_id = :unit", unit=one.crew.unit.id)


def tablet(watch: Watch, centre: Centre) -> Page:
    """The officer's page of the crew."""
    page = watch.open(f"{centre.server.url}/officer")
    page.get_by_label("Login").fill(centre.crew.officer.login)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#badge")).to_have_text("Online")
    return page


def opened(watch: Watch, centre: Centre, title: str, **options: Any) -> tuple[Page, dict[str, Any]]:
    """The console with a P1 of the lead's on the screen."""
    task = centre.issued(title, priority="P1", lon=LON, lat=LAT)
    page = sign_in(watch, centre, **options)
    row_of(page, task).click()
    expect(page.get_by_role("button", name="Send support")).to_be_visible()
    return page, task


def at_task(page: Page, centre: Centre) -> Locator:
    return page.locator(f".crews [data-crew='{centre.crew.unit.id}']")


def verbs_of(centre: Centre, task: dict[str, Any], of: Centre) -> list[str]:
    """What the history of a task says of a crew."""
    events = centre.http.get(f"/tasks/{task['id']}/events", headers=centre.rasa).json()["items"]
    return [event["verb"] for event in events if event["unit_id"] == str(of.crew.unit.id)]


def test_support_is_sent_by_keyboard_and_its_steps_are_seen_by_all(
    watch: Watch, scene: tuple[Centre, Centre], accessible: Callable[[Page], None]
) -> None:
    lead, van = scene
    theirs = tablet(watch, van)
    page, task = opened(watch, lead, f"Reefer {lead.crew.unit.call_sign}")
    page.keyboard.press("s")
    first = page.locator(".nearest .row").first
    expect(first).to_be_focused()
    expect(first).to_contain_text(van.crew.unit.call_sign)
    expect(first).to_contain_text("x-ray")
    expect(page.locator(f".nearest [data-assign='{lead.crew.unit.id}']")).to_have_count(0)
    accessible(page)
    page.keyboard.press("Enter")
    expect(at_task(page, van).locator(".badge")).to_have_text("delivered")
    expect(at_task(page, lead)).to_contain_text("lead")
    expect(page.locator(".history li").filter(has_text="sent in support")).to_contain_text(van.crew.unit.call_sign)

    expect(theirs.locator(".card.now .in-support")).to_have_text(f"In support of {lead.crew.unit.call_sign}")
    theirs.locator(".card.now").get_by_role("link").click()
    until(theirs, lambda: verbs_of(lead, task, van).count("seen") == 1)
    accessible(theirs)
    big(theirs, "acknowledge")
    expect(at_task(page, van).locator(".badge")).to_have_text("acknowledged")
    big(theirs, "en_route")
    expect(at_task(page, van).locator(".badge")).to_have_text("en route")
    assert verbs_of(lead, task, van) == ["support", "deliver", "seen", "acknowledge", "en_route"], "each is told once"
    theirs.get_by_role("link", name="Back").click()
    expect(at_task(page, van).locator("time")).to_have_text(re.compile(r"^\d\d:\d\d · \d+ s$"))
    assert lead.http.get(f"/tasks/{task['id']}", headers=lead.rasa).json()["acknowledged_at"] is None

    own = tablet(watch, lead)
    own.locator(".card.now").get_by_role("link").click()
    expect(own.locator(".together")).to_contain_text(re.compile(f"{van.crew.unit.call_sign}.*en route"))
    accessible(own)

    page.keyboard.press("s")
    expect(page.locator("section.support")).to_be_visible()
    expect(page.locator("section.support")).not_to_contain_text("Loading")
    expect(page.locator(f".nearest [data-assign='{van.crew.unit.id}']")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("section.support")).to_have_count(0)

    lead.post(lead.jonas, f"/tasks/{task['id']}/transitions", verb="cancel", reason="over")
    theirs.locator(".called-off").get_by_role("button", name="Understood").click()
    expect(theirs.locator(".called-off")).to_have_count(0)
    until(theirs, lambda: verbs_of(lead, task, van)[-1] == "acknowledge")
    assert lead.http.get(f"/tasks/{task['id']}", headers=lead.rasa).json()["conflict"] is None


def test_another_dispatcher_was_first_to_send_it_and_it_is_withdrawn(
    watch: Watch, scene: tuple[Centre, Centre]
) -> None:
    lead, van = scene
    page, task = opened(watch, lead, f"Twice {lead.crew.unit.call_sign}", color_scheme="light")

    def first(route: Route) -> None:
        lead.post(lead.jonas, f"/tasks/{task['id']}/support", unit_id=str(van.crew.unit.id))
        route.continue_()

    page.route("**/support", first)
    watch.allow(re.compile("status of 409"))
    page.get_by_role("button", name="Send support").click()
    page.get_by_label("Needs").select_option("xray")
    page.locator(".nearest .row").first.click()
    box = page.locator(".notice-box[role=alert]")
    expect(box).to_contain_text(re.compile(r"Jonas Petraitis was first \(sent in support, \d\d:\d\d:\d\d\)"))
    expect(at_task(page, van).locator(".badge")).to_have_text("issued")

    at_task(page, van).get_by_role("button", name=f"Withdraw {van.crew.unit.call_sign}").press("Enter")
    page.keyboard.type("another is nearer?")  # at once: what is typed is the reason, never a shortcut
    page.keyboard.press("Enter")
    expect(at_task(page, van).locator(".badge")).to_have_text("cancelled")
    expect(page.locator(".history li").first).to_contain_text("another is nearer?")
    expect(at_task(page, van).get_by_role("button")).to_have_count(0)


def test_a_unit_that_went_off_shift_meanwhile_is_said(watch: Watch, scene: tuple[Centre, Centre]) -> None:
    lead, van = scene
    page, task = opened(watch, lead, f"Off {lead.crew.unit.call_sign}")
    page.keyboard.press("s")
    row = page.locator(f".nearest [data-assign='{van.crew.unit.id}']")
    expect(row).to_be_visible()
    van.sql("UPDATE shift SET off_at = now() WHERE unit_id = :unit", unit=van.crew.unit.id)
    watch.allow(re.compile("status of 409"))
    page.keyboard.press(row.locator("kbd").text_content() or "")
    expect(page.locator(".bars .bar.urgent")).to_contain_text("is not on shift")
    assert lead.http.get(f"/tasks/{task['id']}", headers=lead.rasa).json()["supports"] == []
