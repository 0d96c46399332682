"""The dispatcher's console: units that move, a task from a click to its acknowledgement, undo, loss of the server."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from core.actor import Role
from core.db import make_engine
from tests.browser.conftest import AWAY, Watch, log_in, run
from tests.helpers import PASSWORD, Crew, Database, Server, crew, person

DESK = {"width": 1600, "height": 900}
HOSTILE = "<img src=x onerror=alert(1)>${alert(2)}</script>"


class Field:
    """A crew with a tracker, and a dispatcher, on a server."""

    def __init__(self, server: Server, **unit: Any) -> None:
        self.server = server
        self.crew, self.dispatcher = run(self._people(unit))
        self.http = httpx.Client(base_url=f"{server.url}/api/v1", timeout=20)

    async def _people(self, unit: dict[str, Any]) -> tuple[Crew, str]:
        engine = make_engine(self.server.database.app_url)
        made = await crew(engine, **unit)
        dispatcher = await person(engine, Role.DISPATCHER, name="Rasa Budėtoja")
        await engine.dispose()
        return made, dispatcher.login

    def report(self, lon: float, lat: float, age_s: float = 0) -> None:
        at = datetime.now(UTC) - timedelta(seconds=age_s)
        fix = {"fix_at": at.isoformat(), "lon": lon, "lat": lat, "heading_deg": 45, "speed_mps": 15}
        headers = {"Authorization": f"Bearer {self.crew.device_key}"}
        assert self.http.post("/positions", json={"fixes": [fix]}, headers=headers).json()["accepted"] == 1

    def token(self, login: str) -> dict[str, str]:
        answer = self.http.post("/session", json={"login": login, "password": PASSWORD})
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    def officer_does(self, task_id: str, verb: str) -> None:
        headers = self.token(self.crew.officer.login)
        answer = self.http.post(f"/tasks/{task_id}/transitions", json={"verb": verb}, headers=headers)
        assert answer.json()["result"] == "applied", answer.text


def sign_in(watch: Watch, field: Field, **options: Any) -> Page:
    page = watch.open(field.server.url, viewport=DESK, **options)
    log_in(page, field.dispatcher)
    expect(page.locator(".topbar .link.up")).to_be_visible()
    return page


def unit_row(page: Page, field: Field) -> Any:
    return page.locator(f"[data-unit='{field.crew.unit.id}']")


def drafted(page: Page, title: str) -> None:
    """A new task at the map's middle, by keyboard alone."""
    page.keyboard.press("c")
    page.locator("#map").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".pick.has")).to_be_visible()
    expect(page.locator("[name=title]")).to_be_focused()
    page.keyboard.type(title)
    page.get_by_role("button", name="Create, then choose the unit").click()
    expect(page.locator(".task-detail h3").first).to_have_text(title)


def task_of(field: Field, title: str) -> dict[str, Any]:
    headers = field.token(field.dispatcher)
    items = field.http.get("/tasks?limit=500", headers=headers).json()["items"]
    return next(dict(task) for task in items if task["title"] == title)


def test_a_unit_that_reports_is_listed_fresh(watch: Watch, shared_server: Server) -> None:
    field = Field(shared_server)
    page = sign_in(watch, field)
    expect(unit_row(page, field)).to_contain_text("no position")
    field.report(25.28, 54.68)
    expect(unit_row(page, field).locator(".age.fresh")).to_have_text(re.compile(r"^\d+ s$"))
    page.keyboard.press("/")
    page.keyboard.type(field.crew.unit.call_sign)
    expect(page.locator("#unit-rows .row")).to_have_count(1)
    page.keyboard.press("Escape")
    unit_row(page, field).click()
    expect(page.locator(".card")).to_contain_text("54 km/h")


def test_a_unit_outside_the_map_is_listed_as_fresh_as_it_is(watch: Watch, shared_server: Server) -> None:
    here, far = Field(shared_server), Field(shared_server)
    here.report(21.14, 55.71)
    far.report(25.28, 54.69)
    page = sign_in(watch, here)
    for field in (here, far):
        expect(unit_row(page, field).locator(".age.fresh")).to_be_visible()
    scale = page.locator(".leaflet-control-scale-line")
    country = scale.inner_text()
    unit_row(page, here).dblclick()
    expect(scale).not_to_have_text(country)
    far.report(25.29, 54.69)
    here.report(21.15, 55.71)
    page.wait_for_timeout(2_500)  # two frames of the live map: what is not to happen has no event
    expect(unit_row(page, far).locator(".age.fresh")).to_have_text(re.compile(r"^\d+ s$"))


def test_from_a_place_to_the_acknowledgement(watch: Watch, shared_server: Server) -> None:
    field = Field(shared_server)
    field.report(23.9, 55.2)  # the middle of the first view
    page = sign_in(watch, field)
    title = f"Van {field.crew.unit.call_sign}"
    drafted(page, title)
    first = page.locator(".nearest .row").first
    expect(first).to_be_visible()
    number = [row.get_attribute("data-assign") for row in page.locator(".nearest .row").all()].index(
        str(field.crew.unit.id)
    ) + 1  # fmt: skip
    page.keyboard.press(str(number))
    expect(page.locator(".bar.undo")).to_contain_text(field.crew.unit.call_sign)
    page.keyboard.press("u")
    expect(page.locator(".bar.undo")).to_have_count(0)
    assert task_of(field, title)["status"] == "draft"
    page.keyboard.press(str(number))
    expect(page.locator(".task-detail .badge").first).to_have_text("issued", timeout=20_000)
    task = task_of(field, title)
    assert (task["status"], task["unit_id"]) == ("issued", str(field.crew.unit.id))
    field.officer_does(task["id"], "acknowledge")
    expect(page.locator(".timeline li.done")).to_have_count(2)  # shown without a reload
    expect(page.locator(".history")).to_contain_text("Test Person")


def test_another_dispatcher_was_first(watch: Watch, shared_server: Server) -> None:
    field = Field(shared_server)
    page = sign_in(watch, field)
    title = f"Twice {field.crew.unit.call_sign}"
    drafted(page, title)
    task, headers = task_of(field, title), field.token(field.dispatcher)
    watch.allow(re.compile("status of 409"))
    page.get_by_role("button", name="Discard").click()  # held for ten seconds
    changed = field.http.patch(f"/tasks/{task['id']}", json={"version": task["version"], "title": f"{title}!"},
                               headers=headers)  # fmt: skip
    assert changed.status_code == 200
    expect(page.locator(".bars .bar.urgent")).to_contain_text("changed it at", timeout=20_000)


def test_a_notice_and_its_receipts(watch: Watch, shared_server: Server) -> None:
    field = Field(shared_server)
    page = sign_in(watch, field)
    page.get_by_role("tab", name="Notices").click()
    page.get_by_role("button", name="New notice").click()
    page.locator("[name=headline]").fill(f"Ice {field.crew.unit.call_sign}")
    page.locator(f"[name=units][value='{field.crew.unit.id}']").check()
    page.locator("[name=priority][value=P1]").check(force=True)  # goes at once
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".receipts tbody tr")).to_have_count(1)
    expect(page.locator(".receipts tbody tr")).to_contain_text(field.crew.unit.call_sign)


def test_hostile_names_are_only_text(watch: Watch, shared_server: Server) -> None:
    field = Field(shared_server, call_sign=f"{HOSTILE}{datetime.now(UTC).timestamp()}")
    page = sign_in(watch, field)
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    field.report(23.9, 55.2)
    expect(unit_row(page, field)).to_contain_text("onerror")
    drafted(page, f"{HOSTILE} {field.crew.unit.id}")
    page.keyboard.press("Escape")
    page.wait_for_timeout(500)
    assert said == []


def test_the_server_is_lost_and_comes_back(watch: Watch, database: Database, tmp_path: Path) -> None:
    server = Server(database, tmp_path).start()
    try:
        field = Field(server)
        field.report(25.28, 54.68)
        page = sign_in(watch, field)
        watch.allow(AWAY)
        server.kill()
        banner = page.locator(".banner.lost")
        expect(banner).to_contain_text(re.compile(r"Data from \d\d:\d\d:\d\d"), timeout=10_000)
        page.keyboard.press("c")
        expect(page.locator(".compose .button.primary")).to_be_disabled()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        server.start()
        expect(banner).to_have_count(0, timeout=30_000)
        expect(unit_row(page, field).locator(".age")).to_have_text(re.compile(r"s|min"))
    finally:
        server.stop()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_accessible_by_night_and_day(
    watch: Watch, shared_server: Server, accessible_in_both: Callable[[Page], None], theme: str
) -> None:
    field = Field(shared_server)
    field.report(23.9, 55.2)
    page = sign_in(watch, field, color_scheme=theme)
    accessible_in_both(page)
    drafted(page, f"Axe {theme} {field.crew.unit.call_sign}")
    expect(page.locator(".nearest .row").first).to_be_visible()
    accessible_in_both(page)
    page.keyboard.press("Escape")
    page.keyboard.press("v")
    expect(page.locator("section.heat")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    accessible_in_both(page)


def test_lithuanian_leaves_no_key_untranslated(watch: Watch, shared_server: Server) -> None:
    field = Field(shared_server)
    page = sign_in(watch, field, locale="lt-LT")
    expect(page.locator("h2").first).to_contain_text("Grupės")
    page.keyboard.press("c")
    text = page.locator("body").inner_text()
    assert not re.findall(r"\b(?:task|unit|queue|heat|verb|step|notice|link|count)\.[a-z_]+\b", text)
