"""`outrider simulate`: generated units that drive about and report as real trackers do, over a real transport.

Units and devices are made through the API, once; each device then keeps a connection to the gateway, keeps its records
until they are acknowledged, and sends them again otherwise.
"""

import argparse
import asyncio
import contextlib
import math
import random
import struct
import sys
import time
from dataclasses import dataclass

import aiohttp

from core.errors import OutriderError
from core.settings import Settings
from dispatch_api.commands.client import Refused, Session, credentials, server_url, signed_in
from dispatch_api.commands.progress import Progress
from geo.measures import DEGREE_M
from geo.protocols import teltonika
from geo.protocols.checksum import crc16_ibm

PREFIX, IMEI_FROM = "SIM-", 350_000_000_000_000
BULK, AT_ONCE = 1_000, 8
RETRY_S = 1.0
ANSWER_WITHIN_S = 30
SPREAD_S = 10
TURN_DEG = 20
WEST, SOUTH, EAST, NORTH = 22.0, 54.4, 26.0, 56.2
_RECORD = struct.Struct(">QBiihHBHBBBBBBBBBB")


@dataclass
class Tally:
    """What became of the records so far; `waited_s` is the longest wait for an answer."""

    sent: int = 0
    acknowledged: int = 0
    sent_again: int = 0
    refused: int = 0
    waited_s: float = 0.0


class Vehicle:
    """Where a unit is and where it heads; it turns a little each second and stays in the country."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.lon, self.lat = self._random.uniform(WEST, EAST), self._random.uniform(SOUTH, NORTH)
        self.heading, self.kmh = self._random.randrange(360), self._random.randrange(30, 91)

    def record(self, at_ms: int, seconds: float) -> bytes:
        """The codec 8 record after driving on for so long, with ignition and battery."""
        self.heading = (self.heading + self._random.randint(-TURN_DEG, TURN_DEG)) % 360
        way = self.kmh / 3.6 * seconds / DEGREE_M
        self.lat += way * math.cos(math.radians(self.heading))
        self.lon += way * math.sin(math.radians(self.heading)) / math.cos(math.radians(self.lat))
        if not (WEST < self.lon < EAST and SOUTH < self.lat < NORTH):
            self.heading = (self.heading + 180) % 360
        lon, lat = round(self.lon * 1e7), round(self.lat * 1e7)
        return _RECORD.pack(at_ms, 0, lon, lat, 100, self.heading, 11, self.kmh, 0, 2, 2, 239, 1, 113, 90, 0, 0, 0)


def frame(records: list[bytes]) -> bytes:
    """Records as a device sends them over TCP."""
    content = b"".join([bytes([0x08, len(records)]), *records, bytes([len(records)])])
    return struct.pack(">II", 0, len(content)) + content + struct.pack(">I", crc16_ibm(content))


async def _register(session: Session, n: int, progress: Progress) -> None:
    """Make the units and devices that are missing, tracked always."""
    known = {unit["call_sign"]: unit["id"] async for unit in session.pages("/units")}
    imeis = {device["identifier"] async for device in session.pages("/devices") if device["protocol"] == "teltonika"}
    names = {f"{PREFIX}{number:05}": str(IMEI_FROM + number) for number in range(n)}
    missing = iter([name for name in names if name not in known])

    async def make() -> None:
        for name in missing:
            body = {"call_sign": name, "kind": "patrol", "tracking": "always"}
            known[name] = (await session.call("POST", "/units", body))["id"]
            progress.show("units", len(known.keys() & names.keys()), n)

    await asyncio.gather(*(make() for _ in range(AT_ONCE)))
    new = [(name, imei) for name, imei in names.items() if imei not in imeis]
    for at in range(0, len(new), BULK):
        items = [{"unit_id": known[name], "protocol": "teltonika", "identifier": i} for name, i in new[at : at + BULK]]
        await session.call("POST", "/devices/bulk", {"items": items})
        progress.show("devices", at + len(items), len(new))


class Device:
    """One device: it drives, reports, and keeps what is not acknowledged."""

    def __init__(self, number: int, args: argparse.Namespace, tally: Tally, until: float) -> None:
        """It reports `args.records` records, one each `args.interval` seconds, until a moment in Unix seconds."""
        self._imei, self._vehicle = str(IMEI_FROM + number), Vehicle(number)
        self._interval, self._records = args.interval, args.records
        self._tally, self._until = tally, until
        self._waiting = b""

    async def run(self, host: str, port: int) -> None:
        """Connect, and again whenever the connection is lost; until the end, or until it is refused."""
        await asyncio.sleep(random.uniform(0, min(self._interval * self._records, SPREAD_S)))
        self._due = time.time()
        while time.time() < self._until:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    writer.write(struct.pack(">H", teltonika.IMEI_DIGITS) + self._imei.encode())
                    if await reader.readexactly(1) != teltonika.ACCEPTED:
                        self._tally.refused += 1
                        return
                    await self._report(reader, writer)
                finally:
                    writer.close()
            await asyncio.sleep(RETRY_S)

    async def _report(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._waiting:
            self._tally.sent_again += self._records
        while time.time() < self._until:
            self._waiting = self._waiting or await self._next()
            asked = time.monotonic()
            writer.write(self._waiting)
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answered = await reader.readexactly(4)
            self._tally.waited_s = max(self._tally.waited_s, time.monotonic() - asked)
            if answered != teltonika.answer(self._records):
                return
            self._tally.acknowledged += self._records
            self._waiting = b""

    async def _next(self) -> bytes:
        """The next frame, once its last record's time has come."""
        first = self._due + self._interval
        self._due += self._interval * self._records
        await asyncio.sleep(max(0.0, self._due - time.time()))
        self._tally.sent += self._records
        moments = (round((first + self._interval * n) * 1000) for n in range(self._records))
        return frame([self._vehicle.record(moment, self._interval) for moment in moments])


async def _watch(tally: Tally, progress: Progress, until: float) -> None:
    while time.time() < until:
        progress.show("records acknowledged", tally.acknowledged, tally.sent, f"{tally.sent_again} sent again")
        await asyncio.sleep(0.5)


async def run(settings: Settings, args: argparse.Namespace) -> int:
    """Register and drive; prints the tally; the exit code: 0 when nobody was refused."""
    progress, tally = Progress(), Tally()
    try:
        if not (1 <= args.units <= 100_000 and 1 <= args.records <= 255 and args.interval > 0):
            raise Refused("--units lies between 1 and 100000, --records between 1 and 255, --interval above 0.")
        url = server_url(settings, args.url)
        login, password = credentials(settings, "administrator", args.login, args.password)
        async with signed_in(url, login, password) as session:
            await _register(session, args.units, progress)
    except (OutriderError, aiohttp.ClientError, OSError) as error:
        progress.done()
        print(f"Nothing was simulated: {error}", file=sys.stderr)
        return 1
    place = (args.host or settings.host, args.port or settings.teltonika_port)
    until = time.time() + args.duration if args.duration else math.inf
    began = time.monotonic()
    devices = (Device(number, args, tally, until).run(*place) for number in range(args.units))
    await asyncio.gather(_watch(tally, progress, until), *devices)
    progress.done()
    for name, n in vars(tally).items():
        print(f"{name:>13}  {n:.3f}" if isinstance(n, float) else f"{name:>13}  {n}")
    print(f"{'a second':>13}  {tally.acknowledged / (time.monotonic() - began):.0f}")
    return 0 if tally.refused == 0 else 1
