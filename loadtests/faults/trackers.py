"""Trackers that keep what is not acknowledged: Teltonika boxes over TCP, OwnTracks phones through a broker."""

import asyncio
import contextlib
import json
import struct
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from dispatch_api.simulation.speech import teltonika_frame
from dispatch_api.simulation.vehicle import Vehicle
from geo.protocols import teltonika
from loadtests.faults.ledger import Ledger, Op
from loadtests.faults.scene import Tracked

RECORDS = 5
RETRY_S = 0.2
ANSWER_WITHIN_S = 5
PAUSE_S = 0.03
HOUR_S = 3_600


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")


@dataclass
class Load(threading.Thread):
    """All of them, in a thread of their own: the main thread starts and kills what must end with it."""

    boxes: list[tuple[Tracked, str]]
    """Each with its IMEI."""
    phones: list[Tracked]
    gateway_port: int
    broker_port: int
    path: Path
    acked_at: dict[Tracked, float] = field(default_factory=dict)
    sent_again: int = 0
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        super().__init__(name="trackers", daemon=True)
        self._stopping = threading.Event()
        self.ledger: Ledger | None = None

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """Report until `stop`."""
        try:
            asyncio.run(self._run())
        except BaseException as failure:
            self.failure = failure

    def stop(self) -> None:
        """Let each device get what it has in hand acknowledged."""
        self._stopping.set()
        self.join()
        if self.failure:
            raise self.failure

    def silent(self, since: float, among: list[Tracked]) -> int:
        """How many of these devices have had no acknowledgement since."""
        return sum(self.acked_at.get(device, 0) <= since for device in among)

    async def _run(self) -> None:
        self.ledger = Ledger(self.path)
        async with asyncio.TaskGroup() as group:
            for number, (device, imei) in enumerate(self.boxes):
                group.create_task(self._box(number, device, imei))
            for device in self.phones:
                group.create_task(self._phone(device))
        self.ledger.close()

    async def _acked(self, op: Op, device: Tracked) -> None:
        assert self.ledger
        await self.ledger.ack(op)
        self.acked_at[device] = time.monotonic()

    async def _box(self, number: int, device: Tracked, imei: str) -> None:
        """Send one frame after another, each until it is acknowledged, over as many connections as that takes."""
        assert self.ledger
        vehicle, at_s = Vehicle(number), time.time() - HOUR_S
        while not self._stopping.is_set():
            moments = [round(at_s, 3) + n for n in range(RECORDS)]
            at_s += RECORDS
            sent = teltonika_frame([vehicle.drive(round(moment * 1_000), 1) for moment in moments])
            op = Op("fixes", (str(device.device_id), *map(_moment, moments)))
            self.ledger.begin(op)
            await self._deliver(imei, sent)
            await self._acked(op, device)
            await asyncio.sleep(PAUSE_S)

    async def _deliver(self, imei: str, sent: bytes) -> None:
        """Send one frame on a connection of its own until it is acknowledged."""
        while True:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway_port)
                    try:
                        writer.write(struct.pack(">H", teltonika.IMEI_DIGITS) + imei.encode())
                        if await reader.readexactly(1) == teltonika.ACCEPTED:
                            writer.write(sent)
                            if await reader.readexactly(4) == teltonika.answer(RECORDS):
                                return
                    finally:
                        writer.close()
            self.sent_again += 1
            await asyncio.sleep(RETRY_S)

    async def _phone(self, device: Tracked) -> None:
        """Publish one message after another, each until the broker has acknowledged it."""
        assert self.ledger
        client = Client(CallbackAPIVersion.VERSION2, f"phone-{device.device_id}", clean_session=False)
        client.username_pw_set(str(device.device_id), device.key)
        client.reconnect_delay_set(1, 1)
        published: set[int] = set()
        client.on_publish = lambda _client, _data, mid, _reason, _more: published.add(mid)
        client.connect_async("127.0.0.1", self.broker_port)
        client.loop_start()
        at_s = int(time.time()) - HOUR_S
        while not self._stopping.is_set():
            at_s += 1
            op = Op("fixes", (str(device.device_id), _moment(at_s)))
            self.ledger.begin(op)
            payload = {"_type": "location", "tst": at_s, "lat": 54.7, "lon": 25.3, "acc": 5}
            message = client.publish(f"owntracks/{device.device_id}/phone", json.dumps(payload), qos=1)
            while message.mid not in published:  # without a connection it waits in the phone
                await asyncio.sleep(0.01)
            published.clear()
            await self._acked(op, device)
            await asyncio.sleep(PAUSE_S)
        client.disconnect()
        client.loop_stop()
