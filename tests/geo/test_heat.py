"""Heat: counts by cell add up, in any box, at any zoom, and tiles have no seams."""

import random
import struct
import zlib
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import system
from core.work import open_work
from geo import cells, heat
from geo.heat import hot_cells
from geo.heat_scale import LEAST_TOP, Scales
from geo.violation_import import Batch, store_now
from geo.violation_rows import Good, Row
from geo.violations import Filter
from tests.helpers import person
from web_map import heat_tile

VILNIUS = (25.0, 54.5, 25.6, 54.9)


def rows_of(places: list[tuple[float, float]], **values: Any) -> list[Good]:
    base = {"category": "tobacco", "occurred_at": "2026-03-01T10:00:00Z"} | values
    made = [
        Row.model_validate(base | {"id": f"{n}-{values}", "lon": lon, "lat": lat})
        for n, (lon, lat) in enumerate(places)
    ]
    return [Good(n, row, None) for n, row in enumerate(made, 1)]


async def load(engine: AsyncEngine, *groups: list[Good]) -> None:
    user = await person(engine, "supervisor")
    for group in groups:
        async with open_work(engine, system("test")) as work:
            await store_now(work, Batch("test", user.id), list(group), {})


def scattered(n: int, seed: int = 1) -> list[tuple[float, float]]:
    rng = random.Random(seed)
    return [(rng.gauss(25.28, 0.4), rng.gauss(54.69, 0.25)) for _ in range(n)]


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_a_point_lies_in_the_cell_that_is_named_for_it(lon: float, lat: float) -> None:
    x, y = cells.column(lon), cells.row(lat)
    assert 0 <= x < cells.SIDE
    assert 0 <= y < cells.SIDE
    if -179.9 < lon < 179.9 and abs(lat) < 85:
        middle_lon, middle_lat = cells.centre(x, y, 0)
        assert abs(middle_lon - lon) <= 360 / cells.SIDE
        assert abs(middle_lat - lat) <= 360 / cells.SIDE


async def test_the_cells_sum_to_what_lies_in_the_box_and_period(engine: AsyncEngine) -> None:
    places = scattered(3_000)
    await load(engine, rows_of(places), rows_of(places[:200], category="fuel", occurred_at="2025-03-01T10:00:00Z"))
    for zoom in (None, 0, 5, 9, 13, 18, 22):
        async with open_work(engine, system("test")) as work:
            found = await heat.heat(work, Filter(VILNIUS), zoom)
            asked = text(
                "SELECT count(*) FROM violation WHERE ST_X(point) BETWEEN :w AND :e AND ST_Y(point) BETWEEN :s AND :n"
            )
            exact = (await work.session.execute(asked, dict(zip("wsen", VILNIUS, strict=True)))).scalar_one()
            assert found.total == exact > 0
            assert found.total == sum(n for _, _, n in found.placed())
            fuel = await heat.heat(work, Filter(categories=("fuel",)), zoom)
            assert fuel.total == 200
            year = await heat.heat(work, Filter(since=datetime(2026, 1, 1, tzinfo=UTC)), zoom)
            assert year.total == 3_000


async def test_what_is_left_out_is_counted_once_and_unknown_accuracy_is_kept(engine: AsyncEngine) -> None:
    places = scattered(10)
    await load(
        engine,
        rows_of(places),
        rows_of(places, accuracy_m=500),
        rows_of(places[:7], accuracy_m=501),
        rows_of(places[:4], coord_source="office"),
        rows_of(places[:2], coord_source="office", accuracy_m=900),
    )
    async with open_work(engine, system("test")) as work:
        found = await heat.heat(work, Filter(), 10)
    assert found.total == 20
    assert found.left_out == {"accuracy": 7, "office": 6}


async def test_too_many_cells_become_coarser_and_still_add_up(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(engine, rows_of(scattered(2_000)))
    async with open_work(engine, system("test")) as work:
        fine = await heat.heat(work, Filter(VILNIUS), 16)
        monkeypatch.setattr(heat, "MAX_CELLS", 50)
        coarse = await heat.heat(work, Filter(VILNIUS), 16)
    assert len(fine.cells) > 50 >= len(coarse.cells) > 10
    assert coarse.total == fine.total
    assert coarse.cell_m > fine.cell_m


async def test_the_top_cells_are_the_heats_own(engine: AsyncEngine) -> None:
    await load(engine, rows_of(scattered(500)))
    async with open_work(engine, system("test")) as work:
        found = await heat.heat(work, Filter(), None)
    listed = hot_cells(found, 100_000)
    assert [c["rank"] for c in listed] == list(range(1, len(listed) + 1))
    assert [c["n"] for c in listed] == sorted((c["n"] for c in listed), reverse=True)
    assert sum(c["n"] for c in listed) == found.total == 500
    assert listed[0]["n"] == found.max_n


def pixels(png: bytes) -> np.ndarray:
    """The palette indexes of a PNG made here."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, data, size = 8, b"", (0, 0)
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
        if kind == b"IDAT":
            data += body
        at += 12 + length
    return np.frombuffer(zlib.decompress(data), "u1").reshape(size[1], size[0] + 1)[:, 1:]


def test_neighbouring_tiles_meet_without_a_seam() -> None:
    z, shift = 10, 4
    x, y = cells.column(25.28) >> 10, cells.row(54.69) >> 10
    edge = ((x + 1) << 10 >> shift) - 1  # the tile's last column of cells
    counts = [
        (edge + dx, (y << 10 >> shift) + row, n) for dx in (-3, 0, 2) for row, n in ((20, 40), (30, 9), (31, 500))
    ]
    left, right = (
        pixels(heat_tile.paint(counts, shift, 512, z, x, y)),
        pixels(heat_tile.paint(counts, shift, 512, z, x + 1, y)),
    )
    assert left.shape == right.shape == (256, 256)
    assert left.max() > 100
    across = np.abs(left[:, -1].astype(int) - right[:, 0].astype(int))
    within = np.abs(left[:, -3].astype(int) - left[:, -5].astype(int)).max()
    assert across.max() <= within + 8
    moved = pixels(heat_tile.paint([(c + 64, r, n) for c, r, n in counts], shift, 512, z, x + 1, y))
    assert (moved == left).all()  # the scale is fixed: the same counts look the same in any tile


async def test_a_tile_is_drawn_from_the_filter_alone(engine: AsyncEngine) -> None:
    await load(engine, rows_of([(25.28, 54.69)] * 1 + scattered(50), category="fuel"))
    x, y, scales = cells.column(25.28) >> 10, cells.row(54.69) >> 10, Scales()
    async with open_work(engine, system("test")) as work:
        drawn = pixels(await heat_tile.draw(work, Filter(categories=("fuel",)), scales, 10, x, y))
        empty = pixels(await heat_tile.draw(work, Filter(categories=("drugs",)), scales, 10, x, y))
        elsewhere = pixels(await heat_tile.draw(work, Filter(box=(0.0, 0.0, 1.0, 1.0)), scales, 10, x, y))
    assert drawn.max() > 0
    assert empty.max() == 0
    assert elsewhere.max() == 0


async def test_the_densest_cell_is_found_in_the_densest_areas(engine: AsyncEngine) -> None:
    spread = [(20.5 + 0.3 * n, 54.0) for n in range(heat.DENSEST_AREAS + 4)]  # as many areas with one each
    await load(engine, rows_of(spread), rows_of([(25.28, 54.69)] * 30 + [(25.30, 54.69)] * 40, note="dense"))
    async with open_work(engine, system("test")) as work:
        assert await heat.densest(work, Filter(), 0) == 40
        assert await heat.densest(work, Filter(), 8) == 70
        assert await heat.densest(work, Filter(categories=("none",)), 0) == 0
        assert await heat.densest(work, Filter(since=datetime(2026, 3, 2, tzinfo=UTC)), 3) == 0


def test_the_colours_of_heat_are_told_apart_by_lightness_alone() -> None:
    """Whoever sees no red or no green still sees what is hotter (WCAG's relative luminance)."""
    of_light = np.array([0.2126, 0.7152, 0.0722])
    shares = heat_tile._RAMP[:, :3] / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ of_light) - 16
    steps = lightness[::16]
    assert (np.diff(steps) > 2).all(), steps.round(1)
    assert lightness[-1] - lightness[0] > 80


async def test_the_scale_follows_the_filter_and_not_the_tile(engine: AsyncEngine) -> None:
    await load(engine, rows_of([(25.28, 54.69)] * 1_000), rows_of([(24.2, 55.4)] * 3, category="fuel"))
    scales = Scales()
    async with open_work(engine, system("test")) as work:
        assert await scales.top(work, Filter(), 4) == 1_024
        assert await scales.top(work, Filter(box=VILNIUS), 4) == 1_024
        assert await scales.top(work, Filter(categories=("fuel",)), 4) == LEAST_TOP
        assert await scales.top(work, Filter(categories=("drugs",)), 4) == LEAST_TOP
        everything, z = Filter(), 10
        dense = pixels(await heat_tile.draw(work, everything, scales, z, *tile_of(25.28, 54.69)))
        sparse = pixels(await heat_tile.draw(work, everything, scales, z, *tile_of(24.2, 55.4)))
    assert dense.max() > 240
    assert 0 < sparse.max() < 80


def tile_of(lon: float, lat: float) -> tuple[int, int]:
    return cells.column(lon) >> 10, cells.row(lat) >> 10
