"""The second factor on the pages: set up at the log-in or of one's own accord, and asked for."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pyotp import TOTP

from core.actor import Role
from core.db import make_engine, utcnow
from tests.browser.conftest import PHONE, Watch, log_in, run
from tests.conftest import cloned
from tests.helpers import PASSWORD, Database, Server, person

DESK = {"width": 1600, "height": 1000}


@pytest.fixture(scope="module")
def server(template: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server where supervisors must have a second factor."""
    with cloned(template) as made:
        folder = tmp_path_factory.mktemp("server")
        running = Server(made, folder, extra={"OUTRIDER_MFA_ROLES": "supervisor"}).start()
        yield running
        running.stop()


def somebody(server: Server, role: Role) -> str:
    async def made() -> str:
        engine = make_engine(server.database.app_url)
        login = (await person(engine, role, name="Ona Petraitė")).login
        await engine.dispose()
        return login

    return run(made())


def enter(page: Page, code: str) -> None:
    """Type the code where the focus is."""
    expect(page.locator("[name=code]")).to_be_focused()
    page.keyboard.type(code)
    page.keyboard.press("Enter")


def log_out(page: Page) -> None:
    """When the page has what it asked for: what is refused because its session ended would be a fault of the page."""
    out = page.get_by_role("button", name="Log out")
    expect(out).to_be_visible()
    page.wait_for_load_state("networkidle")
    out.click()


def photographed(page: Page) -> TOTP:
    """The app as it is set up by the key beside the picture."""
    picture = page.get_by_alt_text("What the authenticator app is to photograph")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    return TOTP(page.locator(".factor-key code").inner_text().replace(" ", ""))


def next_code(app: TOTP) -> str:
    """That of the step to come, which the server takes as well: the present one is used up."""
    return app.at(utcnow(), counter_offset=1)


@pytest.mark.parametrize(("theme", "viewport"), [("dark", PHONE), ("light", DESK)])
def test_who_must_have_one_sets_it_up_at_the_log_in_and_is_asked_from_then_on(
    watch: Watch, server: Server, accessible_in_both: Callable[[Page], None], theme: Any, viewport: Any
) -> None:
    login = somebody(server, Role.SUPERVISOR)
    page = watch.open(f"{server.url}/supervisor", viewport=viewport, color_scheme=theme)
    log_in(page, login)
    app = photographed(page)
    accessible_in_both(page)
    page.locator("[name=code]").focus()
    enter(page, app.now())
    log_out(page)
    log_in(page, login)
    expect(page.get_by_text("Enter the six digits")).to_be_visible()
    accessible_in_both(page)
    page.locator("[name=code]").focus()
    enter(page, "000000")
    expect(page.get_by_role("alert")).to_have_text("This code is wrong, or was used before.")
    expect(page.locator("[name=code]")).to_have_value("")
    code = next_code(app)
    enter(page, f"{code[:3]} {code[3:]}")
    expect(page.get_by_role("button", name="Ona Petraitė")).to_be_visible()


def test_back_leads_to_another_login(watch: Watch, server: Server) -> None:
    page = watch.open(f"{server.url}/supervisor", viewport=DESK)
    log_in(page, somebody(server, Role.SUPERVISOR))
    photographed(page)
    page.get_by_role("button", name="Back").click()
    expect(page.locator("[name=login]")).to_be_focused()
    log_in(page, somebody(server, Role.AUDITOR))
    expect(page.get_by_role("button", name="Ona Petraitė")).to_be_visible()


def test_a_dispatcher_sets_one_up_of_their_own_accord(
    watch: Watch, server: Server, accessible_in_both: Callable[[Page], None]
) -> None:
    login = somebody(server, Role.DISPATCHER)
    page = watch.open(f"{server.url}/", viewport=DESK)
    log_in(page, login)
    page.get_by_role("button", name="Ona Petraitė").click()
    expect(page.get_by_role("dialog")).to_contain_text("Off.")
    page.keyboard.type("wrong password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The password is wrong.")
    page.get_by_label("Your password").fill(PASSWORD)
    page.keyboard.press("Enter")
    app = photographed(page)
    accessible_in_both(page)
    page.locator("[name=code]").focus()
    with page.expect_navigation():
        enter(page, app.now())
    page.get_by_role("button", name="Ona Petraitė").click()
    expect(page.get_by_role("dialog")).to_contain_text("On: each sign-in")
    accessible_in_both(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    log_out(page)
    log_in(page, login)
    enter(page, next_code(app))
    expect(page.locator(".topbar .link.up")).to_be_visible()
