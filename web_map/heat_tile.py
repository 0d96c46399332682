"""Heat as map tiles: counts blurred over a few pixels, one colour scale per zoom and filter, an indexed PNG.

The counts of 16 pixels around a tile take part, and the blur reaches no farther, so neighbours meet without a seam.
"""

import asyncio
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from core.work import Work
from geo import cells, heat
from geo.heat_scale import LEAST_TOP, Scales
from geo.violations import Filter

MAX_ZOOM = 18
SIDE_PX = 256
MARGIN_PX = 16
BIN_PX = 2
SIGMA_PX = 5.0
CELL_SHIFT = 2
"""Counts are taken by cells of 2^2 = 4 pixels, or the finest there are."""
BLUR_SHIFT = 2
"""A cell of 2^2 times as many pixels is about as large as what the blur gathers at its middle."""
_REACH = MARGIN_PX // BIN_PX
_SIDE = (SIDE_PX + 2 * MARGIN_PX) // BIN_PX

# Six steps of matplotlib's "inferno" (CC0): ordered in lightness, so it reads with colour blindness too.
_STOPS = np.array(
    [
        [0, 0, 4, 0],
        [66, 10, 104, 120],
        [147, 38, 103, 190],
        [221, 81, 58, 215],
        [252, 165, 10, 230],
        [252, 255, 164, 245],
    ]
)
_RAMP = np.stack([np.interp(np.arange(256), np.linspace(0, 255, 6), _STOPS[:, i]) for i in range(4)], 1).astype("u1")
_KERNEL = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1) * BIN_PX / SIGMA_PX) ** 2)


def edges(z: int, x: int, y: int) -> cells.Box:
    """The box of a tile with its margin."""
    width = 2.0**-z
    margin = width * MARGIN_PX / SIDE_PX
    west, east = max(x * width - margin, 0.0), min((x + 1) * width + margin, 1.0)
    north, south = max(y * width - margin, 0.0), min((y + 1) * width + margin, 1.0)
    return west * 360 - 180, cells.latitude(south), east * 360 - 180, cells.latitude(north)


def _inside(one: cells.Box, other: cells.Box | None) -> cells.Box | None:
    if other is None:
        return one
    box = (max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3]))
    return box if box[0] <= box[2] and box[1] <= box[3] else None


async def draw(work: Work, wanted: Filter, scales: Scales, z: int, x: int, y: int) -> bytes:
    """The PNG of a tile for the filter. Pictures without numbers are not audited one by one."""
    shift = max(0, cells.CELL_ZOOM - z - (8 - CELL_SHIFT))
    box = _inside(edges(z, x, y), wanted.box)
    if box is None:
        return paint([], shift, LEAST_TOP, z, x, y)
    found = await heat.grouped(work, Filter(box, wanted.since, wanted.until, wanted.categories), shift)
    top = await scales.top(work, wanted, shift + BLUR_SHIFT) if found.cells else LEAST_TOP
    return await asyncio.to_thread(paint, found.cells, shift, top, z, x, y)


def paint(counts: list[tuple[int, int, int]], shift: int, top: int, z: int, x: int, y: int) -> bytes:
    """The PNG of a tile from counts by cell, on a scale that ends at `top`."""
    grid = np.zeros((_SIDE, _SIDE))
    if counts:
        cell = np.array(counts, dtype=float)
        scale = (1 << shift) / cells.SIDE * 2**z * SIDE_PX  # pixels of one cell
        column = ((cell[:, 0] + 0.5) * scale - x * SIDE_PX + MARGIN_PX) // BIN_PX
        row = ((cell[:, 1] + 0.5) * scale - y * SIDE_PX + MARGIN_PX) // BIN_PX
        near = (column >= 0) & (column < _SIDE) & (row >= 0) & (row < _SIDE)
        np.add.at(grid, (row[near].astype(int), column[near].astype(int)), cell[near, 2])
    level = np.log1p(_blurred(grid)) / np.log1p(top)
    index = np.clip(level * 255, 0, 255).astype("u1")
    return png(np.repeat(np.repeat(index, BIN_PX, 0), BIN_PX, 1))


def _blurred(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    for axis in (0, 1):
        grid = np.apply_along_axis(np.convolve, axis, grid, _KERNEL, mode="valid")
    return grid


def png(index: NDArray[np.uint8]) -> bytes:
    """A square of palette indexes as a PNG (ISO/IEC 15948) with the heat's colours."""
    height, width = index.shape
    rows = np.hstack([np.zeros((height, 1), "u1"), index]).tobytes()  # filter type 0 before each row
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", _RAMP[:, :3].tobytes()),
        (b"tRNS", _RAMP[:, 3].tobytes()),
        (b"IDAT", zlib.compress(rows, 6)),
        (b"IEND", b""),
    ]
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
