"""Drives the demonstration: trackers report through the real ingest, crews answer through the officers' interface.

The crew with the demonstration's account is left to the person who signs in; only its tracker drives.
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import aiohttp
from geoalchemy2.shape import to_shape
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from core import sign_in
from core.actor import system
from core.ids import new_id
from core.models import UserAccount
from core.settings import Settings
from core.work import open_work
from dispatch_api.commands.client import server_url
from dispatch_api.commands.database import app_engine
from dispatch_api.commands.trackers import Fleet, Tracker
from dispatch_api.demo.files import devices_file
from dispatch_api.demo.story import stop_form
from dispatch_api.demo.vehicle import Vehicle
from dispatch_api.demo.world import World
from geo.models import UnitLatest
from web_map.pages import BASEMAP

REPORT_S = 10.0
STANDING_EVERY = 3
BACKFILL = timedelta(hours=1)
RETRY_S = 3.0
AT_WORK = ("acknowledged", "en_route", "on_scene")
OUTCOMES = ("nothing_found", "violation", "documents_irregular", "nothing_found")


@dataclass
class Crew:
    """A unit that is played: its vehicle, its tracker, and its officer's session."""

    unit_id: str
    vehicle: Vehicle
    tracker: Tracker
    token: str
    manual: bool
    random: Random
    reports: int = 0
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    doing: set[str] = field(default_factory=set)


async def run(settings: Settings) -> int:
    """Drive until stopped; the exit code."""
    url, world = server_url(settings), World.load(BASEMAP)
    async with app_engine(settings) as engine:
        crews = await _crews(engine, settings, world)
    async with Fleet(url) as fleet, aiohttp.ClientSession(url) as http, asyncio.TaskGroup() as group:
        for crew in crews:
            group.create_task(_report(crew, fleet))
            if not crew.manual:
                group.create_task(_answer(crew, http))
    return 0


async def _crews(engine: AsyncEngine, settings: Settings, world: World) -> list[Crew]:
    listed = json.loads(await asyncio.to_thread(Path(devices_file(settings)).read_text))
    crews = []
    async with open_work(engine, system("demo")) as work:
        latest = {row.unit_id: row for row in await work.all(select(UnitLatest))}
        officers = {user.id: user for user in await work.all(select(UserAccount))}
        for entry in listed:
            random = Random(entry["call_sign"] + datetime.now(UTC).date().isoformat())
            known = latest.get(UUID(entry["unit_id"]))
            at = tuple(entry["base"]) if known is None else to_shape(known.point).coords[0]
            vehicle = Vehicle(world, tuple(entry["base"]), random, at)
            opened = await sign_in.open_session(work, officers[UUID(entry["officer_id"])])
            crew = Crew(entry["unit_id"], vehicle, Tracker(entry["key"]), opened.token, entry["manual"], random)
            crews.append(crew)
            if known is None:
                _remember(crew)
    return crews


def _remember(crew: Crew) -> None:
    """What the tracker had buffered: the hour before the demonstration began."""
    now = datetime.now(UTC)
    for step in range(int(BACKFILL.total_seconds() // (REPORT_S * 2))):
        crew.vehicle.step(REPORT_S * 2)
        moment = now - BACKFILL + timedelta(seconds=step * REPORT_S * 2)
        crew.tracker.waiting.append(crew.vehicle.fix(moment.isoformat(timespec="milliseconds")))


async def _report(crew: Crew, fleet: Fleet) -> None:
    """The tracker: a fix every 10 s, every 30 s while standing."""
    fleet.resume(crew.tracker)
    await asyncio.sleep(crew.random.uniform(0, REPORT_S))
    while True:
        crew.vehicle.step(REPORT_S)
        crew.reports += 1
        if crew.vehicle.speed_mps > 0 or crew.reports % STANDING_EVERY == 0:
            fleet.report(crew.tracker, crew.vehicle.fix(datetime.now(UTC).isoformat(timespec="milliseconds")))
        await asyncio.sleep(REPORT_S)


async def _answer(crew: Crew, http: aiohttp.ClientSession) -> None:
    """The officer: takes what comes through the inbox socket, and comes back when it breaks."""
    after = 0
    while True:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
            async with http.ws_connect("/api/v1/inbox/live") as socket:
                await socket.send_json({"kind": "hello", "token": crew.token, "after": after})
                async for message in socket:
                    content = json.loads(message.data)
                    if content["kind"] == "inbox" and content["items"]:
                        after = content["items"][-1]["seq"]
                        await socket.send_json({"kind": "ack", "upto": after})
                        _take(crew, http, content["items"])
        await asyncio.sleep(RETRY_S)


def _take(crew: Crew, http: aiohttp.ClientSession, items: list[dict[str, Any]]) -> None:
    for item in items:
        body = item["body"]
        if item["kind"] == "notice":
            _start(crew, f"notice {body['id']}", _read_notice(crew, http, body["id"]))
        elif item["kind"] == "task":
            crew.tasks[body["id"]] = body
    for task in list(crew.tasks.values()):
        if task["unit_id"] == crew.unit_id and task["status"] in {"issued", "delivered", *AT_WORK}:
            _start(crew, f"task {task['id']}", _do_task(crew, http, task["id"]))


def _start(crew: Crew, name: str, work: Any) -> None:
    if name in crew.doing:
        work.close()
        return
    crew.doing.add(name)
    job = asyncio.ensure_future(work)
    job.add_done_callback(lambda _: crew.doing.discard(name))


async def _read_notice(crew: Crew, http: aiohttp.ClientSession, notice_id: str) -> None:
    await asyncio.sleep(crew.random.uniform(4, 40))
    await _post(crew, http, f"/notices/{notice_id}/seen", {})
    if crew.random.random() < 0.85:
        await asyncio.sleep(crew.random.uniform(2, 20))
        await _post(crew, http, f"/notices/{notice_id}/acknowledge", {})


async def _do_task(crew: Crew, http: aiohttp.ClientSession, task_id: str) -> None:
    """See it, acknowledge it, drive there, do it, say what came of it; stop where the centre decided otherwise."""
    task = crew.tasks[task_id]
    if task["status"] in {"issued", "delivered"}:
        await asyncio.sleep(crew.random.uniform(3, 9))
        await _post(crew, http, f"/tasks/{task_id}/seen", {})
        await asyncio.sleep(crew.random.uniform(2, 8))
        if not await _step(crew, http, task_id, "acknowledge"):
            return
        await asyncio.sleep(crew.random.uniform(6, 15))
    if crew.tasks[task_id]["status"] == "acknowledged" and not await _step(crew, http, task_id, "en_route"):
        return
    if task["point"]:
        crew.vehicle.go(tuple(task["point"]["coordinates"]))
    try:
        while not crew.vehicle.arrived and task["point"]:
            await asyncio.sleep(2)
            if crew.tasks[task_id]["status"] not in AT_WORK:
                return
        if crew.tasks[task_id]["status"] != "on_scene" and not await _step(crew, http, task_id, "on_scene"):
            return
        await asyncio.sleep(crew.random.uniform(120, 360))
        result = crew.random.choice(OUTCOMES)
        if task.get("form_required"):
            await _post(crew, http, "/stop-forms", stop_form(task_id, task["reason_code"], crew.vehicle.at, result))
        await _step(crew, http, task_id, "complete", result=result)
    finally:
        crew.vehicle.free()


async def _step(crew: Crew, http: aiohttp.ClientSession, task_id: str, verb: str, **fields: Any) -> bool:
    """Take one step of a task; whether it was applied."""
    lon, lat = crew.vehicle.at
    body = {"id": str(new_id()), "verb": verb, "at": datetime.now(UTC).isoformat(), "lon": lon, "lat": lat} | fields
    answer = await _post(crew, http, f"/tasks/{task_id}/transitions", body)
    if answer is None or answer["result"] != "applied":
        return False
    crew.tasks[task_id] = answer["task"]
    return True


async def _post(crew: Crew, http: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """The answer; None when it was refused. Tries again while the server is away."""
    while True:
        try:
            headers = {"Authorization": f"Bearer {crew.token}"}
            async with http.post(f"/api/v1{path}", json=body, headers=headers) as answer:
                if answer.status < 500:
                    return await answer.json() if answer.status < 400 else None
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(RETRY_S)
