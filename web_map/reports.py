"""Reports as files that stand alone: the violations' heat on an offline map, with the top cells as a table.

Drawing takes a second of computing, so servers call `rendered`, which does it in a process of its own.
"""

import asyncio
import csv
import io
import json
import sys
from datetime import datetime
from html import escape
from math import log1p
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import shapely

from core.errors import Overloaded
from web_map.pages import BASEMAP

TOP_CELLS = 25
TOWNS = 40
RENDER_WITHIN_S = 60.0
_ONE_AT_A_TIME = asyncio.Semaphore(1)

_STYLE = """<style>
html, body { height: auto; margin: 0; font: 15px/1.45 system-ui, sans-serif; color: #1b2733; background: #fff; }
header, section { max-width: 75em; margin: 0 auto; padding: 1em 1.25em; }
h1 { font-size: 1.35em; margin: 0 0 .3em; } h2 { font-size: 1.1em; } p { margin: .2em 0; }
.folium-map { height: 70vh !important; min-height: 22em; }
.leaflet-container.folium-map { background: #c9d9e3; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .9em; text-align: right; border-bottom: 1px solid #d5dde4; }
.leaflet-tooltip.town { background: none; border: 0; box-shadow: none; padding: 0 0 0 2px; color: #22303c;
  font-size: 11px; text-shadow: 0 0 3px #fff, 0 0 3px #fff; }
.leaflet-tooltip.town::before { display: none; }
</style>"""


class HeatReport(msgspec.Struct):
    """What the heat report shows. `cells` are (lon, lat, n), the most first; texts are shown as they are."""

    cells: list[tuple[float, float, int]]
    cell_m: float
    total: int
    left_out: dict[str, int]
    made_at: datetime
    made_by: str
    zone: str
    since: datetime | None = None
    until: datetime | None = None
    categories: list[str] = []
    box: tuple[float, float, float, float] | None = None


class Page(msgspec.Struct):
    """A report's HTML and the content security policy it carries."""

    html: str
    policy: str


def heat_csv(report: HeatReport) -> str:
    """The cells as CSV: lon, lat, n. All of them numbers, so no cell can be taken for a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["lon", "lat", "n"])
    writer.writerows(report.cells)
    return out.getvalue()


def heat_geojson(report: HeatReport) -> dict[str, Any]:
    """The cells' middles as GeoJSON, with the filter, the moment and the person as foreign members."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [lon, lat]},
            "properties": {"rank": rank, "n": n},
        }
        for rank, (lon, lat, n) in enumerate(report.cells, 1)
    ]
    told = msgspec.to_builtins(report)
    del told["cells"]
    return {"type": "FeatureCollection", "features": features, **told}


def heat_page(report: HeatReport) -> Page:
    """The report as one HTML file that needs no network. Takes about a second."""
    from web_map import offline_folium  # folium takes half a second to import, and servers never draw

    html, policy = offline_folium.render(
        _map(report), head=f"{_STYLE}<title>Violations heatmap</title>", above=_header(report), below=_table(report)
    )
    return Page(html, policy)


def _map(report: HeatReport) -> Any:
    import folium
    from folium.plugins import HeatMap

    from web_map.offline_folium import Labels

    west, south, east, north = _extent(report)
    drawn = folium.Map(tiles=None, control_scale=True, attribution_control=False)
    drawn.options["max_zoom"] = 17  # without tiles folium leaves it out, and the heat's scale needs it
    folium.map.CustomPane("base", z_index=150).add_to(drawn)  # else the land covers the heat
    land, towns = _basemap(west, south, east, north)
    style = {"color": "#8a9bab", "weight": 1, "fillColor": "#f4f1ea", "fillOpacity": 1}
    folium.GeoJson(land, interactive=False, pane="base", style_function=lambda _: style).add_to(drawn)
    top = log1p(max((n for _, _, n in report.cells), default=1))
    weighted = [[lat, lon, log1p(n) / top] for lon, lat, n in report.cells]
    # towards dark: the land is light
    ramp = {0.2: "#fecf92", 0.4: "#f7705c", 0.6: "#b73779", 0.8: "#641a80", 1.0: "#150e37"}
    if weighted:
        heat = HeatMap(weighted, radius=14, blur=16, min_opacity=0.25, max_zoom=1, gradient=ramp)  # type: ignore[no-untyped-call]  # nor has folium
        heat.add_to(drawn)
    Labels(towns).add_to(drawn)
    drawn.fit_bounds([[south, west], [north, east]])
    return drawn


def _extent(report: HeatReport) -> tuple[float, float, float, float]:
    if report.box:
        return report.box
    lons, lats = [c[0] for c in report.cells] or [20.0, 27.0], [c[1] for c in report.cells] or [53.7, 56.6]
    return min(lons) - 0.02, min(lats) - 0.02, max(lons) + 0.02, max(lats) + 0.02


def _basemap(
    west: float, south: float, east: float, north: float
) -> tuple[dict[str, Any], list[tuple[float, float, str]]]:
    """The land around a box, cut to it, and its largest towns as (lat, lon, name)."""
    margin = max(east - west, north - south, 0.5)
    around = shapely.box(west - margin, south - margin, east + margin, north + margin)
    land: list[dict[str, Any]] = []
    towns: list[tuple[float, float, str]] = []
    for feature in json.loads(BASEMAP.read_text("utf-8"))["features"]:
        kind, properties = feature["properties"]["kind"], feature["properties"]
        if kind == "land":
            cut = shapely.intersection(shapely.make_valid(shapely.geometry.shape(feature["geometry"])), around)
            if not cut.is_empty:
                land.append({"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(cut)})
        elif kind == "town":
            lon, lat = feature["geometry"]["coordinates"]
            if west <= lon <= east and south <= lat <= north:
                far = all(abs(lat - a) * 25 > north - south or abs(lon - o) * 12 > east - west for a, o, _ in towns)
                if far and len(towns) < TOWNS:  # they come by population, so the smaller of two neighbours gives way
                    towns.append((lat, lon, properties["name"]))
    return {"type": "FeatureCollection", "features": land}, towns


def _moment(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def _header(report: HeatReport) -> str:
    since = _moment(report.since, report.zone) if report.since else "the first record"
    until = _moment(report.until, report.zone) if report.until else "now"
    box = ", ".join(f"{degree:g}" for degree in report.box) if report.box else "everywhere"
    lines = [
        f"Period: from {since} until before {until} ({report.zone})",
        f"Categories: {', '.join(report.categories) or 'all'}",
        f"Area: {box}",
        f"{report.total} violations in {len(report.cells)} cells of {report.cell_m:g} m (Web Mercator)",
        f"Left out: {report.left_out['accuracy']} with an accuracy over 500 m, "
        f"{report.left_out['office']} recorded at the office",
        f"Made {_moment(report.made_at, report.zone)} by {report.made_by}",
    ]
    return f"<header><h1>Violations heatmap</h1>{''.join(f'<p>{escape(line)}</p>' for line in lines)}</header>"


def _table(report: HeatReport) -> str:
    rows = "".join(
        f"<tr><td>{rank}</td><td>{lat:.5f}</td><td>{lon:.5f}</td><td>{n}</td><td>{n / report.total:.1%}</td></tr>"
        for rank, (lon, lat, n) in enumerate(report.cells[:TOP_CELLS], 1)
    )
    head = "<tr><th>Rank</th><th>Latitude</th><th>Longitude</th><th>Violations</th><th>Share</th></tr>"
    credit = "Map: Leaflet; land: Natural Earth (public domain); towns: GeoNames (CC BY 4.0)."
    return (
        f"<section><h2>Top cells</h2><table><thead>{head}</thead><tbody>{rows}</tbody></table><p>{credit}</p></section>"
    )


async def rendered(report: HeatReport) -> Page:
    """The same as `heat_page`, drawn in a process of its own, one at a time; raises Overloaded after a minute."""
    async with _ONE_AT_A_TIME:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "web_map.reports",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, complaint = await asyncio.wait_for(
                process.communicate(msgspec.json.encode(report)), timeout=RENDER_WITHIN_S
            )
        except TimeoutError as error:
            raise Overloaded("The report took too long.", retry_after_s=30) from error
        finally:
            if process.returncode is None:
                process.kill()
    if process.returncode:
        raise RuntimeError(f"the report was not drawn: {complaint.decode(errors='replace')[-2000:]}")
    return msgspec.json.decode(out, type=Page)


if __name__ == "__main__":
    sys.stdout.buffer.write(
        msgspec.json.encode(heat_page(msgspec.json.decode(sys.stdin.buffer.read(), type=HeatReport)))
    )
