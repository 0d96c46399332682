"""Being told while the officer's page is closed: the switch, a push through to the notification, the tap to the task.

Only the browser maker's service is a stand-in: it opens what the server sealed and signed, and what that held is
delivered to the page's real worker, as Chromium would.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Worker, expect
from sqlalchemy import text

from core.actor import system
from core.db import make_engine
from core.settings import Settings
from core.work import open_work
from dispatch_api.workers import push
from dispatch_api.workers.push import Post
from tests.browser.conftest import Watch, run
from tests.browser.officer_pages import Centre, beside, kept, sign_in, until
from tests.browser.test_officer_pin import PIN, admin, choose_pin, install_of, lock, press
from tests.fake_push_service import FakePushService
from tests.helpers import Database, Server

SWITCH = "Tell me when the app is closed"
SUBSCRIBES = """([target, keys]) => {
  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
  const there = () => {
    const key = localStorage.getItem('fake-subscription');
    if (key === null) return null;
    return {
      endpoint: target,
      options: { applicationServerKey: Uint8Array.from(key.split(',').map(Number)).buffer },
      getKey: (name) => bytes(keys[name]).buffer,
      toJSON: () => ({ endpoint: target, keys }),
      unsubscribe: async () => { localStorage.removeItem('fake-subscription'); return true; },
    };
  };
  PushManager.prototype.getSubscription = async () => there();
  PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
    if (!userVisibleOnly) throw new Error('browsers want it');
    localStorage.setItem('fake-subscription', bytes(applicationServerKey).join());
    return there();
  };
}"""
SHOWN = """async () => (await self.registration.getNotifications())
  .map(({ title, body, data, requireInteraction: stays, lang }) => ({ title, body, to: data.to, stays, lang }))"""
TAP = """async () => {
  const [notification] = await self.registration.getNotifications();
  let opened = null, done = null;
  self.clients.openWindow = async (url) => { opened = url; };
  WindowClient.prototype.focus = async function () { opened = 'focused'; return this; };
  const event = new NotificationEvent('notificationclick', { notification });
  Object.defineProperty(event, 'waitUntil', { value: (work) => { done = work; } });
  self.dispatchEvent(event);
  await done;
  return opened;
}"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakePushService]:
    running = FakePushService(tmp_path_factory.mktemp("service"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def settings(service: FakePushService, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return service.settings(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def server(shared_server: Server, settings: dict[str, Any], tmp_path_factory: Any) -> Iterator[Server]:
    """One that sends pushes to browsers, beside the one that does not."""
    with beside(shared_server, settings, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def desk(server: Server) -> Iterator[Centre]:
    made = Centre(server)
    yield made
    made.http.close()


def opened(watch: Watch, desk: Centre, service: FakePushService, name: str, **options: Any) -> Page:
    """The officer's page in a browser that has a push service, with a PIN."""
    there = service.subscribe(name)
    page = sign_in(watch, desk, **options)
    script = f"({SUBSCRIBES})({json.dumps([there.endpoint, there.keys])})"
    page.context.add_init_script(script)
    page.evaluate(script)
    choose_pin(page)
    kept(page)
    return page


def turn(page: Page, *, on: bool) -> None:
    page.goto(f"{page.url.partition('#')[0]}#/duty")
    switch = page.get_by_role("switch", name=SWITCH)
    expect(switch).to_be_enabled()
    assert (switch.bounding_box() or {"height": 0})["height"] >= 48
    switch.click()
    expect(switch).to_have_attribute("aria-checked", str(on).lower())


async def send(database: Database, settings: Settings, post: Post | None = None) -> None:
    """What the worker does, with its two seconds over."""
    engine, post = make_engine(database.app_url), post or Post("webpush")
    async with open_work(engine, system("test")) as work:
        await work.session.execute(text("UPDATE push_owed SET due_at = now() - interval '1 second'"))
    while await push.round_(engine, settings, post):
        pass
    await engine.dispose()


def delivered(context: BrowserContext, origin: str, content: Any) -> Worker:
    """Hand what the service let in to the page's worker; the worker."""
    tab = context.pages[-1]
    cdp, found = context.new_cdp_session(tab), []
    cdp.on("ServiceWorker.workerRegistrationUpdated", lambda event: found.extend(event["registrations"]))
    cdp.send("ServiceWorker.enable")
    until(tab, lambda: bool(found))
    one = {"origin": origin, "registrationId": found[-1]["registrationId"], "data": json.dumps(content)}
    cdp.send("ServiceWorker.deliverPushMessage", one)
    return context.service_workers[-1]


@pytest.fixture
def administered(server: Server, desk: Centre) -> Iterator[Callable[[], Any]]:
    """By which channel the crew's officer is woken, as administrators see it."""
    boss = admin(server)
    yield lambda: install_of(boss, desk)["push_channel"]
    boss.http.close()


def test_a_closed_page_is_told_and_the_tap_leads_to_the_task(
    watch: Watch, desk: Centre, service: FakePushService, settings: dict[str, Any], administered: Any
) -> None:
    page = opened(watch, desk, service, "closed", permissions=["notifications"])
    turn(page, on=True)
    assert administered() == "webpush"
    context, origin = page.context, desk.server.url
    tab = context.new_page()
    page.close()
    other = desk.issue("Look at the ferry", "P3")
    task = desk.issue("Stop the tanker", "P1")
    service.pushed.clear()
    run(send(desk.server.database, Settings(**settings)))
    (pushed,) = [one for one in service.pushed if one.name == "closed"]
    assert (pushed.content, pushed.headers["urgency"]) == ({"kind": "inbox", "v": "1"}, "high")
    worker = delivered(context, origin, pushed.content)
    until(tab, lambda: bool(worker.evaluate(SHOWN)))
    (shown,) = worker.evaluate(SHOWN)
    assert shown == {
        "title": f"New task {task['number']} · P1", "body": "Tap to open Outrider.", "to": f"#/task/{task['id']}",
        "stays": True, "lang": "en",
    }  # fmt: skip
    assert desk.task(task["id"])["delivered_at"] is None, "read for the notification is not stored"
    there = worker.evaluate(TAP)
    assert there == f"/officer#/task/{task['id']}"
    page = watch.beside(context, origin + there)
    expect(page.get_by_role("heading", name="Stop the tanker")).to_be_visible()
    expect(page.locator(".next[data-verb=acknowledge]")).to_be_visible()
    until(page, lambda: desk.task(task["id"])["seen_at"] is not None)
    until(page, lambda: desk.task(other["id"])["delivered_at"] is not None)
    until(page, lambda: worker.evaluate(SHOWN) == [])
    assert service.faults == []


def test_a_page_out_of_sight_tells_by_itself_and_comes_to_the_front(
    watch: Watch, desk: Centre, service: FakePushService
) -> None:
    page = opened(watch, desk, service, "hidden", permissions=["notifications"])
    worker = page.context.service_workers[-1]
    page.goto(f"{desk.server.url}/officer#/duty")
    page.get_by_role("button", name="Lietuviškai").click()
    page.get_by_role("switch", name="Pranešti, kai programėlė uždaryta").click()
    expect(page.locator("#push [aria-checked=true]")).to_be_visible()
    to = {"units": [str(desk.crew.unit.id)]}
    body = {"kind": "information", "priority": "P3", "headline": "Fog at sea", "to": to}
    desk.send("/notices", body)
    expect(page.locator("nav .count")).to_have_text("1")
    assert worker.evaluate(SHOWN) == [], "what is in sight is not told twice"
    page.evaluate("() => Object.defineProperty(document, 'hidden', { get: () => true })")
    notice = desk.send("/notices", body | {"headline": "Ice on the road"})
    until(page, lambda: bool(worker.evaluate(SHOWN)))
    (shown,) = worker.evaluate(SHOWN)
    assert (shown["title"], shown["stays"], shown["lang"]) == (f"Pranešimas {notice['number']} · P3", False, "lt")
    assert "Ice" not in str(shown)
    assert worker.evaluate(TAP) == "focused"
    expect(page.get_by_role("heading", name="Ice on the road")).to_be_visible()


def test_without_a_session_only_that_something_came_is_told(
    watch: Watch, desk: Centre, service: FakePushService
) -> None:
    page = opened(watch, desk, service, "nobody", permissions=["notifications"])
    turn(page, on=True)
    desk.issue("Stop the tanker", "P1")
    context = page.context
    tab = context.new_page()
    page.close()
    context.clear_cookies()
    worker = delivered(context, desk.server.url, {"kind": "inbox", "v": "1"})
    until(tab, lambda: bool(worker.evaluate(SHOWN)))
    (shown,) = worker.evaluate(SHOWN)
    assert (shown["title"], shown["to"]) == ("Something new for you", "#/")


def test_locking_ends_it_and_the_pin_brings_it_back(
    watch: Watch, desk: Centre, service: FakePushService, administered: Any
) -> None:
    watch.allow(re.compile("status of 40[134]"))
    page = opened(watch, desk, service, "locked", permissions=["notifications"])
    turn(page, on=True)
    lock(page)
    assert administered() is None
    assert page.evaluate("() => localStorage.getItem('fake-subscription')") is None
    press(page, PIN)
    expect(page.get_by_role("switch", name=SWITCH)).to_have_attribute("aria-checked", "true")
    assert administered() == "webpush"
    turn(page, on=False)
    assert administered() is None
    turn(page, on=True)
    boss = admin(desk.server)
    boss.http.post(f"/installs/{install_of(boss, desk)['id']}/revoke", json={})
    boss.http.close()
    expect(page.get_by_text("What was kept here is wiped.")).to_be_visible()
    page.wait_for_function("() => localStorage.getItem('fake-subscription') === null")


def test_the_switch_says_why_it_cannot_be_used(
    watch: Watch, desk: Centre, centre: Centre, service: FakePushService, accessible: Callable[[Page], None]
) -> None:
    state = "#push-state"
    page = opened(watch, desk, service, "denied")
    page.context.grant_permissions(["geolocation"])  # and so nothing else
    page.reload()
    page.goto(f"{desk.server.url}/officer#/duty")
    expect(page.locator(state)).to_have_text(re.compile("The browser may not show notifications"))
    expect(page.get_by_role("switch", name=SWITCH)).to_be_disabled()
    accessible(page)
    page = sign_in(watch, desk, permissions=["notifications"])
    page.goto(f"{desk.server.url}/officer#/duty")
    expect(page.locator(state)).to_have_text("Needs a PIN on this device.")
    expect(page.locator("#push").get_by_role("link", name="Choose a PIN")).to_be_visible()
    page = sign_in(watch, centre, permissions=["notifications"])
    page.goto(f"{centre.server.url}/officer#/duty")
    expect(page.locator(state)).to_have_text(re.compile("Not set up on this server"))
    expect(page.get_by_role("switch", name=SWITCH)).to_be_disabled()
    page.context.add_init_script("delete window.PushManager")
    page.reload()
    expect(page.locator(state)).to_have_text(re.compile("This browser cannot do that"))
    accessible(page)
