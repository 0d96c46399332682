"""O2: a day of an officer without a network, in a real Chromium, and then a line that is slow and drops."""

import asyncio
import contextlib
import hashlib
import io
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from PIL import Image
from playwright.async_api import BrowserContext, Page, async_playwright

from core.actor import Role
from loadtests.faults import scene
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.nemesis import Broken
from loadtests.faults.offline import Desk
from loadtests.faults.proxy import Proxy
from loadtests.faults.stage import Stage
from loadtests.faults.traffic import http

TASKS, FORMS, PHOTOS, PHOTO_BYTES = 20, 30, 100, 3_000_000
STEPS = ("acknowledge", "en_route", "on_scene")
LINE_BYTES_PER_S, LINE_LATENCY_S = 20_000_000 / 8, 0.1
"""20 Mbit/s each way, 200 ms there and back."""
DROPS_EVERY_S, DROPPED_FOR_S = (12.0, 20.0), (0.3, 1.5)
UNDO_S = 10.0
SMALL_WITHIN_S, NEVER_S = 10.0, 480.0
PIER = {"longitude": 21.25, "latitude": 55.71, "accuracy": 9}
PROGRESS = re.compile(r"\d+/\d+")
STORE_GONE = """async () => {
  for (const { name } of await indexedDB.databases()) {
    if (!name.startsWith("outrider-store-")) continue;
    await new Promise((gone) => { indexedDB.deleteDatabase(name).onsuccess = gone; });
  }
}"""


@dataclass
class Day:
    """What the officer did without a network, and what was seen while it was sent."""

    tasks: list[str]
    photos: list[Path] = field(default_factory=list)
    done_s: float = 0.0
    small_s: float = NEVER_S
    all_s: float = NEVER_S
    drops: int = 0
    badges: set[str] = field(default_factory=set)


def _pictures(folder: Path, n: int, size: int) -> list[Path]:
    """Photos of about this size, no two alike: one picture of noise with another comment each."""
    side = int((size / 0.98) ** 0.5)  # so many bytes a pixel of noise takes
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(out, "JPEG", quality=92)
    start, rest = out.getvalue()[:2], out.getvalue()[2:]
    made = []
    for number in range(n):
        comment = b"\xff\xfe\x00\x0a" + f"{number:08}".encode()
        made.append(folder / f"{number:03}.jpg")
        made[-1].write_bytes(start + comment + rest)
    return made


@asynccontextmanager
async def _tablet(proxy: Proxy, token: str) -> AsyncIterator[BrowserContext]:
    path = os.environ.get("OUTRIDER_CHROMIUM") or shutil.which("chromium")
    if not path:
        raise Broken("There is no Chromium: install it, or set OUTRIDER_CHROMIUM to one.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--disable-dev-shm-usage"])
        context = await browser.new_context(
            viewport={"width": 390, "height": 844}, geolocation=PIER, permissions=["geolocation"], locale="en-GB"
        )
        context.set_default_timeout(30_000)
        await context.add_cookies([{"name": "outrider", "value": token, "url": proxy.url}])
        yield context
        await browser.close()


async def _open(context: BrowserContext, proxy: Proxy) -> Page:
    page = await context.new_page()
    await page.goto(f"{proxy.url}/officer")
    await page.locator("#badge").wait_for()
    return page


async def _at(page: Page, path: str) -> None:
    await page.evaluate("path => { location.hash = path }", path)


async def _press(page: Page, verb: str) -> None:
    await page.locator(f".next[data-verb={verb}]").click()


async def _onward(page: Page, steps: int) -> None:
    for _ in range(steps):
        form = page.locator(".page.form")
        before = await form.get_attribute("data-step")
        await _press(page, "next")
        await page.locator(f".page.form:not([data-step={before}])").wait_for()


async def _record(page: Page, task_id: str | None, photos: list[Path]) -> None:
    """A stop form with these photos, from its first step to its sending."""
    await _at(page, "#/begin/stop" + (f"/{task_id}" if task_id else ""))
    await page.locator(".page.form").wait_for()
    if not task_id:
        await page.locator(".page.form [data-code='random']").click()
    await _onward(page, 5)
    await page.locator(".page.form [data-code='nothing_found']").click()
    await _onward(page, 2)
    if photos:
        await page.locator("[data-pick=file]").set_input_files(photos)
        await page.locator(f".photo:nth-of-type({len(photos)})").wait_for()
    await _onward(page, 2)
    await _press(page, "send")
    await page.locator(".page.form").wait_for(state="detached")


async def _work(stage: Stage, context: BrowserContext, proxy: Proxy, day: Day) -> Page:
    """The day without a network, the page closed in the middle of it."""
    page = await _open(context, proxy)
    await page.wait_for_function("() => navigator.serviceWorker.controller?.state === 'activated'")
    await page.locator("a.item").nth(len(day.tasks) - 2).wait_for()  # one more is at hand
    proxy.turn("blackhole")
    await context.set_offline(True)
    began, forms = time.monotonic(), stage.n(FORMS, len(day.tasks) + 1)
    each = len(day.photos) // len(day.tasks)
    for number in range(forms):
        if number < len(day.tasks):
            await _at(page, f"#/task/{day.tasks[number]}")
            for verb in STEPS:
                await _press(page, verb)
        task_id = day.tasks[number] if number < len(day.tasks) else None
        await _record(page, task_id, day.photos[number * each : (number + 1) * each])
        if number == forms // 2:
            if stage.mutant:
                await page.evaluate(STORE_GONE)
            await page.close()
            page = await _open(context, proxy)
    await _at(page, "#/outbox")
    await asyncio.sleep(UNDO_S)  # what was sent last can be taken back so long
    day.done_s = time.monotonic() - began
    return page


async def _drop(stage: Stage, proxy: Proxy, day: Day) -> None:
    """Reset every connection now and then, for a moment."""
    while True:
        await asyncio.sleep(stage.chance.uniform(*DROPS_EVERY_S))
        proxy.turn("rst")
        day.drops += 1
        await asyncio.sleep(stage.chance.uniform(*DROPPED_FOR_S))
        proxy.turn("pass")


_THERE = """SELECT (SELECT count(*) FROM task_event WHERE verb = ANY($1)) + (SELECT count(*) FROM stop_form) AS small,
  (SELECT count(*) FROM attachment WHERE status = 'complete') AS files"""


async def _arrive(stage: Stage, page: Page, db: asyncpg.Connection, day: Day) -> None:
    """Wait until everything is there; note when, and what the screen said meanwhile."""
    began = time.monotonic()
    small = len(STEPS) * len(day.tasks) + stage.n(FORMS, len(day.tasks) + 1)
    never_s = stage.n(int(NEVER_S), 60)
    while (passed_s := time.monotonic() - began) < never_s:
        there = await db.fetchrow(_THERE, list(STEPS))
        if there["small"] >= small:
            day.small_s = min(day.small_s, passed_s)
        if day.small_s < NEVER_S and there["files"] >= len(day.photos):
            day.all_s = passed_s
            return
        if found := PROGRESS.search(await page.locator("#badge").inner_text()):
            day.badges.add(found[0])
        await asyncio.sleep(0.2)


async def _found(stage: Stage, db: asyncpg.Connection, day: Day) -> dict[str, list[str]]:
    """What is wrong at the end, by kind."""
    lost, twice, disordered = [], [], []
    for task_id in day.tasks:
        rows = await db.fetch("SELECT verb FROM task_event WHERE task_id = $1 AND verb = ANY($2) ORDER BY received_at",
                              task_id, list(STEPS))  # fmt: skip
        verbs = [row["verb"] for row in rows]
        lost += [f"{verb} of {task_id}" for verb in STEPS if verb not in verbs]
        twice += [f"{verb} of {task_id}" for verb, n in Counter(verbs).items() if n > 1]
        disordered += [task_id] if sorted(verbs, key=STEPS.index) != verbs else []
        forms = await db.fetchval("SELECT count(*) FROM stop_form WHERE task_id = $1", task_id)
        lost, twice = lost + ["form"] * (forms < 1), twice + ["form"] * (forms > 1)
    wanted = stage.n(FORMS, len(day.tasks) + 1)
    forms = await db.fetchval("SELECT count(*) FROM stop_form")
    lost, twice = lost + ["a form"] * max(0, wanted - forms), twice + ["a form"] * max(0, forms - wanted)
    there = Counter(row["sha256"] for row in await db.fetch("SELECT sha256 FROM attachment WHERE status = 'complete'"))
    for path in day.photos:
        n = there[hashlib.sha256(path.read_bytes()).hexdigest()]
        lost, twice = lost + [path.name] * (n < 1), twice + [path.name] * (n > 1)
    early = await db.fetchval(
        "SELECT count(*) FROM attachment WHERE created_at < (SELECT max(recorded_at) FROM stop_form)"
    )
    return {"lost": lost, "twice": twice, "out of order": disordered, "before a small one": ["a photo"] * early}


async def play(stage: Stage) -> list[Figure]:
    """Give a tablet a day of work, cut it off, do the work, heal the line, count."""
    engine, db = stage.engine(), await stage.owner()
    (dispatcher,) = await scene.people(engine, Role.DISPATCHER, 1)
    officers, units = await scene.people(engine, Role.OFFICER, 1), await scene.tracked(engine, 1)
    await scene.with_crews(engine, units, officers)
    await engine.dispose()
    server = await stage.serving()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(db.close)
        desk = Desk(await stack.enter_async_context(http(server)), server, dispatcher)
        proxy = await stack.enter_async_context(Proxy(server.port).running())
        day = Day([await desk.task(units[0], "P1") for _ in range(stage.n(TASKS, 3))])
        day.photos = _pictures(stage.folder, stage.n(PHOTOS, 6), stage.n(PHOTO_BYTES, 300_000))
        context = await stack.enter_async_context(_tablet(proxy, officers[0].token))
        page = await _work(stage, context, proxy, day)
        proxy.latency_s, proxy.bytes_per_s = LINE_LATENCY_S, LINE_BYTES_PER_S
        proxy.turn("pass")
        await context.set_offline(False)
        dropping = asyncio.create_task(_drop(stage, proxy, day))
        await _arrive(stage, page, db, day)
        dropping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await dropping
        found = await _found(stage, db, day)
    sent_mb = sum(path.stat().st_size for path in day.photos) / 1e6
    return [
        Figure("forms, photos and taps without a network took", day.done_s, "s"),
        *(zero(f"records {kind}", listed, stage) for kind, listed in found.items()),
        Figure("small records there after", day.small_s, "s", most=SMALL_WITHIN_S),
        Figure("everything there after", day.all_s, "s", most=stage.n(int(NEVER_S), 60)),
        Figure("photos sent", sent_mb, "MB"),
        Figure("connections dropped meanwhile, times", day.drops),
        Figure("states of progress the screen showed", len(day.badges), least=stage.n(20, 1)),
        zero("server errors", stage.errors(), stage),
    ]  # fmt: skip


O2 = Fault(
    "O2",
    "a day offline in Chromium: 30 forms, 100 photos of 3 MB, 60 taps arrive once over a line that drops, small first",
    "8 hours are as long as the taps take",
    on_a_loop(play),
    {"store_forgets": Mutant("the device's store does not outlive the page", "records lost")},
)
