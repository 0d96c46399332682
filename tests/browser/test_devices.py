"""The page of devices: the ranking, one device, strangers registered in one click, keys that are shown once."""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role, system
from core.db import make_engine
from core.ids import new_id
from core.work import open_work
from geo.device_models import IngestCount
from tests.browser.conftest import PHONE, Watch, log_in, run
from tests.helpers import Crew, Server, crew, person

DESK = {"width": 1600, "height": 1000}


async def with_engine(server: Server, work: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
    engine = make_engine(server.database.app_url)
    try:
        return await work(engine)
    finally:
        await engine.dispose()


@pytest.fixture
def hand(shared_server: Server) -> Callable[[Callable[[AsyncEngine], Coroutine[Any, Any, Any]]], Any]:
    """Does something to the server's database."""
    return lambda work: run(with_engine(shared_server, work))


@pytest.fixture
def signed_in(watch: Watch, shared_server: Server, hand: Callable[..., Any]) -> Callable[..., Page]:
    def open_page(role: Role = Role.ADMINISTRATOR, path: str = "/devices", **options: Any) -> Page:
        login = hand(lambda engine: person(engine, role)).login
        page = watch.open(f"{shared_server.url}{path}", **{"viewport": DESK} | options)
        log_in(page, login)
        return page

    return open_page


async def counted(engine: AsyncEngine, device_id: Any, **counts: Any) -> None:
    """Today's row of a device that was heard just now."""
    now = datetime.now(UTC)
    fields = {"accepted": 1_000, "seen_at": now, "skews": [0, 0, 0, 0, 0, 0, 9], "skew_s": 0.5} | counts
    async with open_work(engine, system("test")) as work:
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        work.session.add(IngestCount(device_id=device_id, day=day, **fields))


@pytest.fixture
def two(hand: Callable[..., Any]) -> tuple[Crew, Crew]:
    """A device in trouble, and one without."""

    async def made(engine: AsyncEngine) -> tuple[Crew, Crew]:
        mark = new_id().hex[-6:]
        bad, good = [await crew(engine, call_sign=f"{name}-{mark}", protocol="overland") for name in ("Bad", "Good")]
        await counted(engine, bad.device.id, jumps=300, late=700, battery_pct=3, about="<b>Overland</b> 1.4")
        await counted(engine, good.device.id, battery_pct=88)
        return bad, good

    found: tuple[Crew, Crew] = hand(made)
    return found


def test_the_most_troubled_is_first_and_says_why(signed_in: Callable[..., Page], two: tuple[Crew, Crew]) -> None:
    bad, _ = two
    page = signed_in(Role.SUPERVISOR)
    page.locator("[name=text]").fill(bad.unit.call_sign.removeprefix("Bad"))
    rows = page.locator(".ranked tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text(bad.unit.call_sign)
    expect(rows.first).to_contain_text("30 % impossible jumps")
    expect(rows.last).to_contain_text("nothing wrong")
    rows.first.locator(".pick").click()
    panel = page.locator(".panel")
    expect(panel).to_contain_text("battery 3 %")
    expect(panel).to_contain_text("<b>Overland</b> 1.4")
    expect(panel.locator(".series tbody tr")).to_have_count(14)
    expect(panel.get_by_role("button", name="Revoke")).to_have_count(0)  # a supervisor only reads
    expect(page.get_by_role("button", name="Register a device")).to_have_count(0)
    page.locator("[name=protocol]").select_option("gt06")
    expect(page.get_by_text("No device fits the filter.")).to_be_visible()


def test_by_keyboard_alone(signed_in: Callable[..., Page], two: tuple[Crew, Crew]) -> None:
    bad, good = two
    page = signed_in()
    page.locator("[name=text]").fill(bad.unit.call_sign.removeprefix("Bad"))
    picks = page.locator(".pick")
    expect(picks).to_have_count(2)
    picks.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".panel h2")).to_have_text(good.unit.call_sign)
    page.keyboard.press("Escape")
    expect(page.locator(".panel")).to_have_count(0)
    page.get_by_role("button", name="Register a device").press("Enter")
    expect(page.locator("dialog [name=unit_id]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Register a device")).to_be_focused()


def test_a_device_from_its_key_to_its_end(signed_in: Callable[..., Page], shared_server: Server, two: Any) -> None:
    bad, _ = two
    page = signed_in()

    def sent(key: str) -> int:
        at = datetime.now(UTC).isoformat()
        answer = httpx.post(
            f"{shared_server.url}/api/v1/positions", json={"fixes": [{"fix_at": at, "lat": 54.7, "lon": 25.3}]},
            headers={"Authorization": f"Bearer {key}"},
        )  # fmt: skip
        return answer.status_code

    page.get_by_role("button", name="Register a device").click()
    dialog = page.locator("dialog")
    name = f"i-{new_id().hex[-8:]}"
    dialog.locator("[name=unit_id]").select_option(label=bad.unit.call_sign)
    dialog.locator("[name=protocol]").select_option("overland")
    dialog.locator("[name=identifier]").fill(name)
    dialog.get_by_role("button", name="Register").click()
    key = dialog.locator("[name=key]").input_value()
    assert sent(key) == 200
    page.keyboard.press("Escape")  # not before the key was taken
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_text("It is on the clipboard.")).to_be_visible()
    dialog.get_by_role("button", name="I have the key").click()
    expect(dialog).to_have_count(0)
    page.locator("[name=text]").fill(name)
    expect(page.locator(".pick")).to_have_count(1)
    page.locator(".pick").click()
    page.get_by_role("button", name="New key").click()
    dialog.locator("[name=overlap]").uncheck()
    dialog.get_by_role("button", name="Make a new key").click()
    newer = dialog.locator("[name=key]").input_value()
    assert newer != key
    dialog.get_by_role("button", name="I have the key").click()
    page.get_by_role("button", name="Revoke").click()
    dialog.get_by_role("button", name="Revoke for good").click()
    expect(page.get_by_text("This device is revoked.")).to_be_visible()
    expect(page.locator(".pick")).to_have_count(0)
    assert [sent(each) for each in (key, newer)] == [401, 401]


def test_a_stranger_is_registered_in_one_click_and_followed(
    signed_in: Callable[..., Page], hand: Callable[..., Any], shared_server: Server, two: tuple[Crew, Crew]
) -> None:
    imeis = [f"35{new_id().int % 10**13:013}" for _ in range(2)]

    async def knock(engine: AsyncEngine) -> None:
        owner = await shared_server.database.owner()
        for imei in imeis:
            await owner.execute(
                "INSERT INTO unknown_device VALUES ('teltonika', $1, now(), now() - $2::interval, 7, '192.0.2.4')",
                imei, timedelta(seconds=30),
            )  # fmt: skip
        await owner.close()

    hand(knock)
    page = signed_in()
    first, second = [page.locator(".strangers li", has_text=imei).first for imei in imeis]
    expect(first).to_contain_text("calls: 7")
    second.get_by_role("button", name="Ignore").click()
    expect(second).to_have_count(0)
    expect(first.get_by_role("button", name="Register")).to_be_disabled()
    first.locator("select").select_option(label=two[1].unit.call_sign)
    with page.expect_response("**/devices/unknown/register") as answered:
        first.get_by_role("button", name="Register").click()
    expect(first).to_contain_text("Waiting for its next call")
    made = answered.value.json()
    assert (made["identifier"], made["unit_id"]) == (imeis[0], str(two[1].unit.id))
    hand(lambda engine: counted(engine, made["id"]))
    expect(first).to_contain_text("Heard")


@pytest.mark.parametrize(("theme", "viewport"), [("dark", DESK), ("light", DESK), ("dark", PHONE), ("light", PHONE)])
def test_accessible(
    signed_in: Callable[..., Page],
    accessible_in_both: Callable[[Page], None],
    two: tuple[Crew, Crew],
    theme: str,
    viewport: Any,
) -> None:
    page = signed_in(color_scheme=theme, viewport=viewport)
    page.locator("[name=text]").fill(two[0].unit.call_sign)
    expect(page.locator(".pick")).to_have_count(1)
    page.locator(".pick").click()
    expect(page.locator(".panel")).to_be_visible()
    accessible_in_both(page)
    page.get_by_role("button", name="Register a device").click()
    expect(page.locator("dialog")).to_be_visible()
    accessible_in_both(page)


def test_who_may_not_is_told_and_an_administrator_finds_the_way(signed_in: Callable[..., Page]) -> None:
    expect(signed_in(Role.OFFICER).get_by_text("Your role has no console here.")).to_be_visible()
    page = signed_in(path="/")
    page.get_by_role("link", name="Devices").click()
    expect(page.get_by_role("heading", name="Devices by trouble")).to_be_visible()
