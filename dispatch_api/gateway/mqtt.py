"""OwnTracks phones behind an MQTT broker: messages of `owntracks/<device id>/…` are acknowledged once committed.

The broker keeps the gateway's session, so what comes while it is away waits there. It hands over at most `AT_ONCE`
messages that are not acknowledged yet; their places are all the memory a flood can take.
"""

import asyncio
import contextlib
import random
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from core.db import utcnow
from core.errors import OutriderError, Overloaded
from core.settings import Settings
from dispatch_api.gateway.desk import Desk
from dispatch_api.process.console import CannotStart
from geo.device_secrets import OWNTRACKS
from geo.duty import KnownDevice
from geo.protocols import owntracks
from geo.protocols.receipts import Message, Unreadable

log = structlog.get_logger()

TOPICS = "owntracks/+/#"
AT_ONCE = 1_000
MAX_BYTES = 64 * 1024
"""The broker withholds a longer message: OwnTracks sends pictures as well."""
KEPT_S = 0xFFFF_FFFF
"""How long the broker keeps a session without its gateway: for ever."""
KEEPALIVE_S = 20
CONNECT_S = 10.0
MISC_S = 1.0
RETRY_S = 1.0
BACK_OFF_S = 1.0, 30.0
STOP_WITHIN_S = 5.0


class Away(Exception):
    """The broker cannot be reached, or refuses."""


@dataclass
class Taken:
    """A message on its way to the database."""

    mid: int
    is_done: bool = False


@dataclass
class Connection:
    """One connection to the broker; what it brought is acknowledged on it and no other, in the order it came."""

    client: Client
    ended: asyncio.Future[str]
    open: deque[Taken] = field(default_factory=deque)

    def done(self, taken: Taken) -> None:
        """This message is committed: acknowledge it as soon as those before it are."""
        taken.is_done = True
        while self.open and self.open[0].is_done and not self.ended.done():
            self.client.ack(self.open.popleft().mid, 1)

    def end(self, reason: str) -> None:
        """It is over."""
        if not self.ended.done():
            self.ended.set_result(reason)


class Subscriber:
    """The gateway's session with a broker, made anew for ever."""

    def __init__(self, desk: Desk) -> None:
        """Raises CannotStart for files of its settings that cannot be used."""
        self._desk, self._settings = desk, desk.settings
        self._password = _password(desk.settings)
        self._secure = _tls(desk.settings)
        self._taking: set[asyncio.Task[None]] = set()
        self._connection: Connection | None = None
        self.connected = False
        self.messages = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Subscriber"]:
        """The session, kept up; at its end what is being stored is acknowledged."""
        keeping = asyncio.create_task(self._keep(), name="mqtt")
        try:
            yield self
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep(self) -> None:
        least, most = BACK_OFF_S
        wait = least
        while True:
            try:
                await self._session()
            except (Away, OSError, ValueError) as error:
                log.warning("mqtt_away", host=self._settings.mqtt_host, reason=str(error) or type(error).__name__)
            wait = least if self.connected else min(wait * 2, most)
            self.connected = False
            await asyncio.sleep(wait * random.uniform(0.5, 1))

    async def _session(self) -> None:
        """Connect, and take messages until the connection ends. Raises Away, OSError."""
        loop, settings = asyncio.get_running_loop(), self._settings
        connection = Connection(self._client(), loop.create_future())
        client = connection.client
        client.on_connect = partial(self._connected, connection)
        client.on_subscribe = partial(self._subscribed, connection)
        client.on_disconnect = lambda _client, _data, _flags, reason, _more: connection.end(str(reason))
        client.on_message = lambda _client, _data, message: self._take(connection, message)
        join = partial(
            client.connect, settings.mqtt_host or "", settings.mqtt_port, KEEPALIVE_S,
            clean_start=False, properties=_wishes(),
        )  # fmt: skip
        await loop.run_in_executor(None, join)
        try:
            with _attached(loop, client):
                while not connection.ended.done():
                    client.loop_misc()
                    await asyncio.wait([connection.ended], timeout=MISC_S)
        finally:
            await self._leave(connection)
        raise Away(connection.ended.result())

    def _client(self) -> Client:
        settings = self._settings
        client = Client(
            CallbackAPIVersion.VERSION2, settings.mqtt_client_id, protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False, manual_ack=True,
        )  # fmt: skip
        client.connect_timeout = CONNECT_S
        if settings.mqtt_user:
            client.username_pw_set(settings.mqtt_user, self._password)
        if self._secure:
            client.tls_set_context(self._secure)
        return client

    def _connected(self, connection: Connection, client: Client, _data: Any, flags: Any, reason: Any, _: Any) -> None:
        if reason.is_failure:
            connection.end(f"refused: {reason}")
            return
        log.info("mqtt_connected", host=self._settings.mqtt_host, session_kept=bool(flags.session_present))
        client.subscribe(TOPICS, options=SubscribeOptions(qos=1, retainHandling=1))

    def _subscribed(self, connection: Connection, _client: Client, _data: Any, _mid: int, codes: Any, _: Any) -> None:
        if any(code.is_failure for code in codes):
            connection.end(f"the subscription is refused: {codes[0]}")
        else:
            self.connected = True

    def _take(self, connection: Connection, message: MQTTMessage) -> None:
        """Begin to store a message; without the sender's wish to hear of it, only while there is room."""
        self.messages += 1
        taken = Taken(message.mid) if message.qos else None
        if taken:
            connection.open.append(taken)
        elif len(self._taking) >= AT_ONCE:
            return
        task = asyncio.create_task(self._store(connection, taken, message.topic, bytes(message.payload)))
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)

    async def _store(self, connection: Connection, taken: Taken | None, topic: str, payload: bytes) -> None:
        while True:
            try:
                await self._stored(topic, payload)
                break
            except Overloaded:
                await asyncio.sleep(RETRY_S)
        if taken:
            connection.done(taken)

    async def _stored(self, topic: str, payload: bytes) -> None:
        """Store what a message holds; one of a stranger is only noted. Raises Overloaded."""
        device = await self._device(topic.split("/")[1])
        if device is None:
            return
        try:
            await self._desk.taken(device, payload, topic, partial(_decoded, device, payload))
        except Overloaded:
            raise
        except Exception as failure:  # unacknowledged it would come for ever, and stop those behind it
            log.error("unexpected", exc_info=failure)
            await self._desk.unreadable(device, payload, 1, failure)

    async def _device(self, name: str) -> KnownDevice | None:
        """The device of a topic, whose user the broker has checked: by its id, or by its registered identifier."""
        with contextlib.suppress(ValueError):
            device = await self._desk.duty.find_known(UUID(name))
            if device is not None and device.protocol == OWNTRACKS:
                return device
        return await self._desk.device(OWNTRACKS, name, "MQTT")

    async def _leave(self, connection: Connection) -> None:
        """Acknowledge what is being stored, if anybody is there, and part; the broker keeps the session."""
        if not connection.ended.done() and self._taking:
            await asyncio.wait(self._taking, timeout=STOP_WITHIN_S)
        connection.client.disconnect()
        connection.client.loop_write()
        for task in self._taking:
            task.cancel()


def _decoded(device: KnownDevice, payload: bytes) -> Message:
    try:
        fixes, rejected = owntracks.decode(payload, utcnow(), device.payload_secret)
    except OutriderError as error:
        raise Unreadable(str(error), b"") from error
    return Message(b"", fixes, rejected)


@contextlib.contextmanager
def _attached(loop: asyncio.AbstractEventLoop, client: Client) -> Iterator[None]:
    """Let the loop read and write the client's socket while it is open."""
    socket: Any = client.socket()

    def read() -> None:
        client.loop_read()
        while client.socket() is socket and isinstance(socket, ssl.SSLSocket) and socket.pending():
            client.loop_read()

    def write() -> None:
        client.loop_write()

    def begin_writing(_client: Client, _data: Any, opened: Any) -> None:
        loop.add_writer(opened, write)

    def end_writing(_client: Client, _data: Any, opened: Any) -> None:
        loop.remove_writer(opened)

    def forget(_client: Client, _data: Any, opened: Any) -> None:
        loop.remove_reader(opened)
        loop.remove_writer(opened)

    client.on_socket_register_write, client.on_socket_unregister_write = begin_writing, end_writing
    client.on_socket_close = forget
    if socket is not None:
        loop.add_reader(socket, read)
        if client.want_write():
            loop.add_writer(socket, write)
    try:
        yield
    finally:
        if client.socket() is not None:
            loop.remove_reader(socket)
            client.on_socket_register_write = None
            loop.remove_writer(socket)


def _wishes() -> Any:
    wishes: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    wishes.SessionExpiryInterval = KEPT_S
    wishes.ReceiveMaximum = AT_ONCE
    wishes.MaximumPacketSize = MAX_BYTES
    return wishes


def _password(settings: Settings) -> str | None:
    file = settings.mqtt_password_file
    try:
        return file.read_text().strip() if file else None
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"OUTRIDER_MQTT_PASSWORD_FILE={file} cannot be read: {error}.") from error


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.mqtt_tls:
        return None
    try:
        return ssl.create_default_context(cafile=settings.mqtt_ca)
    except (OSError, ssl.SSLError) as error:
        raise CannotStart(f"OUTRIDER_MQTT_CA={settings.mqtt_ca} cannot be used: {error}.") from error
