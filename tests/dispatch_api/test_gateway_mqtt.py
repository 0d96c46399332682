"""OwnTracks over a real Mosquitto: who may publish what, acknowledged after the commit, through kills of both sides."""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from nacl.secret import SecretBox
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role, system
from core.settings import Settings
from core.work import open_work
from dispatch_api.commands import mqtt_users
from dispatch_api.gateway.server import gateway
from geo import devices
from geo.device_secrets import broker_hash
from tests import module_wide
from tests.conftest import serving
from tests.dispatch_api.broker import Broker, Phone
from tests.geo import vectors
from tests.geo.fleet import Fleet, now
from tests.helpers import ROOT, Database, eventually

WAIT_S = 20

database = module_wide.database


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def settings(database: Database, tmp_path: Path, broker: Broker) -> Settings:
    return Settings(
        database_url=database.app_url, ingest_database_url=database.ingest_url, data_dir=tmp_path, teltonika_port=0,
        mqtt_host="127.0.0.1", mqtt_port=broker.port, mqtt_password_file=tmp_path / "password",
    )  # fmt: skip


async def registered(engine: AsyncEngine, fleet: Fleet, n: int = 1, protocol: str = "owntracks") -> list[Any]:
    """Devices of one unit on duty: id and key of each."""
    unit_id = await fleet.unit("always")
    async with open_work(engine, system("test")) as work:
        made = await devices.create(work, [{"unit_id": unit_id, "protocol": protocol} for _ in range(n)])
    return [(str(device["id"]), device["key"]) for device in made]


async def known_to(broker: Broker, settings: Settings) -> None:
    """Write the broker's files, and start it or let it read them."""
    reload = broker.folder / "mosquitto.pid"
    if broker.process:
        reload.write_text(str(broker.process.pid))
    args = argparse.Namespace(folder=broker.folder, reload=reload if broker.process else None)
    assert await mqtt_users.run(settings, args) == 0
    if not broker.process:
        broker.start()


@contextlib.asynccontextmanager
async def joined(settings: Settings, broker: Broker) -> AsyncIterator[None]:
    """A gateway that has subscribed."""
    async with gateway(settings):
        await eventually(broker.joins, WAIT_S)
        yield


def location(minutes: float, lat: float = 54.7, **more: Any) -> str:
    at = (now() - timedelta(minutes=minutes)).timestamp()
    return json.dumps({"_type": "location", "tst": int(at), "lat": lat, "lon": 25.3, **more})


async def stored(fleet: Fleet, device_id: str, n: int) -> list[Any]:
    """The device's fixes, once there are so many."""

    async def enough() -> list[Any]:
        found = await fleet.track(UUID(device_id))
        return found if len(found) >= n else []

    found: list[Any] = await eventually(enough, WAIT_S)
    assert len(found) == n
    return found


async def test_what_phones_send_and_who_they_are(
    engine: AsyncEngine, fleet: Fleet, settings: Settings, broker: Broker
) -> None:
    (name, key), (other, other_key) = await registered(engine, fleet, 2)
    await known_to(broker, settings)
    async with joined(settings, broker):
        with Phone(broker, name, key) as phone, Phone(broker, other, other_key) as neighbour:
            await phone.said(location(5, vel=36))
            box = SecretBox(key[:32].encode())
            sealed = base64.b64encode(box.encrypt(location(4).encode())).decode()
            await phone.said(json.dumps({"_type": "encrypted", "data": sealed}))
            await phone.said('{"_type": "lwt", "tst": 1}', "phone/lwt")
            await phone.said('{"_type": "transition", "event": "enter", "tst": 2, "lat": 1, "lon": 1}', "phone/event")
            await phone.said("{not JSON")
            await phone.said(location(3), name=other)
            await neighbour.said(location(2))
            rows = await stored(fleet, name, 2)
            assert (rows[0]["speed_mps"], rows[0]["lat"], rows[1]["lon"]) == (pytest.approx(10), 54.7, 25.3)
            assert len(await stored(fleet, other, 1)) == 1, "nobody writes for another"
            (kept,) = await fleet.db.fetch("SELECT frame FROM raw_frame WHERE device_id = $1", UUID(name))
            assert kept["frame"] == b"{not JSON"


async def test_the_broker_lets_a_phone_write_its_own_and_read_nothing(
    engine: AsyncEngine, fleet: Fleet, settings: Settings, broker: Broker
) -> None:
    (name, key), (other, other_key) = await registered(engine, fleet, 2)
    await known_to(broker, settings)
    written = (broker.folder / "acl").read_text()
    shipped = (ROOT / "deploy" / "mosquitto" / "acl.example").read_text()
    assert "\n".join(line for line in shipped.splitlines() if not line.startswith("#")) == written.rstrip("\n")
    with Phone(broker, name, key) as phone, Phone(broker, other, other_key) as neighbour:
        await eventually(lambda: phone.joined and neighbour.joined, WAIT_S)
        phone.client.subscribe([("owntracks/#", 1), (f"owntracks/{other}/#", 1), (f"owntracks/{name}/#", 1)])
        await eventually(lambda: len(phone.granted) == 3, WAIT_S)
        await neighbour.said(location(1))
        await phone.said(location(1))
        await phone.said(location(1), name=other)
        await phone.said(location(0))
        assert phone.heard == [], "a subscription brings nothing"
    with Phone(broker, name, other_key) as wrong:
        await eventually(lambda: wrong.joined, WAIT_S)
        assert wrong.joined[0].is_failure
    async with open_work(engine, system("test")) as work:
        await devices.revoke(work, UUID(other))
        key = (await devices.rotate_key(work, UUID(name), 0))["key"]
    await known_to(broker, settings)

    async def answers(password: str, user: str = name) -> bool:
        with Phone(broker, user, password) as asking:
            await eventually(lambda: asking.joined, WAIT_S)
            return not asking.joined[0].is_failure

    await eventually(lambda: answers(key), WAIT_S)
    assert not await answers(other_key, other)


async def test_a_stranger_is_noted_and_listed(
    engine: AsyncEngine, fleet: Fleet, settings: Settings, broker: Broker
) -> None:
    (http, key), *_ = await registered(engine, fleet, protocol="http")
    await known_to(broker, settings)
    with (broker.folder / "passwords").open("a") as file:
        file.write(f"jane:{broker_hash('secret')}\n{http}:{broker_hash(key)}\n")
    broker.reload()
    async with joined(settings, broker), serving(settings, engine) as client:
        with Phone(broker, "jane", "secret") as phone, Phone(broker, http, key) as other:
            await phone.said(location(1))
            await other.said(location(1))
        _, headers = await client.new(Role.ADMINISTRATOR)

        async def listed() -> list[dict[str, Any]]:
            found = (await client.http.get("/api/v1/devices/unknown", headers=headers)).json()["items"]
            return [item for item in found if item["identifier"] in {"jane", http}]

        await eventually(listed, WAIT_S)
        items = await eventually(lambda: _both(listed), WAIT_S)
        assert {(item["protocol"], item["address"], item["n"]) for item in items} == {("owntracks", "MQTT", 1)}
        assert not await fleet.track(UUID(http)), "a key of another protocol opens nothing"


async def _both(listed: Any) -> list[dict[str, Any]] | None:
    found: list[dict[str, Any]] = await listed()
    return found if len(found) == 2 else None


async def test_every_vector_over_mqtt(engine: AsyncEngine, fleet: Fleet, settings: Settings, broker: Broker) -> None:
    chosen = [vector for vector in vectors.load("owntracks") if vector["transport"] == "mqtt"]
    made = await registered(engine, fleet, len(chosen))
    await known_to(broker, settings)
    async with joined(settings, broker):
        for vector, (name, key) in zip(chosen, made, strict=True):
            with Phone(broker, name, key) as phone:
                await phone.said(vector["payload"])
                await phone.said(location(1))  # behind it, so that nothing is known to be nothing
        for vector, (name, _) in zip(chosen, made, strict=True):
            expected = [] if vector["outcome"] in {"no_positions", "event", "reject"} else vector["expected"]
            rows = (await stored(fleet, name, len(expected) + 1))[:-1]
            vectors.check(vector, [dict(row) for row in rows], now())


# Faults


class Gateway:
    """`outrider gateway` in its own process."""

    def __init__(self, settings: Settings, database: Database, broker: Broker) -> None:
        self._broker = broker
        self._log = settings.data_dir / "gateway.log"
        self._env = os.environ | database.environment() | {
            "OUTRIDER_TELTONIKA_PORT": "0", "OUTRIDER_MQTT_HOST": "127.0.0.1",
            "OUTRIDER_MQTT_PORT": str(settings.mqtt_port),
            "OUTRIDER_MQTT_PASSWORD_FILE": str(settings.mqtt_password_file),
            "OUTRIDER_DATA_DIR": str(settings.data_dir),
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None
        self.joined = 0

    async def start(self) -> None:
        """Start it, and wait until it has joined the broker."""
        self.joined = self._broker.joins()
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "dispatch_api.cli", "gateway"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        await self.joins()

    async def joins(self) -> None:
        """Wait until it has joined the broker once more."""
        await eventually(lambda: self._broker.joins() > self.joined, 40)
        self.joined = self._broker.joins()

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest_asyncio.fixture
async def process(settings: Settings, database: Database, broker: Broker) -> AsyncIterator[Gateway]:
    made = Gateway(settings, database, broker)
    yield made
    made.kill()


async def test_gateway_and_broker_killed_under_load(
    engine: AsyncEngine, fleet: Fleet, settings: Settings, broker: Broker, process: Gateway, database: Database
) -> None:
    made = await registered(engine, fleet, 4)
    await known_to(broker, settings)
    await process.start()
    phones = [Phone(broker, name, key) for name, key in made]

    def all_acknowledged() -> bool:
        return all(phone.sent == phone.acknowledged for phone in phones)

    async def drive(seconds: float, first: int) -> int:
        """Let each phone publish, whether or not anybody acknowledges; the number of the next round."""
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            for phone in phones:
                phone.publish(location(600 - first))
            first += 1
            await asyncio.sleep(0.02)
        return first

    try:
        n = await drive(0.5, 0)
        process.kill()
        n = await drive(0.5, n)  # the broker keeps what comes now
        await process.start()
        n = await drive(0.3, n)
        broker.kill()
        n = await drive(0.3, n)  # the phones keep what comes now
        broker.start()
        await process.joins()
        n = await drive(0.3, n)
        process.kill()
        n = await drive(0.1, n)
        await eventually(all_acknowledged, WAIT_S)
        broker.kill()  # both away: the broker has written what it had acknowledged
        broker.start()
        await process.start()
        n = await drive(0.1, n)
        await eventually(all_acknowledged, WAIT_S)
        for name, _ in made:
            rows = await stored(fleet, name, n)
            assert len({row["fix_at"] for row in rows}) == n
    finally:
        for phone in phones:
            phone.__exit__()
