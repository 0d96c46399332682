"""What the console's map draws, read from the pixels that a dispatcher sees."""

import io
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import Page, expect

from core.actor import Role
from core.db import make_engine
from tests.browser.conftest import Watch, run
from tests.browser.officer_pages import until
from tests.browser.test_dispatcher import Field, sign_in, unit_row
from tests.helpers import Server, person

AVAILABLE = "#56b4e9"
LAND, SEA = {"night": "#1c2938", "day": "#fffdf7"}, {"night": "#0b1420", "day": "#cfe0ea"}
HALF_PX = 13
NEAR = 30
"""How far a channel may be from a colour: edges are smoothed."""
LEAST_PX = 40
WEST_DEG, WEST_PX = 0.041, 30
"""As many pixels as degrees at the zoom that a unit is shown at: beside its mark."""
OTHER = 20
"""From here on two pictures of a mark are not the same one, in steps of the three channels together."""


def clipped(page: Page, x: float, y: float, width: float, height: float) -> Image.Image:
    """A part of the map, from its left edge and the middle of its height."""
    box = page.locator("#map").bounding_box()
    assert box
    left, top = round(box["x"] + x), round(box["y"] + box["height"] / 2 + y)
    taken = page.screenshot(clip={"x": left, "y": top, "width": width, "height": height})
    return Image.open(io.BytesIO(taken)).convert("RGB")


def seen(page: Page, dx: int = 0, half: int = HALF_PX) -> Image.Image:
    """What is drawn around the middle of the map, or `dx` pixels east of it."""
    box = page.locator("#map").bounding_box()
    assert box
    return clipped(page, box["width"] / 2 + dx - half, -half, 2 * half, 2 * half)


def has(image: Image.Image, colour: str) -> int:
    """How many pixels are of the colour."""
    wanted = Image.new("RGB", image.size, colour)
    channels = ImageChops.difference(image, wanted).split()
    near = [channel.point(lambda away: 255 if away <= NEAR else 0) for channel in channels]
    return ImageChops.multiply(ImageChops.multiply(near[0], near[1]), near[2]).histogram()[255]


def apart(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def themed(page: Page, theme: str) -> None:
    if page.locator("html").get_attribute("data-theme") != theme:
        page.locator("body").press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", theme)


def shown(page: Page, field: Field) -> None:
    """Bring a unit to the middle of the map."""
    unit_row(page, field).click()
    page.locator(".card").get_by_role("button", name="Show on the map").click()


def somewhere() -> tuple[float, float]:
    """A place in the fields, where no other test has anything."""
    return round(random.uniform(23.3, 23.5), 5), round(random.uniform(55.45, 55.55), 5)


def heads(field: Field, lon: float, lat: float, heading_deg: int, fix_at: datetime) -> None:
    fix = {"fix_at": fix_at.isoformat(), "lon": lon, "lat": lat, "heading_deg": heading_deg}
    headers = {"Authorization": f"Bearer {field.crew.device_key}"}
    assert field.http.post("/positions", json={"fixes": [fix]}, headers=headers).json()["accepted"] == 1


def test_the_land_is_there_by_night_and_by_day_without_anything_from_elsewhere(
    watch: Watch, shared_server: Server
) -> None:
    field = Field(shared_server)
    page = sign_in(watch, field)
    page.locator("#map").focus()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for theme in ("night", "day"):
        themed(page, theme)
        until(page, lambda: has(seen(page, half=60), LAND[theme]) > 3_000)  # noqa: B023
        assert has(clipped(page, 0, -60, 60, 120), SEA[theme]) > 500, "the Baltic, west of the country"
    assert not [url for url in asked if not url.startswith(shared_server.url)]


def test_a_unit_is_a_shape_of_its_status_turned_to_its_heading_and_another_when_old(
    watch: Watch, shared_server: Server
) -> None:
    fresh, old = Field(shared_server), Field(shared_server)
    (lon, lat), now = somewhere(), datetime.now(UTC)
    heads(fresh, lon, lat, 0, now - timedelta(seconds=5))
    heads(old, lon + 0.2, lat + 0.1, 0, now - timedelta(seconds=660))
    page = sign_in(watch, fresh)
    themed(page, "day")
    expect(unit_row(page, fresh).locator(".age.fresh")).to_be_visible()
    shown(page, fresh)
    until(page, lambda: has(seen(page), AVAILABLE) > LEAST_PX)
    up = seen(page)
    heads(fresh, lon, lat, 90, now)
    until(page, lambda: apart(seen(page), up) > OTHER)
    right = seen(page)
    assert has(right, AVAILABLE) > LEAST_PX
    assert apart(right.rotate(90), up) < apart(right, up) / 2, "the same arrow, turned by a quarter"
    expect(unit_row(page, old).locator(".age.lost")).to_be_visible()
    shown(page, old)
    until(page, lambda: has(seen(page), AVAILABLE) > 0 and apart(seen(page), up) > OTHER)
    assert apart(seen(page), right) > OTHER, "an old arrow is none of the fresh ones"


async def importer(server: Server) -> str:
    engine = make_engine(server.database.app_url)
    try:
        return (await person(engine, Role.SUPERVISOR)).login
    finally:
        await engine.dispose()


def test_heat_on_the_map_follows_time_and_category_and_its_counts_add_up(
    watch: Watch, shared_server: Server, accessible_in_both: Callable[[Page], None]
) -> None:
    field = Field(shared_server)
    lon, lat = somewhere()
    field.report(lon, lat)
    timber, waste = (f"{kind}-{field.crew.unit.id}" for kind in ("timber", "waste"))
    lines = "".join(
        f"{category}{n},{year}-06-0{n + 1}T10:00:00+03:00,{category},{lat},{lon - WEST_DEG},5\n"
        for category, year, times in ((timber, 2023, 3), (waste, 2022, 2))
        for n in range(times)
    )
    answer = field.http.post(
        "/violations/import", content="id,occurred_at,category,lat,lon,accuracy_m\n" + lines,
        headers=field.token(run(importer(shared_server))) | {"Content-Type": "text/csv"},
    )  # fmt: skip
    assert answer.json()["accepted"] == 5, answer.text
    page = sign_in(watch, field)
    themed(page, "night")
    until(page, lambda: has(seen(page, half=60), LAND["night"]) > 3_000)
    shown(page, field)
    until(page, lambda: has(seen(page), AVAILABLE) > LEAST_PX)
    bare = seen(page, -WEST_PX, 10)
    page.locator("#map").press("v")
    panel = page.locator("section.heat")
    for name, begin, end, n in (
        (timber, "2022-01-01", "2023-12-31", 3),
        (timber, "2022-01-01", "2022-12-31", 0),
        (waste, "2022-01-01", "2022-12-31", 2),
        ("", "2022-01-01", "2023-12-31", 5),
    ):
        panel.get_by_label("From", exact=True).fill(begin)
        panel.get_by_label("To", exact=True).fill(end)
        panel.get_by_label("Category").select_option(name)
        expect(panel).to_contain_text(f"{n} violations in view")
        until(page, lambda: (apart(seen(page, -WEST_PX, 10), bare) > 5) == (n > 0))  # noqa: B023
    accessible_in_both(page)
