"""The officer's forms: steps, doubts, drafts that outlive everything, refusals that are put right."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import PHONE, TABLET, Watch, on_phone_and_tablet
from tests.browser.officer_pages import (
    Centre,
    at_step,
    begin,
    big,
    choose,
    field,
    fill,
    fill_in,
    kept,
    onward,
    send,
    sign_in,
    until,
)  # fmt: skip
from tests.browser.test_officer_offline import cut, kill
from tests.helpers import ROOT

PIER = {"geolocation": {"longitude": 21.25, "latitude": 55.71, "accuracy": 9}, "permissions": ["geolocation"]}


def recorded(page: Page, centre: Centre, path: str, **wanted: Any) -> dict[str, Any]:
    """The one record at `path` that says this, once it has arrived."""
    found: list[dict[str, Any]] = []

    def arrived() -> bool:
        answer = centre.get(path)
        plain = answer["items"] if "items" in answer else [one["properties"] for one in answer["features"]]
        found[:] = [one for one in plain if one.items() >= wanted.items()]
        return bool(found)

    until(page, arrived, 40)
    assert len(found) == 1
    return found[0]


def let_go(page: Page) -> None:
    """Not to wait for the time in which it could be undone: another action lets it go."""
    page.evaluate("() => { location.hash = '#/outbox' }")
    expect(page.locator("#badge")).to_contain_text("1 waiting")


def test_a_stop_form_in_steps_with_doubts_and_what_must_be_said(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre, **PIER)
    task = centre.issue("Stop the tanker")
    expect(page.locator(".card.now")).to_be_visible()
    begin(page, task, "stop")
    expect(page.get_by_role("button", name="Risk indicator")).to_have_attribute("aria-pressed", "true")
    fill(page, "grounds", "Low on its axles")
    onward(page)
    expect(page.get_by_text("Your position: 55.71000, 21.25000 (± 9 m)")).to_be_visible()
    expect(page.get_by_text(f"{centre.crew.unit.call_sign} · Task {task['number']} · Stop the tanker")).to_be_visible()
    onward(page)
    fill(page, "vehicle.plate", "АВС 123")
    expect(page.get_by_text("It has Cyrillic letters; it is compared as ABC123.")).to_be_visible()
    page.get_by_role("button", name="Add a container").click()
    fill(page, "vehicle.containers.0", "CSQU3054380")
    expect(page.get_by_text("The last digit does not fit; it would be 3.")).to_be_visible()
    onward(page, 2)
    choose(page, "physical_full", "dog")
    page.locator("[data-add=searched]").click()
    expect(page.get_by_text("55.71000, 21.25000")).to_be_visible()
    page.locator("officer-map").press("ArrowRight")
    expect(page.get_by_text("55.71000, 21.25000")).not_to_be_visible()
    onward(page)
    choose(page, "violation")
    fill(page, "findings", "A false floor")
    onward(page)
    choose(page, "fine")
    fill(page, "penalties.fine", "120,5")
    page.get_by_role("button", name="No", exact=True).click()
    fill(page, "recommendation_why_not", "The dog was enough")
    onward(page, 3)
    at_step(page, "check")
    problems = page.locator("[data-problem]")
    assert [one.get_attribute("data-problem") for one in problems.all()] == [
        "no_seizure_reason", "vehicle.plate", "vehicle.containers.0",
    ]  # fmt: skip
    expect(page.locator("[data-verb=send]")).to_be_disabled()
    problems.nth(2).click()
    page.locator("[data-confirm='vehicle.plate']").click()
    fill(page, "vehicle.containers.0", "CSQU3054383")
    expect(page.get_by_text("Confirmed as written")).to_be_visible()
    onward(page, 4)
    choose(page, "handed_over")
    onward(page, 3)
    send(page)
    until(page, lambda: page.locator(".undo").is_visible())
    page.get_by_role("button", name="Undo").click()  # it is a form again, and says all it said
    at_step(page, "check")
    send(page)
    begin(page, task, "violation")
    choose(page, "fuel")
    expect(page.get_by_text("Which goods?")).to_be_visible()
    onward(page, 2)
    expect(field(page, "plate")).to_have_value("АВС 123")  # typed once
    expect(page.get_by_text("Confirmed as written")).to_be_visible()  # and confirmed once
    onward(page, 2)
    send(page)  # which lets the stop form go
    made = recorded(page, centre, f"/stop-forms?task_id={task['id']}", result="violation")
    assert made["vehicle"] | {"plate": "АВС 123", "containers": ["CSQU3054383"]} == made["vehicle"]
    assert (made["plate_key"], made["no_seizure_reason"], made["grounds"]) == (
        "ABC123",
        "handed_over",
        "Low on its axles",
    )
    assert (made["recommendation_followed"], made["penalties"]) == (False, [{"kind": "fine", "amount_eur": 120.5}])
    assert made["officers"] == [str(centre.crew.officer.id)]
    assert (made["lon"], made["searched_lat"]) == (21.25, pytest.approx(55.71, abs=0.001))
    assert 21.25 < made["searched_lon"] < 21.3
    assert made["ended_at"] >= made["first_stopped_at"]
    big(page, "acknowledge")
    assert recorded(page, centre, "/violations?category=fuel", task_id=task["id"])["plate"] == "АВС 123"


def test_a_violation_reported_from_a_stop_is_named_in_it(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre, **PIER)
    begin(page, None, "stop")
    choose(page, "random")
    onward(page, 2)
    fill(page, "vehicle.plate", "KLM 456")
    onward(page, 3)
    choose(page, "violation")
    page.get_by_role("button", name="Report the violation found").click()
    choose(page, "alcohol")
    onward(page, 2)
    expect(field(page, "plate")).to_have_value("KLM 456")
    onward(page, 2)
    send(page)
    at_step(page, "result")
    expect(page.get_by_text("Reports named in this form: 1")).to_be_visible()
    onward(page)
    choose(page, "seizure")
    onward(page, 3)
    send(page)
    reported = recorded(page, centre, "/violations?category=alcohol", plate="KLM 456")
    page.get_by_role("link", name="SOS").click()
    expect(page.locator("#badge")).to_have_text("Online", timeout=30_000)
    made = recorded(page, centre, "/stop-forms?plate=KLM456", result="violation")
    assert made["violation_ids"] == [reported["id"]]
    assert made["task_id"] is None


@on_phone_and_tablet
def test_a_rerouted_control_leads_to_its_form_before_it_is_completed(watch: Watch, centre: Centre) -> None:
    """Without a network form and completion wait in this order; a form that is refused holds up the completion."""
    page = sign_in(watch, centre, **PIER)
    task = centre.issue("Check the seals", kind="control_declaration", reason_code="rerouted")
    for verb in ("acknowledge", "en_route", "on_scene"):
        big(page, verb)
    until(page, lambda: centre.task(task["id"])["status"] == "on_scene")
    cut(page, watch)
    page.evaluate("path => { location.hash = path }", f"#/task/{task['id']}/complete")
    expect(page.get_by_role("button", name="Nothing found")).not_to_be_visible()
    big(page, "stop_form")
    onward(page, 5)
    choose(page, "nothing_found")
    onward(page, 4)
    send(page)
    big(page, "complete")
    page.get_by_role("button", name="Nothing found").click()
    expect(page.locator("#badge")).to_have_text("Offline · 2 waiting")
    watch.allow(re.compile("status of (409|422)"))
    refusal = {"title": "Invalid", "status": 422, "code": "invalid", "detail": "Not acceptable.", "errors": []}
    page.route("**/stop-forms", lambda route: route.fulfill(status=422, json=refusal))
    page.context.set_offline(False)
    expect(page.locator("#badge")).to_have_text("Refused · 2", timeout=30_000)
    assert centre.task(task["id"])["status"] == "on_scene"
    page.unroute("**/stop-forms")
    page.evaluate("() => { location.hash = '#/outbox' }")
    expect(page.get_by_role("link", name="To the task: record the stop")).to_be_visible()
    page.get_by_role("button", name="Put it right").click()
    at_step(page, "check")
    send(page)
    until(page, lambda: bool(centre.get(f"/stop-forms?task_id={task['id']}")["items"]), 30)
    page.evaluate("() => { location.hash = '#/outbox' }")
    page.get_by_role("button", name="Try again").click()
    until(page, lambda: centre.task(task["id"])["status"] == "completed", 30)
    expect(page.locator("#badge")).to_have_text("Online", timeout=30_000)


@pytest.mark.parametrize("screen", [PHONE, TABLET], ids=["phone", "tablet"])
def test_o4_a_draft_and_a_sent_form_survive_the_browsers_death(
    chromium: Browser, chromium_path: str, centre: Centre, tmp_path: Path, screen: dict[str, int]
) -> None:
    """Killed within a field, and between the tap on "send" and the network; each time as if the battery were gone."""

    def start(*, offline: bool) -> Page:
        profile = chromium.browser_type.launch_persistent_context(
            tmp_path, executable_path=chromium_path, viewport=screen, locale="en-GB", offline=offline, **PIER
        )
        profile.set_default_timeout(20_000)
        profile.pages[0].goto(f"{centre.server.url}/officer")
        return profile.pages[0]

    page = start(offline=False)
    fill_in(page, centre)
    task = centre.issue("Search the ferry")
    expect(page.locator(".card.now")).to_be_visible()
    kept(page)
    page.context.set_offline(True)
    begin(page, task, "stop")
    onward(page, 5)
    choose(page, "nothing_found")
    fill(page, "findings", "Nothing in the hold, nothing in the cabins")
    expect(page.get_by_text("Kept on this device.")).to_be_visible()
    kill(tmp_path)
    page = start(offline=True)
    page.locator("[data-form]").first.click()  # it goes on where it was left
    expect(field(page, "findings")).to_have_value("Nothing in the hold, nothing in the cabins")
    onward(page, 4)
    send(page)
    expect(page.locator("#badge")).to_have_text("Offline · 1 waiting")
    kill(tmp_path)
    page = start(offline=True)
    expect(page.locator("#badge")).to_have_text("Offline · 1 waiting")
    page.context.set_offline(False)
    expect(page.get_by_text("Not sent yet: 1")).to_be_visible()  # Chromium had not written the cookie to its disk yet
    fill_in_again(page, centre)
    made = recorded(page, centre, f"/stop-forms?task_id={task['id']}", result="nothing_found")
    assert made["findings"] == "Nothing in the hold, nothing in the cabins"
    page.context.close()


def fill_in_again(page: Page, centre: Centre) -> None:
    from tests.helpers import PASSWORD

    page.get_by_label("Login").fill(centre.crew.officer.login)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


@on_phone_and_tablet
def test_o6_a_form_of_the_first_version_is_taken_by_todays_server(watch: Watch, centre: Centre) -> None:
    """What this page sends is cut down to what the contract 1.0 knew, as a page of that day would have sent it."""
    schema = json.loads((ROOT / "mobile_contract" / "published" / "1.0" / "schema.json").read_text())
    known = schema["$defs"]["StopFormIn"]["properties"].keys()
    assert "no_seizure_reason" not in known
    page = sign_in(watch, centre, **PIER)
    task = centre.issue("Check the coach")

    def of_that_day(route: Route) -> None:
        body = {name: value for name, value in route.request.post_data_json.items() if name in known}
        route.continue_(post_data=json.dumps(body))

    page.route("**/stop-forms", of_that_day)
    begin(page, task, "stop")
    choose(page, "random")
    onward(page, 5)
    choose(page, "violation")
    onward(page)
    choose(page, "handed_over")
    onward(page, 3)
    send(page)
    until(page, lambda: bool(centre.get(f"/stop-forms?task_id={task['id']}")["items"]), 30)
    (made,) = centre.get(f"/stop-forms?task_id={task['id']}")["items"]
    assert (made["result"], made["no_seizure_reason"]) == ("violation", None)
    expect(page.locator("#badge")).to_have_text("Online", timeout=30_000)


@on_phone_and_tablet
def test_o7_a_task_completed_offline_and_cancelled_meanwhile_keeps_its_form(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre, **PIER)
    task = centre.issue("Check the warehouse")
    for verb in ("acknowledge", "en_route", "on_scene"):
        big(page, verb)
    until(page, lambda: centre.task(task["id"])["status"] == "on_scene")
    cut(page, watch)
    begin(page, task, "stop")
    onward(page, 5)
    choose(page, "nothing_found")
    onward(page, 4)
    send(page)
    big(page, "complete")
    page.get_by_role("button", name="Nothing found").click()
    expect(page.locator("#badge")).to_have_text("Offline · 2 waiting")
    version = centre.task(task["id"])["version"]
    centre.send(f"/tasks/{task['id']}/transitions", {"verb": "cancel", "version": version, "reason": "Wrong address"})
    page.context.set_offline(False)
    expect(page.locator(".late.conflict").filter(has_text="had been called off")).to_be_visible(timeout=40_000)
    page.evaluate("path => { location.hash = path }", f"#/task/{task['id']}")
    expect(page.locator("[data-recorded]")).to_contain_text("sent")
    made = recorded(page, centre, f"/stop-forms?task_id={task['id']}", result="nothing_found")
    assert made["recorded_by"] == str(centre.crew.officer.id)
    assert centre.steps(task["id"])[-1] == ("complete", "conflict")


@on_phone_and_tablet
def test_o9_a_rough_position_is_taken_and_asks_for_the_pin(watch: Watch, centre: Centre) -> None:
    rough = PIER | {"geolocation": {"longitude": 21.25, "latitude": 55.71, "accuracy": 450}}
    page = sign_in(watch, centre, **rough)
    for category in ("cash", "weapons"):
        begin(page, None, "violation")
        if category == "weapons":
            page.locator("summary").filter(has_text="More").click()
        choose(page, category)
        onward(page)
        expect(page.get_by_text("Put the pin on the exact place.")).to_be_visible()
        if category == "weapons":
            chart = page.locator("officer-map")
            chart.scroll_into_view_if_needed()
            page.get_by_role("button", name="Closer").click()
            chart.focus()
            page.locator("officer-map").press("ArrowRight")
            expect(page.get_by_text("Pin on the map:")).to_be_visible()
            expect(page.get_by_text("Put the pin on the exact place.")).not_to_be_visible()
        onward(page, 3)
        send(page)
    mine = {"recorded_by": str(centre.crew.officer.id)}
    told = recorded(page, centre, "/violations?category=cash", accuracy_m=450, **mine)
    assert told["coord_source"] == "gps"
    page.get_by_role("link", name="SOS").click()
    told = recorded(page, centre, "/violations?category=weapons", coord_source="map", **mine)
    assert told["accuracy_m"] < 450


def test_a_refused_form_is_put_right_in_the_readers_language(
    watch: Watch, centre: Centre, accessible: Callable[[Page], None]
) -> None:
    """The device knows a reason that the server does not, as after a change of the lists."""
    watch.allow(re.compile("status of 422"))
    page = watch.open(f"{centre.server.url}/officer", **PIER, locale="en-GB")

    def stale(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"control_reason": ["whim", "random"]})

    page.route("**/code-lists", stale)
    fill_in(page, centre)
    begin(page, None, "stop")
    choose(page, "whim")
    onward(page, 2)
    fill(page, "vehicle.plate", "NOP 789")
    onward(page, 3)
    choose(page, "nothing_found")
    onward(page, 4)
    send(page)
    expect(page.locator("#badge")).to_have_text("Refused · 1", timeout=30_000)
    page.get_by_role("link", name="Shift", exact=True).click()
    page.get_by_role("button", name="Lietuviškai").click()
    page.locator("#badge").click()
    expect(page.get_by_text("Priežastis: tokios reikšmės serveris nežino")).to_be_visible()
    accessible(page)
    page.get_by_role("button", name="Taisyti").click()
    at_step(page, "why")
    expect(page.locator(".remarks .fault")).to_have_text("tokios reikšmės serveris nežino")
    expect(page.locator("#badge")).to_have_text("Atmesta · 1")  # until it is sent again
    choose(page, "random")
    expect(page.locator(".remarks .fault")).not_to_be_visible()
    onward(page, 9)
    send(page)
    made = recorded(page, centre, "/stop-forms?plate=NOP789", reason_code="random")
    assert made["result"] == "nothing_found"
    expect(page.locator("#badge")).to_have_text("Yra ryšys")


def test_a_form_is_dropped_only_when_that_is_confirmed(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    begin(page, None, "violation")
    choose(page, "drugs")
    onward(page, 4)
    expect(page.locator("[data-problem=lon]")).to_be_visible()
    page.get_by_role("button", name="Discard this form").click()
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("button", name="Discard this form").click()
    page.get_by_role("button", name="Remove for good").click()
    expect(page.get_by_text("What do you record?")).to_be_visible()
    expect(page.locator("[data-form]")).to_have_count(0)
