"""The application put together: state, routes, sockets, errors, and the device lane in front."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from core.bus import Bus
from core.db import make_engine
from core.relay import Relay
from core.settings import Settings
from dispatch_api import errors, logs, wiring
from dispatch_api.device_lane import DeviceLane
from dispatch_api.live import socket
from dispatch_api.live.hub import Hub
from dispatch_api.metrics import server as shown
from dispatch_api.metrics.measures import Commits, Measures, Requests
from dispatch_api.metrics.pages import Page
from dispatch_api.routes import ROUTERS
from dispatch_api.security import API, BodyLimit, SecurityHeaders
from dispatch_api.state import State
from dispatch_api.static import Built
from geo.arrivals import Arrivals
from geo.duty import DutyBook
from geo.positions import Writer
from web_map.pages import STATIC_DIR


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    if not (settings.database_url and settings.ingest_database_url):
        raise RuntimeError("OUTRIDER_DATABASE_URL and OUTRIDER_INGEST_DATABASE_URL are not set; use `outrider up`.")
    engine = make_engine(settings.database_url, pool_size=settings.pool_size)
    bus = Bus()
    duty = DutyBook(settings.ingest_database_url)
    hub = Hub(engine, bus)
    measures: Measures = app.state.measures
    commits = Commits(measures)
    writer = Writer(settings.ingest_database_url, duty, on_latest=hub.positions_moved, on_commit=commits)
    arrivals = Arrivals(settings.ingest_database_url, duty)
    page = Page(settings.data_dir, "server", measures.registry)
    app.state.outrider = State(settings, engine, bus, duty, writer, arrivals, hub, page)
    wiring.connect(app.state.outrider)
    commits.watch(writer)
    measures.show(lambda: shown.families(app.state.outrider))
    async with duty, writer, arrivals, hub, Relay(settings.database_url, bus), page:
        yield
    await engine.dispose()


def create_app(settings: Settings) -> DeviceLane:
    """The whole server for `settings`: an ASGI application."""
    logs.configure(settings.log_level)
    app = FastAPI(
        title="Outrider",
        version="1",
        description="Tasking and geolocation for customs mobile units.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.settings, app.state.measures = settings, Measures()
    requests = Requests(app.state.measures)
    errors.install(app)
    for prefix, router in ROUTERS:
        app.include_router(router, prefix=API if prefix else "")
    app.include_router(socket.router, prefix=API)
    app.mount("/static", Built(directory=STATIC_DIR, check_dir=False), name="static")
    return DeviceLane(
        SecurityHeaders(BodyLimit(socket.Straight(app, API), settings), requests, settings), app, requests
    )
