"""What tests of the officer's page share: a crew and who sends it, signing in, the one big button."""

import io
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from core.actor import Role
from core.db import make_engine
from tests.browser.conftest import Watch, run
from tests.helpers import PASSWORD, Crew, Server, crew, person

PORT_OFFICE = {"lon": 21.144, "lat": 55.703}


class Centre:
    """A crew and the dispatcher who sends it, over the API of the test's server."""

    def __init__(self, server: Server, *, on_shift: bool = True) -> None:
        self.server = server
        self.crew, login = run(self._people(on_shift))
        self.http = httpx.Client(base_url=f"{server.url}/api/v1", timeout=20)
        session = self.http.post("/session", json={"login": login, "password": PASSWORD})
        self.http.headers["Authorization"] = f"Bearer {session.json()['token']}"

    async def _people(self, on_shift: bool) -> tuple[Crew, str]:
        engine = make_engine(self.server.database.app_url)
        made = await crew(engine, on_shift=on_shift)
        dispatcher = await person(engine, Role.DISPATCHER)
        await engine.dispose()
        return made, dispatcher.login

    def officer(self) -> httpx.Client:
        """The crew's officer by another way than the page."""
        http = httpx.Client(base_url=self.http.base_url, timeout=20)
        session = http.post("/session", json={"login": self.crew.officer.login, "password": PASSWORD})
        http.headers["Authorization"] = f"Bearer {session.json()['token']}"
        return http

    def send(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.is_success, answer.text
        return answer.json()

    def issue(self, title: str, priority: str = "P1", **fields: Any) -> dict[str, Any]:
        """A task issued to the crew; P1 is not held back for undo."""
        return self.send(
            "/tasks",
            {"id": str(uuid.uuid4()), "kind": "stop_vehicle", "priority": priority, "title": title, **PORT_OFFICE,
             "instruction": "Check the seals.", "reason_code": "indicator", "address": "A1, km 293",
             "unit_id": str(self.crew.unit.id), "issue": True} | fields,
        )  # fmt: skip

    def task(self, task_id: str) -> dict[str, Any]:
        return dict(self.get(f"/tasks/{task_id}"))

    def steps(self, task_id: str) -> list[tuple[str, str]]:
        """(verb, result) of what officers did to a task, in the order the server got it."""
        seen = {"acknowledge", "decline", "en_route", "on_scene", "pause", "resume", "complete", "fail"}
        events = self.get(f"/tasks/{task_id}/events")["items"]
        return [(one["verb"], one["result"]) for one in events if one["verb"] in seen]


def sign_in(watch: Watch, centre: Centre, **options: Any) -> Page:
    page = watch.open(f"{centre.server.url}/officer", **options)
    fill_in(page, centre)
    return page


def fill_in(page: Page, centre: Centre) -> None:
    """Sign the crew's officer in."""
    page.get_by_label("Login").fill(centre.crew.officer.login)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#badge")).to_have_text("Online")


def kept(page: Page) -> None:
    """Wait until the page and the map are kept on the device and served from there."""
    page.wait_for_function("() => navigator.serviceWorker.controller?.state === 'activated'")


def big(page: Page, verb: str) -> None:
    """Press the one big button, which must be what is next."""
    button = page.locator(f".next[data-verb={verb}]")
    expect(button).to_be_visible()
    # Measured in the page, at once: between two questions a page that has just been opened may take its place.
    page.wait_for_function(f"() => document.querySelector('.next[data-verb={verb}]')?.offsetHeight >= 72")
    button.click()


def row(page: Page, text: str) -> Locator:
    """A task or notice in the inbox."""
    return page.locator("a.item").filter(has_text=text)


OPEN = """() => {
  const form = /^#\\/form\\/([\\w-]+)/.exec(location.hash);
  return form && document.querySelector(".page.form")?.dataset.form === form[1];
}"""


def begin(page: Page, task: dict[str, Any] | None, kind: str) -> None:
    """Open the form of this kind (stop, violation), of a task or of none; another may be open until then."""
    page.evaluate("path => { location.hash = path }", f"#/begin/{kind}" + (f"/{task['id']}" if task else ""))
    page.wait_for_function(OPEN)
    expect(page.locator(".page.form")).to_be_visible()


def rewind(page: Page) -> None:
    """Go back to a form's first step: it goes on where it was left."""
    form, back = page.locator(".page.form"), page.locator(".wizard .back")
    while back.is_visible():
        step = form.get_attribute("data-step") or ""
        back.click()
        expect(form).not_to_have_attribute("data-step", step)


def onward(page: Page, steps: int = 1) -> None:
    """Go on with a form."""
    for _ in range(steps):
        before = page.locator(".page.form").get_attribute("data-step")
        big(page, "next")
        expect(page.locator(".page.form")).not_to_have_attribute("data-step", before or "")


def field(page: Page, path: str) -> Locator:
    """An input of the form that is open."""
    return page.locator(f".page.form input[data-path='{path}'], .page.form textarea[data-path='{path}']")


def fill(page: Page, path: str, text: str) -> None:
    field(page, path).fill(text)


def choose(page: Page, *codes: str) -> None:
    """Tap choices by their codes."""
    for code in codes:
        page.locator(f".page.form [data-code='{code}']").click()


def send(page: Page) -> None:
    """Send the form that is open, at its last step."""
    address = page.url
    big(page, "send")
    page.wait_for_function("address => location.href !== address", arg=address)


def at_step(page: Page, name: str) -> None:
    expect(page.locator(f".page.form[data-step={name}]")).to_be_visible()


def photo(name: str, seed: int = 1, pixels: int = 400) -> dict[str, Any]:
    """A photo as a file input takes it: noise, so that it does not shrink."""
    noise = random.Random(seed).randbytes(pixels * pixels * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", (pixels, pixels), noise).save(out, "JPEG", quality=95)
    return {"name": name, "mimeType": "image/jpeg", "buffer": out.getvalue()}


def attach(page: Page, *files: dict[str, Any]) -> None:
    """Choose files in the photos' step, and wait until they are kept."""
    before = page.locator(".photo").count()
    page.locator("[data-pick=file]").set_input_files(list(files))
    expect(page.locator(".photo")).to_have_count(before + len(files))


def until(page: Page, check: Callable[[], bool], timeout_s: float = 20) -> None:
    """Wait for something outside the page while the page lives on."""
    deadline = datetime.now(UTC) + timedelta(seconds=timeout_s)
    while not check():
        assert datetime.now(UTC) < deadline, "it did not happen in time"
        page.wait_for_timeout(100)


@contextmanager
def beside(server: Server, settings: dict[str, Any], folder: Path) -> Iterator[Server]:
    """Another server on the database of this one, with further settings."""
    extra = {f"OUTRIDER_{name.upper()}": str(value) for name, value in settings.items()}
    running = Server(server.database, folder, extra=extra).start()
    try:
        yield running
    finally:
        running.stop()
