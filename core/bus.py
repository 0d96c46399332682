"""Wake-ups after a commit: hints for those who show or send things, never the things themselves.

A lost wake-up costs at most a second, because every reader also polls the database.
"""

import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import structlog

log = structlog.get_logger()


@dataclass(frozen=True)
class Wake:
    """Something was committed that others want to know of."""

    ids: frozenset[UUID]


class UnitsChanged(Wake):
    """Units were made or changed (status, name, tracking)."""


class DutyChanged(Wake):
    """Shifts, device assignments or device keys of these units or devices changed."""


class TasksChanged(Wake):
    """Tasks were made or moved on."""


class NoticesChanged(Wake):
    """Notices were sent, cancelled, or a receipt came in."""


class HandoversChanged(Wake):
    """Hand-overs were given or confirmed."""


class InboxGrew(Wake):
    """These users have something new to fetch."""


class DeviceEventsCame(Wake):
    """Devices reported what somebody is owed to be told of."""


class AccessChanged(Wake):
    """These users' sessions, roles or units changed: open sockets must check again."""


Handler = Callable[[Wake], Awaitable[None] | None]


class Bus:
    """Handlers by kind of wake-up, within one process; core/relay.py joins those of several."""

    def __init__(self) -> None:
        self._handlers: dict[type[Wake], list[Handler]] = defaultdict(list)
        self._beyond: list[Callable[[list[Wake]], None]] = []

    def on(self, kind: type[Wake], handler: Handler) -> None:
        """Call `handler` after each commit that published `kind`."""
        self._handlers[kind].append(handler)

    def beyond(self, carry: Callable[[list[Wake]], None]) -> None:
        """Call `carry` with what this process commits, for other processes; it must not wait."""
        self._beyond.append(carry)

    async def announce(self, wakes: list[Wake]) -> None:
        """Tell this process's handlers, and the other processes, of what this one has committed."""
        if wakes:
            for carry in self._beyond:
                carry(wakes)
        await self.deliver(wakes)

    async def deliver(self, wakes: list[Wake]) -> None:
        """Run the handlers; a failing one is logged and stops nobody, since what it tells of is committed."""
        for wake in wakes:
            for handler in self._handlers[type(wake)]:
                try:
                    done = handler(wake)
                    if inspect.isawaitable(done):
                        await done
                except Exception:
                    log.exception("wake_up_failed", kind=type(wake).__name__)
