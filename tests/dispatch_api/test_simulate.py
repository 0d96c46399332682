"""Simulated units over every protocol and transport, to a real server, gateway and broker and into PostGIS."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role
from core.settings import Settings
from dispatch_api.commands import simulate
from dispatch_api.gateway.server import gateway
from dispatch_api.process import tls
from dispatch_api.simulation.ways import WAYS
from tests import module_wide
from tests.dispatch_api.broker import Broker
from tests.dispatch_api.test_gateway_mqtt import known_to
from tests.geo.fleet import Fleet
from tests.helpers import PASSWORD, Database, Server, free_port, person

UNITS = 2
PLAIN = [(protocol, transport) for protocol, ways in WAYS.items() for transport in ways if transport != "mqtt"]

database, server, broker = module_wide.database, module_wide.server, module_wide.broker


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def settings(database: Database, broker: Broker) -> AsyncIterator[Settings]:
    """Those of a gateway with every port, which runs."""
    made = Settings(
        database_url=database.app_url, ingest_database_url=database.ingest_url, data_dir=broker.folder,
        teltonika_port=free_port(), gt06_port=free_port(), h02_port=free_port(), cot_port=free_port(),
        mqtt_host="127.0.0.1", mqtt_port=broker.port, mqtt_password_file=broker.folder / "password",
    )  # fmt: skip
    await known_to(broker, made)
    async with gateway(made):
        yield made


@pytest_asyncio.fixture
async def fleet(database: Database) -> AsyncIterator[Fleet]:
    db = await database.owner()
    yield Fleet(db)
    await db.close()


@pytest_asyncio.fixture
async def words(engine: AsyncEngine, server: Server) -> dict[str, Any]:
    """What is asked for in every run."""
    administrator = await person(engine, Role.ADMINISTRATOR)
    return {"url": server.url, "login": administrator.login, "password": PASSWORD, "code": None, "units": UNITS,
            "interval": 0.25, "records": 2, "duration": 2.0, "host": None, "port": None, "transport": None}  # fmt: skip


async def stored(fleet: Fleet, protocol: str) -> list[Any]:
    """What is stored of a protocol's devices; some protocols know whole seconds alone."""
    rows: list[Any] = await fleet.db.fetch(
        "SELECT p.device_id, p.suspect, p.speed_mps, p.heading_deg FROM position p JOIN device d ON d.id = p.device_id"
        " WHERE d.protocol = $1",
        protocol,
    )
    return rows


@pytest.mark.parametrize(("protocol", "transport"), PLAIN)
async def test_units_report(
    settings: Settings, words: dict[str, Any], fleet: Fleet, protocol: str, transport: str
) -> None:
    before = len(await stored(fleet, protocol))
    asked = argparse.Namespace(**words | {"protocol": protocol, "transport": transport})
    assert await simulate.run(settings, asked) == 0
    rows = await stored(fleet, protocol)
    assert len(rows) >= before + UNITS
    assert len({row["device_id"] for row in rows}) == UNITS
    assert {row["suspect"] for row in rows} == {None}
    assert all(8 < row["speed_mps"] < 26 and row["heading_deg"] is not None for row in rows)


async def test_phones_report_through_the_broker(
    settings: Settings, words: dict[str, Any], fleet: Fleet, broker: Broker
) -> None:
    asked = argparse.Namespace(**words | {"protocol": "owntracks", "transport": "mqtt", "duration": 6.0})
    driven = asyncio.create_task(simulate.run(settings, asked))
    while not driven.done():
        await known_to(broker, settings)
        await asyncio.wait([driven], timeout=0.5)
    assert await driven == 0
    async with asyncio.timeout(20):
        while len({row["device_id"] for row in await stored(fleet, "owntracks")}) < UNITS:
            await asyncio.sleep(0.05)


async def test_tablets_report_with_a_certificate_of_their_own(
    settings: Settings, words: dict[str, Any], fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = argparse.Namespace(**words | {"protocol": "cot"})
    assert tls.init(Settings(data_dir=tmp_path), ["localhost", "127.0.0.1"]) == 0
    folder = tmp_path / "tls"
    secure = settings.model_copy(
        update={"data_dir": tmp_path, "cot_port": free_port(), "teltonika_port": 0, "gt06_port": 0, "h02_port": 0,
                "mqtt_host": None, "tls_cert": folder / "server.crt", "tls_key": folder / "server.key",
                "cot_client_ca": folder / "ca.crt"}
    )  # fmt: skip
    before = len(await stored(fleet, "cot"))
    async with gateway(secure):
        assert await simulate.run(secure, asked) == 0, capsys.readouterr().err
    assert len(await stored(fleet, "cot")) >= before + UNITS
    assert (folder / "SIM-00001.p12").exists()


async def test_trackers_report_over_tls(
    settings: Settings, words: dict[str, Any], fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = argparse.Namespace(**words | {"protocol": "teltonika", "transport": "tcp"})
    assert tls.init(Settings(data_dir=tmp_path), ["localhost", "127.0.0.1"]) == 0
    secure = settings.model_copy(
        update={"data_dir": tmp_path, "teltonika_port": free_port(), "gt06_port": 0, "h02_port": 0, "cot_port": 0,
                "mqtt_host": None, "teltonika_tls": True, "tls_cert": tmp_path / "tls" / "server.crt",
                "tls_key": tmp_path / "tls" / "server.key"}
    )  # fmt: skip
    readable = secure.model_copy(update={"teltonika_tls": False})
    before = len(await stored(fleet, "teltonika"))
    async with gateway(secure):
        assert await simulate.run(readable, asked) == 1  # the port understands nothing but TLS
        assert "Nothing was acknowledged: IncompleteReadError" in capsys.readouterr().err
        assert len(await stored(fleet, "teltonika")) == before
        assert await simulate.run(secure, asked) == 0, capsys.readouterr().err
    assert len(await stored(fleet, "teltonika")) >= before + UNITS


async def test_what_cannot_be_is_said(
    settings: Settings, words: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = argparse.Namespace(**words | {"protocol": "overland", "transport": "udp"})
    assert await simulate.run(settings, asked) == 1
    assert "overland goes over http" in capsys.readouterr().err
