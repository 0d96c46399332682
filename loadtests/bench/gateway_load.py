"""The trackers and phones of `gateway`: prebuilt frames, sent as soon as the one before is answered.

`teltonika PORT TURN`, `mqtt PORT MESSAGES PLAN`, `idle PORT PID N`; prints what was found as JSON.
"""

import asyncio
import json
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import uvloop

from geo.protocols import teltonika
from geo.protocols.checksum import crc16_ibm

IMEI_FROM = 352_000_000_000_000
CONNECTED, FRAMES, RECORDS = 1_000, 8, 25
WINDOW = 2
"""Messages of one phone that the broker has not acknowledged yet."""
_RECORD = struct.Struct(">QBiihHBHBBBBBBBBBB")
PLACE = 0, 253_000_000, 547_000_000, 100, 90, 11, 36
"""Priority, longitude, latitude, height, course, satellites, speed."""
PUBLISH, PUBACK_BYTES = 0x32, 4


def frame(number: int, turn: int) -> bytes:
    """A device's frame of 25 records, one a second within the last hours; no two frames share a moment."""
    first = (int(time.time()) // 3600 * 3600 - 7_200 + (turn * FRAMES + number) * RECORDS) * 1_000
    moments = (first + i * 1_000 for i in range(RECORDS))
    records = b"".join(_RECORD.pack(at_ms, *PLACE, 0, 2, 2, 239, 1, 113, 90, 0, 0, 0) for at_ms in moments)
    content = bytes([0x08, RECORDS]) + records + bytes([RECORDS])
    return struct.pack(">II", 0, len(content)) + content + struct.pack(">I", crc16_ibm(content))


async def _signed_in(port: int, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(struct.pack(">H", teltonika.IMEI_DIGITS) + str(IMEI_FROM + number).encode())
    if await reader.readexactly(1) != teltonika.ACCEPTED:
        raise SystemExit("a device was refused")
    return reader, writer


async def teltonika_load(port: str, turn: str) -> dict[str, Any]:
    """1,000 devices that send their frames; records acknowledged a second."""
    lines = await asyncio.gather(*(_signed_in(int(port), number) for number in range(CONNECTED)))
    frames = [frame(number, int(turn)) for number in range(FRAMES)]
    answer = teltonika.answer(RECORDS)

    async def report(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for each in frames:
            writer.write(each)
            if await reader.readexactly(4) != answer:
                raise SystemExit("a frame was not acknowledged")

    began = time.perf_counter()
    await asyncio.gather(*(report(*line) for line in lines))
    spent = time.perf_counter() - began
    for _, writer in lines:
        writer.close()
    return {"per_s": CONNECTED * FRAMES * RECORDS / spent}


def _string(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def _packet(kind: int, body: bytes) -> bytes:
    size, n = b"", len(body)
    while True:
        size += bytes([n % 128 | (128 if n > 127 else 0)])
        n //= 128
        if not n:
            return bytes([kind]) + size + body


async def _publish(port: int, device: str, n: int) -> None:
    """QoS 1 by MQTT 3.1.1, a window of unacknowledged messages at a time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_packet(0x10, _string("MQTT") + b"\x04\x02\x00\x3c" + _string(f"phone-{device}")))
    await reader.readexactly(4)
    first = int(time.time()) - 20_000
    for start in range(0, n, WINDOW):
        batch = range(start, min(start + WINDOW, n))
        for i in batch:
            payload = {"_type": "location", "lat": 54.7 + i / 1e6, "lon": 25.3, "tst": first + i, "acc": 5, "vel": 36}
            topic = _string(f"owntracks/{device}/phone") + struct.pack(">H", i % 65_000 + 1)
            writer.write(_packet(PUBLISH, topic + json.dumps(payload).encode()))
        await reader.readexactly(PUBACK_BYTES * len(batch))
    writer.close()


async def mqtt_load(port: str, messages: str, plan: str) -> dict[str, Any]:
    """All phones publish their share."""
    devices = json.loads(Path(plan).read_text())
    began = time.perf_counter()
    await asyncio.gather(*(_publish(int(port), device, int(messages) // len(devices)) for device in devices))
    return {"published_per_s": int(messages) / (time.perf_counter() - began)}


async def idle_load(port: str, pid: str, n: str) -> dict[str, Any]:
    """Devices that sign in and are silent: the gateway's memory meanwhile."""
    for start in range(0, int(n), 100):
        await asyncio.gather(*(_signed_in(int(port), number) for number in range(start, start + 100)))
    await asyncio.sleep(2)
    return {"mib": round(psutil.Process(int(pid)).memory_info().rss / 2**20)}


LOADS: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
    "teltonika": teltonika_load, "mqtt": mqtt_load, "idle": idle_load
}  # fmt: skip


async def _run(name: str, words: list[str]) -> None:
    print(json.dumps(await LOADS[name](*words)))


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1], sys.argv[2:]))
