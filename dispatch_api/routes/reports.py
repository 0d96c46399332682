"""Reports: files that stand alone. What leaves the database is written to the audit as a disclosure."""

import json
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from core.actor import Actor, May
from core.audit import Action
from core.work import open_work
from dispatch_api.deps import GetState, allow
from dispatch_api.violation_queries import Wanted
from geo import heat
from web_map import reports

router = APIRouter(prefix="/reports", tags=["reports"])
Format = Literal["html", "csv", "geojson"]
MEDIA = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8", "geojson": "application/geo+json"}
FRAMED = "sandbox allow-scripts; frame-ancestors 'self'"


@router.get(
    "/violations-heatmap",
    response_class=Response,
    responses={200: {"content": {media.partition(";")[0]: {} for media in MEDIA.values()}}},
)
async def violations_heatmap(
    actor: Annotated[Actor, Depends(allow(May.READ_ANALYSIS))],
    state: GetState,
    wanted: Wanted,
    format: Format = "html",
    inline: Annotated[bool, Query(description="to be shown in a sandboxed frame, not saved")] = False,
) -> Response:
    """The violations' heat: HTML with map and top cells that needs no network, or the cells as CSV or GeoJSON."""
    async with open_work(state.engine, actor) as work:
        found = await heat.heat(work, wanted, None)
        told = wanted.told()
        work.audit(
            Action.DISCLOSURE, "report", "violations-heatmap", **told, format=format, rows=len(found.cells),
            total=found.total,
        )  # fmt: skip
    report = reports.HeatReport(
        cells=found.placed(), cell_m=found.cell_m, total=found.total, left_out=found.left_out, made_at=work.now,
        made_by=actor.login, zone=state.settings.timezone, since=wanted.since, until=wanted.until,
        categories=list(wanted.categories), box=wanted.box,
    )  # fmt: skip
    place = "inline" if inline and format == "html" else "attachment"
    headers = {
        "Content-Disposition": f'{place}; filename="violations-heatmap-{work.now:%Y-%m-%d}.{format}"',
        "Cache-Control": "private, no-store",
    }
    if format == "csv":
        body = reports.heat_csv(report)
    elif format == "geojson":
        body = json.dumps(reports.heat_geojson(report))
    else:
        page = await reports.rendered(report)
        body = page.html
        headers["Content-Security-Policy"] = f"{page.policy}; {FRAMED}"
    return Response(body, media_type=MEDIA[format], headers=headers)
