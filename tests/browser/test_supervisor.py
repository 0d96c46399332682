"""The supervisor's page: counts that add up, an import with its outcome, the standalone report."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.actor import Role
from core.db import make_engine
from tests.browser.conftest import Watch, log_in, run
from tests.helpers import Crew, Server, crew, person

DESK = {"width": 1600, "height": 1000}
HEADER = "id,occurred_at,category,lat,lon,accuracy_m\n"


@pytest.fixture
def supervisor(watch: Watch, shared_server: Server) -> Callable[..., Page]:
    async def made() -> str:
        engine = make_engine(shared_server.database.app_url)
        login = (await person(engine, Role.SUPERVISOR)).login
        await engine.dispose()
        return login

    def open_page(**options: Any) -> Page:
        page = watch.open(f"{shared_server.url}/supervisor", viewport=DESK, **options)
        log_in(page, run(made()))
        expect(page.locator(".totals")).to_be_visible()
        return page

    return open_page


@pytest.fixture
def patrol(shared_server: Server) -> Crew:
    """A crew on shift whose device sends nothing."""

    async def made() -> Crew:
        engine = make_engine(shared_server.database.app_url)
        try:
            return await crew(engine)
        finally:
            await engine.dispose()

    found: Crew = run(made())
    return found


def number(page: Page, selector: str) -> int:
    return int(re.sub(r"\D", "", page.locator(selector).first.inner_text()))


def load(page: Page, n: int, source: str) -> None:
    """Import n violations around Kybartai, one line of them not readable."""
    lines = [f"{i},2026-03-0{1 + i % 9}T10:00:00+02:00,tobacco,54.6{i % 10},22.7{i % 7},10\n" for i in range(n)]
    content = (HEADER + "".join(lines) + "x,never,tobacco,54.6,22.7,10\n").encode()
    page.locator("[name=file]").set_input_files([{"name": "v.csv", "mimeType": "text/csv", "buffer": content}])
    page.locator("[name=source]").fill(source)
    page.get_by_role("button", name="Import").click()


def test_an_import_is_counted_and_adds_up(supervisor: Callable[..., Page]) -> None:
    page = supervisor()
    before = number(page, ".totals b")
    load(page, 90, "first")
    expect(page.get_by_text("90 added, 0 already there, 1 refused")).to_be_visible()
    expect(page.locator(".faults li")).to_contain_text("Line 92")
    expect(page.locator(".totals b").first).to_have_text(f"{before + 90:,}")
    rows = page.locator(".cells tbody tr").all()
    counts = [int(re.sub(r"\D", "", row.locator("td.n").inner_text())) for row in rows]
    assert sum(counts[:-1]) == counts[-1] == before + 90
    load(page, 90, "first")
    expect(page.get_by_text("0 added, 90 already there, 1 refused")).to_be_visible()
    page.locator(".cells .link").first.click()
    expect(page.locator(".cells tr.on")).to_have_count(1)


def test_counts_add_up_to_the_filters_total(supervisor: Callable[..., Page]) -> None:
    page = supervisor()
    load(page, 40, "filtered")
    expect(page.get_by_text("40 added")).to_be_visible()
    category = page.get_by_label("Category")
    category.select_option("tobacco")
    for first_day, last_day, days in (("2026-03-01", "2026-03-09", 9), ("2026-03-02", "2026-03-02", 1)):
        page.get_by_label("From", exact=True).fill(first_day)
        page.get_by_label("To", exact=True).fill(last_day)
        expect(page.locator(".cells tbody tr").last.locator("td.n")).to_have_text(
            f"{listed(page, first_day, last_day):,}"
        )
        rows = [int(re.sub(r"\D", "", n)) for n in page.locator(".cells td.n").all_inner_texts()]
        assert sum(rows[:-1]) == rows[-1] == number(page, ".totals b") >= 40 // 9 * days
    category.select_option("")
    expect(page.locator(".totals b").first).to_have_text(f"{listed(page, last_day, last_day, ''):,}")


def listed(page: Page, first_day: str, last_day: str, category: str = "tobacco") -> int:
    """How many the server counts for the filter, told apart from what the page adds up: row by row."""
    query: dict[str, str | float | bool] = {
        "from": f"{first_day}T00:00:00+02:00",
        "to": f"{last_day}T23:59:59+02:00",
        "limit": 500,
    }
    url = f"{page.url.removesuffix('/supervisor')}/api/v1/violations"
    answer = page.request.get(url, params=query | ({"category": category} if category else {}))
    return len(answer.json()["features"])


def test_the_report_draws_without_a_network(supervisor: Callable[..., Page]) -> None:
    page = supervisor()
    load(page, 20, "report")
    expect(page.get_by_text("20 added")).to_be_visible()
    page.get_by_role("button", name="Preview").click()
    frame = page.frame_locator("iframe")
    expect(frame.locator(".leaflet-container, .folium-map").first).to_be_visible(timeout=30_000)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_accessible(supervisor: Callable[..., Page], accessible_in_both: Callable[[Page], None], theme: str) -> None:
    accessible_in_both(supervisor(color_scheme=theme))


def test_another_role_is_told(watch: Watch, shared_server: Server) -> None:
    async def made() -> str:
        engine = make_engine(shared_server.database.app_url)
        login = (await person(engine, Role.OFFICER)).login
        await engine.dispose()
        return login

    page = watch.open(f"{shared_server.url}/supervisor", viewport=DESK)
    log_in(page, run(made()))
    expect(page.get_by_text("Your role has no console here.")).to_be_visible()


def test_a_track_from_a_file_is_shown_before_it_is_stored_by_keyboard(
    supervisor: Callable[..., Page], patrol: Crew
) -> None:
    page = supervisor()
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    points = "".join(
        f'<trkpt lat="{54.7 + n / 1000}" lon="25.3"><time>{(begin + timedelta(minutes=n)).isoformat()}</time></trkpt>\n'
        for n in range(30)
    )
    gpx = f'<?xml version="1.0"?>\n<gpx><trk><trkseg>\n{points}<trkpt lat="1" lon="2"/></trkseg></trk></gpx>'
    store = page.get_by_role("button", name="Add to the track")
    page.locator("[name=track_device]").select_option(str(patrol.device.id))
    expect(store).to_be_disabled()
    with page.expect_file_chooser() as chooser:
        page.locator("[name=track]").press("Enter")
    chooser.value.set_files([{"name": "day.GPX", "mimeType": "", "buffer": gpx.encode()}])
    expect(page.get_by_text("Fixes: 30; lines that cannot be used: 1.")).to_be_visible()
    expect(page.locator(".preview tbody tr")).to_have_count(30)
    expect(page.locator(".preview tbody tr").first).to_contain_text("54.70000, 25.30000")
    store.press("Enter")
    expect(page.get_by_text("30 stored, 0 already there")).to_be_visible()
    expect(page.locator(".faults li")).to_contain_text("Line 33")
    expect(store).to_be_disabled()
