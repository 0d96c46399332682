"""The officer's page: from sign-in to a task's result, and nothing lost when the network or the server goes away."""

import contextlib
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.browser.conftest import AWAY, Watch, on_phone_and_tablet
from tests.browser.officer_pages import (
    Centre,
    begin,
    big,
    field,
    fill,
    fill_in,
    kept,
    onward,
    row,
    send,
    sign_in,
    until,
)
from tests.helpers import ROOT, Server

I18N = ROOT / "web_map" / "client" / "src" / "shared" / "i18n"


def test_from_shift_to_result(watch: Watch, shared_server: Server) -> None:
    centre = Centre(shared_server, on_shift=False)
    page = sign_in(watch, centre)
    expect(page.locator(".tracking")).to_contain_text("Tracking off")
    page.get_by_role("link", name="Begin a shift").click()
    page.get_by_role("button", name=f"Start shift · {centre.crew.unit.call_sign}").click()
    expect(page.locator(".tracking")).to_contain_text(re.compile(r"Tracking ON since \d\d:\d\d"))
    task = centre.issue("Stop the grey lorry")
    card = page.locator(".card.now")
    expect(card).to_contain_text("Stop the grey lorry")
    card.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    for verb in ("acknowledge", "en_route", "on_scene", "complete"):
        big(page, verb)
    page.get_by_role("button", name="Minor irregularity").click()
    expect(page.locator("#badge")).to_have_text("Online")
    until(page, lambda: centre.task(task["id"])["status"] == "completed")
    done = centre.task(task["id"])
    assert done["result"] == "minor_irregularity"
    assert all(done[f"{moment}_at"] for moment in ("delivered", "seen", "acknowledged", "en_route", "on_scene"))
    expect(page.get_by_text("Done (1)")).to_be_visible()
    page.get_by_role("link", name="Shift", exact=True).click()
    page.get_by_role("link", name="End shift").click()
    page.get_by_role("button", name="End shift").click()
    expect(page.locator(".tracking")).to_contain_text("Tracking off", timeout=25_000)
    assert centre.get(f"/shifts?active=true&unit_id={centre.crew.unit.id}")["items"] == []


def test_what_is_done_while_the_server_is_dead_arrives_once_and_in_order(server: Server, watch: Watch) -> None:
    """The server comes back as another build: the page goes on as it was until the officer takes the new one over."""
    centre = Centre(server)
    page = sign_in(watch, centre)
    kept(page)
    build = page.locator("html").get_attribute("data-build")
    task = centre.issue("Check the van")
    big(page, "acknowledge")
    until(page, lambda: centre.task(task["id"])["status"] == "acknowledged")
    watch.allow(AWAY)
    centre.server.kill()
    big(page, "en_route")
    big(page, "on_scene")
    expect(page.locator("#badge")).to_have_text("Offline · 2 waiting", timeout=30_000)
    expect(page.locator(".card.now")).to_contain_text("not sent yet")
    centre.server.extra["OUTRIDER_DEMO"] = "1"
    centre.server.start()
    until(page, lambda: centre.task(task["id"])["status"] == "on_scene", 60)
    expect(page.locator("#badge")).to_have_text("Online", timeout=30_000)
    assert centre.steps(task["id"]) == [("acknowledge", "applied"), ("en_route", "applied"), ("on_scene", "applied")]
    newer = page.get_by_role("button", name="New version: tap to reload")
    expect(newer).to_be_visible()
    page.reload()
    assert page.locator("html").get_attribute("data-build") == build
    newer.click()
    page.wait_for_function("build => document.documentElement.dataset.build !== build", arg=build)
    expect(page.locator(".demo-mark")).to_be_visible()
    until(page, lambda: page.evaluate("() => caches.keys().then((names) => names.length)") == 1)


@on_phone_and_tablet
def test_o1_a_lost_answer_is_asked_for_again_and_changes_nothing(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    task = centre.issue("Check the bus")
    watch.allow(re.compile("ERR_FAILED"))
    lost: list[str] = []

    def lose_first(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.request.post_data or "")
            route.fetch()  # the server did it ...
            route.abort()  # ... and the page never hears of it

    page.route("**/transitions", lose_first)
    with page.expect_event("requestfinished", lambda done: done.url.endswith("/transitions"), timeout=30_000):
        big(page, "acknowledge")  # the first of its requests fails, the one after it ends well
    assert lost
    expect(page.locator("#badge")).to_have_text("Online", timeout=30_000)
    assert centre.steps(task["id"]) == [("acknowledge", "applied")]


def test_what_was_stored_is_told_again_when_the_line_broke_on_the_way(watch: Watch, centre: Centre) -> None:
    page = watch.open(f"{centre.server.url}/officer")
    lost: list[str] = []

    def line(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def said(message: str | bytes) -> None:
            if lost or '"ack"' not in str(message):
                server.send(message)
            else:
                lost.append(str(message))
                socket.close()

        socket.on_message(said)

    page.route_web_socket("**/api/v1/inbox/live", line)
    fill_in(page, centre)
    task = centre.issue("Check the hold")
    until(page, lambda: bool(lost))
    until(page, lambda: centre.task(task["id"])["delivered_at"] is not None)


CLOCK = """() => {
  const Real = Date;
  window.offMs = 0;
  window.Date = class extends Real {
    constructor(...parts) { if (parts.length) super(...parts); else super(Real.now() + window.offMs); }
    static now() { return Real.now() + window.offMs; }
  };
}"""


@on_phone_and_tablet
def test_o3_the_order_outlives_a_clock_that_jumps_and_its_error_is_told(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    page.context.add_init_script(f"({CLOCK})()")
    page.reload()
    expect(page.locator("#badge")).to_have_text("Online")
    task = centre.issue("Follow the lorry")
    expect(page.locator(".card.now")).to_be_visible()
    watch.allow(AWAY)
    page.context.set_offline(True)
    hours = {"acknowledge": 0, "en_route": -5, "on_scene": 3}
    for verb, off_h in hours.items():
        page.evaluate("hours => { window.offMs = hours * 3600000 }", off_h)
        big(page, verb)
    expect(page.locator("#badge")).to_have_text("Offline · 3 waiting")
    page.context.set_offline(False)
    until(page, lambda: len(centre.steps(task["id"])) == 3, 30)
    assert [verb for verb, _ in centre.steps(task["id"])] == list(hours)
    events = [one for one in centre.get(f"/tasks/{task['id']}/events")["items"] if one["verb"] in hours]
    for event in events:
        off_s = (datetime.fromisoformat(event["at"]) - datetime.fromisoformat(event["received_at"])).total_seconds()
        assert abs(off_s - hours[event["verb"]] * 3600) < 90, "the device's time as it was, beside the server's"
        assert abs(event["clock_off_s"] - 3 * 3600) < 90, "how wrong the clock was when it sent"
    expect(page.get_by_text("This device’s clock is 180 min ahead.")).to_be_visible(timeout=30_000)


def test_an_outbox_outlives_the_page(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    task = centre.issue("Check the trailer")
    expect(page.locator(".card.now")).to_contain_text("Check the trailer")
    watch.allow(re.compile("ERR_FAILED"))
    page.route("**/transitions", lambda route: route.abort())
    big(page, "acknowledge")
    expect(page.locator("#badge")).to_contain_text("1 waiting")
    page.unroute("**/transitions")
    page.reload()
    until(page, lambda: centre.task(task["id"])["status"] == "acknowledged")


def test_decline_with_a_reason_after_an_undo(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    task = centre.issue("Escort a tanker", "P3")
    page.locator(".card.now").get_by_role("link").click()
    big(page, "acknowledge")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".next")).to_have_text("Acknowledge")
    page.get_by_role("button", name="Decline").click()
    page.get_by_role("button", name="Too far away").click()
    expect(page.get_by_text(re.compile(r"will be sent in \d+ s"))).to_be_visible()
    until(page, lambda: centre.task(task["id"])["status"] == "declined", 30)
    assert centre.steps(task["id"]) == [("decline", "applied")]
    events = centre.get(f"/tasks/{task['id']}/events")["items"]
    assert [one["reason_code"] for one in events if one["verb"] == "decline"] == ["too_far"]


def test_the_way_to_the_task_and_a_failure_with_its_reason(watch: Watch, centre: Centre) -> None:
    """Distance and direction, the hand-over to a navigation app, and `fail`, on a phone that lies on its side."""
    here = {"longitude": 21.25, "latitude": 55.71, "accuracy": 9}
    lying = {"width": 844, "height": 390}
    page = sign_in(watch, centre, viewport=lying, geolocation=here, permissions=["geolocation"])
    task = centre.issue("Look for the white van")
    page.locator(".card.now").get_by_role("link").click()
    page.get_by_role("button", name="My position").click()
    expect(page.locator(".distance")).to_have_text("6.7 km · west")
    way = page.get_by_role("link", name="Navigate")
    expect(way).to_have_attribute("href", "geo:55.703,21.144?q=55.703,21.144")
    for verb in ("acknowledge", "en_route", "on_scene"):
        big(page, verb)
    page.get_by_role("button", name="Not done").click()
    page.get_by_role("button", name="Not found").click()
    until(page, lambda: centre.task(task["id"])["status"] == "failed")
    events = centre.get(f"/tasks/{task['id']}/events")["items"]
    assert [one["reason_code"] for one in events if one["verb"] == "fail"] == ["not_found"]


def test_resumes_by_seq(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    centre.issue("First task")
    expect(page.locator(".card.now")).to_contain_text("First task")
    asked: list[int] = []
    answered: list[list[int]] = []

    def note(route: Route) -> None:
        asked.append(int(re.search(r"after=(\d+)", route.request.url).group(1)))  # type: ignore[union-attr]
        answer = route.fetch()
        answered.append([item["seq"] for item in answer.json()["items"]])
        route.fulfill(response=answer)

    page.route("**/api/v1/inbox?*", note)
    page.goto("about:blank")
    centre.issue("Second task")
    page.goto(f"{centre.server.url}/officer")
    expect(page.locator(".card.now")).to_contain_text("First task")
    expect(row(page, "Second task")).to_be_visible()
    assert asked[0] > 0
    assert all(seq > asked[0] for seqs in answered for seq in seqs), "what was stored is not sent again"


def test_the_most_urgent_new_task_sounds_until_it_is_opened(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    centre.issue("Stop the tanker", "P1")
    alarm = page.locator(".alarm")
    expect(alarm).to_contain_text("Stop the tanker")
    centre.issue("Check the seals", "P2")
    expect(row(page, "Check the seals")).to_be_visible()
    expect(alarm).to_contain_text("Stop the tanker")
    alarm.get_by_role("link", name="Open").click()
    expect(page.get_by_role("heading", name="Stop the tanker")).to_be_visible()
    expect(alarm).to_have_count(0)


def test_a_step_against_a_cancel_is_shown_as_a_conflict(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    task = centre.issue("Watch the pier")
    big(page, "acknowledge")
    until(page, lambda: centre.task(task["id"])["status"] == "acknowledged")
    watch.allow(re.compile("ERR_FAILED"))
    page.route("**/api/v1/**", lambda route: route.abort())
    big(page, "en_route")
    version = centre.task(task["id"])["version"]
    centre.send(f"/tasks/{task['id']}/transitions", {"verb": "cancel", "version": version, "reason": "Found elsewhere"})
    page.unroute("**/api/v1/**")
    conflict = page.locator(".late.conflict").filter(has_text="had been called off")
    expect(conflict).to_be_visible(timeout=40_000)
    assert centre.steps(task["id"])[-1] == ("en_route", "conflict")
    conflict.get_by_role("button", name="Understood").click()
    expect(conflict).not_to_be_visible()
    page.locator(".called-off").get_by_role("link", name="Watch the pier").click()
    big(page, "cancel_confirm")
    until(page, lambda: centre.task(task["id"])["cancel_confirmed_at"] is not None)


def called_off(centre: Centre, titles: list[str], priority: str = "P1") -> list[str]:
    """Tasks that the crew had taken on when they were called off."""
    made = [centre.issue(title, priority)["id"] for title in titles]
    with contextlib.closing(centre.officer()) as officer:
        for task in made:
            officer.post(f"/tasks/{task}/transitions", json={"verb": "acknowledge"}).raise_for_status()
    for task in made:
        cancel = {"verb": "cancel", "version": centre.task(task)["version"], "reason": "Found elsewhere"}
        centre.send(f"/tasks/{task}/transitions", cancel)
    return made


def test_what_was_called_off_is_gathered_under_the_task_at_hand(
    watch: Watch, centre: Centre, accessible: Callable[[Page], None]
) -> None:
    page = sign_in(watch, centre)
    centre.issue("Escort the convoy", "P4")
    big(page, "acknowledge")
    big(page, "en_route")
    titles = [f"Look at quay {n}" for n in range(1, 9)]
    tasks = called_off(centre, titles)
    group = page.locator(".called-off")
    expect(group.locator("li")).to_have_count(len(tasks))
    expect(page.locator(".card.now")).to_contain_text("Escort the convoy")
    step, below, footer = (page.locator(one).bounding_box() for one in (".card.now .next", ".called-off", "footer"))
    assert step is not None
    assert below is not None
    assert footer is not None
    assert step["y"] + step["height"] <= min(below["y"], footer["y"]), "the next step stays in sight"
    assert all((one.bounding_box() or {"height": 0})["height"] >= 48 for one in group.locator("a, button").all())
    accessible(page)
    group.get_by_role("button", name="Understood, called off: Look at quay 1").click()
    expect(group.locator("li")).to_have_count(len(tasks) - 1)
    until(page, lambda: centre.task(tasks[0])["cancel_confirmed_at"] is not None)
    watch.allow(AWAY)
    page.context.set_offline(True)
    group.get_by_role("button", name="Understood, called off: Look at quay 2").click()
    expect(group.get_by_text("Look at quay 2")).to_have_count(0)
    expect(page.locator(".card.now")).to_contain_text("Escort the convoy")
    page.locator(".over summary").click()
    expect(row(page, "Look at quay 2")).to_contain_text("Cancelled")
    expect(row(page, "Look at quay 2")).to_contain_text("not sent yet")
    group.get_by_role("button", name="Understood, all 6 are called off").click()
    expect(group).to_have_count(0)
    page.context.set_offline(False)
    until(page, lambda: all(centre.task(task)["cancel_confirmed_at"] for task in tasks))


def test_a_refusal_stays_until_the_officer_lets_it_go(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    first, second = centre.issue("Refused step"), centre.issue("Other step")
    expect(row(page, "Other step")).to_be_visible()
    watch.allow(re.compile("status of 422"))
    problem = {"title": "Invalid", "status": 422, "code": "invalid", "detail": "Some fields are not acceptable."}
    page.route(f"**/tasks/{first['id']}/transitions", lambda route: route.fulfill(status=422, json=problem))
    big(page, "acknowledge")
    expect(page.locator("#badge")).to_have_text("Refused · 1")
    row(page, "Other step").click()
    big(page, "acknowledge")
    until(page, lambda: centre.task(second["id"])["status"] == "acknowledged")
    page.locator("#badge").click()
    expect(page.get_by_text("Some fields are not acceptable.")).to_be_visible()
    page.unroute(f"**/tasks/{first['id']}/transitions")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#badge")).to_have_text("Online")
    until(page, lambda: centre.task(first["id"])["status"] == "acknowledged")


def test_a_violation_within_a_task(watch: Watch, centre: Centre) -> None:
    place = {"longitude": 21.25, "latitude": 55.71, "accuracy": 9}
    page = sign_in(watch, centre, geolocation=place, permissions=["geolocation"])
    task = centre.issue("Search the boat")
    page.locator(".card.now").get_by_role("link").click()
    begin(page, task, "violation")
    page.get_by_role("button", name="Tobacco").click()
    page.get_by_role("button", name="Cigarettes", exact=True).click()
    expect(page.get_by_role("button", name="packs", exact=True)).to_have_attribute("aria-pressed", "true")
    fill(page, "quantity", "1 200,5")
    fill(page, "evaded_duties_eur", "812.40")
    page.get_by_role("button", name="Hidden compartment").click()
    onward(page)
    expect(page.get_by_text("Your position: 55.71000, 21.25000 (± 9 m)")).to_be_visible()
    fill(page, "place_text", "Pier 4")
    onward(page)
    fill(page, "note", "40 cartons under the bench")
    expect(page.get_by_text("Kept on this device.")).to_be_visible()
    page.reload()
    expect(field(page, "note")).to_have_value("40 cartons under the bench")
    onward(page, 2)
    send(page)
    big(page, "acknowledge")  # the next action lets the report go before its ten seconds are over
    found: list[dict[str, Any]] = []

    def arrived() -> bool:
        found[:] = centre.get("/violations?category=tobacco")["features"]
        return bool(found)

    until(page, arrived, 30)
    told = found[0]["properties"]
    assert found[0]["geometry"]["coordinates"] == [21.25, 55.71]
    assert (told["coord_source"], told["accuracy_m"], told["task_id"]) == ("gps", 9, task["id"])
    assert (told["goods_category"], told["quantity"], told["quantity_unit"]) == ("cigarettes", 1200.5, "pack")
    assert (told["evaded_duties_eur"], told["method"], told["place_text"]) == (812.4, "hidden_compartment", "Pier 4")


def test_a_notice_is_seen_and_acknowledged(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    to = {"units": [str(centre.crew.unit.id)]}
    notice = {"kind": "safety_warning", "priority": "P2", "headline": "Black ice", "body": "Drive slowly.", "to": to}
    made = centre.send("/notices", notice)
    row(page, "Black ice").click()
    big(page, "notice_acknowledge")
    expect(page.get_by_text(re.compile("You acknowledged it at"))).to_be_visible()

    def receipt() -> bool:
        (one,) = centre.get(f"/notices/{made['id']}")["receipts"]
        return bool(one["delivered_at"] and one["seen_at"] and one["acknowledged_at"])

    until(page, receipt)
