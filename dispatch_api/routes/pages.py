"""The three pages. They hold no data: what they show comes through the API, by the person's rights."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from core.errors import Overloaded
from dispatch_api.deps import GetState
from dispatch_api.state import State
from web_map.pages import BundleMissing, page

AT_ROOT = True
VERSION = "0.1.0"
router = APIRouter(include_in_schema=False)


def _page(name: str, state: State) -> HTMLResponse:
    try:
        html = page(name, demo=state.settings.demo, version=VERSION)
    except BundleMissing as error:
        raise Overloaded(str(error), 60) from error
    return HTMLResponse(html, headers={"Cache-Control": "no-cache"})


@router.get("/")
async def dispatcher(state: GetState) -> HTMLResponse:
    """The dispatcher's console."""
    return _page("dispatcher", state)


@router.get("/officer")
async def officer(state: GetState) -> HTMLResponse:
    """The officer's page."""
    return _page("officer", state)


@router.get("/supervisor")
async def supervisor(state: GetState) -> HTMLResponse:
    """The supervisor's page."""
    return _page("supervisor", state)
