"""The hub: what every open socket of this process is told, from one mirror of the database."""

from types import TracebackType

from geo.positions import Latest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.bus import Bus, Wake


class Hub:
    """Tells open sockets what changed; entered before the server serves, left when it stops."""

    def __init__(self, engine: AsyncEngine, bus: Bus) -> None:
        self._engine = engine
        self._bus = bus

    async def __aenter__(self) -> "Hub":
        """The hub, ready."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""

    def positions_moved(self, latest: list[Latest]) -> None:
        """Take over units' newest fixes, just committed."""

    def units_changed(self, wake: Wake) -> None:
        """Look at these units again."""

    def tasks_changed(self, wake: Wake) -> None:
        """Look at these tasks again."""

    def notices_changed(self, wake: Wake) -> None:
        """Look at these notices again."""

    def inbox_grew(self, wake: Wake) -> None:
        """Fetch what these users have new in their inboxes."""

    def access_changed(self, wake: Wake) -> None:
        """Check the rights of these users' sockets again."""
