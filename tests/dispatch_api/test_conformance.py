"""The conformance kit against a real server, gateway and broker: our vectors, others that are there, and lies."""

import argparse
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.settings import Settings
from dispatch_api.commands import conformance
from dispatch_api.gateway.server import gateway
from tests import module_wide
from tests.dispatch_api.broker import Broker
from tests.dispatch_api.test_gateway_mqtt import known_to
from tests.geo import vectors
from tests.helpers import Database, Server, eventually, free_port

ELSEWHERE = Settings().test_data / "protocol_vectors"


def names(folder: Path) -> set[str]:
    return {vector["name"] for file in folder.glob("*.json") for vector in json.loads(file.read_text())}


FOLDERS = [vectors.FOLDER, *([ELSEWHERE] if names(ELSEWHERE) - names(vectors.FOLDER) else [])]

database, server, broker = module_wide.database, module_wide.server, module_wide.broker


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def settings(database: Database, server: Server, broker: Broker) -> AsyncIterator[Settings]:
    """Those of a gateway with every port, which runs."""
    made = Settings(
        database_url=database.app_url, ingest_database_url=database.ingest_url, data_dir=broker.folder,
        port=server.port, teltonika_port=free_port(), gt06_port=free_port(), h02_port=free_port(),
        nmea_port=free_port(), cot_port=free_port(), mqtt_host="127.0.0.1", mqtt_port=broker.port,
        mqtt_password_file=broker.folder / "password",
    )  # fmt: skip
    await known_to(broker, made)
    async with gateway(made):
        await eventually(broker.joins, 20)
        yield made


def asked(broker: Broker, folder: Path, **more: Any) -> argparse.Namespace:
    assert broker.process
    pid = broker.folder / "mosquitto.pid"
    pid.write_text(str(broker.process.pid))
    plain = {"folder": folder, "protocol": None, "host": None, "url": None, "mqtt_users": broker.folder, "reload": pid}
    return argparse.Namespace(**plain | more)


@pytest.mark.parametrize("folder", FOLDERS, ids=["own", "elsewhere"][: len(FOLDERS)])
async def test_every_vector_comes_out_as_stated(
    settings: Settings, broker: Broker, folder: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("dispatch_api.conformance.wires.SILENCE_S", 0.3)
    code = await conformance.run(settings, asked(broker, folder))
    shown = capsys.readouterr().out
    assert code == 0, shown
    n = sum(len(json.loads(file.read_text())) for file in folder.glob("*.json"))
    right, refused, wrong, not_sent = map(int, shown.splitlines()[-1].split()[1:])
    assert (right + refused, wrong, not_sent) == (n, 0, 0), shown


async def test_what_is_not_as_stated_is_said(
    settings: Settings, broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("dispatch_api.conformance.kit.STORED_WITHIN_S", 1.0)
    good = next(v for v in vectors.load("teltonika") if v["transport"] == "tcp" and v["outcome"] == "positions")
    phone = next(v for v in vectors.load("owntracks") if v["outcome"] == "positions" and v["transport"] == "http")
    first = phone["expected"][0]
    nameless = {
        "name": "nameless", "protocol": "h02", "transport": "tcp", "outcome": "positions",
        "payload": "*HQ,,V1,173212,A,2225.78879,S,02829.19021,E,0.00,0,290418,FFFFFBFF#",
        "expected": [{"time": "2018-04-29T17:32:12Z", "lat": -22.4298132, "lon": 28.4865035, "speed_kmh": 0.0,
                      "course_deg": 0.0}],
    }  # fmt: skip
    nobody = {
        "name": "nobody", "protocol": "gpslogger", "transport": "http", "outcome": "reject",
        "payload": "latitude=1.0&longitude=1.1",
    }  # fmt: skip
    lies = [
        nameless,
        nobody,
        good | {"name": "elsewhere", "expected": [fix | {"lat": fix["lat"] + 0.1} for fix in good["expected"]]},
        good | {"name": "other-answer", "reply_hex": "00000063"},
        phone | {"name": "too-fast", "expected": [first | {"speed_kmh": 99}]},
        phone | {"name": "not-refused", "outcome": "reject", "expected": []},
        phone | {"name": "forgotten", "expected": [first, first | {"time": "2020-01-01T00:00:00.000Z"}]},
        phone | {"name": "true"},
    ]
    (tmp_path / "lies.json").write_text(json.dumps(lies))
    silent = settings.model_copy(update={"nmea_port": 0})
    (tmp_path / "off.json").write_text(json.dumps(vectors.load("nmea")[:1]))
    assert await conformance.run(silent, asked(broker, tmp_path, mqtt_users=None)) == 1
    shown = capsys.readouterr().out.splitlines()
    said = {line.split()[1].rstrip(":") for line in shown if line.startswith("wrong")}
    assert said == {"elsewhere", "other-answer", "too-fast", "not-refused", "forgotten"}
    assert next(line for line in shown if line.startswith("not sent")).endswith("OUTRIDER_NMEA_PORT is off")
    assert [line.split() for line in shown if line.startswith("all")] == [["all", "2", "1", "5", "1"]]
    (tmp_path / "none.json").write_text("{")
    assert await conformance.run(settings, asked(broker, tmp_path)) == 1
