"""What one server process holds from start to stop."""

from dataclasses import dataclass

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import HTTPConnection

from core.bus import Bus
from core.settings import Settings
from dispatch_api.live.hub import Hub
from dispatch_api.metrics.pages import Page
from geo.arrivals import Arrivals
from geo.duty import DutyBook
from geo.positions import Writer


@dataclass
class State:
    """The parts that routes, sockets and the device lane share."""

    settings: Settings
    engine: AsyncEngine
    bus: Bus
    duty: DutyBook
    writer: Writer
    arrivals: Arrivals
    hub: Hub
    page: Page


def state_of(connection: HTTPConnection | FastAPI) -> State:
    """The state of the app that serves this connection."""
    app = connection if isinstance(connection, FastAPI) else connection.app
    found: State = app.state.outrider
    return found
