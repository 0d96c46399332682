"""A real Mosquitto with the files that are shipped, which can be killed."""

import contextlib
import os
import random
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.bench.scratch import ROOT


def free_port() -> int:
    """A port nobody listens on now, below those the system gives to outgoing connections: one of these may take it."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "mosquitto"
SHIPPED = (ROOT / "deploy" / "mosquitto" / "outrider.conf").read_text()


@dataclass
class Broker:
    """Mosquitto in its own process; `kill` and `start` let it be broken."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Broker":
        """Start it with the shipped configuration, but for TLS and places, and wait until it listens."""
        text = re.sub(r"^(certfile|keyfile) .*\n", "", SHIPPED, flags=re.MULTILINE)
        text = text.replace("listener 8883", f"listener {self.port} 127.0.0.1")
        text = text.replace("/etc/mosquitto/outrider", str(self.folder))
        config = self.folder / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""  # else it could not enter the folder
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
