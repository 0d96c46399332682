"""How a message goes to a running server as its device would send it, and what is answered."""

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from yarl import URL

from core.settings import Settings
from dispatch_api.conformance.vectors import NOTHING, Vector
from dispatch_api.simulation.wires import END_OF_EVENT, PONG, unchecked
from geo.protocols import gpslogger
from geo.protocols.checksum import crc16_x25

ANSWER_S = 30.0
SILENCE_S = 1.0
"""So long is waited for an answer where none is expected."""
PAUSE_S = 0.02
SERVER_FAULT = 500
BEARERS = {"overland", "traccar"}
PING = (
    b'<event version="2.0" uid="ping" type="t-x-c-t" how="m-g" time="2026-05-01T12:00:00Z" start="2026-05-01T12:00:00Z"'
    b' stale="2026-05-01T12:00:10Z"><point lat="0" lon="0" hae="0" ce="9999999" le="9999999"/><detail/></event>'
)
_OSMAND_QUERY = re.compile(r"(^|&)(id|deviceid)=[^&]*")
_OSMAND_JSON = re.compile(r'("device_id"\s*:\s*)("[^"]*"|\d+)')
_GPSLOGGER_NAME = re.compile(rf"((?:^|[&\n])(?:{'|'.join(gpslogger.KEY_NAMES)})=)[^&\n]+", re.IGNORECASE)


class Wrong(Exception):
    """The server did not answer as it should."""


class NotSent(Exception):
    """The server does not listen for such messages."""


@dataclass
class Place:
    """Where a server listens, and who a vector's device is there."""

    settings: Settings
    host: str
    url: str
    http: aiohttp.ClientSession

    def port(self, protocol: str) -> int:
        """The gateway's port of a protocol; raises NotSent when it is off."""
        port: int = getattr(self.settings, f"{protocol}_port", 0)
        if not port:
            raise NotSent(f"OUTRIDER_{protocol.upper()}_PORT is off")
        return port


@dataclass(frozen=True)
class Device:
    """A device registered for one vector."""

    id: str
    key: str
    identifier: str


async def send(place: Place, vector: Vector, device: Device, key: str) -> None:
    """Send it with this key; returns once it is answered as it should be. Raises Wrong, NotSent, OSError."""
    if vector.steps:
        await _converse(place, vector, device)
    elif vector.protocol == "cot":
        await _event(place, vector)
    elif vector.transport == "tcp":
        await _over_tcp(place, vector, device)
    elif vector.transport == "udp":
        await _over_udp(place, vector, device)
    elif vector.transport == "mqtt":
        await asyncio.to_thread(_over_mqtt, place, vector, device)
    else:
        await _over_http(place, vector, key)


# HTTP


async def _over_http(place: Place, vector: Vector, key: str) -> None:
    """Its request, to our address and with the key where the protocol carries it; a file is sent as a body."""
    asked = vector.http or {"method": "POST", "uri": "/"}
    query = asked["uri"].partition("?")[2]
    body = "" if vector.payload.startswith("/") else vector.payload
    headers = {name: value for name, value in asked.get("headers", {}).items() if name.lower() == "content-type"}
    if vector.transport == "file":
        headers = {"Content-Type": "text/csv" if vector.protocol == "gpslogger" else "text/plain"}
    elif vector.protocol == "nmea" and not vector.http:
        asked, query, body = {"method": "GET"}, urlencode({"gprmc": body}), ""
    named = [_named(vector.protocol, text, key) for text in (query, body)]
    is_nameless = vector.protocol == "gpslogger" and named == [query, body] != ["", ""]
    if vector.protocol in BEARERS:
        headers["Authorization"] = f"Bearer {key}"
    elif vector.protocol != "osmand" and not (is_nameless and vector.outcome == "reject"):
        headers["Authorization"] = _basic(key)
    query, body = named
    url = f"{place.url}/ingest/{vector.protocol}{'?' if query else ''}{query}"
    async with place.http.request(
        asked["method"], URL(url, encoded=True), data=body.encode() or None, headers=headers
    ) as answer:
        if answer.status >= SERVER_FAULT:
            raise Wrong(f"HTTP {answer.status}")
        if answer.status >= 400 and vector.outcome in {"positions", "no_positions"}:
            raise Wrong(f"HTTP {answer.status}: {(await answer.text())[:120]}")


def _named(protocol: str, text: str, key: str) -> str:
    """A query or body with the key where it names its device."""
    if protocol == "osmand":
        return _OSMAND_JSON.sub(rf'\1"{key}"', _OSMAND_QUERY.sub(rf"\1\2={key}", text))
    return _GPSLOGGER_NAME.sub(rf"\1{key}", text) if protocol == "gpslogger" else text


def _basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"conformance:{key}".encode()).decode()


# TCP


@dataclass
class Wire:
    """A connection as its device holds it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, sent: bytes, wanted: bytes | None) -> bytes:
        """Send, and read as much as is wanted, or what comes until it is silent; less when the other side ends."""
        self.writer.write(sent)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()
        found = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(ANSWER_S if wanted else SILENCE_S):
                while not wanted or len(found) < len(wanted):
                    more = await self.reader.read(4096)
                    if not more:
                        break
                    found += more
        return found

    @property
    def is_over(self) -> bool:
        """Whether the other side has ended it."""
        return self.reader.at_eof()


@contextlib.asynccontextmanager
async def connected(place: Place, protocol: str) -> AsyncIterator[Wire]:
    """A connection to the gateway's port of a protocol."""
    secure = unchecked() if protocol == "teltonika" and place.settings.teltonika_tls else None
    reader, writer = await asyncio.open_connection(place.host, place.port(protocol), ssl=secure)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


def hello(vector: Vector, device: Device) -> tuple[bytes, bytes | None]:
    """What a device says before its first message, and what it must be answered; nothing where a message names it."""
    if vector.outcome == "login" or "login" in vector.name:
        return b"", None
    if vector.protocol == "teltonika":
        return len(device.identifier).to_bytes(2) + device.identifier.encode(), b"\x01"
    if vector.protocol == "gt06":
        return gt06_frame(bytes.fromhex(f"01{device.identifier:0>16}")), gt06_frame(b"\x01")
    if vector.protocol == "h02" and vector.identifier is None:
        heartbeat = f"*HQ,{device.identifier},HTBT#".encode()
        return heartbeat, heartbeat
    return (f"{device.identifier}\r\n".encode(), None) if vector.protocol == "nmea" else (b"", None)


def gt06_frame(content: bytes) -> bytes:
    """A short frame with the serial number 1."""
    summed = bytes([len(content) + 4]) + content + b"\x00\x01"
    return b"xx" + summed + crc16_x25(summed).to_bytes(2) + b"\r\n"


async def _over_tcp(place: Place, vector: Vector, device: Device) -> None:
    async with connected(place, vector.protocol) as wire:
        first, welcome = hello(vector, device)
        if welcome:
            found = await wire.say(first, welcome)
            if found != welcome:
                raise Wrong(f"the login is answered {found.hex() or 'nothing'}")
            first = b""
        end = b"\r\n" if vector.protocol == "nmea" else b""
        found = await wire.say(first + vector.sent + end, vector.reply)
        _check(vector, found)
        if vector.outcome == "incomplete" and (found or wire.is_over):
            raise Wrong("the beginning of a message is answered, or its connection ended")


def _check(vector: Vector, found: bytes) -> None:
    """Raise Wrong unless the answer is the expected one; who refuses may be silent instead."""
    if vector.reply is None or found == vector.reply:
        return
    if vector.outcome in {"reject", "ambiguous"} and not found:
        return
    raise Wrong(f"answered {found.hex() or 'nothing'} instead of {vector.reply.hex()}")


async def _converse(place: Place, vector: Vector, device: Device) -> None:
    """A conversation, its segments one after another; begun again where the server may end it."""
    steps, done = vector.steps, 0
    while done < len(steps):
        async with connected(place, vector.protocol) as wire:
            for step in [steps[0], *steps[max(done, 1) :]]:
                for segment in step["send_hex"][:-1]:
                    wire.writer.write(bytes.fromhex(segment))
                    await asyncio.sleep(PAUSE_S)
                wanted = bytes.fromhex(step.get("reply_hex", ""))
                found = await wire.say(bytes.fromhex(step["send_hex"][-1]), wanted or None)
                done = steps.index(step) + 1
                if found != wanted and (found or not step.get("reply_optional")):
                    raise Wrong(f"step {done} is answered {found.hex() or 'nothing'} instead of {wanted.hex()}")
                if wire.is_over:
                    break


# Cursor on Target


async def _event(place: Place, vector: Vector) -> None:
    """An event as a tablet sends it; a ping behind a place is answered once that is stored."""
    if place.settings.cot_client_ca:
        raise NotSent("OUTRIDER_COT_CLIENT_CA: tablets need certificates; `outrider simulate --protocol cot` has them")
    async with connected(place, "cot") as wire:
        if vector.outcome in NOTHING:
            await wire.say(vector.sent, None)
            return
        wire.writer.write(vector.sent + PING)
        async with asyncio.timeout(ANSWER_S):
            try:
                while PONG not in await wire.reader.readuntil(END_OF_EVENT):
                    pass
            except asyncio.IncompleteReadError as error:
                raise Wrong("the connection ended before a ping was answered") from error


# UDP


class _Told(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Keep an answer."""
        self.answers.put_nowait(data)


async def _over_udp(place: Place, vector: Vector, device: Device) -> None:
    loop, remote = asyncio.get_running_loop(), (place.host, place.port(vector.protocol))
    transport, told = await loop.create_datagram_endpoint(_Told, remote_addr=remote)
    try:
        first, welcome = hello(vector, device) if vector.protocol == "gt06" else (b"", None)
        for sent, wanted in ((first, welcome), (vector.sent, vector.reply)):
            if not sent:
                continue
            transport.sendto(sent)
            found = b""
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_S if wanted else SILENCE_S):
                    found = await told.answers.get()
        _check(vector, found)
    finally:
        transport.close()


# MQTT


def _over_mqtt(place: Place, vector: Vector, device: Device) -> None:
    """Publish it with QoS 1 below the device's own topic, as the device; raises Wrong when the broker refuses."""
    settings = place.settings
    if not settings.mqtt_host:
        raise NotSent("OUTRIDER_MQTT_HOST is not set")
    refused: list[str] = []
    client = Client(CallbackAPIVersion.VERSION2, f"conformance-{device.id}")
    client.username_pw_set(device.id, device.key)
    client.on_connect = lambda _c, _d, _f, reason, _p: refused.append(str(reason)) if reason.is_failure else None
    if settings.mqtt_tls:
        client.tls_set_context(ssl.create_default_context(cafile=settings.mqtt_ca))
    client.connect(settings.mqtt_host, settings.mqtt_port)
    client.loop_start()
    try:
        rest = "/".join(vector.topic.split("/")[2:]) or "phone"
        message = client.publish(f"owntracks/{device.id}/{rest}", vector.sent, qos=1)
        with contextlib.suppress(RuntimeError):
            message.wait_for_publish(ANSWER_S)
        if not message.is_published():
            raise Wrong(f"the broker: {refused[0]}" if refused else "the broker acknowledges nothing")
    finally:
        client.disconnect()
        client.loop_stop()
