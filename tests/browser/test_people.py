"""The page of people in a real browser: made by one administrator, given their roles by another, shut out."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role, system
from core.ids import new_id
from core.models import Credential, Office, UserAccount
from core.work import open_work
from tests.browser.conftest import PHONE, Hand, Watch, hand_of, log_in
from tests.conftest import cloned
from tests.helpers import PASSWORD, Database, Server, person

DESK = {"width": 1600, "height": 1000}
REFUSED = re.compile(r"status of (409|422)")


@pytest.fixture(scope="module")
def server(template: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server that asks for four eyes."""
    with cloned(template) as made:
        running = Server(made, tmp_path_factory.mktemp("server"), extra={"OUTRIDER_FOUR_EYES": "1"}).start()
        yield running
        running.stop()


@pytest.fixture
def hand(server: Server) -> Hand:
    """Does something to the server's database."""
    return hand_of(server)


@pytest.fixture
def named(hand: Hand) -> Callable[..., UserAccount]:
    """A person with a name of their own."""

    def made(name: str, *roles: Role, **fields: Any) -> UserAccount:
        found: UserAccount = hand(lambda engine: person(engine, *roles, name=f"{name} {new_id().hex[-6:]}", **fields))
        return found

    return made


@pytest.fixture
def signed_in(watch: Watch, server: Server) -> Callable[..., Page]:
    watch.allow(REFUSED)

    def open_page(user: UserAccount, path: str = "/people", **options: Any) -> Page:
        page = watch.open(f"{server.url}{path}", **{"viewport": DESK} | options)
        log_in(page, user.login)
        return page

    return open_page


def found(page: Page, name: str) -> Locator:
    """The row of the one person the filter leaves."""
    page.locator("[name=text]").fill(name)
    rows = page.locator(".people tbody tr")
    expect(rows).to_have_count(1)
    return rows.first


def signs_in(server: Server, login: str, password: str) -> dict[str, Any]:
    opened = httpx.post(f"{server.url}/api/v1/session", json={"login": login, "password": password})
    assert opened.status_code == 201, opened.text
    me = httpx.get(f"{server.url}/api/v1/me", headers={"Authorization": f"Bearer {opened.json()['token']}"})
    return dict(me.json())


def test_made_by_one_and_given_the_roles_by_another(
    signed_in: Callable[..., Page], named: Callable[..., UserAccount], server: Server, hand: Hand
) -> None:
    ana, benas = named("Ana", Role.ADMINISTRATOR), named("Benas", Role.ADMINISTRATOR)
    login, office = f"jonas-{new_id().hex[-6:]}", f"Vilnius {new_id().hex[-6:]}"

    async def open_office(engine: AsyncEngine) -> None:
        async with open_work(engine, system("test")) as work:
            work.session.add(Office(code=office[-6:], name=office))

    hand(open_office)
    page = signed_in(ana)
    page.get_by_role("button", name="New person").click()
    dialog = page.locator("dialog")
    dialog.locator("[name=login]").fill(login)
    dialog.locator("[name=name]").fill(f"Jonas {login}")
    dialog.locator("[name=office_id]").select_option(label=office)
    dialog.get_by_role("button", name="Make the account").click()
    expect(dialog.get_by_text("Choose at least one role")).to_be_visible()
    dialog.get_by_label("Dispatcher").check()
    dialog.get_by_role("button", name="Make the account").click()
    password = dialog.locator("[name=one_time_password]").input_value()
    expect(dialog.get_by_text("Their roles wait for another administrator.")).to_be_visible()
    page.keyboard.press("Escape")  # not before the password was taken
    dialog.get_by_role("button", name="Copy").click()
    dialog.get_by_role("button", name="I have the password").click()
    expect(dialog).to_have_count(0)
    assert signs_in(server, login, password)["roles"] == []
    row = found(page, login)
    expect(row).to_contain_text(office)
    expect(row.locator(".chip.waiting")).to_contain_text("Dispatcher")
    mine = page.locator(".waits li", has_text=login)
    expect(mine).to_contain_text("Waiting for another administrator")
    expect(mine.get_by_role("button", name="Grant")).to_have_count(0)
    other = signed_in(benas)
    theirs = other.locator(".waits li", has_text=login)
    expect(theirs).to_contain_text(f"proposed by {ana.name}")
    expect(theirs).to_contain_text(re.compile(r"lapses on \d\d/\d\d, \d\d:\d\d if nobody decides"))
    theirs.get_by_role("button", name="Grant").click()
    expect(theirs).to_have_count(0)
    expect(other.get_by_text(f"Jonas {login} now has: Dispatcher.")).to_be_visible()
    expect(found(other, login).locator(".chip.waiting")).to_have_count(0)
    assert signs_in(server, login, password)["roles"] == ["dispatcher"]


def test_refused_withdrawn_or_decided_meanwhile(
    signed_in: Callable[..., Page], named: Callable[..., UserAccount], server: Server
) -> None:
    ana, benas = named("Ana", Role.ADMINISTRATOR), named("Benas", Role.ADMINISTRATOR)
    rasa = named("Rasa", Role.OFFICER)
    page = signed_in(ana)

    def propose(*labels: str) -> None:
        found(page, rasa.name)
        if not page.locator(".panel").count():
            page.locator(".pick").click()
        page.get_by_role("button", name="Change…").click()
        for label in labels:
            page.locator("dialog").get_by_label(label).check()
        page.get_by_role("button", name="Save").click()
        expect(page.locator("dialog")).to_have_count(0)

    propose("Supervisor")
    mine = page.locator(".waits li", has_text=rasa.login)
    mine.get_by_role("button", name="Withdraw").click()
    expect(mine).to_have_count(0)
    propose("Risk analyst")
    other = signed_in(benas)
    theirs = other.locator(".waits li", has_text=rasa.login)
    expect(theirs).to_be_visible()
    mine.get_by_role("button", name="Withdraw").click()
    expect(mine).to_have_count(0)
    theirs.get_by_role("button", name="Grant").click()  # it does not know yet
    expect(other.get_by_text("was decided or replaced meanwhile")).to_be_visible()
    expect(theirs).to_have_count(0)
    propose("Investigator")
    other.reload()
    theirs.get_by_role("button", name="Refuse").click()
    expect(theirs).to_have_count(0)
    assert signs_in(server, rasa.login, PASSWORD)["roles"] == ["officer"]


def test_who_was_first_is_told_and_nothing_that_was_entered_is_lost(
    signed_in: Callable[..., Page], named: Callable[..., UserAccount]
) -> None:
    ana, benas = named("Ana", Role.ADMINISTRATOR), named("Benas", Role.ADMINISTRATOR)
    rasa = named("Rasa", Role.OFFICER)
    pages = [signed_in(ana), signed_in(benas)]
    for page, field, value in zip(pages, ("phone", "badge_no"), ("+370 600 00000", "B-17"), strict=True):
        found(page, rasa.name).locator(".pick").click()
        page.get_by_role("button", name="Change…").click()
        page.locator(f"dialog [name={field}]").fill(value)
    first, second = pages
    first.get_by_role("button", name="Save").click()
    expect(first.locator("dialog")).to_have_count(0)
    second.get_by_role("button", name="Save").click()
    dialog = second.locator("dialog")
    expect(dialog.get_by_text(f"{ana.name} changed this person first.")).to_be_visible()
    expect(dialog.locator("[name=phone]")).to_have_value("+370 600 00000")
    expect(dialog.locator("[name=badge_no]")).to_have_value("B-17")
    second.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    expect(second.locator(".panel")).to_contain_text("+370 600 00000")
    expect(second.locator(".panel")).to_contain_text("B-17")


def test_by_keyboard_alone(signed_in: Callable[..., Page], named: Callable[..., UserAccount]) -> None:
    ana, mark = named("Ana", Role.ADMINISTRATOR), new_id().hex[-6:]
    names = [named(f"{mark} {letter}", Role.OFFICER, login=f"{mark}-{letter}").name for letter in "ab"]
    page = signed_in(ana)
    page.locator("[name=text]").fill(mark)
    picks = page.locator(".pick")
    expect(picks).to_have_count(2)
    picks.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".panel h2")).to_have_text(names[1])
    page.keyboard.press("Escape")
    expect(page.locator(".panel")).to_have_count(0)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Disable…").press("Enter")
    expect(page.locator("dialog")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()  # it cannot be undone
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.get_by_text(f"{names[1]} is disabled.")).to_be_visible()
    expect(picks).to_have_count(1)  # of those who may sign in
    expect(page.locator(".panel")).to_contain_text("Disabled since")
    expect(page.get_by_role("button", name="Change…")).to_have_count(0)


def test_the_second_factor_of_a_lost_phone_is_reset(
    signed_in: Callable[..., Page], named: Callable[..., UserAccount], hand: Hand
) -> None:
    rasa = named("Rasa", Role.DISPATCHER)

    async def set_up(engine: AsyncEngine) -> None:
        async with open_work(engine, system("test")) as work:
            (await work.session.get_one(UserAccount, rasa.id)).factor_at = work.now
            (await work.session.get_one(Credential, rasa.id)).factor_secret = "JBSWY3DPEHPK3PXP"

    hand(set_up)
    page = signed_in(named("Ana", Role.ADMINISTRATOR))
    found(page, rasa.name).locator(".pick").click()
    fact = page.locator(".facts div", has_text="Second factor")
    expect(fact).to_contain_text("set up")
    page.get_by_role("button", name="Reset second factor…").click()
    page.locator("dialog").get_by_role("button", name="Reset").click()
    expect(fact).to_contain_text("none")
    expect(page.get_by_role("button", name="Reset second factor…")).to_have_count(0)


def test_a_forgotten_password_is_reset(
    signed_in: Callable[..., Page], named: Callable[..., UserAccount], server: Server
) -> None:
    rasa, other = named("Rasa", Role.DISPATCHER), named("Benas", Role.ADMINISTRATOR)
    page = signed_in(named("Ana", Role.ADMINISTRATOR))
    found(page, other.name).locator(".pick").click()
    expect(page.locator(".panel")).to_contain_text(other.login)
    expect(page.get_by_role("button", name="Reset password…")).to_have_count(0)
    found(page, rasa.name).locator(".pick").click()
    page.get_by_role("button", name="Reset password…").click()
    dialog = page.locator("dialog")
    dialog.get_by_role("button", name="Reset").click()
    once = dialog.locator("[name=one_time_password]").input_value()
    dialog.get_by_role("button", name="Copy").click()
    dialog.get_by_role("button", name="I have the password").click()
    expect(page.get_by_text(f"{rasa.name} has a one-time password now.")).to_be_visible()
    assert signs_in(server, rasa.login, once)["must_change_password"]


def test_an_auditor_reads_and_an_administrator_finds_the_way(
    signed_in: Callable[..., Page], named: Callable[..., UserAccount]
) -> None:
    rasa = named("Rasa", Role.OFFICER)
    page = signed_in(named("Vida", Role.AUDITOR))
    found(page, rasa.name).locator(".pick").click()
    expect(page.locator(".panel")).to_contain_text(rasa.login)
    expect(page.get_by_role("button", name="Change…")).to_have_count(0)
    expect(page.get_by_role("button", name="New person")).to_have_count(0)
    expect(signed_in(rasa).get_by_text("Your role has no console here.")).to_be_visible()
    ana = named("Ana", Role.ADMINISTRATOR)
    for path in ("/", "/devices"):
        page = signed_in(ana, path)
        page.get_by_role("link", name="People").click()
        expect(page.get_by_role("heading", name="People").first).to_be_visible()
    found(page, ana.name).locator(".pick").click()
    expect(page.get_by_role("button", name="Disable…")).to_have_count(0)  # nobody shuts themselves out here
    page.get_by_role("button", name="Change…").click()
    expect(page.locator("dialog").get_by_label("Supervisor")).to_be_disabled()


@pytest.mark.parametrize(("theme", "viewport"), [("dark", DESK), ("light", DESK), ("dark", PHONE), ("light", PHONE)])
def test_accessible(
    signed_in: Callable[..., Page],
    accessible_in_both: Callable[[Page], None],
    named: Callable[..., UserAccount],
    server: Server,
    theme: str,
    viewport: Any,
) -> None:
    ana, rasa = named("Ana", Role.ADMINISTRATOR), named("Rasa", Role.OFFICER)
    named("Benas", Role.ADMINISTRATOR)
    opened = httpx.post(f"{server.url}/api/v1/session", json={"login": ana.login, "password": PASSWORD}).json()
    asked = httpx.patch(
        f"{server.url}/api/v1/users/{rasa.id}", json={"roles": ["officer", "supervisor"]},
        headers={"Authorization": f"Bearer {opened['token']}"},
    )  # fmt: skip
    assert asked.json()["roles_waiting"] == ["supervisor"]
    page = signed_in(ana, color_scheme=theme, viewport=viewport)
    found(page, rasa.name).locator(".pick").click()
    expect(page.locator(".panel")).to_be_visible()
    accessible_in_both(page)
    page.get_by_role("button", name="Change…").click()
    expect(page.locator("dialog")).to_be_visible()
    accessible_in_both(page)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_an_own_password_takes_the_place_of_a_one_time_one_before_anything_else(
    signed_in: Callable[..., Page], named: Callable[..., UserAccount], server: Server, hand: Hand,
    accessible_in_both: Callable[[Page], None],
) -> None:  # fmt: skip
    rasa = named("Rasa", Role.DISPATCHER)

    async def one_time(engine: AsyncEngine) -> None:
        async with open_work(engine, system("test")) as work:
            (await work.session.get_one(Credential, rasa.id)).must_change = True

    hand(one_time)
    page = signed_in(rasa, "/")
    expect(page.get_by_text("known to whoever made it")).to_be_visible()
    accessible_in_both(page)
    page.reload()
    expect(page.locator("[name=login]")).to_be_focused()
    page.keyboard.type(rasa.login)
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("[name=new]")).to_be_focused()
    page.keyboard.type("three words of mine")
    page.keyboard.press("Tab")
    page.keyboard.type("three words of min")
    page.keyboard.press("Enter")
    assert page.locator("[name=again]").evaluate("field => field.validationMessage") == "The two are not the same."
    page.keyboard.type("e")
    page.keyboard.press("Enter")
    expect(page.locator(".topbar .link.up")).to_be_visible()
    page.get_by_role("button", name=rasa.name).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Change password…").click()
    for name, value in (
        ("password", "wrong"),
        ("new", "five more words of mine"),
        ("again", "five more words of mine"),
    ):
        dialog.locator(f"[name={name}]").fill(value)
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("The password is wrong.")
    accessible_in_both(page)
    dialog.locator("[name=password]").fill("three words of mine")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("status")).to_have_text("Your password is changed. Your other sessions have ended.")
    assert signs_in(server, rasa.login, "five more words of mine")["must_change_password"] is False
