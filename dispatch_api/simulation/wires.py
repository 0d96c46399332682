"""A generated tracker's way to the server: over each protocol's real transport, until what it said is acknowledged."""

import asyncio
import contextlib
import json
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

from core.settings import Settings
from dispatch_api.simulation import speech
from dispatch_api.simulation.vehicle import Reading
from geo.protocols import teltonika

ANSWER_WITHIN_S = 30
END_OF_EVENT = b"</event>\n"
PONG = b'"takPong"'


class Unanswered(Exception):
    """What was said is not acknowledged: it is to be said again."""


class TurnedAway(Exception):
    """The server knows no such device."""


@dataclass
class Tracker:
    """A registered device of a generated unit; `key` is of the forwarder where one forwards."""

    name: str
    number: int
    device_id: str
    identifier: str
    key: str


@dataclass
class Place:
    """Where the server listens."""

    settings: Settings
    host: str
    port: int
    url: str
    http: aiohttp.ClientSession
    client_tls: Callable[[str], ssl.SSLContext | None] = lambda _: None


class Wire(ABC):
    """One device's way to the server; opened, used until it breaks, closed, and opened again."""

    def __init__(self, place: Place, tracker: Tracker) -> None:
        self.place, self.tracker = place, tracker

    async def open(self) -> None:
        """Connect and say who it is; raises TurnedAway, OSError, TimeoutError."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await self._open()

    async def say(self, readings: list[Reading]) -> None:
        """Send, and return once all is acknowledged; raises TurnedAway, Unanswered, OSError, TimeoutError."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await self._say(readings)

    async def close(self) -> None:
        """Leave, however far it came."""
        with contextlib.suppress(OSError, AttributeError):
            await self._close()

    @abstractmethod
    async def _open(self) -> None:
        """Connect, and say who it is where that comes first."""

    @abstractmethod
    async def _say(self, readings: list[Reading]) -> None:
        """Send, and wait for the acknowledgement."""

    @abstractmethod
    async def _close(self) -> None:
        """Leave."""


class _Stream(Wire):
    """Over TCP, with TLS where the gateway speaks it."""

    def _secure(self) -> ssl.SSLContext | None:
        return None

    async def _open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(
            self.place.host, self.place.port, ssl=self._secure(), limit=1 << 20
        )

    async def _close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def answer(self, sent: bytes, size: int) -> bytes:
        """So many bytes of an answer."""
        self.writer.write(sent)
        return await self.reader.readexactly(size)


class TeltonikaTcp(_Stream):
    """A hello, then frames; the number of records is acknowledged."""

    def _secure(self) -> ssl.SSLContext | None:
        return unchecked() if self.place.settings.teltonika_tls else None

    async def _open(self) -> None:
        await super()._open()
        imei = self.tracker.identifier.encode()
        if await self.answer(len(imei).to_bytes(2) + imei, 1) != teltonika.ACCEPTED:
            raise TurnedAway

    async def _say(self, readings: list[Reading]) -> None:
        if await self.answer(speech.teltonika_frame(readings), 4) != teltonika.answer(len(readings)):
            raise Unanswered


class Gt06Tcp(_Stream):
    """A login, then a frame for each place; each is answered."""

    async def _open(self) -> None:
        await super()._open()
        try:
            await self.answer(speech.gt06_login(self.tracker.identifier), 10)
        except asyncio.IncompleteReadError as ended:
            raise TurnedAway from ended

    async def _say(self, readings: list[Reading]) -> None:
        frames = [speech.gt06_place(one, serial) for serial, one in enumerate(readings, 2)]
        await self.answer(b"".join(frames), 10 * len(frames))


class H02Tcp(_Stream):
    """Texts, each confirmed."""

    async def _say(self, readings: list[Reading]) -> None:
        for one in readings:
            self.writer.write(speech.h02_text(self.tracker.identifier, one))
            try:
                await self.reader.readuntil(b"#")
            except asyncio.IncompleteReadError as ended:
                raise Unanswered from ended


class Cot(_Stream):
    """Events of a tablet, then a ping: its answer says that all before is stored."""

    def _secure(self) -> ssl.SSLContext | None:
        return self.place.client_tls(self.tracker.identifier)

    async def _say(self, readings: list[Reading]) -> None:
        self.writer.writelines(speech.cot_event(self.tracker.identifier, one) for one in readings)
        self.writer.write(speech.cot_event("ping", readings[-1], "t-x-c-t"))
        while PONG not in await self.reader.readuntil(END_OF_EVENT):
            pass


class _Told(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.answers.put_nowait(data)


class _Datagrams(Wire):
    """Over UDP."""

    async def _open(self) -> None:
        loop, remote = asyncio.get_running_loop(), (self.place.host, self.place.port)
        self.transport, self.told = await loop.create_datagram_endpoint(_Told, remote_addr=remote)

    async def _close(self) -> None:
        self.transport.close()

    async def answer(self, sent: bytes) -> bytes:
        """The next datagram that comes back."""
        self.transport.sendto(sent)
        return await self.told.answers.get()


class TeltonikaUdp(_Datagrams):
    """Each datagram says who it is of."""

    _number = 0

    async def _say(self, readings: list[Reading]) -> None:
        self._number += 1
        sent = speech.teltonika_packet(self.tracker.identifier, self._number, readings)
        if await self.answer(sent) != teltonika.receipt(teltonika.datagram(sent), len(readings)):
            raise Unanswered


class Gt06Udp(_Datagrams):
    """A login, and the address is known."""

    async def _open(self) -> None:
        await super()._open()
        await self.answer(speech.gt06_login(self.tracker.identifier))

    async def _say(self, readings: list[Reading]) -> None:
        for serial, one in enumerate(readings, 2):
            await self.answer(speech.gt06_place(one, serial))


class H02Udp(_Datagrams):
    """Texts, each confirmed."""

    async def _say(self, readings: list[Reading]) -> None:
        for one in readings:
            await self.answer(speech.h02_text(self.tracker.identifier, one))


class Http(Wire):
    """Requests of apps and forwarders: each is answered once it is committed."""

    def __init__(
        self, place: Place, tracker: Tracker, path: str, requests: Callable[[Tracker, list[Reading]], list["Request"]]
    ) -> None:
        super().__init__(place, tracker)
        self._path, self._requests = path, requests

    async def _open(self) -> None:
        """Nothing: each request finds its way among the place's connections."""

    async def _close(self) -> None:
        """Nothing, likewise."""

    async def _say(self, readings: list[Reading]) -> None:
        for request in self._requests(self.tracker, readings):
            url = f"{self.place.url}{self._path}{'?' if request.query else ''}{request.query}"
            headers = {"Authorization": request.authorization} if request.authorization else {}
            if request.body:
                headers["Content-Type"] = "application/json" if request.is_json else "application/x-www-form-urlencoded"
            async with self.place.http.post(url, data=request.body or None, headers=headers) as answer:
                if answer.status in {401, 404}:
                    raise TurnedAway
                if answer.status != 200:
                    raise Unanswered


@dataclass
class Request:
    """What a request holds."""

    query: str = ""
    body: str = ""
    authorization: str = ""
    is_json: bool = True


class Mqtt(Wire):
    """OwnTracks through the broker, whose acknowledgement is what the app goes by."""

    async def _open(self) -> None:
        settings = self.place.settings
        self._client = Client(CallbackAPIVersion.VERSION2, f"simulate-{self.tracker.device_id}")
        self._client.username_pw_set(self.tracker.device_id, self.tracker.key)
        if settings.mqtt_tls:
            self._client.tls_set_context(ssl.create_default_context(cafile=settings.mqtt_ca))
        joined: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._client.on_connect = _told_once(joined)
        await asyncio.to_thread(self._client.connect, self.place.host, self.place.port)
        self._client.loop_start()
        async with asyncio.timeout(ANSWER_WITHIN_S):
            if (await joined).is_failure:  # the broker is told of new devices within a minute
                raise Unanswered

    async def _close(self) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def _say(self, readings: list[Reading]) -> None:
        topic = f"owntracks/{self.tracker.device_id}/phone"
        sent = [self._client.publish(topic, json.dumps(speech.owntracks(one)), qos=1) for one in readings]
        await asyncio.to_thread(_wait, sent)


def _told_once(joined: "asyncio.Future[Any]") -> Callable[..., None]:
    """The callback of paho's thread that tells how the first connection went."""
    loop = joined.get_loop()

    def told(_client: object, _data: object, _flags: object, reason: object, _properties: object) -> None:
        loop.call_soon_threadsafe(lambda: None if joined.done() else joined.set_result(reason))

    return told


def _wait(sent: list[MQTTMessageInfo]) -> None:
    for message in sent:
        try:
            message.wait_for_publish(ANSWER_WITHIN_S)
        except (RuntimeError, ValueError) as error:
            raise Unanswered from error
        if not message.is_published():
            raise Unanswered


def unchecked() -> ssl.SSLContext:
    """TLS with whoever answers: what is shown is how messages are taken, not whose certificate it is."""
    secure = ssl.create_default_context()
    secure.check_hostname, secure.verify_mode = False, ssl.CERT_NONE
    return secure
