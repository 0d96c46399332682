"""The worker: loops that outlive their failures, retention that removes what is due and nothing else, orderly ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import audit, jobs
from core.actor import system
from core.ids import new_id
from core.models import LoginTry, SignIn, SocketTicket
from core.settings import Settings
from core.work import open_work
from dispatch_api.workers import deadlines, retention, runner
from dispatch_api.workers.runner import Desk, Loop
from geo import violation_import
from geo.violation_rows import CSV
from mobile_contract.resources import TaskIn
from tasks import tasks
from tests.helpers import ROOT, Database, actor_of, crew, eventually, person, work_of


async def test_a_failing_round_is_tried_again_and_harms_no_other(engine: AsyncEngine, settings: Settings) -> None:
    stopping, rounds = asyncio.Event(), {"bad": 0, "good": 0, "busy": 0}

    async def bad(_: Desk) -> bool:
        rounds["bad"] += 1
        if rounds["bad"] < 4:
            raise RuntimeError("not yet")
        return False

    async def good(_: Desk) -> bool:
        rounds["good"] += 1
        return False

    async def busy(_: Desk) -> bool:
        rounds["busy"] += 1
        return rounds["busy"] < 50

    desk = Desk(engine, settings, stopping)
    loops = [Loop("bad", 0.02, bad), Loop("good", 0.02, good), Loop("busy", 60, busy)]
    kept = [asyncio.create_task(runner.keep(loop, desk)) for loop in loops]
    await eventually(lambda: rounds["bad"] > 5 and rounds["good"] > 10 and rounds["busy"] == 50)
    stopping.set()
    await asyncio.wait_for(asyncio.gather(*kept), 1)


async def test_after_a_start_nobody_is_silent_before_they_could_be_heard(
    engine: AsyncEngine, settings: Settings
) -> None:
    stopping, rounds = asyncio.Event(), list[str]()

    def noting(name: str) -> Callable[[Desk], Awaitable[bool]]:
        async def round_(_: Desk) -> bool:
            rounds.append(name)
            return False

        return round_

    (silence,) = [loop for loop in runner.LOOPS if loop.name == "silence"]
    loops = [replace(silence, every_s=0.01, round=noting("silence")), Loop("other", 0.01, noting("other"))]
    kept = [asyncio.create_task(runner.keep(loop, Desk(engine, settings, stopping))) for loop in loops]
    await eventually(lambda: rounds.count("other") > 20)
    stopping.set()
    await asyncio.wait_for(asyncio.gather(*kept), 1)
    assert "silence" not in rounds


async def partition(owner: asyncpg.Connection, day: datetime, received_at: datetime) -> None:
    await owner.execute("SELECT ensure_position_day($1)", day.date())
    await owner.execute(
        "INSERT INTO position (device_id, fix_at, received_at, unit_id, point)"
        " VALUES ($1, $2, $3, $4, ST_SetSRID(ST_MakePoint(25, 54), 4326))",
        new_id(), day, received_at, new_id(),
    )  # fmt: skip


async def test_positions_go_by_when_they_were_received(
    engine: AsyncEngine, settings: Settings, database: Database
) -> None:
    now = datetime.now(UTC)
    old, edge, recent = now - timedelta(days=200), now - timedelta(days=91), now - timedelta(days=2)
    owner = await database.owner()
    await partition(owner, old, received_at=old)
    await partition(owner, edge, received_at=edge)
    await partition(owner, edge, received_at=now)  # an old buffer that came today stays
    await partition(owner, recent, received_at=recent)
    await retention.round_(engine, settings)
    await retention.round_(engine, settings)
    left = [row["fix_at"] for row in await owner.fetch("SELECT fix_at FROM position ORDER BY fix_at")]
    told = await owner.fetch("SELECT * FROM audit_event WHERE action = 'erasure'")
    await owner.close()
    assert left == [edge, recent]  # what was received in time has gone from the edge as well
    assert [(row["object_kind"], row["object_id"]) for row in told] == [
        ("positions", f"{day:%Y-%m-%d}") for day in (old, edge)
    ]
    assert '"n": 1' in told[0]["fields"]


async def test_ended_access_is_removed_and_what_holds_stays(engine: AsyncEngine, settings: Settings) -> None:
    user = await person(engine, "officer")
    now = datetime.now(UTC)
    async with open_work(engine, system("test")) as work:
        for name, ends in (("gone", now - timedelta(hours=1)), ("stays", now + timedelta(hours=1))):
            held = SignIn(token_digest=name.encode(), csrf_token=name, user_id=user.id, expires_at=ends)
            work.session.add(held)
            await work.session.flush()
            for digest, until in (("old", now - timedelta(seconds=1)), ("new", now + timedelta(seconds=60))):
                work.session.add(SocketTicket(digest=f"{name}{digest}".encode(), sign_in_id=held.id, expires_at=until))
        work.session.add(LoginTry(login="x", address="y", at=now - timedelta(days=2)))
        work.session.add(LoginTry(login="x", address="y", at=now - timedelta(minutes=2)))
    await retention.round_(engine, settings)
    async with open_work(engine, system("test")) as work:
        assert await work.all(text("SELECT csrf_token FROM sign_in")) == ["stays"]
        assert await work.all(text("SELECT digest FROM socket_ticket")) == [b"staysnew"]
        assert await work.all(text("SELECT count(*) FROM login_try")) == [1]


async def test_only_old_files_that_no_job_wants_are_swept(engine: AsyncEngine, settings: Settings) -> None:
    folder = settings.data_dir / "imports"
    folder.mkdir()
    before = time.time() - 2 * 86_400
    for name in ("wanted.csv", "left.csv"):
        (folder / name).write_text("x")
        os.utime(folder / name, (before, before))
    (folder / "fresh.csv").write_text("x")
    user = await person(engine, "supervisor")
    async with work_of(engine, actor_of(user)) as work:
        violation_import.queue(work, "wanted.csv", CSV, "s")
    await retention.round_(engine, settings)
    assert sorted(file.name for file in folder.iterdir()) == ["fresh.csv", "wanted.csv"]


def start(database: Database, data_dir: Path) -> subprocess.Popen[bytes]:
    log = (data_dir / "worker.log").open("ab")
    return subprocess.Popen(
        [sys.executable, "-m", "dispatch_api.cli", "worker"],
        cwd=ROOT,
        env=os.environ | database.environment() | {"OUTRIDER_DATA_DIR": str(data_dir)},
        stdout=log,
        stderr=log,
    )


async def test_a_real_worker_seals_imports_and_survives_kill_9(
    engine: AsyncEngine, database: Database, tmp_path: Path
) -> None:
    user, folder = await person(engine, "supervisor"), tmp_path / "imports"
    folder.mkdir()
    rows = "\n".join(f"{n},2026-01-01T00:00:00Z,fuel,54.{n:06d},25.3" for n in range(22_000))
    (folder / "f.csv").write_text(f"id,occurred_at,category,lat,lon\n{rows}\n")
    async with work_of(engine, actor_of(user)) as work:
        job_id = violation_import.queue(work, "f.csv", CSV, "s")

    async def job() -> jobs.Job:
        async with work_of(engine, actor_of(user)) as work:
            return await jobs.get(work, job_id)

    async def begun() -> bool:
        return (await job()).progress > 0

    first = start(database, tmp_path)
    await eventually(begun, timeout_s=60)
    first.kill()
    first.wait()
    left = await job()
    assert left.status in {"running", "done"}
    async with open_work(engine, system("test")) as work:  # half a minute passes
        await work.session.execute(text("UPDATE job SET heartbeat_at = heartbeat_at - interval '1 minute'"))

    async def done() -> bool:
        return (await job()).status == "done"

    second = start(database, tmp_path)
    try:
        await eventually(done, timeout_s=90, every_s=0.2)

        async def sealed() -> bool:
            return await audit.verify(engine) == [] and (await audit.extent(engine))[0] > 0

        await eventually(sealed, timeout_s=20)
    finally:
        second.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(second.wait, 15) == 0
    result = (await job()).result
    assert result
    assert (result["accepted"], result["duplicates"]) == (22_000, 0)
    async with open_work(engine, system("test")) as work:
        assert await work.all(text("SELECT count(*) FROM violation")) == [22_000]
    log = (tmp_path / "worker.log").read_text()
    assert "worker_started" in log
    assert "worker_stopped" in log
    assert "round_failed" not in log, log[-3000:]
    assert list((tmp_path / "audit-heads").glob("*.txt"))


async def test_a_task_not_acknowledged_in_time_is_seen_by_the_worker(engine: AsyncEngine, settings: Settings) -> None:
    patrol = await crew(engine)
    dispatcher = await person(engine, "dispatcher")
    body = TaskIn.model_validate(
        {
            "kind": "checkpoint", "priority": "P1", "title": "t", "reason_code": "random", "issue": True,
            "unit_id": patrol.unit.id, "point": {"type": "Point", "coordinates": [25.3, 54.7]},
        }
    )  # fmt: skip
    async with work_of(engine, actor_of(dispatcher)) as work:
        await tasks.create(work, body)
    assert not await deadlines.round_(engine, settings)
    async with open_work(engine, system("test")) as work:
        await work.session.execute(text("UPDATE task SET ack_due_at = now() - interval '1 second'"))
    await deadlines.round_(engine, settings)
    async with open_work(engine, system("test")) as work:
        assert await work.all(text("SELECT status FROM task")) == ["unacknowledged"]
