"""A hand-over from one dispatcher's screen to the next, by keyboard (domain.md 4.1, D9)."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from core.actor import Role
from core.db import make_engine
from tests.browser import test_dispatcher_alarms as alarms
from tests.browser.conftest import Watch, log_in, run
from tests.browser.test_dispatcher import DESK, sign_in
from tests.browser.test_dispatcher_alarms import Centre, sign_in_second
from tests.helpers import Server, person

centre = alarms.centre


def tabbed_to(page: Page, target: Locator) -> None:
    """The keyboard goes there with Tab alone, however many hand-overs of other tests stand before it."""
    for _ in range(40):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail("Tab does not lead there")


def test_d9_a_hand_over_lists_what_is_open_and_the_next_dispatcher_confirms_it(
    watch: Watch, centre: Centre, accessible_in_both: Callable[[Page], None]
) -> None:
    sign, note = centre.crew.unit.call_sign, "Here h is no shortcut: the ferry comes at nine."
    task = centre.issued(f"Left {sign}", priority="P1")
    to = {"units": [str(centre.crew.unit.id)]}
    sent = centre.post(centre.rasa, "/notices", kind="information", priority="P1", headline=f"Ice {sign}", to=to)
    centre.sql(
        "INSERT INTO alert (id, kind, unit_id, since, raised_at, reached, called, updated_at) VALUES"
        " (gen_random_uuid(), 'unit_silent', :unit, now() - interval '20 min', now(), 'dispatchers', '{}', now())",
        unit=centre.crew.unit.id,
    )
    leaves, comes = sign_in(watch, centre), sign_in_second(watch, centre)
    leaves.keyboard.press("h")
    expect(leaves.locator("#handover")).to_be_focused()
    row = leaves.locator(f"[data-left-task='{task['id']}']")
    expect(row).to_contain_text(sign)
    expect(leaves.locator(f"[data-left-notice='{sent['id']}']")).to_contain_text("0/1")
    expect(leaves.locator(f"[data-left-silent='{centre.crew.unit.id}']")).to_contain_text("20 min")
    centre.officer_does(task["id"], "acknowledge")
    expect(row.locator(".badge")).to_have_text("acknowledged")  # the open panel keeps up
    tabbed_to(leaves, leaves.locator(".handover textarea"))
    leaves.keyboard.type(note)
    leaves.keyboard.press("Tab")
    leaves.keyboard.press("Enter")
    given = leaves.locator(".left.waits", has_text=note)
    expect(given).to_contain_text("Another dispatcher confirms it")
    expect(leaves.locator(".handover textarea")).to_have_value("")
    accessible_in_both(leaves)

    expect(comes.locator(".side > .notice-box")).to_contain_text("Rasa Budėtoja handed over")
    comes.keyboard.press("h")
    card = comes.locator(".left", has_text=note)
    expect(card.get_by_role("button", name="Confirm that I take over")).to_be_visible()
    tabbed_to(comes, card.locator("summary"))
    comes.keyboard.press("Enter")
    then = card.locator("li", has=comes.get_by_role("button", name=f"#{task['number']}", exact=True))
    expect(then).to_contain_text("acknowledged")
    expect(then).to_contain_text(sign)
    accessible_in_both(comes)
    tabbed_to(comes, card.get_by_role("button", name="Confirm that I take over"))
    comes.keyboard.press("Enter")
    expect(comes.locator("#handover")).to_be_focused()
    expect(card).to_contain_text("Confirmed by Jonas Petraitis")
    expect(leaves.locator(".left", has_text=note)).to_contain_text("Confirmed by Jonas Petraitis")
    expect(leaves.locator(".left.waits", has_text=note)).to_have_count(0)
    leaves.keyboard.press("Escape")
    expect(leaves.locator("#open-handover")).to_be_visible()


def test_a_supervisor_reads_hand_overs_and_confirms_none(watch: Watch, centre: Centre) -> None:
    given = centre.post(centre.rasa, "/handovers", note="")
    page = watch.open(centre.server.url, viewport=DESK)
    log_in(page, run(supervisor(centre.server)))
    page.locator("#open-handover").click()
    card = page.locator(f"[data-handover='{given['id']}']")
    expect(card).to_contain_text("Nobody confirmed it.")
    expect(card).to_contain_text("Without a note.")
    expect(page.locator(".handover :is(textarea, .confirm)")).to_have_count(0)
    expect(page.locator(".side > .notice-box")).to_have_count(0)
    centre.post(centre.jonas, f"/handovers/{given['id']}/confirm")
    expect(card).to_contain_text("Confirmed by Jonas Petraitis")


async def supervisor(server: Server) -> str:
    engine = make_engine(server.database.app_url)
    made = await person(engine, Role.SUPERVISOR)
    await engine.dispose()
    return made.login
