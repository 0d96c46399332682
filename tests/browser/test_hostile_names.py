"""Names and words that are script somewhere else are text on every page of ours (S17)."""

from playwright.sync_api import Page, expect

from core.actor import Role
from core.db import make_engine
from core.ids import new_id
from tests.browser.conftest import Watch, log_in, run
from tests.browser.officer_pages import Centre, row, sign_in
from tests.helpers import Crew, Server, crew, person

DESK = {"width": 1600, "height": 1000}
HOSTILE = '<img src=x onerror=alert(1)>${alert(2)}</script>"`javascript:alert(3)'


def listening(page: Page) -> list[str]:
    """What scripts say on this page from now on; Watch fails on what its policy stopped."""
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    return said


def hostile_crew(server: Server) -> Crew:
    """A crew on shift of a unit with a hostile name."""

    async def made() -> Crew:
        engine = make_engine(server.database.app_url)
        try:
            return await crew(engine, call_sign=f"{HOSTILE}{new_id().hex[-6:]}", protocol="overland")
        finally:
            await engine.dispose()

    return run(made())


def named(server: Server, role: Role) -> str:
    """The login of somebody of this role with a hostile name."""

    async def made() -> str:
        engine = make_engine(server.database.app_url)
        login = (await person(engine, role, name=HOSTILE)).login
        await engine.dispose()
        return login

    return run(made())


def open_as(watch: Watch, server: Server, role: Role, path: str) -> Page:
    """A page as somebody of this role, whose own name is hostile as well."""
    page = watch.open(f"{server.url}{path}", viewport=DESK)
    log_in(page, named(server, role))
    return page


def unmoved(page: Page, said: list[str]) -> None:
    """Nothing ran and nothing became an element of the page."""
    page.wait_for_timeout(300)
    assert said == []
    assert page.locator("img[src=x]").count() == 0


def test_on_the_officers_page(watch: Watch, centre: Centre) -> None:
    task = centre.issue(HOSTILE, instruction=HOSTILE, address=HOSTILE)
    centre.send("/notices", {"kind": "information", "priority": "P2", "headline": f"N {HOSTILE}", "body": HOSTILE,
                             "instruction": HOSTILE, "to": {"units": [str(centre.crew.unit.id)]}})  # fmt: skip
    centre.send(f"/tasks/{task['id']}/messages", {"id": str(new_id()), "text": HOSTILE})
    page = sign_in(watch, centre)
    said = listening(page)
    expect(row(page, f"N {HOSTILE}")).to_be_visible()
    row(page, f"N {HOSTILE}").click()
    expect(page.locator("main").get_by_text(HOSTILE).first).to_be_visible()
    page.go_back()
    page.locator(".card.now").get_by_role("link").first.click()
    expect(page.locator("main").get_by_text(HOSTILE).first).to_be_visible()
    unmoved(page, said)


def test_on_the_page_of_devices(watch: Watch, shared_server: Server) -> None:
    patrol = hostile_crew(shared_server)
    page = open_as(watch, shared_server, Role.ADMINISTRATOR, "/devices")
    said = listening(page)
    page.locator("[name=text]").fill(patrol.unit.call_sign)
    ranked = page.locator(".ranked tbody tr")
    expect(ranked).to_have_count(1)
    expect(ranked.first).to_contain_text(HOSTILE)
    ranked.first.locator(".pick").click()
    expect(page.locator(".panel h2")).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Register a device").click()
    expect(page.locator("dialog option").filter(has_text=patrol.unit.call_sign)).to_have_count(1)
    unmoved(page, said)


def test_on_the_page_of_people(watch: Watch, shared_server: Server) -> None:
    page = open_as(watch, shared_server, Role.ADMINISTRATOR, "/people")
    said = listening(page)
    page.locator("[name=text]").fill("onerror=alert(1)")
    page.locator(".pick").first.click()
    expect(page.locator(".panel h2")).to_have_text(HOSTILE)
    page.get_by_role("button", name="Change…").click()
    expect(page.locator("dialog [name=name]")).to_have_value(HOSTILE)
    unmoved(page, said)


def test_on_the_page_of_shifts(watch: Watch, shared_server: Server) -> None:
    patrol, _ = hostile_crew(shared_server), named(shared_server, Role.OFFICER)
    page = open_as(watch, shared_server, Role.DISPATCHER, "/shifts")
    said = listening(page)
    page.locator("[name=text]").fill(patrol.unit.call_sign)
    rows = page.locator(".rows .line")
    expect(rows).to_have_count(1)
    expect(rows.locator(".name")).to_contain_text(HOSTILE)
    rows.locator(".shift").click()
    expect(page.locator(".panel h2")).to_contain_text(HOSTILE)
    rows.locator(".name .pick").click()
    page.locator("[name=others]").fill("onerror")
    expect(page.locator("dialog .check").filter(has_text=HOSTILE).first).to_be_visible()
    expect(page.locator("dialog option").filter(has_text=patrol.unit.call_sign)).to_have_count(1)
    unmoved(page, said)


def test_on_the_supervisors_page_and_in_its_report(watch: Watch, shared_server: Server) -> None:
    category = HOSTILE.replace('"', '""')
    lines = "".join(f'{n},2026-03-02T10:00:00+02:00,"{category}",54.6{n},22.7{n},"{category}"\n' for n in (1, 2))
    file = f"id,occurred_at,category,lat,lon,note\n{lines}"
    patrol = hostile_crew(shared_server)
    page = open_as(watch, shared_server, Role.SUPERVISOR, "/supervisor")
    said = listening(page)
    expect(page.locator(".totals")).to_be_visible()
    expect(page.locator("[name=track_device] option").filter(has_text=patrol.unit.call_sign)).to_have_count(1)
    page.locator("[name=file]").set_input_files(
        [{"name": f"{HOSTILE.replace('/', '')}.csv", "mimeType": "text/csv", "buffer": file.encode()}]
    )
    page.locator("[name=source]").fill(HOSTILE)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("2 added")).to_be_visible()
    expect(page.get_by_text(HOSTILE).first).to_be_attached()
    page.get_by_role("button", name="Preview").click()
    frame = page.frame_locator("iframe")
    expect(frame.locator(".leaflet-container, .folium-map").first).to_be_visible(timeout=30_000)
    unmoved(page, said)
