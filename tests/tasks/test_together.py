"""Steps at the same time: they wait for each other and none is lost to a deadlock."""

import asyncio

from tests.tasks.conftest import Scene


async def test_issues_and_steps_of_one_unit_never_block_each_other_for_good(scene: Scene) -> None:
    async def issue(_: int) -> str:
        return str((await scene.issued())["status"])

    async def work_off(task: dict[str, object]) -> str:
        for verb in ("acknowledge", "en_route", "on_scene"):
            await scene.officer(task, verb)
        return str((await scene.step(scene.crew.actor, task, "complete", result="nothing_found"))["result"])

    for _ in range(4):
        at_work = [await scene.issued() for _ in range(4)]
        outcomes = await asyncio.gather(*(issue(n) for n in range(5)), *map(work_off, at_work))
        assert outcomes == ["issued"] * 5 + ["applied"] * 4
