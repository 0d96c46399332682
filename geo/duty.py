"""Which unit a device reports for, and whether that unit is on duty: the gate before storage."""

from types import TracebackType
from typing import Self

from core.bus import Wake


class DutyBook:
    """Devices, their assignments and the units' shifts, in memory."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    async def changed(self, wake: Wake) -> None:
        """Read again."""
