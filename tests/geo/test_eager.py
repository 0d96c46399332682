"""Tasks that begin at once."""

import asyncio

import pytest

from geo import eager


async def test_it_begins_at_once_and_goes_on_like_any_task() -> None:
    said: list[str] = []
    gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        said.append("begun")
        said.append(await gate)
        await asyncio.sleep(0)
        said.append("done")

    task = eager.begin(work())
    assert said == ["begun"]
    assert task
    gate.set_result("given")
    await task
    assert said == ["begun", "given", "done"]


async def test_what_never_waits_leaves_no_task_and_errors_arrive() -> None:
    async def idle() -> None:
        return

    async def fails(after: asyncio.Future[None] | None) -> None:
        if after:
            await after
        raise ValueError("no")

    assert eager.begin(idle()) is None
    with pytest.raises(ValueError, match="no"):
        eager.begin(fails(None))
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = eager.begin(fails(gate))
    gate.set_exception(OSError("away"))
    assert task
    with pytest.raises(OSError, match="away"):
        await task


async def test_it_can_be_cancelled_where_it_waits() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleared up")

    task = eager.begin(work())
    assert task
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cleared up"]
