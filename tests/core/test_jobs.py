"""Jobs: one worker holds each, a dead one's work goes on, and nobody waits for ever."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import jobs
from core.actor import system
from core.errors import NotFound
from core.models import UserAccount
from core.work import open_work
from tests.helpers import actor_of, person, work_of


async def submitted(engine: AsyncEngine, user: UserAccount, n: int = 1) -> list[jobs.Job]:
    async with work_of(engine, actor_of(user)) as work:
        return [jobs.submit(work, "test", {"n": number}) for number in range(n)]


async def taken(engine: AsyncEngine) -> jobs.Held | None:
    async with open_work(engine, system("worker")) as work:
        return await jobs.take(work, "test")


async def silent(engine: AsyncEngine, held: jobs.Held) -> None:
    """Let the job's heartbeat be a minute old, as if its worker had died."""
    async with open_work(engine, system("test")) as work:
        ago = "UPDATE job SET heartbeat_at = heartbeat_at - interval '1 minute' WHERE id = :id"
        await work.session.execute(text(ago), {"id": held.id})


async def test_each_job_is_taken_once_and_in_order(engine: AsyncEngine) -> None:
    user = await person(engine, "supervisor")
    made = await submitted(engine, user, 5)
    found = [held for held in await asyncio.gather(*(taken(engine) for _ in range(8))) if held]
    found += [held for _ in range(5) if (held := await taken(engine))]
    assert sorted(held.id for held in found) == sorted(job.id for job in made)
    assert len({held.id for held in found}) == 5


async def test_progress_and_result_are_seen_by_who_asked_and_nobody_else(engine: AsyncEngine) -> None:
    user, other = await person(engine, "supervisor"), await person(engine, "supervisor")
    (job,) = await submitted(engine, user)
    held = await taken(engine)
    assert held
    async with open_work(engine, system("worker")) as work:
        await jobs.beat(work, held, 0.5, {"half": True})
    async with work_of(engine, actor_of(user)) as work:
        seen = await jobs.get(work, job.id)
        assert (seen.status, seen.progress) == ("running", 0.5)
    async with open_work(engine, system("worker")) as work:
        await jobs.finish(work, held, {"all": True})
    async with work_of(engine, actor_of(user)) as work:
        seen = await jobs.get(work, job.id)
        assert (seen.status, seen.progress, seen.result) == ("done", 1.0, {"all": True})
        assert seen.finished_at is not None
    with pytest.raises(NotFound):
        async with work_of(engine, actor_of(other)) as work:
            await jobs.get(work, job.id)


async def test_a_dead_workers_job_goes_on_from_its_last_beat(engine: AsyncEngine) -> None:
    await submitted(engine, await person(engine, "supervisor"))
    first = await taken(engine)
    assert first
    async with open_work(engine, system("worker")) as work:
        await jobs.beat(work, first, 0.3, {"rows": 30})
    assert await taken(engine) is None
    await silent(engine, first)
    second = await taken(engine)
    assert second
    assert second.so_far == {"rows": 30}
    for late in (
        lambda work: jobs.beat(work, first, 0.9, {}),
        lambda work: jobs.finish(work, first, {}),
        lambda work: jobs.fail(work, first, "no"),
    ):
        async with open_work(engine, system("worker")) as work:
            with pytest.raises(jobs.JobLost):
                await late(work)


async def test_a_job_that_kills_its_workers_is_given_up(engine: AsyncEngine) -> None:
    user = await person(engine, "supervisor")
    (job,) = await submitted(engine, user)
    for _ in range(jobs.MAX_TRIES):
        held = await taken(engine)
        assert held
        await silent(engine, held)
    assert await taken(engine) is None
    async with work_of(engine, actor_of(user)) as work:
        seen = await jobs.get(work, job.id)
    assert seen.status == "failed"
    assert seen.result
    assert "tries" in seen.result["detail"]


async def test_a_stopping_workers_job_is_free_at_once(engine: AsyncEngine) -> None:
    await submitted(engine, await person(engine, "supervisor"))
    for _ in range(jobs.MAX_TRIES + 2):  # orderly stops are no tries
        held = await taken(engine)
        assert held
        async with open_work(engine, system("worker")) as work:
            await jobs.give_back(work, held)
