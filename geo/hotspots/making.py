"""Making a forecast in the worker: read, reckoned in a thread while the job's heart beats, kept with the job."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from shapely.geometry import shape
from sqlalchemy.ext.asyncio import AsyncEngine

from core import jobs
from core.actor import system
from core.work import open_work
from geo.hotspots import sources
from geo.hotspots.forecast import Asked, Forecast, TooFew, Wanted, forecast
from geo.hotspots.lattice import TooFine
from geo.hotspots.runs import period

BEAT_S = 0.5


class _Stopped(Exception):
    """Nobody wants the forecast any more."""


def _wanted(params: dict[str, Any]) -> Wanted:
    since, until = period(params)
    return Wanted(
        days=(until - since) / timedelta(days=1), horizon_days=params["horizon_days"], cell_m=params["cell_m"],
        area_share=params["area_share"], free=params["placement"] == "free", per_hour=params["method"] == "eb_per_hour",
        area=shape(params["area"]) if params.get("area") else None,
        asked=tuple(Asked(*place) for place in params.get("score_at") or ()),
    )  # fmt: skip


def _told(found: Forecast) -> dict[str, Any]:
    mean, low, high = found.total
    return {
        "total": {"mean": round(mean, 2), "lo": low, "hi": high}, "features": found.features, "events": found.events,
        "outside": found.outside, "study_cells": found.cells, "windows": found.past.windows,
        "constants": {
            "half_life_days": found.constants.half_life_days, "bandwidth_m": found.constants.bandwidth_m,
            "strength": found.constants.strength,
        },
    }  # fmt: skip


async def run(engine: AsyncEngine, held: jobs.Held, stopping: Callable[[], bool]) -> None:
    """Make a forecast, or give it back when `stopping()`; raises JobLost, as when it was cancelled."""
    params, (since, until) = held.params, period(held.params)
    purpose = system("hotspots")
    try:
        async with open_work(engine, purpose) as work:
            seen = await sources.events(work, since, until, params["categories"])
            patrol = await sources.patrol(work, since, until) if params["patrol"] else None
        made = await _made(engine, held, lambda told: forecast(seen, patrol, _wanted(params), told), stopping)
    except (TooFew, TooFine, sources.TooManyEvents) as error:
        held.so_far = {"code": error.code}
        async with open_work(engine, purpose) as work:
            await jobs.fail(work, held, str(error))
        return
    async with open_work(engine, purpose) as work:
        if made is None:
            await jobs.give_back(work, held)
        else:
            await jobs.finish(work, held, _told(made))


async def _made(
    engine: AsyncEngine,
    held: jobs.Held,
    make: Callable[[Callable[[float], None]], Forecast],
    stopping: Callable[[], bool],
) -> Forecast | None:
    """The forecast, made in a thread while the job's heart beats; None when the worker is stopping."""
    progress, over = [0.05], threading.Event()

    def told(done: float) -> None:
        progress[0] = done
        if over.is_set():
            raise _Stopped

    making = asyncio.create_task(asyncio.to_thread(make, told))
    try:
        while not (await asyncio.wait([making], timeout=BEAT_S))[0]:
            if stopping():
                return None
            async with open_work(engine, system("hotspots")) as work:
                await jobs.beat(work, held, progress[0], {})
        return making.result()
    finally:
        over.set()
        if not making.done():
            await asyncio.wait([making])
