"""The officer's page without a network: it starts, shows what is known, keeps what is done, whoever uses the device."""

import re
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import AWAY, PHONE, TABLET, Watch
from tests.browser.officer_pages import (
    Centre,
    begin,
    big,
    choose,
    field,
    fill,
    fill_in,
    kept,
    onward,
    row,
    sign_in,
    until,
)
from tests.helpers import PASSWORD, Server

CACHED = """async () => (await Promise.all((await caches.keys()).map(async (name) =>
  (await (await caches.open(name)).keys()).map((request) => new URL(request.url).pathname)))).flat()"""
RECORDS = """async () => {
  const held = [];
  for (const { name } of await indexedDB.databases()) {
    const db = await new Promise((done) => { indexedDB.open(name).onsuccess = (event) => done(event.target.result); });
    for (const store of db.objectStoreNames) {
      const all = db.transaction(store).objectStore(store).getAll();
      await new Promise((done) => { all.onsuccess = done; });
      for (const one of all.result) {
        const text = one instanceof Uint8Array ? new TextDecoder().decode(one) : JSON.stringify(one);
        held.push([name, store, text]);
      }
    }
    db.close();
  }
  return held;
}"""


def cut(page: Page, watch: Watch) -> None:
    """Take the network away."""
    watch.allow(AWAY)
    page.context.set_offline(True)


def test_starts_cold_without_a_network(watch: Watch, centre: Centre) -> None:
    place = {"longitude": 21.25, "latitude": 55.71, "accuracy": 9}
    page = sign_in(watch, centre, geolocation=place, permissions=["geolocation"])
    task = centre.issue("Watch the ferry")
    to = {"units": [str(centre.crew.unit.id)]}
    centre.send("/notices", {"kind": "information", "priority": "P3", "headline": "Fog at sea", "to": to})
    expect(row(page, "Fog at sea")).to_be_visible()
    big(page, "acknowledge")
    until(page, lambda: centre.task(task["id"])["status"] == "acknowledged")
    kept(page)
    cut(page, watch)
    page.close()
    page = watch.beside(page.context, f"{centre.server.url}/officer")
    expect(page.locator("#badge")).to_have_text("Offline")
    expect(page.locator(".stale")).to_have_text(re.compile(r"Offline, as of \d\d:\d\d\."))
    expect(page.locator(".tracking")).to_contain_text("Tracking ON")
    expect(row(page, "Fog at sea")).to_be_visible()
    page.locator(".card.now").get_by_role("link").click()
    expect(page.get_by_text("Check the seals.")).to_be_visible()
    expect(page.locator("officer-map .leaflet-control-attribution")).to_contain_text("Natural Earth")
    assert page.evaluate("() => fetch('/static/basemap.json').then((answer) => answer.ok)")
    big(page, "en_route")
    expect(page.locator("#badge")).to_have_text("Offline · 1 waiting")
    begin(page, task, "violation")
    expect(page.get_by_role("button", name="Tobacco")).to_be_visible()
    page.context.set_offline(False)
    until(page, lambda: centre.task(task["id"])["status"] == "en_route")
    expect(page.locator("#badge")).to_have_text("Online")
    assert not [path for path in page.evaluate(CACHED) if not path.startswith(("/officer", "/static/"))]


def test_the_first_load_is_small(watch: Watch, shared_server: Server) -> None:
    """At most 250 kB over the wire without the map's data."""
    page = watch.open(f"{shared_server.url}/officer")
    expect(page.get_by_label("Login")).to_be_visible()
    sizes = page.evaluate("() => performance.getEntries().map((one) => [one.name, one.encodedBodySize ?? 0])")
    loaded = {name.rpartition("/")[2]: size for name, size in sizes if size and "basemap" not in name}
    assert any(name.endswith(".js") for name in loaded)
    assert sum(loaded.values()) <= 250_000, loaded
    assert not any(name.startswith("firebase-") for name in loaded)
    (script,) = (name for name in loaded if name.startswith("officer-") and name.endswith(".js"))
    answer = page.request.get(f"{shared_server.url}/static/{script}")
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert "immutable" in answer.headers["cache-control"]
    plain = page.request.get(f"{shared_server.url}/static/{script}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.body() == answer.body()


def test_what_is_kept_cannot_be_read_and_is_never_another_persons(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    task = centre.issue("Follow the red car")
    expect(page.locator(".card.now")).to_contain_text("Follow the red car")
    cut(page, watch)
    big(page, "acknowledge")
    expect(page.locator("#badge")).to_have_text("Offline · 1 waiting")
    sealed = [text for name, store, text in page.evaluate(RECORDS) if name.startswith("outrider-store-")]
    assert len(sealed) > 4
    assert not [text for text in sealed if "red car" in text or "acknowledge" in text]

    other = Centre(centre.server)
    body = {"login": other.crew.officer.login, "password": PASSWORD}
    page.context.clear_cookies()
    watch.allow(re.compile("status of 403"))
    assert page.request.post(f"{centre.server.url}/api/v1/session", data=body).ok  # as another tab would
    page.context.set_offline(False)
    expect(page.locator(".call-sign")).to_have_text(other.crew.unit.call_sign, timeout=30_000)
    expect(page.locator("#badge")).to_have_text("Online")
    expect(page.get_by_text("Follow the red car")).not_to_be_visible()
    assert centre.steps(task["id"]) == []
    other.http.close()

    page.context.clear_cookies()
    page.reload()
    fill_in(page, centre)
    until(page, lambda: centre.steps(task["id"]) == [("acknowledge", "applied")])


HOLD = """(name) => new Promise((held) => navigator.locks.request(name, () => {
  held();
  return new Promise((release) => { window.release = release; });
}))"""


def test_what_is_being_kept_while_somebody_else_comes_is_kept(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    task = centre.issue("Follow the blue car")
    expect(page.locator(".card.now")).to_contain_text("Follow the blue car")
    cut(page, watch)
    page.evaluate(HOLD, f"outrider-store-{centre.crew.officer.id}")  # as another tab that writes
    big(page, "acknowledge")
    expect(page.locator("#badge")).to_have_text("Offline")
    other = Centre(centre.server)
    body = {"login": other.crew.officer.login, "password": PASSWORD}
    page.context.clear_cookies()
    watch.allow(re.compile("status of 403"))
    assert page.request.post(f"{centre.server.url}/api/v1/session", data=body).ok
    page.context.set_offline(False)
    expect(page.locator(".call-sign")).to_have_text(other.crew.unit.call_sign, timeout=30_000)
    page.evaluate("() => window.release()")
    expect(page.locator("#badge")).to_have_text("Online")
    page.context.clear_cookies()
    page.reload()
    fill_in(page, centre)
    until(page, lambda: centre.steps(task["id"]) == [("acknowledge", "applied")])
    other.http.close()


def test_two_tabs_do_everything_once_and_in_order(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    task = centre.issue("Search the barge")
    expect(page.locator(".card.now")).to_be_visible()
    beside = watch.beside(page.context, page.url)
    expect(beside.locator("#badge")).to_have_text("Online")
    cut(page, watch)
    big(page, "acknowledge")
    big(beside, "en_route")
    expect(page.locator("#badge")).to_have_text("Offline · 2 waiting")
    big(page, "on_scene")
    expect(beside.locator("#badge")).to_have_text("Offline · 3 waiting")
    page.context.set_offline(False)
    for tab in (page, beside):
        expect(tab.locator("#badge")).to_have_text("Online", timeout=30_000)
    verbs = ("acknowledge", "en_route", "on_scene")
    assert centre.steps(task["id"]) == [(verb, "applied") for verb in verbs]


@pytest.mark.parametrize("screen", [PHONE, TABLET], ids=["phone", "tablet"])
def test_a_tap_survives_the_browsers_death(
    chromium: Browser, chromium_path: str, centre: Centre, tmp_path: Path, screen: dict[str, int]
) -> None:
    """Killed as if the battery were gone, right after the tap was shown as kept; started again without a network."""

    def start(*, offline: bool) -> Page:
        profile = chromium.browser_type.launch_persistent_context(
            tmp_path, executable_path=chromium_path, viewport=screen, locale="en-GB", offline=offline
        )
        profile.set_default_timeout(20_000)
        profile.pages[0].goto(f"{centre.server.url}/officer")
        return profile.pages[0]

    page = start(offline=False)
    fill_in(page, centre)
    task = centre.issue("Stop the motorcycle")
    expect(page.locator(".card.now")).to_contain_text("Stop the motorcycle")
    kept(page)
    page.context.set_offline(True)
    big(page, "acknowledge")
    expect(page.locator("#badge")).to_contain_text("1 waiting")
    kill(tmp_path)
    page = start(offline=True)
    expect(page.locator("#badge")).to_have_text("Offline · 1 waiting")
    page.context.clear_cookies()  # whether Chromium had written the session's to its disk is chance
    page.context.set_offline(False)
    expect(page.get_by_text("Not sent yet: 1")).to_be_visible()
    fill_in(page, centre)
    until(page, lambda: centre.steps(task["id"]) == [("acknowledge", "applied")])
    page.context.close()


def kill(profile: Path) -> None:
    """kill -9 the browser that runs on this profile."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if f"--user-data-dir={profile}" in words and not any(word.startswith("--type=") for word in words):
            process.kill()
            process.wait(10)


SLOW = """() => {
  const decrypt = crypto.subtle.decrypt.bind(crypto.subtle);
  let wait = new Promise((release) => { window.release = release; });
  window.quick = () => { wait = null; };
  crypto.subtle.decrypt = async (...words) => {
    const opened = decrypt(...words);
    await wait;
    return opened;
  };
}"""


def test_an_older_reading_of_the_store_does_not_undo_what_is_typed(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    begin(page, None, "violation")
    choose(page, "tobacco")
    onward(page, 2)
    expect(page.locator("#badge")).to_have_text("Online")
    page.evaluate(SLOW)
    page.evaluate(
        "name => new BroadcastChannel(name).postMessage('changed')", f"outrider-store-{centre.crew.officer.id}"
    )
    page.wait_for_timeout(200)
    page.evaluate("() => window.quick()")
    fill(page, "plate", "ABC123")
    expect(page.locator(".page.form .kept")).not_to_be_empty()
    page.evaluate("() => window.release()")
    page.wait_for_timeout(200)
    expect(field(page, "plate")).to_have_value("ABC123")
