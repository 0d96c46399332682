"""The group-commit writer of positions."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from geo.duty import DutyBook


@dataclass(frozen=True, slots=True)
class Latest:
    """A unit's newest plausible fix that just moved."""

    unit_id: UUID
    device_id: UUID
    fix_at: datetime
    received_at: datetime
    lon: float
    lat: float
    accuracy_m: float | None
    speed_mps: float | None
    heading_deg: float | None
    battery_pct: float | None


class Writer:
    """Stores fixes for many callers, one transaction after another."""

    def __init__(self, url: str, duty: DutyBook, on_latest: Callable[[list[Latest]], None]) -> None:
        self._url, self._duty, self._on_latest = url, duty, on_latest

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass
