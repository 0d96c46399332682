"""How soon the officer's page can be used on a slow phone: Chromium with its processor slowed down four times.

`python -m loadtests.bench.page [--json] [--rounds 5]`. The median over the rounds, each with a profile of its own:

- `first_ms`: from the address to a form for the sign-in that takes letters, nothing of the page being on the device.
- `again_ms`: the same for somebody signed in, to the button of the task at hand, the page being kept on the device.
- `offline_ms`: the same without a network.
- `first_kb`: what came over the line at the first visit, without the map's data.
"""

import argparse
import asyncio
import json
import os
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from core.actor import Actor, Role, system
from core.db import make_engine
from core.work import open_work
from geo.models import Shift, ShiftMember, Unit, UnitMember
from loadtests.bench import scratch
from loadtests.bench.fanout import PORT, people, server
from mobile_contract.resources import TaskIn
from tasks import tasks

SLOWED = 4
URL = f"http://127.0.0.1:{PORT}/officer"
_READY = """selector => {
  const found = document.querySelector(selector);
  return found && found.getClientRects().length ? performance.now() : 0;
}"""
_SIZES = """() => performance.getEntries().filter((one) => one.encodedBodySize && !one.name.includes("basemap"))
  .reduce((sum, one) => sum + one.encodedBodySize, 0)"""


async def _prepare(urls: dict[str, str]) -> str:
    """An officer on shift with a task; the token of a session."""
    engine = make_engine(urls["OUTRIDER_DATABASE_URL"])
    async with open_work(engine, system("bench")) as work:
        ((officer, token),) = await people(work, 1, Role.OFFICER)
        ((dispatcher, _),) = await people(work, 1, Role.DISPATCHER)
        unit = Unit(call_sign="B-1", kind="patrol", status="available")
        shift = Shift(unit_id=unit.id, on_at=work.now)
        work.session.add(unit)
        await work.session.flush()
        work.session.add(shift)
        await work.session.flush()
        work.session.add_all([UnitMember(unit_id=unit.id, user_id=officer.id),
                              ShiftMember(shift_id=shift.id, user_id=officer.id)])  # fmt: skip
    async with open_work(engine, Actor(dispatcher.id, dispatcher.login, roles=frozenset({Role.DISPATCHER}))) as work:
        await tasks.create(work, TaskIn(kind="stop_vehicle", priority="P2", title="Stop it", reason_code="indicator",
                                        lon=25.3, lat=54.7, unit_id=unit.id, issue=True))  # fmt: skip
    await engine.dispose()
    return token


async def _open(context: BrowserContext, selector: str) -> tuple[Page, float]:
    """A new page on a slowed processor, and the milliseconds from its address until this is on the screen."""
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWED})
    await page.goto(URL, wait_until="commit")
    shown = await page.wait_for_function(_READY, arg=selector, timeout=30_000)
    return page, float(await shown.json_value())


async def _round(browser: Browser, token: str) -> dict[str, float]:
    """One visit of each kind."""
    context = await browser.new_context(viewport={"width": 390, "height": 844}, locale="en-GB")
    page, first_ms = await _open(context, "input[name=login]:not([disabled])")
    await page.wait_for_load_state("load")
    kb = await page.evaluate(_SIZES) / 1_000
    await page.wait_for_function("() => navigator.serviceWorker.controller?.state === 'activated'")
    await page.close()
    await context.add_cookies([{"name": "outrider", "value": token, "url": URL}])
    page, _ = await _open(context, ".card.now .next")  # from now on the device knows the task
    await page.close()
    page, again_ms = await _open(context, ".card.now .next")
    await page.close()
    await context.set_offline(True)
    page, offline_ms = await _open(context, ".card.now .next")
    await context.close()
    return {"first_ms": first_ms, "again_ms": again_ms, "offline_ms": offline_ms, "first_kb": kb}


async def _measure(token: str, rounds: int) -> list[dict[str, float]]:
    path = os.environ.get("OUTRIDER_CHROMIUM") or shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--disable-dev-shm-usage"])
        found = [await _round(browser, token) for _ in range(rounds)]
        await browser.close()
    return found


def measure(rounds: int = 5) -> dict[str, Any]:
    """The medians, and each round."""
    with tempfile.TemporaryDirectory() as name, scratch.database() as urls:
        token = asyncio.run(_prepare(urls))
        with server(urls, Path(name)):
            found = asyncio.run(_measure(token, rounds))
    return {key: round(median(one[key] for one in found), 1) for key in found[0]} | {"rounds": found}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    figures = measure(arguments.rounds)
    print(json.dumps(figures) if arguments.json else "\n".join(f"{k:12} {v}" for k, v in figures.items()))


if __name__ == "__main__":
    main()
