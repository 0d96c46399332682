"""The officer's screens: for screen readers, for gloves, in both themes and languages."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, TABLET, Watch
from tests.browser.officer_pages import (
    Centre,
    begin,
    big,
    choose,
    field,
    fill,
    onward,
    rewind,
    row,
    send,
    sign_in,
)
from tests.browser.test_officer_forms import PIER, recorded
from tests.helpers import ROOT

VILNIUS = ZoneInfo("Europe/Vilnius")
I18N = ROOT / "web_map" / "client" / "src" / "shared" / "i18n"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_screen_is_accessible(
    watch: Watch, centre: Centre, accessible: Callable[[Page], None], theme: str
) -> None:
    entry = watch.open(f"{centre.server.url}/officer", color_scheme=theme)
    expect(entry.get_by_label("Login")).to_be_visible()
    accessible(entry)
    page = sign_in(watch, centre, color_scheme=theme)
    task = centre.issue("Look at everything", "P2")
    to = {"units": [str(centre.crew.unit.id)]}
    notice = {"kind": "information", "priority": "P4", "headline": "Read me", "to": to}
    made = centre.send("/notices", notice)
    expect(page.locator(".card.now")).to_contain_text("Look at everything")
    expect(row(page, "Read me")).to_be_visible()
    accessible(page)
    big(page, "acknowledge")
    of = f"task/{task['id']}"
    paths = [
        "", of, f"{of}/decline", f"{of}/messages", f"{of}/support", f"notice/{made['id']}", "report", "outbox", "panic",
        "pin", "shift/end", "track", "phone", "aide", "aide/vehicle_stop", "duty",
    ]  # fmt: skip

    def look_at_all(size: dict[str, int]) -> None:
        page.set_viewport_size(size)
        for path in paths:
            page.evaluate("path => { location.hash = `#/${path}` }", path)
            expect(page.locator("h1:visible").last).to_be_visible()
            accessible(page)

    def look_at_forms() -> None:
        for kind, steps in (("violation", 6), ("stop", 10)):
            begin(page, task, kind)
            rewind(page)
            for n in range(1, steps + 1):
                expect(page.locator(".dots i")).to_have_count(steps)
                expect(page.locator(".dots i").nth(n - 1)).to_have_class("here")
                accessible(page)
                if n < steps:
                    onward(page)

    look_at_forms()
    look_at_all(TABLET)
    look_at_all(PHONE)
    page.locator("button[lang=lt]").click()
    expect(page.locator("html")).to_have_attribute("lang", "lt")
    look_at_all(PHONE)
    look_at_forms()


def test_targets_and_text_are_big_enough_for_gloves(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre)
    task = centre.issue("Measure the buttons")
    expect(page.locator(".card.now")).to_be_visible()
    small = """() => {
      const shown = (e) => e.getClientRects().length && getComputedStyle(e).visibility === "visible";
      const low = [...document.querySelectorAll("a, button, input, summary")].filter(shown)
        .filter((e) => !e.closest(".leaflet-control-attribution") && e.getBoundingClientRect().height < 47.5);
      const fine = [...document.querySelectorAll("#app *")].filter(shown)
        .filter((e) => !e.closest("officer-map, svg, .hidden-label, .said"))
        .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
        .filter((e) => parseFloat(getComputedStyle(e).fontSize) < 18);
      return [...low, ...fine].map((e) => e.outerHTML.slice(0, 120));
    }"""

    wide = "() => Math.max(...[...document.querySelectorAll('html, main')].map((e) => e.scrollWidth))"

    def fits() -> None:
        page.wait_for_timeout(200)
        assert page.evaluate(small) == []
        assert page.evaluate(wide) <= 390

    for path in ("", f"task/{task['id']}", f"task/{task['id']}/decline", "report", "duty", "outbox"):
        page.evaluate("path => { location.hash = `#/${path}` }", path)
        fits()
    for language in (None, "Lietuviškai"):
        page.evaluate("() => { location.hash = '#/duty' }")
        if language:
            page.get_by_role("button", name=language).click()
        for kind, steps in (("violation", 6), ("stop", 10)):
            begin(page, task, kind)
            rewind(page)
            for n in range(steps):
                fits()
                if n < steps - 1:
                    onward(page)


def test_both_languages_say_everything() -> None:
    texts = {name: json.loads((I18N / f"officer.{name}.json").read_text()) for name in ("en", "lt")}
    assert texts["en"].keys() == texts["lt"].keys()
    fields = {name: {k: set(re.findall(r"\{\w+\}", v)) for k, v in said.items()} for name, said in texts.items()}
    assert fields["en"] == fields["lt"]
    source = "".join(file.read_text() for file in (ROOT / "web_map/client/src/officer").rglob("*.ts"))
    used = set(re.findall(r"""t\(["`](officer\.[a-z_.]+)["`]""", source))
    assert used - texts["en"].keys() == set()


def test_times_are_typed_as_they_are_shown_whatever_the_devices_zone(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre, timezone_id="America/New_York", **PIER)
    centre.issue("Follow the tanker")
    begin(page, None, "violation")
    choose(page, "fuel")
    onward(page)
    occurred = field(page, "occurred_at")
    prefilled = datetime.fromisoformat(occurred.input_value()).replace(tzinfo=VILNIUS)
    assert abs(prefilled - datetime.now(UTC)) < timedelta(minutes=5)
    wanted = (datetime.now(VILNIUS) - timedelta(days=1)).replace(hour=8, minute=15, second=0, microsecond=0)
    occurred.fill(f"{wanted:%Y-%m-%dT%H:%M}")
    onward(page)
    fill(page, "note", "In the tank")
    onward(page, 2)
    expect(page.locator(".page.form")).to_contain_text("08:15")
    send(page)
    page.evaluate("() => { location.hash = '#/' }")
    big(page, "acknowledge")  # which lets the report go
    made = recorded(page, centre, "/violations?category=fuel&limit=500", note="In the tank")
    assert datetime.fromisoformat(made["occurred_at"]) == wanted.astimezone(UTC)
