"""Tasks that begin at once: `asyncio.Task(…, eager_start=True)` of Python 3.12, for 3.11 too."""

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any


def begin(work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run a coroutine up to where it first waits, now; the task that goes on with it, or None when it is done.

    Until then it must not ask for the current task, as timeouts do.
    """
    try:
        waited_for = work.send(None)
    except StopIteration:
        return None
    return asyncio.ensure_future(_rest(work, waited_for))


@coroutine
def _rest(work: Coroutine[Any, Any, None], waited_for: Any) -> Generator[Any, Any, None]:
    while True:
        try:
            step = partial(work.send, (yield waited_for))
        except BaseException as error:
            step = partial(work.throw, error)
        try:
            waited_for = step()
        except StopIteration:
            return
