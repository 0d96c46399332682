"""What ingest is compared with, for measurements alone: a path that does nothing, and the usual way."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from core.db import asyncpg_dsn, utcnow
from dispatch_api.device_lane import DeviceLane
from dispatch_api.live.hub import Hub
from dispatch_api.state import state_of

OK = b'{"ok":true}'
FLOOD = '{"kind":"flood","at":"2026-01-01T00:00:00.000Z","note":"' + "x" * 68 + '"}'
"""A message of 127 bytes, as long as one about a position."""
AT_ONCE = 50
"""Far fewer than a socket may be owed."""
INSERT = (
    "INSERT INTO position (device_id, fix_at, received_at, unit_id, point, accuracy_m, speed_mps, heading_deg)"
    " VALUES ($1, $2, $3, $1, ST_Point($4, $5, 4326), $6, $7, $8) ON CONFLICT DO NOTHING"
)


class OneFix(BaseModel):
    """What the usual way takes: one fix, the device named in the body."""

    device_id: UUID
    fix_at: datetime
    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]
    accuracy_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None


@asynccontextmanager
async def _connected(app: FastAPI) -> AsyncIterator[None]:
    dsn = asyncpg_dsn(os.environ["OUTRIDER_INGEST_DATABASE_URL"])
    async with asyncpg.create_pool(dsn, min_size=1, max_size=10) as app.state.pool:
        yield


usual = FastAPI(lifespan=_connected)


@usual.post("/each")
async def each(fix: OneFix, request: Request) -> dict[str, bool]:
    """The usual way: FastAPI, pydantic, one INSERT and commit a request, no rights, no latest position."""
    values = fix.device_id, fix.fix_at, utcnow(), fix.lon, fix.lat, fix.accuracy_m, fix.speed_mps, fix.heading_deg
    await request.app.state.pool.execute(INSERT, *values)
    return {"ok": True}


async def _noop(receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"11")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": OK})


class Bench:
    """Answers /noop at once, and everything else by Outrider."""

    def __init__(self, app: DeviceLane) -> None:
        self._app, self.opened, self.store_soon = app, app.opened, app.store_soon

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/noop":
            await _noop(receive, send)
        else:
            await self._app(scope, receive, send)


class Flooding:
    """Outrider with a path that has the hub send so many messages to every screen, as fast as they are taken."""

    def __init__(self, app: DeviceLane) -> None:
        self._app, self.opened, self.store_soon = app, app.opened, app.store_soon

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/flood":
            hub = state_of(self._app.api).hub
            self._flood = asyncio.create_task(_flood(hub, int(scope["query_string"].partition(b"=")[2])))
            await _noop(receive, send)
        else:
            await self._app(scope, receive, send)


async def _flood(hub: Hub, frames: int) -> None:
    for sent in range(0, frames, AT_ONCE):
        for _ in range(min(AT_ONCE, frames - sent)):
            hub.broadcast(FLOOD)
        while any(hub.open_sockets()["live"]):
            await asyncio.sleep(0)


def flooding() -> ASGIApp:
    """The application whose sockets are measured."""
    from dispatch_api.asgi import app

    return Flooding(app)


def ingest() -> ASGIApp:
    """The application under measurement."""
    from dispatch_api.asgi import app

    return Bench(app)
