"""The officer and the operational centre: messages about a task, a call for support, and the alarm."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import AWAY, Watch
from tests.browser.officer_pages import Centre, big, sign_in, until


def test_messages_support_and_panic(watch: Watch, centre: Centre, accessible: Callable[[Page], None]) -> None:
    place = {"longitude": 21.25, "latitude": 55.71, "accuracy": 9}
    page = sign_in(watch, centre, geolocation=place, permissions=["geolocation"])
    task = centre.issue("Weigh the lorry")
    page.locator(".card.now").get_by_role("link").click()
    centre.send(f"/tasks/{task['id']}/messages", {"text": "The driver speaks Latvian."})
    thread = page.get_by_role("link", name="Messages 1")
    expect(thread).to_be_visible()
    thread.click()
    expect(page.locator(".bubble")).to_contain_text("The driver speaks Latvian.")
    watch.allow(AWAY)
    page.context.set_offline(True)
    page.get_by_label("Write to the centre").fill("He has a passenger.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".bubble.mine")).to_contain_text("not sent yet")
    accessible(page)
    page.get_by_role("link", name="Back").click()
    expect(page.get_by_role("link", name="Messages", exact=True)).to_be_visible()
    page.get_by_role("link", name="Call for support").click()
    page.get_by_role("button", name="Dog", exact=True).click()
    page.get_by_role("button", name="P1").click()
    accessible(page)
    page.locator(".next[data-verb=support]").click()
    expect(page.locator("#badge")).to_have_text("Offline · 2 waiting")

    page.get_by_role("link", name="SOS · Alarm").click()
    expect(page.get_by_text("Your place goes with it (± 9 m).")).to_be_visible()
    button = page.get_by_role("button", name="Hold for 2 seconds")
    button.click()
    expect(page.locator("#badge")).to_have_text("Offline · 2 waiting")  # a touch alone raises nothing
    accessible(page)
    button.focus()
    page.keyboard.down("Enter")
    expect(page.get_by_text("NOT sent: no connection.")).to_be_visible()
    page.keyboard.up("Enter")
    page.context.set_offline(False)
    expect(page.get_by_role("heading", name="The centre has had your alarm since")).to_be_visible()
    expect(page.locator("#badge")).to_have_text("Online")
    expect(page.locator(".sos.raised")).to_be_visible()

    said = [(one["kind"], one["text"]) for one in centre.get(f"/tasks/{task['id']}/messages")["items"]]
    assert said == [("message", "The driver speaks Latvian."), ("message", "He has a passenger."), ("support", "dog")]
    drafts = centre.get("/tasks?status=draft&priority=P1&limit=500")["items"]
    mine = sorted(
        (one["number"], one["title"].split(":")[0], one["point"]["coordinates"])
        for one in drafts
        if centre.crew.unit.call_sign in one["title"]
    )
    call_sign, here = centre.crew.unit.call_sign, [21.25, 55.71]
    assert [(title, point) for _, title, point in mine] == [
        (f"SOS {call_sign} · Test Person", here),  # went first, though it was made last
        (f"{call_sign}", [task["point"]["coordinates"][0], task["point"]["coordinates"][1]]),
    ]
    until(page, lambda: all(one["delivered_at"] for one in centre.get(f"/tasks/{task['id']}/messages")["items"][:1]))


def test_a_refused_message_is_changed_and_sent_again(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    task = centre.issue("Ask the driver")
    watch.allow(re.compile("status of 4(09|22)"))
    problem = {"title": "Conflict", "status": 409, "code": "id_reused", "detail": "This id is taken."}
    asked: list[str] = []

    def refuse_first(route: Any) -> None:
        if route.request.method != "POST":
            return route.continue_()
        asked.append(route.request.post_data_json["id"])
        return route.fulfill(status=409, json=problem) if len(asked) == 1 else route.continue_()

    page.route(
        "**/messages", lambda route: refuse_first(route) if route.request.method == "POST" else route.continue_()
    )
    page.evaluate("path => { location.hash = path }", f"#/task/{task['id']}/messages")
    page.get_by_label("Write to the centre").fill("Send a dgo")
    big(page, "message")
    expect(page.locator("#badge")).to_have_text("Refused · 1")
    page.locator("#badge").click()
    page.get_by_label("What you wrote").fill("Send a dog")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#badge")).to_have_text("Online")
    until(page, lambda: [one["text"] for one in centre.get(f"/tasks/{task['id']}/messages")["items"]] == ["Send a dog"])
    assert asked[0] != asked[1]
