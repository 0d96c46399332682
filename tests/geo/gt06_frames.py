"""GT06 frames made by another way than the decoder reads them."""

import struct
from datetime import UTC, datetime


def crc(content: bytes) -> int:
    """The checksum bit by bit, as it is defined."""
    found = 0xFFFF
    for byte in content:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0x8408 if found & 1 else 0)
    return found ^ 0xFFFF


def framed(kind: int, content: bytes = b"", serial: int = 1, *, is_long: bool = False) -> bytes:
    size = len(content) + 5
    summed = (struct.pack(">H", size) if is_long else bytes([size])) + bytes([kind]) + content
    summed += struct.pack(">H", serial)
    return (b"yy" if is_long else b"xx") + summed + struct.pack(">H", crc(summed)) + b"\r\n"


def login(imei: str, zone: int | None = None, serial: int = 1) -> bytes:
    more = b"" if zone is None else struct.pack(">HH", 0, zone)
    return framed(1, bytes.fromhex(f"0{imei}") + more, serial)


def date(at: datetime) -> bytes:
    return bytes((at.year - 2000, at.month, at.day, at.hour, at.minute, at.second))


def place(
    at: datetime, *, lon: float = 25.3, lat: float = 54.7, kmh: int = 36, heading: int = 90, satellites: int = 9,
    is_fixed: bool = True,
) -> bytes:  # fmt: skip
    flags = heading | (0x1000 if is_fixed else 0) | (0x400 if lat >= 0 else 0) | (0x800 if lon < 0 else 0)
    angles = (round(abs(angle) * 1_800_000) for angle in (lat, lon))
    return date(at.astimezone(UTC)) + struct.pack(">BIIBH", 0xC0 | satellites, *angles, kmh, flags)


CELL = bytes.fromhex("00f6010b4f001e17")
"""Of a cell of 2G: country, network, area, cell."""
CELL_4G = bytes.fromhex("00f60100000b4f0000000000001e17")
BOXED_CELL = b"\x09" + CELL
