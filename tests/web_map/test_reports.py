"""The heat report in a real browser without network: what it shows, and that no text in it runs."""

import csv
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import folium
import pytest
from folium.plugins import Draw
from playwright.async_api import async_playwright

from core.settings import Settings
from web_map import offline_folium, reports
from web_map.reports import HeatReport

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "${alert(3)}",
    "`+alert(4)+`",
    "'\"javascript:alert(5)",
]


def report(**changes: object) -> HeatReport:
    values: dict[str, object] = {
        "cells": [(25.28, 54.69, 60), (23.9, 54.9, 30), (21.13, 55.71, 10)],
        "cell_m": 1223.0,
        "total": 100,
        "left_out": {"accuracy": 3, "office": 4},
        "made_at": datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
        "made_by": "supervisor",
        "zone": "Europe/Vilnius",
    }
    return HeatReport(**(values | changes))  # type: ignore[arg-type]


async def test_the_file_works_without_network_and_runs_no_text(tmp_path: Path) -> None:
    page = await reports.rendered(report(categories=HOSTILE, made_by=HOSTILE[0]))
    file = tmp_path / "report.html"
    file.write_text(page.html, "utf-8")
    asked, complaints = [], []
    async with async_playwright() as started:
        browser = await started.chromium.launch(executable_path=Settings().chromium or shutil.which("chromium"))
        shown = await (await browser.new_context(offline=True)).new_page()
        shown.on("request", lambda request: asked.append(request.url))
        shown.on("dialog", lambda dialog: complaints.append(dialog.message))
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        await shown.goto(file.as_uri())
        await shown.wait_for_selector(".leaflet-heatmap-layer")
        text = await shown.inner_text("body")
        rows = await shown.locator("tbody tr").all_inner_texts()
        towns = await shown.locator(".town").all_inner_texts()
        shape = await shown.locator(".leaflet-base-pane path").count()
        drawn = await shown.evaluate(
            "() => { const c = document.querySelector('.leaflet-heatmap-layer');"
            " return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0); }"
        )
        await browser.close()
    assert asked == [file.as_uri()]
    assert complaints == []
    assert all(hostile in text for hostile in HOSTILE)
    assert "100 violations" in text
    assert "2026-03-29 02:30" in text  # Vilnius, half an hour before its clocks change
    assert [row.split()[3] for row in rows] == ["60", "30", "10"]
    assert rows[0].split()[4] == "60.0%"
    assert "Vilnius" in towns
    assert shape > 0
    assert drawn


def test_a_script_put_beside_the_map_is_not_in_the_policy() -> None:
    page, policy = offline_folium.render(folium.Map(tiles=None), above="<script>alert(1)</script>")
    assert "alert(1)" in page
    assert len(re.findall("<script>", page)) == policy.split("style-src")[0].count("sha256-") + 1
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")


def test_a_plugin_from_a_foreign_host_is_refused() -> None:
    drawn = folium.Map(tiles=None)
    Draw().add_to(drawn)
    with pytest.raises(offline_folium.NoLocalCopy):
        offline_folium.render(drawn)


def test_an_empty_report_is_a_page_too() -> None:
    page = reports.heat_page(report(cells=[], total=0))
    assert "0 violations in 0 cells" in page.html


def test_csv_and_geojson_add_up() -> None:
    made = report()
    rows = list(csv.DictReader(reports.heat_csv(made).splitlines()))
    assert sum(int(row["n"]) for row in rows) == made.total
    features = reports.heat_geojson(made)
    assert sum(f["properties"]["n"] for f in features["features"]) == features["total"] == 100
    assert features["made_by"] == "supervisor"
