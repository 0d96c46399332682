"""A real Mosquitto with the files that are shipped, and phones that publish to it."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.helpers import ROOT, free_port

PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "mosquitto"
SHIPPED = (ROOT / "deploy" / "mosquitto" / "outrider.conf").read_text()


@dataclass
class Broker:
    """Mosquitto in its own process; `kill` and `start` let a test break it."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Broker":
        """Start it with the shipped configuration, but for TLS and places, and wait until it listens."""
        text = re.sub(r"^(certfile|keyfile) .*\n", "", SHIPPED, flags=re.MULTILINE)
        text = text.replace("listener 8883", f"listener {self.port} 127.0.0.1")
        text = text.replace("/etc/mosquitto/outrider", str(self.folder))
        config = self.folder / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""  # else it could not enter the test's folder
        config.write_text(f"{user}log_type all\npersistence_location {self.folder}/\n{text}")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-c", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        raise AssertionError(f"no broker:\n{self.log()[-2000:]}")

    def log(self) -> str:
        """What it has written so far."""
        file = self.folder / "mosquitto.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def joins(self) -> int:
        """How often the gateway has subscribed."""
        return self.log().count("Sending SUBACK to outrider-gateway")

    def reload(self) -> None:
        """Let it read its files again."""
        assert self.process
        self.process.send_signal(1)

    def kill(self) -> None:
        """kill -9."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


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
