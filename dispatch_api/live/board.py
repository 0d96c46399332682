"""What screens of the centre list beside the map, in memory: open tasks, valid notices, alerts, hand-overs."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from core.db import utcnow
from dispatch_api.live import wire


@dataclass(slots=True)
class Thing:
    """One resource as JSON, and what decides whether a snapshot holds it."""

    resource: dict[str, Any]
    updated_at: datetime
    shown: bool = True
    until: datetime | None = None
    order: int = 0
    text: str = field(init=False)

    def __post_init__(self) -> None:
        """Encode it, once."""
        self.text = wire.text(self.resource)


class Shelf:
    """Things of one kind by id; those no longer shown are remembered for a while, so that no poll tells them twice."""

    def __init__(self, kind: str, limit: int | None = None) -> None:
        self.kind, self._limit = kind, limit
        self._things: dict[UUID, Thing] = {}
        self._array: str | None = None

    def put(self, thing_id: UUID, thing: Thing) -> str | None:
        """Take it over; the message that tells of it, or None when it is what is known already."""
        known = self._things.get(thing_id)
        self._things[thing_id] = thing
        if known is not None and known.text == thing.text:
            return None
        self._array = None
        return wire.about(self.kind, thing.text)

    def known(self, thing_id: UUID, updated_at: datetime) -> bool:
        """Whether this state of it is known."""
        thing = self._things.get(thing_id)
        return thing is not None and thing.updated_at >= updated_at

    def forget(self, before: datetime) -> None:
        """Drop what is not shown and was last changed before."""
        now = utcnow()
        for thing_id, thing in list(self._things.items()):
            over = thing.until is not None and thing.until <= now
            if over or not thing.shown:
                self._array = None
                if thing.updated_at < before:
                    del self._things[thing_id]

    def array(self) -> str:
        """What is shown, as a JSON array, the highest order first."""
        if self._array is None:
            now = utcnow()
            shown = [t for t in self._things.values() if t.shown and (t.until is None or t.until > now)]
            shown.sort(key=lambda thing: thing.order, reverse=True)
            self._array = f"[{','.join(thing.text for thing in shown[: self._limit])}]"
        return self._array


class Board:
    """The four shelves."""

    NOTICES = 50
    ALERTS = 300
    HANDOVERS = 50

    def __init__(self) -> None:
        self.tasks = Shelf("task")
        self.notices = Shelf("notice", self.NOTICES)
        self.alerts = Shelf("alert", self.ALERTS)
        self.handovers = Shelf("handover", self.HANDOVERS)

    def forget(self, before: datetime) -> None:
        """Drop what nobody lists any more."""
        for shelf in (self.tasks, self.notices, self.alerts, self.handovers):
            shelf.forget(before)
