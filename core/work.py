"""One unit of work: a transaction under one actor's eyes. `open_work` is the only place that commits."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from core import audit
from core.actor import Actor
from core.bus import Bus, Wake
from core.db import WAITS_S, utcnow
from core.errors import Conflict, IdReused

_SCOPE = text(
    "SELECT set_config('app.user_id', :user_id, true), set_config('app.sees', :sees, true),"
    " set_config('app.units', :units, true)"
)
_SCOPE_IN_TIME = text(f"{_SCOPE}, set_config('lock_timeout', :lock_ms, true)")

AT_LEAST_S = 0.2
"""For each connection and lock a request waits so long, however long it waited before."""

UNIQUE_VIOLATION = "23505"
_SEES = text("SELECT set_config('app.sees', :sees, true)")


@dataclass
class Work:
    """What a service function needs: the session, who acts, since when, and what to tell after the commit."""

    session: AsyncSession
    actor: Actor
    now: datetime
    wakes: list[Wake] = field(default_factory=list)
    clock_off_s: int | None = None
    """How far the clock of the device that asks is ahead, where that is more than it may be."""
    _is_elevated: bool = False

    def publish(self, kind: type[Wake], *ids: UUID) -> None:
        """Send this wake-up once the transaction is committed; never if it is not."""
        if ids:
            self.wakes.append(kind(frozenset(ids)))

    def audit(self, action: "audit.Action", kind: str, object_id: UUID | str | None, /, **fields: Any) -> None:
        """Write, in this transaction, who did what to which object (see core/audit.py)."""
        self.session.add(audit.row(self.actor, self.now, action, kind, object_id, fields))

    async def add(self, *rows: object, taken: str = "") -> None:
        """Write new rows at once; raises as `flush` does."""
        self.session.add_all(rows)
        await self.flush(taken)

    async def flush(self, taken: str = "") -> None:
        """Write now what changed.

        Raises IdReused for a row with the id of another, and Conflict in the words of `taken` for one that has
        something else which only one may have.
        """
        try:
            await self.session.flush()
        except IntegrityError as error:
            if getattr(error.orig, "sqlstate", None) != UNIQUE_VIOLATION:
                raise
            broken = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None) or ""
            raise (IdReused() if broken.startswith("pk_") else Conflict(taken)) from error

    @asynccontextmanager
    async def elevated(self) -> AsyncIterator[None]:
        """Within the block the database shows and takes every row: for what the rules owe to others, not to the actor.

        Delivering to another person's inbox is such a thing; showing rows to the actor never is. A block within a
        block changes nothing.
        """
        if self._is_elevated:
            yield
            return
        await self.session.flush()
        await self.session.execute(_SEES, {"sees": "*"})
        self._is_elevated = True
        yield  # an exception ends the transaction, and the setting with it
        await self.session.flush()
        await self.session.execute(_SEES, {"sees": ",".join(sorted(self.actor.sees))})
        self._is_elevated = False

    async def first(self, statement: Any) -> Any:
        """The first row's first column or entity of a SELECT, or None."""
        return (await self.session.execute(statement)).scalars().first()

    async def all(self, statement: Any) -> list[Any]:
        """The first column or entity of every row of a SELECT."""
        return list((await self.session.execute(statement)).scalars().all())


def _left_s(asked_at: float) -> float:
    """How long somebody who asked then waits on for the next thing."""
    return max(AT_LEAST_S, asked_at + WAITS_S - time.monotonic())


@asynccontextmanager
async def open_work(
    engine: AsyncEngine, actor: Actor, bus: Bus | None = None, *, asked_at: float | None = None
) -> AsyncIterator[Work]:
    """A transaction scoped to what `actor` may see; committed at the end, rolled back on any exception.

    Wake-ups leave only after the commit, so nobody is told of what may still be undone. `asked_at`: since when (of the
    monotonic clock) somebody waits for the answer, who is refused rather than left waiting for connections and locks.
    """
    scope = {
        "user_id": str(actor.user_id or ""),
        "sees": ",".join(sorted(actor.sees)),
        "units": ",".join(sorted(map(str, actor.unit_ids))),
    }
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        if asked_at is None:
            await session.execute(_SCOPE, scope)
        else:
            async with asyncio.timeout(_left_s(asked_at)):
                await session.connection()
            await session.execute(_SCOPE_IN_TIME, scope | {"lock_ms": f"{_left_s(asked_at) * 1000:.0f}ms"})
        work = Work(session, actor, utcnow())
        yield work
    if bus is not None:
        await bus.announce(work.wakes)
