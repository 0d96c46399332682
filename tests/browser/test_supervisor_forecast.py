"""A forecast on the supervisor's page: asked for by keyboard, followed, shown on the map, with the reasons for it."""

import random
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from core.actor import Role, system
from core.db import make_engine, utcnow
from core.work import open_work
from dispatch_api.workers import hotspots
from geo.violation_import import Batch, store_now
from geo.violation_rows import Good, Row
from tests.browser.conftest import Watch, log_in, run
from tests.helpers import Server, person

DESK = {"width": 1600, "height": 1000}
SPOTS = [(22.72, 54.65), (23.10, 54.40), (25.75, 54.60)]
PINK_ON_THE_MAP = """() => {
  const canvas = document.querySelector('.leaflet-squares-pane canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 0; i < data.length; i += 4) n += data[i] > 200 && data[i + 1] < 140 && data[i + 3] > 200;
  return n;
}"""


async def fill(server: Server, n: int) -> str:
    """Violations of a year around three places, and the login of a supervisor."""
    engine, rng, now = make_engine(server.database.app_url), random.Random(3), utcnow()
    user = await person(engine, Role.SUPERVISOR)
    rows = []
    for number in range(n):
        lon, lat = rng.choices(SPOTS, (6, 3, 1))[0]
        row = {"id": f"f{number}", "category": "tobacco", "occurred_at": now - timedelta(days=rng.uniform(1, 360)),
               "lon": rng.gauss(lon, 0.001), "lat": rng.gauss(lat, 0.0007), "coord_source": "gps"}  # fmt: skip
        rows.append(Good(number, Row.model_validate(row), None))
    async with open_work(engine, system("test")) as work:
        await store_now(work, Batch("forecast", user.id), rows, {})
    await engine.dispose()
    return user.login


async def work_off(server: Server) -> None:
    engine = make_engine(server.database.app_url)
    assert await hotspots.round_(engine, lambda: False)
    await engine.dispose()


@pytest.fixture
def page(watch: Watch, server: Server) -> Page:
    opened = watch.open(f"{server.url}/supervisor", viewport=DESK)
    log_in(opened, run(fill(server, 900)))
    expect(opened.locator(".totals")).to_be_visible()
    return opened


def test_a_forecast_is_asked_for_followed_and_shown_with_its_reasons(page: Page, server: Server) -> None:
    card = page.locator(".forecast")
    assert page.evaluate(PINK_ON_THE_MAP) == 0
    card.get_by_label("For the next").focus()
    card.get_by_label("For the next").select_option("90")
    card.get_by_label("Squares").select_option("grid")
    card.get_by_role("button", name="Forecast").focus()
    page.keyboard.press("Enter")
    expect(card.get_by_role("progressbar")).to_be_visible()
    expect(card.get_by_role("button", name="Stop")).to_be_visible()
    run(work_off(server))
    first = card.locator("tbody tr").first
    expect(first).to_contain_text("54.6")
    expect(first).to_contain_text("Gi*")
    expect(card.locator(".totals div").nth(3)).to_contain_text("900")
    expect(card.locator(".totals div").first).to_contain_text("in 90 days")
    assert page.evaluate(PINK_ON_THE_MAP) > 20
    before = page.evaluate(PINK_ON_THE_MAP)
    first.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(first.get_by_role("button")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#map")).to_be_in_viewport(ratio=0.5)
    page.wait_for_function(f"({PINK_ON_THE_MAP})() !== {before}")  # nearer: the squares are larger
    with page.expect_download() as download:
        card.get_by_role("link", name="GeoJSON").click()
    assert download.value.suggested_filename == "forecast.geojson"


def test_a_forecast_is_stopped_and_what_cannot_be_forecast_is_said(page: Page, server: Server) -> None:
    card = page.locator(".forecast")
    card.get_by_role("button", name="Forecast").click()
    card.get_by_role("button", name="Stop").click()
    expect(card).to_contain_text("Stopped; nothing is kept of it.")
    page.locator(".filters input[type=date]").nth(0).fill("2019-01-01")
    page.locator(".filters input[type=date]").nth(1).fill("2020-01-01")
    card.get_by_role("button", name="Forecast").click()
    expect(card.get_by_role("button", name="Stop")).to_be_visible()  # it waits for the worker
    run(work_off(server))
    expect(card.get_by_role("alert")).to_contain_text("too few violations to learn from")
