"""A PIN on a tablet: enrolled once, opened with and without a network, several people, shut out from afar."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Page, Route, expect

from core.actor import Role
from core.db import make_engine
from tests.browser.conftest import AWAY, Watch, on_phone_and_tablet, run
from tests.browser.officer_pages import Centre, big, fill_in, kept, sign_in, until
from tests.browser.test_officer_offline import RECORDS, cut
from tests.helpers import PASSWORD, Server, person

PIN, OTHER_PIN = "274815", "903718"
TABLET = {"width": 1_024, "height": 768}
REFUSED = re.compile("status of 40[134]")


TABLET_NAME = "Tablet 7, grey case"


def press(page: Page, pin: str) -> None:
    """Enter a PIN on the pad."""
    for digit in pin:
        page.locator(".key", has_text=digit).click()
    page.locator(".key.go").click()


def choose_pin(page: Page, pin: str = PIN) -> None:
    """Enrol this device for whoever is signed in."""
    page.goto(f"{page.url.partition('#')[0]}#/pin")
    name = page.get_by_label("Name of this tablet")
    if name.is_visible():  # it is asked once
        name.fill(TABLET_NAME)
    press(page, pin)
    expect(page.get_by_label("The same PIN once more")).to_be_visible()
    press(page, pin)
    expect(page.get_by_text("The PIN holds from now on.")).to_be_attached()
    expect(page.locator("#badge")).to_have_text("Online")


def lock(page: Page) -> None:
    page.goto(f"{page.url.partition('#')[0]}#/duty")
    page.get_by_role("button", name="Lock").click()
    expect(page.locator(".pad")).to_be_visible()


def admin(server: Server) -> Centre:
    """Somebody who may shut tablets out, over the API."""

    async def made() -> str:
        engine = make_engine(server.database.app_url)
        login = (await person(engine, Role.ADMINISTRATOR)).login
        await engine.dispose()
        return login

    login = run(made())
    centre = Centre(server)
    session = centre.http.post("/session", json={"login": login, "password": PASSWORD})
    centre.http.headers["Authorization"] = f"Bearer {session.json()['token']}"
    return centre


def install_of(desk: Centre, centre: Centre) -> dict[str, Any]:
    found = desk.get(f"/installs?user_id={centre.crew.officer.id}")["items"]
    assert [one["name"] for one in found] == [TABLET_NAME]
    return dict(found[0])


def test_a_pin_opens_the_page_with_and_without_a_network(watch: Watch, centre: Centre) -> None:
    watch.allow(REFUSED)
    page = sign_in(watch, centre)
    page.get_by_role("link", name="Choose a PIN").click()
    press(page, "123456")
    expect(page.get_by_role("alert").get_by_text("one of the first")).to_be_visible()
    choose_pin(page)
    task = centre.issue("Stop the tanker")
    expect(page.locator(".card.now")).to_contain_text("Stop the tanker")
    kept(page)
    lock(page)
    press(page, OTHER_PIN)
    expect(page.get_by_text("Wrong PIN. 9 more tries.")).to_be_visible()
    page.get_by_label(f"PIN of {centre.crew.officer.name}").fill(PIN)  # by keyboard as well
    page.keyboard.press("Enter")
    expect(page.locator("#badge")).to_have_text("Online")
    lock(page)

    cut(page, watch)
    page.close()
    page = watch.beside(page.context, f"{centre.server.url}/officer")
    expect(page.locator(".pad")).to_be_visible()
    assert not [text for name, _, text in page.evaluate(RECORDS) if "tanker" in text or PIN in text]
    for _ in range(5):
        press(page, OTHER_PIN)
    expect(page.get_by_text("Wrong PIN. 5 more tries.")).to_be_visible()
    press(page, PIN)
    expect(page.get_by_text(re.compile("Try again in .* s"))).to_be_visible()
    page.clock.set_system_time(datetime.now(UTC) + timedelta(minutes=2))
    press(page, PIN)
    expect(page.locator("#badge")).to_have_text("Offline")
    page.locator(".card.now").get_by_role("link").click()
    expect(page.locator("article.sheet")).to_be_visible()  # not the card's own button
    big(page, "acknowledge")
    page.context.set_offline(False)
    until(page, lambda: centre.steps(task["id"]) == [("acknowledge", "applied")])


def test_a_name_that_is_being_typed_is_left_alone(watch: Watch, centre: Centre) -> None:
    """What is proposed changes once the unit is known; not under the fingers of whoever types."""
    page = watch.open(f"{centre.server.url}/officer")
    held: list[Route] = []
    is_open: list[bool] = []
    page.route("**/api/v1/units", lambda route: route.continue_() if is_open else held.append(route))
    fill_in(page, centre)
    page.goto(f"{page.url}#/pin")
    name = page.get_by_label("Name of this tablet")
    expect(name).to_have_value(f"Tablet {centre.crew.officer.name}")
    name.select_text()
    is_open.append(True)
    held[-1].continue_()  # the newest reading; it took the place of those before, as one after it would
    expect(page.locator(".call-sign")).to_have_text(centre.crew.unit.call_sign)
    page.keyboard.type(TABLET_NAME)
    expect(name).to_have_value(TABLET_NAME)


def test_a_forgotten_pin_is_chosen_anew_with_the_password(
    watch: Watch, centre: Centre, accessible: Callable[[Page], None]
) -> None:
    watch.allow(REFUSED)
    page = sign_in(watch, centre, viewport=TABLET)
    choose_pin(page)
    task = centre.issue("Follow the barge")
    expect(page.locator(".card.now")).to_contain_text("Follow the barge")
    lock(page)
    accessible(page)
    for button in page.locator("button").all():
        assert (button.bounding_box() or {"height": 0})["height"] >= 48
    page.get_by_role("button", name="Forgotten? Use the password").click()
    fill_in(page, centre)
    expect(page.locator(".card.now")).to_contain_text("Follow the barge")
    expect(page.get_by_role("heading", name="Choose another PIN")).to_be_visible()
    choose_pin(page, OTHER_PIN)
    lock(page)
    press(page, PIN)
    expect(page.get_by_text("Wrong PIN.")).to_be_visible()
    press(page, OTHER_PIN)
    expect(page.locator(".card.now")).to_contain_text("Follow the barge")
    assert centre.task(task["id"])["delivered_at"]


def test_a_pin_is_changed_with_the_present_one(watch: Watch, centre: Centre) -> None:
    watch.allow(re.compile("status of 4(01|22)"))
    page = sign_in(watch, centre)
    choose_pin(page)
    page.goto(f"{page.url.partition('#')[0]}#/pin")
    press(page, OTHER_PIN)
    expect(page.get_by_label("The same PIN once more")).to_be_visible()
    press(page, OTHER_PIN)
    present = page.get_by_label("Your present PIN, to change it")
    expect(present).to_be_visible()
    press(page, OTHER_PIN)
    expect(page.get_by_text("That is not your present PIN.")).to_be_visible()
    press(page, PIN)
    expect(page.locator(".pad")).to_have_count(0)
    lock(page)
    press(page, PIN)
    expect(page.get_by_text("Wrong PIN.")).to_be_visible()
    press(page, OTHER_PIN)
    expect(page.locator("#badge")).to_have_text("Online")


def test_two_people_share_a_tablet_and_neither_opens_the_others_store(watch: Watch, centre: Centre) -> None:
    watch.allow(REFUSED)
    page = sign_in(watch, centre)
    choose_pin(page)
    task = centre.issue("Weigh the lorry")
    expect(page.locator(".card.now")).to_contain_text("Weigh the lorry")
    kept(page)
    cut(page, watch)
    page.goto(f"{centre.server.url}/officer#/")
    big(page, "acknowledge")
    lock(page)
    page.context.set_offline(False)
    other = Centre(centre.server)
    page.get_by_role("button", name="Forgotten? Use the password").click()
    fill_in(page, other)
    expect(page.locator(".call-sign")).to_have_text(other.crew.unit.call_sign)
    choose_pin(page, OTHER_PIN)
    expect(page.get_by_text("Weigh the lorry")).not_to_be_visible()
    lock(page)
    page.get_by_role("button", name="Somebody else", exact=True).click()
    page.get_by_role("button", name=centre.crew.officer.login).click()
    press(page, OTHER_PIN)
    expect(page.get_by_text("Wrong PIN.")).to_be_visible()
    assert centre.steps(task["id"]) == []
    press(page, PIN)
    until(page, lambda: centre.steps(task["id"]) == [("acknowledge", "applied")])
    other.http.close()


@on_phone_and_tablet
def test_o8_a_tablet_that_is_shut_out_hands_over_once_and_wipes_itself(watch: Watch, centre: Centre) -> None:
    """O8, S29, F11: open or locked, at the next contact; what was queued goes to people, and is not applied."""
    watch.allow(REFUSED)
    desk = admin(centre.server)
    page = sign_in(watch, centre)
    choose_pin(page)
    task = centre.issue("Search the coach")
    expect(page.locator(".card.now")).to_contain_text("Search the coach")
    kept(page)
    cut(page, watch)
    page.goto(f"{centre.server.url}/officer#/")
    big(page, "acknowledge")
    expect(page.locator("#badge")).to_have_text("Offline · 1 waiting")
    install = install_of(desk, centre)
    assert desk.http.post(f"/installs/{install['id']}/revoke", json={"recover": True}).status_code == 204
    page.context.set_offline(False)
    expect(page.get_by_text("Records handed over to it: 1.")).to_be_visible(timeout=30_000)
    expect(page.get_by_label("Login")).to_be_visible()
    held = page.evaluate(RECORDS)
    assert not [name for name, _, _ in held if name.startswith("outrider-store-")]
    assert not [text for _, store, text in held if store == "people"]
    assert install_of(desk, centre)["recovery"] == "received"
    assert centre.steps(task["id"]) == [], "for people to read, not to be done"
    fill_in(page, centre)
    expect(page.locator(".card.now")).to_contain_text("Search the coach")
    desk.http.close()


def test_a_locked_tablet_wipes_itself_when_it_is_only_switched_on(watch: Watch, centre: Centre) -> None:
    watch.allow(REFUSED)
    desk = admin(centre.server)
    page = sign_in(watch, centre)
    choose_pin(page)
    kept(page)
    lock(page)
    watch.allow(AWAY)
    desk.http.post(f"/installs/{install_of(desk, centre)['id']}/revoke", json={})
    page.reload()
    expect(page.get_by_text("What was kept here is wiped.")).to_be_visible()
    assert not [name for name, _, _ in page.evaluate(RECORDS) if name.startswith("outrider-store-")]
    desk.http.close()
