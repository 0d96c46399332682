"""The measures of this installation, for a Prometheus that has the token."""

import secrets

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from core.errors import NotSignedIn
from dispatch_api.deps import GetState
from dispatch_api.metrics import probe

AT_ROOT = True
router = APIRouter(tags=["operating"])


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, state: GetState) -> Response:
    """All processes of this machine, the database, disks and clocks, in Prometheus' text form.

    Needs `Authorization: Bearer` with OUTRIDER_METRICS_TOKEN; without that setting nobody may read them.
    """
    token = state.settings.metrics_token
    given = request.headers.get("authorization", "").encode("latin-1", "replace")
    if token is None or not secrets.compare_digest(given, f"Bearer {token.get_secret_value()}".encode()):
        raise NotSignedIn("The metrics need the bearer token OUTRIDER_METRICS_TOKEN.")
    shared = await probe.families(state.engine, state.settings)
    text = await state.page.whole(shared)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})
