"""`outrider simulate`: generated units that drive about and report as real trackers do, over a real transport.

Units and devices are made through the API, once; each device then keeps its way to the server, keeps its records until
they are acknowledged, and sends them again otherwise.
"""

import argparse
import asyncio
import contextlib
import io
import math
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from core.errors import OutriderError
from core.settings import Settings
from dispatch_api.commands.client import Refused, Session, credentials, server_url, signed_in
from dispatch_api.commands.progress import Progress
from dispatch_api.process import tls_client
from dispatch_api.simulation.vehicle import Reading, Vehicle
from dispatch_api.simulation.ways import WAYS, Way, certificates
from dispatch_api.simulation.wires import Place, Tracker, TurnedAway, Unanswered, Wire

PREFIX, IMEI_FROM, FORWARDER = "SIM-", 350_000_000_000_000, "SIM-FORWARDER"
BY_IMEI, BY_NUMBER = {"teltonika", "gt06"}, {"h02"}
SECRETLESS = BY_IMEI | BY_NUMBER | {"cot", "traccar"}
"""Devices that need no key of their own."""
BULK, AT_ONCE = 1_000, 8
RETRY_S = 1.0
SPREAD_S = 10
BROKEN = (OSError, TimeoutError, EOFError, Unanswered, aiohttp.ClientError)
"""What makes a device begin anew; EOFError is an end in the middle of an answer."""


@dataclass
class Tally:
    """What became of the records so far; `waited_s` is the longest wait for an answer."""

    sent: int = 0
    acknowledged: int = 0
    sent_again: int = 0
    refused: int = 0
    waited_s: float = 0.0


def _identifier(protocol: str, number: int) -> str:
    """How a protocol's device is known: IMEI, the ten digits of H02, or the unit's name."""
    if protocol in BY_IMEI:
        return str(IMEI_FROM + number)
    return f"{3_500_000_000 + number}" if protocol in BY_NUMBER else f"{PREFIX}{number:05}"


class Registrar:
    """Makes the units and devices that are missing, tracked always, and gives each its key."""

    def __init__(self, session: Session, protocol: str, n: int, progress: Progress) -> None:
        self._session, self._protocol, self._progress = session, protocol, progress
        self._names = {f"{PREFIX}{number:05}": _identifier(protocol, number) for number in range(n)}

    async def trackers(self) -> list[Tracker]:
        """Every generated device, ready to report."""
        units = await self._units()
        made = await self._devices(units)
        if self._protocol == "traccar":
            forwarder = await self._forwarder(next(iter(units.values())), [id_ for id_, _ in made.values()])
            made = {name: (id_, forwarder) for name, (id_, _) in made.items()}
        return [
            Tracker(name, number, made[identifier][0], identifier, made[identifier][1])
            for number, (name, identifier) in enumerate(self._names.items())
        ]

    async def _units(self) -> dict[str, str]:
        known = {unit["call_sign"]: unit["id"] async for unit in self._session.pages("/units")}
        missing = iter([name for name in self._names if name not in known])

        async def make() -> None:
            for name in missing:
                body = {"call_sign": name, "kind": "patrol", "tracking": "always"}
                known[name] = (await self._session.call("POST", "/units", body))["id"]
                self._progress.show("units", len(known.keys() & self._names.keys()), len(self._names))

        await asyncio.gather(*(make() for _ in range(AT_ONCE)))
        return {name: known[name] for name in self._names}

    async def _devices(self, units: dict[str, str]) -> dict[str, tuple[str, str]]:
        """Id and key by identifier; one that is there already gets a new key, if it needs one."""
        there = {
            device["identifier"]: device["id"] async for device in self._session.pages("/devices")
            if device["protocol"] == self._protocol and not device["revoked_at"]
        }  # fmt: skip
        made = {name: (there[name], "") for name in self._names.values() if name in there}
        new = [(name, identifier) for name, identifier in self._names.items() if identifier not in there]
        for at in range(0, len(new), BULK):
            items = [
                {"unit_id": units[name], "protocol": self._protocol, "identifier": identifier}
                for name, identifier in new[at : at + BULK]
            ]
            for device in (await self._session.call("POST", "/devices/bulk", {"items": items}))["items"]:
                made[device["identifier"]] = (device["id"], device["key"])
            self._progress.show("devices", at + len(items), len(new))
        if self._protocol not in SECRETLESS:
            await self._rotate(made)
        return made

    async def _rotate(self, made: dict[str, tuple[str, str]]) -> None:
        keyless = iter([name for name, (_, key) in made.items() if not key])

        async def rotate() -> None:
            for name in keyless:
                answer = await self._session.call("POST", f"/devices/{made[name][0]}/rotate-key", {})
                made[name] = (made[name][0], answer["key"])

        await asyncio.gather(*(rotate() for _ in range(AT_ONCE)))

    async def _forwarder(self, unit_id: str, forwards_for: list[str]) -> str:
        """The key of a device that forwards for these; that of an earlier run is revoked."""
        async for device in self._session.pages("/devices"):
            if device["identifier"] == FORWARDER and not device["revoked_at"]:
                await self._session.call("POST", f"/devices/{device['id']}/revoke")
        body = {"unit_id": unit_id, "protocol": "traccar", "identifier": FORWARDER, "forwards_for": forwards_for}
        key: str = (await self._session.call("POST", "/devices", body))["key"]
        return key


class Device:
    """One device: it drives, reports, and keeps what is not acknowledged."""

    def __init__(self, tracker: Tracker, args: argparse.Namespace, tally: Tally, until: float) -> None:
        """It reports `args.records` records, one each `args.interval` seconds, until a moment in Unix seconds."""
        self._tracker, self._vehicle = tracker, Vehicle(tracker.number)
        self._interval, self._records = args.interval, args.records
        self._tally, self._until = tally, until
        self._waiting: list[Reading] = []
        self.trouble: Exception | None = None

    async def run(self, place: Place, way: Way) -> None:
        """Connect, and again whenever the connection is lost; until the end, or until it is refused."""
        await asyncio.sleep(random.uniform(0, min(self._interval * self._records, SPREAD_S)))
        self._due = time.time()
        while time.time() < self._until:
            wire = way(place, self._tracker)
            try:
                await wire.open()
                await self._report(wire)
            except TurnedAway:
                self._tally.refused += 1
                return
            except BROKEN as trouble:
                self.trouble = trouble
            finally:
                await wire.close()
            await asyncio.sleep(RETRY_S)

    async def _report(self, wire: Wire) -> None:
        if self._waiting:
            self._tally.sent_again += len(self._waiting)
        while time.time() < self._until:
            self._waiting = self._waiting or await self._next()
            asked = time.monotonic()
            await wire.say(self._waiting)
            self._tally.waited_s = max(self._tally.waited_s, time.monotonic() - asked)
            self._tally.acknowledged += len(self._waiting)
            self._waiting = []

    async def _next(self) -> list[Reading]:
        """The next records, once the last one's time has come."""
        first = self._due + self._interval
        self._due += self._interval * self._records
        await asyncio.sleep(max(0.0, self._due - time.time()))
        self._tally.sent += self._records
        moments = (round((first + self._interval * n) * 1000) for n in range(self._records))
        return [self._vehicle.drive(moment, self._interval) for moment in moments]


async def _watch(tally: Tally, progress: Progress, until: float) -> None:
    while time.time() < until:
        progress.show("records acknowledged", tally.acknowledged, tally.sent, f"{tally.sent_again} sent again")
        await asyncio.sleep(0.5)


def _certify(settings: Settings, trackers: list[Tracker]) -> None:
    """Make the certificates that the gateway asks tablets for; raises Refused without an authority of our own."""
    folder = Path(settings.data_dir).resolve() / "tls"
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        made = [
            tls_client.init(settings, one.identifier)
            for one in trackers if not (folder / f"{one.identifier}.p12").exists()
        ]  # fmt: skip
    if any(made):
        raise Refused(said.getvalue().splitlines()[-1])


async def run(settings: Settings, args: argparse.Namespace) -> int:
    """Register and drive; prints the tally; the exit code: 0 when records were acknowledged and nobody was refused."""
    progress, tally = Progress(), Tally()
    try:
        if not (1 <= args.units <= 100_000 and 1 <= args.records <= 255 and args.interval > 0):
            raise Refused("--units lies between 1 and 100000, --records between 1 and 255, --interval above 0.")
        way = _way(args)
        url = server_url(settings, args.url)
        login, password = credentials(settings, "administrator", args.login, args.password)
        async with signed_in(url, login, password, args.code) as session:
            trackers = await Registrar(session, args.protocol, args.units, progress).trackers()
        if args.protocol == "cot" and settings.cot_client_ca:
            _certify(settings, trackers)
    except (OutriderError, aiohttp.ClientError, OSError) as error:
        progress.done()
        print(f"Nothing was simulated: {error}", file=sys.stderr)
        return 1
    until = time.time() + args.duration if args.duration else math.inf
    began = time.monotonic()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        place = Place(settings, *_listening(settings, args), url, http, certificates(settings))
        devices = [Device(tracker, args, tally, until) for tracker in trackers]
        await asyncio.gather(_watch(tally, progress, until), *(device.run(place, way) for device in devices))
    progress.done()
    for name, n in vars(tally).items():
        print(f"{name:>13}  {n:.3f}" if isinstance(n, float) else f"{name:>13}  {n}")
    print(f"{'a second':>13}  {tally.acknowledged / (time.monotonic() - began):.0f}")
    if not tally.acknowledged:
        print(f"Nothing was acknowledged: {', '.join({repr(d.trouble) for d in devices})}.", file=sys.stderr)
    return 0 if tally.acknowledged and not tally.refused else 1


def _way(args: argparse.Namespace) -> Way:
    """The transport asked for, else the protocol's usual one; raises Refused."""
    ways = WAYS[args.protocol]
    if args.transport is not None and args.transport not in ways:
        raise Refused(f"{args.protocol} goes over {' or '.join(ways)}.")
    return ways[args.transport or next(iter(ways))]


def _listening(settings: Settings, args: argparse.Namespace) -> tuple[str, int]:
    """Host and port of the gateway, or of the broker."""
    if (args.transport or next(iter(WAYS[args.protocol]))) == "mqtt":
        return args.host or settings.mqtt_host or settings.host, args.port or settings.mqtt_port
    return args.host or settings.host, args.port or getattr(settings, f"{args.protocol}_port", 0)
