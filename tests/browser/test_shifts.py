"""The page of shifts in a real browser: planned, changed and cancelled by keyboard; read only by who may only read."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import Page, expect

from core.actor import Role
from core.ids import new_id
from tests.browser.conftest import Hand, Watch, hand_of, log_in
from tests.helpers import PASSWORD, Crew, Server, crew, person

DESK = {"width": 1600, "height": 1000}
NARROW = {"width": 1100, "height": 800}
REFUSED = re.compile(r"status of (409|422)")
VILNIUS = ZoneInfo("Europe/Vilnius")


@pytest.fixture
def hand(shared_server: Server) -> Hand:
    """Does something to the server's database."""
    return hand_of(shared_server)


@pytest.fixture
def patrol(hand: Hand) -> Crew:
    """A unit off duty."""
    made: Crew = hand(lambda engine: crew(engine, on_shift=False, call_sign=f"S-{new_id().hex[-6:]}"))
    return made


@pytest.fixture
def signed_in(watch: Watch, shared_server: Server, hand: Hand) -> Callable[..., Page]:
    watch.allow(REFUSED)

    def open_page(role: Role = Role.DISPATCHER, **options: Any) -> Page:
        login = hand(lambda engine: person(engine, role)).login
        page = watch.open(f"{shared_server.url}/shifts", **{"viewport": DESK} | options)
        log_in(page, login)
        expect(page.locator(".picture, .plan > p").first).to_be_visible()
        return page

    return open_page


def tomorrow(plus: int = 0) -> str:
    return f"{datetime.now(VILNIUS) + timedelta(days=1 + plus):%Y-%m-%d}"


def only(page: Page, patrol: Crew, day: str) -> None:
    """Show this unit alone, on this day."""
    page.locator("[name=text]").fill(patrol.unit.call_sign)
    page.locator("[name=day]").fill(day)
    expect(page.locator(".rows .line")).to_have_count(1)


def api(server: Server, login: str) -> httpx.Client:
    http = httpx.Client(base_url=f"{server.url}/api/v1")
    opened = http.post("/session", json={"login": login, "password": PASSWORD}).json()
    http.headers["Authorization"] = f"Bearer {opened['token']}"
    http.cookies.clear()
    return http


def test_planned_changed_and_cancelled_by_keyboard(
    signed_in: Callable[..., Page], patrol: Crew, hand: Hand, accessible: Callable[[Page], None]
) -> None:
    lent = hand(lambda engine: person(engine, Role.OFFICER, name=f"Ona {new_id().hex[-6:]}"))
    page = signed_in()
    only(page, patrol, tomorrow())
    dialog, keys = page.locator("dialog"), page.keyboard
    page.locator(f'[data-key="{patrol.unit.id}"]').focus()
    keys.press("Enter")
    expect(dialog.locator("[name=from]")).to_be_focused()
    expect(dialog.locator("[name=from]")).to_have_value(f"{tomorrow()}T07:00")
    expect(dialog.locator("[name=to]")).to_have_value(f"{tomorrow()}T19:00")
    expect(dialog.get_by_role("checkbox", name="Test Person")).to_be_checked()
    dialog.locator("[name=others]").focus()
    keys.type(lent.name)
    dialog.get_by_role("checkbox", name=lent.name).press("Space")
    accessible(page)
    dialog.locator("[name=from]").press("Enter")
    expect(dialog).to_have_count(0)
    bar = page.locator(".track .shift")
    expect(bar).to_have_count(1)
    expect(bar).to_have_class(re.compile("planned"))
    expect(bar).to_be_focused()  # whoever plans by keyboard goes on from there
    expect(bar).to_contain_text("07:00–19:00")
    expect(bar).to_have_accessible_name(re.compile(f"{patrol.unit.call_sign}, .*07:00–19:00, people: 2, planned"))
    expect(page.locator(".panel")).to_contain_text(lent.name)
    expect(page.locator(".counts .track span").nth(12)).to_have_text("1")
    expect(page.locator(".counts .track .gap")).to_have_count(12)

    page.locator(f'[data-key="{patrol.unit.id}"]').focus()
    keys.press("Enter")  # once more for the same time
    dialog.get_by_role("button", name="Plan it").press("Enter")
    expect(dialog.locator("#fault-from")).to_contain_text(f"{patrol.unit.call_sign} has a shift then")
    expect(dialog.locator("[name=from]")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_role("button", name="Night 19–07").press("Enter")
    expect(dialog.locator("#fault-from")).to_be_empty()
    expect(dialog.locator("[name=to]")).to_have_value(f"{tomorrow(1)}T07:00")
    dialog.get_by_role("button", name="Plan it").press("Enter")
    expect(bar).to_have_count(2)

    page.locator(f'[data-key="{patrol.unit.id}"]').focus()
    keys.press("ArrowRight")
    expect(bar.first).to_be_focused()
    keys.press("ArrowRight")
    expect(bar.nth(1)).to_be_focused()
    keys.press("ArrowLeft")
    keys.press("Enter")
    expect(bar.first).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Change…").press("Enter")
    dialog.locator("[name=from]").fill(f"{tomorrow()}T06:30")
    expect(dialog.locator("[name=to]")).to_have_value(f"{tomorrow()}T18:30")  # as long as it was
    dialog.get_by_role("checkbox", name=lent.name).press("Space")
    dialog.get_by_role("button", name="Save").press("Enter")
    expect(dialog).to_have_count(0)
    expect(bar.first).to_have_accessible_name(re.compile("06:30–18:30, people: 1, planned"))

    page.get_by_role("button", name="Cancel the shift…").press("Enter")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    dialog.get_by_role("button", name="Cancel the shift", exact=True).press("Enter")
    expect(bar).to_have_count(1)
    expect(page.locator(".panel .how")).to_have_text("cancelled")
    page.get_by_label("Cancelled too").check()
    expect(bar).to_have_count(2)
    accessible(page)


def test_repeated_on_days_of_which_one_is_taken(signed_in: Callable[..., Page], patrol: Crew) -> None:
    page = signed_in()
    only(page, patrol, tomorrow(1))
    dialog = page.locator("dialog")
    page.locator(".name .pick").click()
    dialog.get_by_role("button", name="Plan it").click()
    expect(page.locator(".track .shift")).to_have_count(1)
    page.locator("[name=day]").fill(tomorrow())
    expect(page.locator(".track .shift")).to_have_count(0)
    page.locator(".name .pick").click()
    dialog.locator("[name=days]").fill("2")
    dialog.get_by_role("button", name="Plan it").click()
    expect(dialog.get_by_role("status")).to_have_text("2 of 3 planned")
    expect(dialog.locator(".outcomes .done")).to_have_count(2)
    expect(dialog.locator(".outcomes .refused")).to_contain_text("has a shift then")
    dialog.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="7 days").click()
    expect(page.locator(".track .shift")).to_have_count(3)
    expect(page.locator(".columns .track span")).to_have_count(7)


def test_whoever_is_elsewhere_then_is_named_and_a_lost_answer_plans_nothing_twice(
    signed_in: Callable[..., Page], patrol: Crew, hand: Hand, watch: Watch
) -> None:
    watch.allow(re.compile("ERR_FAILED"))
    other = hand(lambda engine: crew(engine, on_shift=False, call_sign=f"R-{new_id().hex[-6:]}"))
    lent = hand(lambda engine: person(engine, Role.OFFICER, name=f"Ona {new_id().hex[-6:]}"))
    page = signed_in()
    dialog = page.locator("dialog")

    def planning(of: Crew) -> None:
        only(page, of, tomorrow())
        page.locator(".name .pick").click()
        dialog.locator("[name=others]").fill(lent.name)
        dialog.get_by_role("checkbox", name=lent.name).check()

    planning(other)
    dialog.get_by_role("button", name="Plan it").click()
    expect(page.locator(".track .shift")).to_have_count(1)
    planning(patrol)
    warned = dialog.locator(".check", has_text=lent.name).locator(".warned")
    expect(warned).to_have_text(f"on a shift of {other.unit.call_sign} then, 07:00–19:00")
    ids: list[str] = []

    def lose(route: Any) -> None:
        ids.append(route.request.post_data_json["id"])
        route.fetch()  # it is done, and nobody hears of it
        route.abort()

    url = re.compile(r"/api/v1/shifts$")
    page.route(url, lose)
    dialog.get_by_role("button", name="Plan it").click()
    expect(dialog.get_by_role("alert").filter(has_text="reach")).to_be_visible()
    page.unroute(url)
    with page.expect_request(url) as again:
        dialog.get_by_role("button", name="Plan it").click()
    expect(page.locator(".track .shift")).to_have_count(1)
    assert [again.value.post_data_json["id"]] == ids


def test_begun_and_ended_with_its_time_while_another_changes_it(
    signed_in: Callable[..., Page], patrol: Crew, hand: Hand, shared_server: Server
) -> None:
    now = datetime.now(VILNIUS)
    second = hand(lambda engine: person(engine, Role.DISPATCHER, name=f"Rasa {new_id().hex[-6:]}"))
    http = api(shared_server, second.login)
    window = {"from": (now - timedelta(hours=1)).isoformat(), "to": (now + timedelta(hours=7)).isoformat()}
    made = http.post("/shifts", json={"unit_id": str(patrol.unit.id), "members": [], **window}).json()
    page = signed_in()
    day = f"{now - timedelta(hours=1):%Y-%m-%d}"
    only(page, patrol, day)
    dialog, bar = page.locator("dialog"), page.locator(".track .shift")
    expect(bar).to_have_class(re.compile("late"))
    bar.click()
    page.get_by_role("button", name="Change…").click()
    dialog.get_by_role("checkbox", name="Test Person").check()
    changed = http.patch(f"/shifts/{made['id']}", json={"to": (now + timedelta(hours=6)).isoformat()})
    assert changed.status_code == 200, changed.text
    page.evaluate("() => window.dispatchEvent(new Event('focus'))")  # what is shown is read anew, and nothing is lost
    expect(page.locator(".panel")).to_contain_text(f"{now + timedelta(hours=6):%H:%M}")
    expect(dialog.get_by_role("checkbox", name="Test Person")).to_be_checked()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert").filter(has_text=second.name)).to_be_visible()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Begin…").click()
    dialog.locator("[name=at]").fill(f"{now - timedelta(hours=30):%Y-%m-%dT%H:%M}")
    dialog.get_by_role("button", name="Begin the shift").click()
    expect(dialog.locator("#fault-at")).to_have_text("The time must lie within the last 24 hours.")
    dialog.locator("[name=at]").fill(f"{now - timedelta(minutes=30):%Y-%m-%dT%H:%M}")
    dialog.get_by_role("button", name="Begin the shift").click()
    expect(bar).to_have_class(re.compile(r"\bon\b"))
    page.get_by_role("button", name="End…").click()
    dialog.get_by_role("button", name="End the shift").click()
    expect(bar).to_have_class(re.compile("ended"))
    ended = http.get(f"/shifts/{made['id']}").json()
    http.close()
    begun_at = datetime.fromisoformat(ended["on_at"]).astimezone(VILNIUS)
    assert f"{begun_at:%H:%M}" == f"{now - timedelta(minutes=30):%H:%M}"


def test_days_on_which_the_clocks_are_changed_have_their_hours(signed_in: Callable[..., Page], patrol: Crew) -> None:
    page = signed_in(timezone_id="Pacific/Auckland")
    for day, hours in (("2026-10-25", 25), ("2027-03-28", 23), ("2027-03-29", 24)):
        only(page, patrol, day)
        expect(page.locator(".columns .track span")).to_have_count(hours)
    only(page, patrol, "2026-10-25")
    assert page.locator(".columns .track span").all_inner_texts()[:6] == ["00", "01", "02", "03", "03", "04"]
    page.locator(".name .pick").click()
    expect(page.locator("dialog [name=from]")).to_have_value(re.compile("T(07|19):00"))


def test_it_fits_a_narrow_desk_in_both_languages_and_is_read_only_for_supervisors(
    signed_in: Callable[..., Page], patrol: Crew, accessible_in_both: Callable[[Page], None]
) -> None:
    page = signed_in(Role.SUPERVISOR, viewport=NARROW)
    only(page, patrol, tomorrow())
    expect(page.get_by_role("button", name="Plan a shift")).to_have_count(0)
    accessible_in_both(page)
    assert page.evaluate("() => document.querySelector('#app').scrollWidth") <= NARROW["width"]
