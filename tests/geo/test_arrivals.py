"""What comes and is no fix, while the database takes nothing."""

from typing import Any, cast

import pytest

from geo import arrivals
from geo.arrivals import Arrivals


class Full:
    """A database whose disk is full: it can be read, and takes nothing."""

    async def execute(self, *_: Any) -> None:
        raise TimeoutError


async def test_strangers_are_bounded_also_while_they_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "STRANGERS", 10)
    desk = Arrivals("postgresql+asyncpg://nobody@/none", cast(Any, None))
    desk._pool = cast(Any, Full())
    for attempt in range(3):
        for number in range(20):
            desk.stranger("gt06", f"{attempt}-{number}", "192.0.2.1")
        with pytest.raises(TimeoutError):
            await desk._write()
    assert [name for _, name in desk._strangers] == [f"0-{number}" for number in range(10)], "the first that knocked"
