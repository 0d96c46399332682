"""The officer's page woken through Firebase: Google's own libraries in the browser and on the server.

Stood in for are Google's hosts and the browser's push service: that a browser gets a subscription, and that Google
leads a push to it, is what cannot be shown without them.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from core.settings import Settings
from dispatch_api.fcm import BROWSERS_HOSTS, Fcm
from dispatch_api.workers.push import Post
from tests.browser.conftest import Watch, run
from tests.browser.officer_pages import Centre, beside, kept, sign_in, until
from tests.browser.test_officer_pin import PIN, admin, choose_pin, install_of, lock, press
from tests.browser.test_officer_push import SHOWN, SUBSCRIBES, SWITCH, delivered, send, turn
from tests.fake_google import FakeGoogle, Known
from tests.fake_push_service import Subscription, b64
from tests.helpers import Server

WEB = {"apiKey": "AIza-test", "projectId": "outrider-test", "appId": "1:23:web:45", "messagingSenderId": "23"}
VAPID = b64(b"\x04" + bytes(range(64)))
LOADED = (
    "() => performance.getEntriesByType('resource').filter(({ name }) => name.includes('/static/firebase-')).length"
)


@pytest.fixture(scope="module")
def google() -> Iterator[FakeGoogle]:
    running = FakeGoogle()
    yield running
    running.close()


@pytest.fixture(scope="module")
def settings(google: FakeGoogle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("firebase")
    (folder / "web.json").write_text(json.dumps(WEB | {"vapidKey": VAPID}))
    account = google.service_account(folder / "account.json")
    return {"fcm_credentials": account, "fcm_web": folder / "web.json", "fcm_url": google.url}


@pytest.fixture(scope="module")
def server(shared_server: Server, settings: dict[str, Any], tmp_path_factory: Any) -> Iterator[Server]:
    """One that wakes browsers through Firebase, beside the one that wakes none."""
    with beside(shared_server, settings, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def desk(server: Server) -> Iterator[Centre]:
    made = Centre(server)
    yield made
    made.http.close()


@pytest.fixture
def page(watch: Watch, desk: Centre, google: FakeGoogle) -> Page:
    """The officer's page with a PIN, in a browser that reaches Google's stand-in."""
    google.registered.clear()
    watch.hosts.update(host.removeprefix("https://") for host in BROWSERS_HOSTS)

    def answered(route: Route) -> None:
        asked = route.request
        status, content = google.for_browsers(asked.method, asked.url, asked.headers, asked.post_data_buffer or b"")
        route.fulfill(status=status, json=content, headers={"Access-Control-Allow-Origin": "*"})

    opened = sign_in(watch, desk, permissions=["notifications"])
    for host in BROWSERS_HOSTS:
        opened.context.route(f"{host}/**", answered)
    there = Subscription("https://push.example/1")
    script = f"({SUBSCRIBES})({json.dumps([there.endpoint, there.keys])})"
    opened.context.add_init_script(script)
    opened.evaluate(script)
    choose_pin(opened)
    kept(opened)
    return opened


def test_a_push_through_firebase_reaches_the_worker(
    page: Page, desk: Centre, google: FakeGoogle, settings: dict[str, Any]
) -> None:
    assert page.evaluate(LOADED) == 0, "the library is loaded when it is wanted"
    turn(page, on=True)
    (registered,) = google.registered
    assert (registered["endpoint"], registered["applicationPubKey"]) == ("https://push.example/1", VAPID)
    assert registered["key"] == WEB["apiKey"]
    boss = admin(desk.server)
    assert install_of(boss, desk)["push_channel"] == "fcm"
    boss.http.close()
    context, origin = page.context, desk.server.url
    tab = context.new_page()
    page.close()
    task = desk.issue("Stop the tanker", "P1")
    google.messages.clear()
    post = Post("fcm", Fcm(settings["fcm_credentials"], google.url, Known()))
    run(send(desk.server.database, Settings(**settings), post))
    (sent,) = [one for one in google.messages if one["fid"] == registered["fid"]]
    assert sent["data"] == {"kind": "inbox", "v": "1"}
    worker = delivered(context, origin, {"from": "23", "fcmMessageId": "1", "priority": "high", "data": sent["data"]})
    until(tab, lambda: bool(worker.evaluate(SHOWN)))
    (shown,) = worker.evaluate(SHOWN)
    assert (shown["title"], shown["to"]) == (f"New task {task['number']} · P1", f"#/task/{task['id']}")
    assert "tanker" not in str(shown)


def test_locking_ends_it_and_what_comes_after_is_registered_anew(
    page: Page, watch: Watch, desk: Centre, google: FakeGoogle
) -> None:
    watch.allow(re.compile("status of 40[134]"))
    turn(page, on=True)
    page.reload()
    expect(page.get_by_role("switch", name=SWITCH)).to_have_attribute("aria-checked", "true")
    assert len(google.registered) == 1, "the same subscription is registered once a week"
    lock(page)
    press(page, PIN)
    expect(page.get_by_role("switch", name=SWITCH)).to_have_attribute("aria-checked", "true")
    assert len(google.registered) == 2, "the subscription is another than before"
    turn(page, on=False)
    assert page.evaluate("() => localStorage.getItem('fake-subscription')") is None


def test_google_away_is_told_and_the_switch_stays_off(page: Page, watch: Watch) -> None:
    watch.allow(re.compile("ERR_FAILED|Failed to fetch"))
    for host in BROWSERS_HOSTS:
        page.context.route(f"{host}/**", lambda route: route.abort())
    page.goto(f"{page.url.partition('#')[0]}#/duty")
    page.get_by_role("switch", name=SWITCH).click()
    expect(page.locator(".said")).to_have_text(re.compile("push service cannot be reached"), timeout=40_000)
    expect(page.get_by_role("switch", name=SWITCH)).to_have_attribute("aria-checked", "false")


def test_only_the_officers_page_may_call_google_and_only_where_that_is_set_up(
    page: Page, desk: Centre, centre: Centre
) -> None:
    own, wider = "connect-src 'self';", f"connect-src 'self' {' '.join(BROWSERS_HOSTS)};"
    for url, expected in (
        (f"{desk.server.url}/officer", wider), (f"{desk.server.url}/", own), (f"{centre.server.url}/officer", own),
    ):  # fmt: skip
        assert expected in page.request.get(url).headers["content-security-policy"], url
