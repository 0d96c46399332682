"""GW: the gateway, the MQTT broker and PostgreSQL killed in turn under trackers that send again."""

import argparse
import asyncio
import sys
import time
from datetime import datetime
from pathlib import Path
from signal import SIGKILL
from statistics import median
from subprocess import Popen

from core.settings import Settings
from dispatch_api.commands import mqtt_users
from dispatch_api.process.children import spawn, tail
from dispatch_api.process.serving import outrider_command
from loadtests.faults import nemesis, scene
from loadtests.faults.broker import Broker, free_port
from loadtests.faults.checker import Found
from loadtests.faults.fault import Fault, Figure, Mutant, zero
from loadtests.faults.ledger import Promises
from loadtests.faults.nemesis import Broken, until
from loadtests.faults.scene import Tracked
from loadtests.faults.stage import Stage
from loadtests.faults.trackers import Load

BOXES, PHONES = 20, 6
FIRST_IMEI = 350_000_000_500_000
BACK_WITHIN_S = 60.0
SETTLED_S = 60.0
_STORED = "SELECT device_id, fix_at, count(*) AS n FROM position WHERE device_id = ANY($1) GROUP BY 1, 2"


class _Gateway:
    """`outrider gateway` in its own process."""

    def __init__(self, stage: Stage, env: dict[str, str], port: int) -> None:
        lies = stage.mutant == "ack_before_commit_gateway"
        lying = [sys.executable, "-m", "loadtests.faults.lying_gateway"]
        self._command = lying if lies else outrider_command("gateway")
        self._env, self._log, self.port = env, stage.folder / "gateway.log", port
        self._process: Popen[bytes] | None = None

    def start(self) -> None:
        self._process = spawn(self._command, log=self._log, env=self._env, death_signal=SIGKILL)

    def kill(self) -> None:
        assert self._process
        if self._process.poll() is not None:
            raise Broken(f"the gateway ended by itself; its log ends:\n{tail(self._log, 20)}")
        self._process.kill()
        self._process.wait()


async def _devices(stage: Stage, settings: Settings, folder: Path) -> tuple[list[Tracked], list[Tracked]]:
    """Registered boxes and phones; the broker has been told of the phones."""
    engine = stage.engine()
    boxes = await scene.tracked(engine, BOXES, "teltonika", FIRST_IMEI)
    phones = await scene.tracked(engine, PHONES, "owntracks")
    await engine.dispose()
    if await mqtt_users.run(settings, argparse.Namespace(folder=folder, reload=None)):
        raise Broken("the broker's files were not written")
    return boxes, phones


def _settings(stage: Stage, broker: Broker, port: int) -> tuple[Settings, dict[str, str]]:
    """The gateway's settings, and the same as variables."""
    env = stage.urls | {
        "OUTRIDER_DATA_DIR": str(stage.folder), "OUTRIDER_TELTONIKA_PORT": str(port), "OUTRIDER_MQTT_HOST": "127.0.0.1",
        "OUTRIDER_MQTT_PORT": str(broker.port), "OUTRIDER_MQTT_PASSWORD_FILE": str(stage.folder / "mqtt-password"),
        "OUTRIDER_LOG_LEVEL": "warning",
    }  # fmt: skip
    values = {key.removeprefix("OUTRIDER_").lower(): value for key, value in env.items()}
    return Settings.model_validate(values | {"demo": False}), env


async def _missing(stage: Stage, promises: Promises) -> Found:
    """Compare the ledger with the database."""
    found, db = Found(), await stage.owner()
    devices = list({device for device, _ in promises.begun["fixes"]})
    rows = await db.fetch(_STORED, devices)
    await db.close()
    stored = {(str(row["device_id"]), _moment(row["fix_at"])): row["n"] for row in rows}
    found.compare("fixes", promises, stored)
    return found


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _strike(stage: Stage, what: str, gateway: _Gateway, broker: Broker) -> None:
    """One kill -9, and what was killed started again after a moment."""
    away_s = stage.chance.uniform(0.2, 1.0)
    if what == "gateway":
        gateway.kill()
        time.sleep(away_s)
        gateway.start()
    elif what == "broker":
        broker.kill()
        time.sleep(away_s)
        broker.start()
    else:
        nemesis.crash(stage.cluster)
        time.sleep(away_s)
        stage.cluster.start()


def _under_load(stage: Stage, load: Load, gateway: _Gateway, broker: Broker, everyone: list[Tracked]) -> list[float]:
    """Strike in turn; after each the seconds until every device was acknowledged something."""
    back_s = []
    until(lambda: not load.silent(0, everyone) or not load.is_alive(), BACK_WITHIN_S, "not every device began")
    for number in range(stage.n(12, 4)):
        time.sleep(stage.chance.uniform(1, 3))
        what = ("gateway", "broker", "database")[number % 3]
        _strike(stage, what, gateway, broker)
        since = time.monotonic()
        until(lambda: not load.silent(since, everyone) or not load.is_alive(), BACK_WITHIN_S,  # noqa: B023
              f"not every device came back after the {what} was killed")  # fmt: skip
        back_s.append(time.monotonic() - since)
        stage.say(f"{what} killed: all devices acknowledged again after {back_s[-1]:.1f} s")
    return back_s


def _settle(stage: Stage, promises: Promises) -> Found:
    """What is missing once the gateway had time to take what waits at the broker."""
    found, ends = asyncio.run(_missing(stage, promises)), time.monotonic() + (SETTLED_S if not stage.mutant else 10)
    while found.lost and time.monotonic() < ends:
        time.sleep(1)
        found = asyncio.run(_missing(stage, promises))
    return found


def play(stage: Stage) -> list[Figure]:
    """Trackers report, everything between them and the disk dies in turn, the ledger decides."""
    broker, port = Broker(stage.folder), free_port()
    settings, env = _settings(stage, broker, port)
    boxes, phones = asyncio.run(_devices(stage, settings, stage.folder))
    gateway = _Gateway(stage, env, port)
    broker.start()
    gateway.start()
    named = [(box, str(FIRST_IMEI + number)) for number, box in enumerate(boxes)]
    load = Load(named, phones, port, broker.port, stage.folder / "ledger")
    try:
        until(lambda: broker.joins() > 0, BACK_WITHIN_S, "the gateway did not join the broker")
        load.start()
        back_s = _under_load(stage, load, gateway, broker, [*boxes, *phones])
        load.stop()
        promises = Promises(load.path)
        found = _settle(stage, promises)
    finally:
        gateway.kill()
        broker.kill()
    return [
        Figure("kills of gateway, broker and database", len(back_s), least=stage.n(12, 4)),
        Figure("fixes acknowledged", len(promises.acked["fixes"]), least=stage.n(5_000, 500)),
        Figure("deliveries sent again", load.sent_again, least=1),
        zero("lost", found.lost, stage),
        zero("doubled", found.doubled, stage),
        zero("made up", found.foreign, stage),
        Figure("all devices acknowledged again, median", median(back_s or [0]), "s"),
        Figure("all devices acknowledged again, at most", max(back_s or [0]), "s", most=BACK_WITHIN_S),
    ]


GW = Fault(
    "GW",
    "kill -9 of gateway, MQTT broker and PostgreSQL in turn under trackers: devices send again, each fix once",
    "12 kills, 20 Teltonika boxes and 6 OwnTracks phones",
    play,
    {"ack_before_commit_gateway": Mutant("the gateway acknowledges before its commit", "lost")},
)
