"""Tracker ingest: a thin ASGI application in front of FastAPI."""

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send


class DeviceLane:
    """Answers tracker requests itself and hands everything else on."""

    def __init__(self, app: ASGIApp, api: FastAPI) -> None:
        self._app, self._api = app, api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
