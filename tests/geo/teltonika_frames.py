"""Teltonika frames made by another way than the decoder reads them."""

import struct
from datetime import datetime, timedelta

from geo.protocols.checksum import crc16_ibm
from tests.geo.fleet import now

WIDTHS = [1, 2, 4, 8]
Parameters = dict[int, tuple[int, int]]
"""Value and its width by id."""


def record(
    codec: int = 8, at: datetime | None = None, *, lon: float = 25.3, lat: float = 54.7, altitude: int = 100,
    heading: int = 90, satellites: int = 9, kmh: int = 36, priority: int = 0, cause: int = 0,
    io: Parameters | None = None, texts: dict[int, bytes] | None = None,
) -> bytes:  # fmt: skip
    io, texts = io or {}, texts or {}
    number, count = (">H" if codec != 8 else ">B"), (">H" if codec == 0x8E else ">B")
    total = len(io) + (len(texts) if codec == 0x8E else 0)
    parts = [
        struct.pack(">Q", round((at or now()).timestamp() * 1000)), struct.pack(">B", priority),
        struct.pack(">ii", round(lon * 1e7), round(lat * 1e7)),
        struct.pack(">hHBH", altitude, heading, satellites, kmh), struct.pack(number, cause),
        b"\x05" if codec == 0x10 else b"", struct.pack(count, total),
    ]  # fmt: skip
    for width in WIDTHS:
        group = {i: value for i, (value, wide) in io.items() if wide == width}
        parts.append(struct.pack(count, len(group)))
        parts += [struct.pack(number, i) + value.to_bytes(width) for i, value in group.items()]
    if codec == 0x8E:
        parts.append(struct.pack(">H", len(texts)))
        parts += [struct.pack(">HH", i, len(text)) + text for i, text in texts.items()]
    return b"".join(parts)


def data(*records: bytes, codec: int = 8) -> bytes:
    return bytes([codec, len(records), *b"".join(records), len(records)])


def framed(content: bytes) -> bytes:
    return struct.pack(">II", 0, len(content)) + content + struct.pack(">I", crc16_ibm(content))


def hello(imei: str) -> bytes:
    """What a connection begins with."""
    return struct.pack(">H", len(imei)) + imei.encode()


def frame(begin: datetime, n: int = 1, *, codec: int = 8) -> bytes:
    """A frame of `n` records, one a second from `begin` on, each a metre or so further north."""
    records = (record(codec, begin + timedelta(seconds=i), lat=54.7 + i / 1e5) for i in range(n))
    return framed(data(*records, codec=codec))


def packet(imei: str, content: bytes, packet_id: int = 0xCAFE, avl_id: int = 5) -> bytes:
    """A UDP datagram."""
    rest = struct.pack(">HBB", packet_id, 1, avl_id) + hello(imei) + content
    return struct.pack(">H", len(rest)) + rest
