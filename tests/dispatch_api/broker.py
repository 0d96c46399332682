"""Phones that publish to a real Mosquitto with the files that are shipped."""

import asyncio
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from loadtests.faults.broker import Broker as Broker


class Phone:
    """A phone that publishes with QoS 1, and sends again what is not acknowledged, as OwnTracks does."""

    def __init__(self, broker: Broker, user: str, password: str) -> None:
        self.name = user
        self.client = Client(CallbackAPIVersion.VERSION2, f"phone-{user}", clean_session=False)
        self.client.username_pw_set(user, password)
        self.client.reconnect_delay_set(1, 1)
        self.joined: list[Any] = []
        self.granted: list[Any] = []
        self.heard: list[str] = []
        self.client.on_connect = lambda _c, _d, _f, reason, _p: self.joined.append(reason)
        self.client.on_subscribe = lambda _c, _d, _m, codes, _p: self.granted.extend(codes)
        self.sent, self.acknowledged = 0, 0
        self.client.on_publish = self._acknowledge
        self.client.on_message = lambda _c, _d, message: self.heard.append(message.topic)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()

    def __enter__(self) -> "Phone":
        return self

    def __exit__(self, *error: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _acknowledge(self, *_: object) -> None:
        self.acknowledged += 1

    def publish(self, payload: str, rest: str = "phone", name: str | None = None) -> Any:
        """Begin to publish, now or once the broker is back."""
        self.sent += 1
        return self.client.publish(f"owntracks/{name or self.name}/{rest}", payload, qos=1)

    async def said(self, payload: str, rest: str = "phone", name: str | None = None) -> None:
        """Publish and wait for the broker's acknowledgement."""
        message = self.publish(payload, rest, name)
        await asyncio.to_thread(message.wait_for_publish, 15)
        assert message.is_published()
