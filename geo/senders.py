"""Whether two senders speak with one device's name. Found without clock or database; written every few seconds.

A tracker that comes back on a new connection leaves the old one for good. Two that share a name take turns: each is
heard again after the other, with news. Addresses change under way, so there the places must disagree as well.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from geo import sql
from geo.fix import Fix
from geo.motion import reachable

WITHIN = timedelta(minutes=10)
RETURNS = 3
REMEMBERED = 4
"""Senders of one device."""
Sender = int | str
"""The number of a connection, or the address (for a broker: the topic) that single messages come from."""
NOTE = sql.load("device_doubt_note")


@dataclass(slots=True)
class _Talk:
    """Who spoke last with a device's name, who before, and who came back when."""

    sender: Sender
    fix: Fix
    newest: datetime
    left: dict[Sender, datetime] = field(default_factory=dict)
    returns: deque[tuple[datetime, Sender]] = field(default_factory=deque)

    def turn(self, sender: Sender, fix: Fix, now: datetime) -> bool:
        """Another sender than last time speaks; whether it and those before it are two, by now."""
        before, self.left[self.sender] = self.fix, now
        came_back = self.left.pop(sender, None)
        if len(self.left) > REMEMBERED:
            del self.left[next(iter(self.left))]
        is_news = fix.fix_at > self.newest
        self.sender, self.fix, self.newest = sender, fix, max(fix.fix_at, self.newest)
        if came_back is None or came_back < now - WITHIN or not is_news:
            return False
        if isinstance(sender, str) and reachable(before, fix):
            return False
        self.returns.append((now, sender))
        while self.returns[0][0] < now - WITHIN:
            self.returns.popleft()
        return len(self.returns) >= RETURNS and len({who for _, who in self.returns}) > 1


class Senders:
    """The talks of all devices, and those found to be two and not written yet."""

    def __init__(self) -> None:
        self._talks: dict[UUID, _Talk] = {}
        self._found: dict[UUID, tuple[UUID, datetime, datetime]] = {}

    def heard(self, device_id: UUID, unit_id: UUID, sender: Sender, fix: Fix, now: datetime) -> bool:
        """Note who brought a device's fix; whether two speak with its name."""
        talk = self._talks.get(device_id)
        if talk is None:
            self._talks[device_id] = _Talk(sender, fix, fix.fix_at)
            return False
        if talk.sender == sender:
            talk.fix = fix
            talk.newest = max(talk.newest, fix.fix_at)
            return False
        if not talk.turn(sender, fix, now):
            return False
        self._found[device_id] = (unit_id, talk.returns[0][0], now)
        return True

    async def write(self, pool: asyncpg.Pool) -> None:
        """Write down what was found; what cannot be written now is kept for the next time."""
        found, self._found = self._found, {}
        if not found:
            return
        units, since, seen = map(list, zip(*found.values(), strict=True))
        try:
            await pool.execute(NOTE, list(found), units, since, seen)
        except BaseException:
            self._found = found | self._found
            raise
