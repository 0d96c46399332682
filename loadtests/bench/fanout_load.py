"""The units and dispatchers of `fanout`: each unit sends a fix every 10 s, and 2 tasks a second go to officers.

Every 3 s another unit's panic button is pressed; each alarm is closed after a second, so that they do not pile up.
"""

import asyncio
import json
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

CLICKS_PER_S = 2
PRESS_EVERY_S = 3.0


async def _report(http: aiohttp.ClientSession, key: str, interval_s: float) -> None:
    lon, lat = random.uniform(21.2, 26.4), random.uniform(54.0, 56.3)
    headers = {"Authorization": f"Bearer {key}"}
    due = time.monotonic() + random.uniform(0, interval_s)
    while True:
        await asyncio.sleep(due - time.monotonic())
        due += interval_s
        lon, lat = lon + random.uniform(-0.002, 0.002), lat + random.uniform(-0.001, 0.001)
        fix = {"lon": lon, "lat": lat, "speed_mps": random.uniform(0, 25), "heading_deg": random.uniform(0, 359.9),
               "accuracy_m": 5.0, "fix_at": datetime.now(UTC).isoformat()}  # fmt: skip
        async with http.post("/api/v1/positions", json={"fixes": [fix]}, headers=headers) as answer:
            taken = await answer.json()
        if taken["accepted"] != 1 or taken["suspect"]:
            print(f"a fix was not taken: {taken}", file=sys.stderr)


async def _click(http: aiohttp.ClientSession, plan: dict[str, Any]) -> None:
    """Send a task to one crew after another, and take it back, so that crews stay free."""
    turn = 0
    while True:
        crew = plan["crews"][turn % len(plan["crews"])]
        headers = {"Authorization": f"Bearer {plan['dispatchers'][turn % len(plan['dispatchers'])]}"}
        turn += 1
        task = {
            "kind": "stop_vehicle", "priority": "P2", "title": f"click {time.time()!r}", "reason_code": "indicator",
            "instruction": "Grey van, plates unknown, heading for the border.", "lon": 25.3, "lat": 54.7,
            "unit_id": crew["unit_id"], "issue": True,
        }  # fmt: skip
        async with http.post("/api/v1/tasks", json=task, headers=headers) as answer:
            made = await answer.json()
        if answer.status != 201:
            print(f"a task was refused: {made}", file=sys.stderr)
        await asyncio.sleep(1 / CLICKS_PER_S)
        url = f"/api/v1/tasks/{made['id']}/transitions"
        async with http.post(url, json={"verb": "cancel", "reason": "bench"}, headers=headers) as answer:
            if answer.status != 200:
                print(f"a task was not cancelled: {await answer.text()}", file=sys.stderr)


async def _press(http: aiohttp.ClientSession, plan: dict[str, Any]) -> None:
    """Press one button after another; the screens tell from the moment of the press when they had it."""
    centre = {"Authorization": f"Bearer {plan['dispatchers'][0]}"}
    for key in reversed(plan["keys"]):
        await asyncio.sleep(PRESS_EVERY_S)
        # Without a fix, so that it moves no unit.
        fix = {"lon": 0, "lat": 0, "event": "panic", "fix_at": datetime.now(UTC).isoformat()}
        async with http.post(
            "/api/v1/positions", json={"fixes": [fix]}, headers={"Authorization": f"Bearer {key}"}
        ) as answer:
            if (await answer.json())["accepted"] != 1:
                print("a panic was not taken", file=sys.stderr)
        await asyncio.sleep(1)
        async with http.get("/api/v1/alerts?open=true", headers=centre) as answer:
            standing = [alert for alert in (await answer.json())["items"] if alert["kind"] == "panic"]
        for alert in standing:
            url = f"/api/v1/alerts/{alert['id']}/close"
            async with http.post(url, json={"reason": "bench"}, headers=centre) as answer:
                if answer.status != 200:
                    print(f"an alarm was not closed: {await answer.text()}", file=sys.stderr)


async def _run(plan: dict[str, Any]) -> None:
    connector = aiohttp.TCPConnector(limit=64)
    base = f"http://127.0.0.1:{plan['port']}"
    async with aiohttp.ClientSession(base, connector=connector) as http, asyncio.TaskGroup() as group:
        for key in plan["keys"]:
            group.create_task(_report(http, key, plan["interval_s"]))
        group.create_task(_click(http, plan))
        group.create_task(_press(http, plan))
        print("ready", flush=True)


if __name__ == "__main__":
    asyncio.run(_run(json.loads(Path(sys.argv[1]).read_text())))
