"""What a process does of a run, with people and things of its own: an operation as every role, or a role's chains."""

import asyncio
import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from core.db import make_engine
from loadtests.fuzz import operations
from loadtests.fuzz.found import Found
from loadtests.fuzz.operations import Plan
from loadtests.fuzz.scene import Desk, furnish
from loadtests.fuzz.sending import Answer, Ready, Sender


@dataclass(frozen=True)
class Share:
    """One piece of work, for whichever process is free."""

    what: str
    document: dict[str, Any]
    url: str
    database_url: str
    roles: list[str]
    plan: Plan
    until: float
    """When no more is begun, as time.time() has it."""
    kept: Path | None = None
    """Where one role's request of each generated case goes, without what it shows at the door."""


@dataclass(frozen=True)
class Done:
    """What came of it: nothing when there was no time left."""

    share: Share
    founds: list[Found]
    seconds: float


def furnished(url: str, database_url: str) -> Desk:
    """People of each role and one of everything."""

    async def made() -> Desk:
        engine = make_engine(database_url)
        try:
            return await furnish(engine, url)
        finally:
            await engine.dispose()

    return asyncio.run(made())


def work(share: Share) -> Done:
    """Do it."""
    began = time.monotonic()
    if time.time() > share.until:
        return Done(share, [], 0.0)
    desk = furnished(share.url, share.database_url)
    if not share.kept:
        founds = operations.run(share.document, share.url, share.roles, desk, share.plan)
    else:
        with share.kept.open("wb") as file:

            def keep(request: Ready) -> None:
                pickle.dump(request.without(desk.secrets), file)

            founds = operations.run(share.document, share.url, share.roles, desk, share.plan, keep)
    return Done(share, founds, time.monotonic() - began)


def repeated(url: str, kept: list[Path], role: str) -> Found:
    """What others asked, asked again as it was kept."""
    found = Found(role)

    def heard(request: Ready, answer: Answer) -> None:
        found.note(request.operation, request.phase, answer, partial(request.command, url))

    with Sender(url) as sender:
        for path in kept:
            for request in _loaded(path):
                sender.send(request, partial(heard, request))
    return found


def _loaded(path: Path) -> Iterator[Ready]:
    with path.open("rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except EOFError:
                return
