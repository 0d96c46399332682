"""Servers and databases that break a promise on purpose: the checker must find them out.

None of this is reachable from the product: it patches the running process of a load test.
"""

import asyncio
from typing import Any

from starlette.types import ASGIApp

from core.settings import Settings
from dispatch_api import app
from geo.delivery import Stored
from geo.positions import Writer

COMMIT_LATER_S = 0.25
"""How far commits lag behind their answers, so that a kill surely falls in between."""


class AnswersFirst(Writer):
    """A writer of positions that says "stored" when it has only queued."""

    def _put(self, *arguments: Any) -> None:
        *delivery, told = arguments
        fixes = delivery[1]
        said: list[Stored | Exception] = []

        def once(outcome: Stored | Exception) -> None:
            if not said:
                said.append(outcome)
                told(outcome)

        super()._put(*delivery, once)
        if not said:
            once(Stored(accepted=len(fixes), duplicates=0, off_duty=0, suspect=0))

    async def _write(self, *arguments: Any) -> None:
        await asyncio.sleep(COMMIT_LATER_S)
        await super()._write(*arguments)


def ack_before_commit() -> ASGIApp:
    """The whole server, with that writer."""
    vars(app)["Writer"] = AnswersFirst
    return app.create_app(Settings())


def asynchronous_commit(urls: dict[str, str]) -> dict[str, str]:
    """The database's addresses, where positions are written without waiting for the disk.

    Only the writer's: were it the pages' role as well, /readyz would refuse the database.
    """
    name = "OUTRIDER_INGEST_DATABASE_URL"
    return urls | {name: f"{urls[name]}&synchronous_commit=off"}
