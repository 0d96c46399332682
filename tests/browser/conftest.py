"""Real Chromium against a real server: a page that breaks, complains, or calls another host fails its test."""

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright
from sqlalchemy.ext.asyncio import AsyncEngine

from core.db import make_engine
from tests.conftest import cloned
from tests.helpers import PASSWORD, ROOT, Database, Server

T = TypeVar("T")
PHONE = {"width": 390, "height": 844}
TABLET = {"width": 1024, "height": 768}
on_phone_and_tablet = pytest.mark.parametrize("watch", [PHONE, TABLET], ids=["phone", "tablet"], indirect=True)
"""Opens the test's pages on a screen of either size."""
AXE = ROOT / "web_map" / "client" / "node_modules" / "axe-core" / "axe.min.js"
expect.set_options(timeout=20_000)
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
NOT_SIGNED_IN = re.compile(r"status of 401")
AWAY = re.compile(
    r"ERR_CONNECTION|ERR_INTERNET_DISCONNECTED|ERR_EMPTY_RESPONSE|ERR_SOCKET|WebSocket connection to|status of 5\d\d"
)


def run(work: Coroutine[Any, Any, T]) -> T:
    """The outcome of asynchronous `work`, in a thread of its own: the browser's own loop runs in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


Hand = Callable[[Callable[[AsyncEngine], Coroutine[Any, Any, Any]]], Any]


def hand_of(server: Server) -> Hand:
    """Does something to a server's database, and says what came of it."""

    async def with_engine(work: Callable[[AsyncEngine], Coroutine[Any, Any, Any]]) -> Any:
        engine = make_engine(server.database.app_url)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return lambda work: run(with_engine(work))


def log_in(page: Page, login: str) -> None:
    """By keyboard, with the password of everybody in the tests."""
    page.locator("[name=login]").fill(login)
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where the system's Chromium is; without one the tests fail and say what to do."""
    path = os.environ.get("OUTRIDER_CHROMIUM") or shutil.which("chromium")
    if not path or not os.path.exists(path):
        pytest.fail("No Chromium: install the package `chromium`, or set OUTRIDER_CHROMIUM to one.", pytrace=False)
    if not AXE.exists():
        pytest.fail("The pages are not built: run `make setup`.", pytrace=False)
    return path


@pytest.fixture(scope="session")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """A browser for all tests, each with a profile of its own in it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shared_server(template: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all browser tests that neither stop it nor mind what others stored."""
    with cloned(template) as made:
        running = Server(made, tmp_path_factory.mktemp("server")).start()
        yield running
        running.stop()


@dataclass
class Watch:
    """Opens pages and notes whatever a healthy page never does."""

    browser: Browser
    viewport: dict[str, int] = field(default_factory=lambda: PHONE)
    faults: list[str] = field(default_factory=list)
    allowed: list[re.Pattern[str]] = field(default_factory=lambda: [NOT_SIGNED_IN])
    hosts: set[str] = field(default_factory=set)
    """Others that its pages may call, which a test answers for."""

    def allow(self, pattern: re.Pattern[str]) -> None:
        """From now on console errors like this are no fault: the test breaks something on purpose."""
        self.allowed.append(pattern)

    def open(self, url: str, **options: Any) -> Page:
        """A page at `url` in a browser profile of its own, in English and by night unless said otherwise."""
        settings: dict[str, Any] = {"viewport": self.viewport, "locale": "en-GB", "color_scheme": "dark"} | options
        return self.beside(self.browser.new_context(**settings), url)

    def beside(self, context: BrowserContext, url: str) -> Page:
        """One more page of a profile."""
        page = context.new_page()
        home = urlsplit(url).netloc

        def asked(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc not in {home, *self.hosts}:
                self.faults.append(f"a request to another host: {request.url}")

        def said(message: ConsoleMessage) -> None:
            if message.type == "error" and not any(pattern.search(message.text) for pattern in self.allowed):
                self.faults.append(f"console: {message.text} ({message.location.get('url')})")

        page.on("request", asked)
        page.on("console", said)
        page.on("pageerror", lambda error: self.faults.append(f"page error: {error}\n{error.stack}"))
        page.set_default_timeout(20_000)
        page.goto(url)
        return page


@pytest.fixture
def watch(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Watch]:
    """Pages whose faults fail the test; on a phone unless it asks for another screen."""
    watching = Watch(chromium, getattr(request, "param", PHONE))
    yield watching
    for context in chromium.contexts:
        context.close()
    assert watching.faults == []


@pytest.fixture
def centre(shared_server: Server) -> Iterator[Any]:
    """An officer's crew on shift and its dispatcher (officer_pages.Centre)."""
    from tests.browser.officer_pages import Centre

    made = Centre(shared_server)
    yield made
    made.http.close()


@pytest.fixture
def accessible() -> Callable[[Page], None]:
    """Fails, with what is wrong, when axe finds anything on the page as it is now."""

    def check(page: Page) -> None:
        if not page.evaluate("() => 'axe' in window"):
            page.evaluate(AXE.read_text())  # not a script element: the page's policy forbids those
        options = {"runOnly": {"type": "tag", "values": AXE_TAGS}}
        found = page.evaluate("options => axe.run(document, options)", options)["violations"]
        said = [f"{one['id']}: {node['html'][:200]} {node['failureSummary']}" for one in found for node in one["nodes"]]
        assert not said, f"{page.url}\n" + "\n".join(said)

    return check


@pytest.fixture
def accessible_in_both(accessible: Callable[[Page], None]) -> Callable[[Page], None]:
    """The same in English and in Lithuanian, for pages whose bar has a button for the other language."""

    def check(page: Page) -> None:
        for language in ("lt", "en"):
            accessible(page)
            page.locator(f"button[lang={language}]").first.dispatch_event("click")  # also behind a dialog
            expect(page.locator("html")).to_have_attribute("lang", language)

    return check
