"""The pages. They hold no data: what they show comes through the API, by the person's rights."""

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse, Response

from core.errors import Overloaded
from dispatch_api.deps import GetState
from dispatch_api.fcm import browsers_hosts
from dispatch_api.security import csp
from dispatch_api.state import State
from web_map.pages import BundleMissing, manifest, page, worker

AT_ROOT = True
VERSION = "0.1.0"
FRESH = {"Cache-Control": "no-cache"}
router = APIRouter(include_in_schema=False)


def _built(make: Callable[[], str]) -> str:
    try:
        return make()
    except BundleMissing as error:
        raise Overloaded(str(error), 60) from error


def _page(name: str, state: State) -> HTMLResponse:
    html = _built(lambda: page(name, demo=state.settings.demo, version=VERSION))
    return HTMLResponse(html, headers=FRESH)


@router.get("/")
async def dispatcher(state: GetState) -> HTMLResponse:
    """The dispatcher's console."""
    return _page("dispatcher", state)


@router.get("/officer")
async def officer(state: GetState) -> HTMLResponse:
    """The officer's page."""
    calls = browsers_hosts(state.settings)
    html = _built(lambda: page("officer", demo=state.settings.demo, version=VERSION, calls=calls))
    return HTMLResponse(html, headers=FRESH | {"Content-Security-Policy": csp(calls)})


@router.get("/officer-worker.js")
async def officer_worker(state: GetState) -> Response:
    """The script that keeps the officer's page on the device."""
    calls = browsers_hosts(state.settings)
    script = _built(lambda: worker(demo=state.settings.demo, version=VERSION, calls=calls))
    return Response(script, media_type="text/javascript", headers=FRESH)


@router.get("/officer.webmanifest")
async def officer_manifest() -> JSONResponse:
    """How the officer's page is installed as an app."""
    return JSONResponse(manifest(), media_type="application/manifest+json", headers=FRESH)


@router.get("/supervisor")
async def supervisor(state: GetState) -> HTMLResponse:
    """The supervisor's page."""
    return _page("supervisor", state)


@router.get("/devices")
async def devices(state: GetState) -> HTMLResponse:
    """The page of devices."""
    return _page("devices", state)


@router.get("/people")
async def people(state: GetState) -> HTMLResponse:
    """The page of people."""
    return _page("people", state)


@router.get("/shifts")
async def shifts(state: GetState) -> HTMLResponse:
    """The page of shifts."""
    return _page("shifts", state)
