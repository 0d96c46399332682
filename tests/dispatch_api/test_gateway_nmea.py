"""Trackers that send NMEA sentences over TCP, on real sockets over real PostGIS: every vector, names, bounds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.ids import new_id
from core.settings import Settings
from dispatch_api.gateway.nmea import SETTLES_S
from dispatch_api.gateway.server import gateway
from geo.protocols import nmea
from tests import module_wide
from tests.geo import vectors
from tests.geo.fleet import Fleet, now
from tests.helpers import Database, eventually, free_port

VECTORS = [vector for vector in vectors.load("nmea") if vector["transport"] == "tcp"]
SECOND = timedelta(seconds=1)

database = module_wide.database


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def port(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    settings = Settings(
        ingest_database_url=database.ingest_url, data_dir=tmp_path_factory.mktemp("nmea"), teltonika_port=0,
        nmea_port=free_port(),
    )  # fmt: skip
    async with gateway(settings):
        yield settings.nmea_port


async def registered(fleet: Fleet, name: str | None = None) -> tuple[str, Any]:
    """A tracker of a unit that is tracked always: its name and the device's id."""
    name = name or new_id().hex
    device_id, _ = await fleet.device(await fleet.unit("always"))
    await fleet.db.execute("UPDATE device SET revoked_at = now() WHERE identifier = $1", name)
    await fleet.db.execute(
        "UPDATE device SET protocol = 'nmea', identifier = $2, updated_at = clock_timestamp() WHERE id = $1",
        device_id, name,
    )  # fmt: skip
    return name, device_id


async def sent(port: int, *parts: bytes, cut: bool = False) -> None:
    """Send parts one after another and end the line; with `cut` the gateway must end it first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.02)
            if not cut:
                writer.write_eof()
            assert await reader.read() == b"", "nothing is answered"
    writer.close()


async def stored(fleet: Fleet, device_id: Any, n: int) -> list[Any]:
    """What is stored of a device, once it is so many."""

    async def enough() -> list[Any] | None:
        rows = await fleet.track(device_id)
        return rows if len(rows) >= n else None

    found: list[Any] = await eventually(enough)
    return found


def rmc(at: datetime) -> str:
    text = f"GPRMC,{at:%H%M%S},A,5441.10,N,02516.20,E,10.0,90.0,{at:%d%m%y},,"
    return f"${text}*{reduce(xor, text.encode()):02X}\r\n"


def gga(at: datetime) -> str:
    text = f"GPGGA,{at:%H%M%S},5441.10,N,02516.20,E,1,08,0.9,101.5,M,20.0,M,,"
    return f"${text}*{reduce(xor, text.encode()):02X}\r\n"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
async def test_vectors_are_stored_as_expected(vector: dict[str, Any], port: int, fleet: Fleet) -> None:
    named = nmea.identifier(vector["payload"])
    name, device_id = await registered(fleet, named and str(new_id().int)[-len(named) :])
    line = vector["payload"].replace(named or name, name)
    await sent(port, b"" if named else f"{name}\r\n".encode(), f"{line}\r\n".encode())
    if vector["outcome"] == "positions":
        await eventually(lambda: fleet.track(device_id))
    vectors.check(vector, await fleet.track(device_id), datetime.now(UTC))


async def test_a_name_before_around_or_behind_the_sentences(port: int, fleet: Fleet) -> None:
    at = now().replace(microsecond=0) - timedelta(minutes=5)
    lines = [(rmc(at + n * SECOND) + gga(at + n * SECOND)) for n in range(4)]
    ways = ("{name}\r\n{line}", "$PGID,{name}*00\n{line}", "{name},{line}", "{line}$GPFID,{name}\r\n")
    for way in ways:
        name, device_id = await registered(fleet)
        whole = "".join(way.format(name=name, line=line) for line in lines).encode()
        await sent(port, whole)
        rows = await stored(fleet, device_id, 4)
        assert [row["fix_at"] for row in rows] == [at + n * SECOND for n in range(4)], way
        if "{line}$" not in way:
            assert {(row["altitude_m"], row["heading_deg"]) for row in rows} == {(101.5, 90.0)}, way


async def test_sentences_of_one_moment_that_come_one_by_one_are_one_fix(port: int, fleet: Fleet) -> None:
    at = now().replace(microsecond=0) - timedelta(minutes=5)
    name, device_id = await registered(fleet)
    lines = [make(at + n * SECOND).encode() for n in range(4) for make in (gga, rmc)]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in (f"{name}\r\n".encode(), *lines):
        writer.write(part)
        await asyncio.sleep(0.1)
    rows = await stored(fleet, device_id, 4)  # the last one too, while the line is open
    writer.close()
    told = [(row["fix_at"] - at, row["altitude_m"], row["heading_deg"], row["suspect"]) for row in rows]
    assert told == [(n * SECOND, 101.5, 90, None) for n in range(4)]
    counted = "SELECT coalesce(sum(duplicates), 0) FROM ingest_count WHERE device_id = $1"
    assert await fleet.db.fetchval(counted, device_id) == 0


async def test_what_is_held_back_is_stored_when_the_gateway_ends(
    database: Database, fleet: Fleet, tmp_path: Path
) -> None:
    name, device_id = await registered(fleet)
    settings = Settings(
        ingest_database_url=database.ingest_url, data_dir=tmp_path, teltonika_port=0, nmea_port=free_port()
    )
    async with gateway(settings):
        _, writer = await asyncio.open_connection("127.0.0.1", settings.nmea_port)
        writer.write(f"{name}\r\n{rmc(now() - timedelta(minutes=5))}".encode())
        await asyncio.sleep(SETTLES_S / 2)
        assert await fleet.track(device_id) == []
    assert len(await fleet.track(device_id)) == 1
    writer.close()


async def test_split_by_byte_and_a_wrong_sentence_between(port: int, fleet: Fleet) -> None:
    at = now().replace(microsecond=0) - timedelta(minutes=5)
    name, device_id = await registered(fleet)
    text = f"{name}\r\n{rmc(at)}$GPRMC,broken*00\r\n{rmc(at + SECOND)}".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for byte in text:
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()

    await stored(fleet, device_id, 2)


async def test_strangers_and_endless_lines_are_cut(port: int, fleet: Fleet) -> None:
    stranger = new_id().hex
    await sent(port, f"{stranger}\r\n".encode(), cut=True)
    await sent(port, b"x" * 20_000, cut=True)
    name, _ = await registered(fleet)
    await sent(port, f"{name}\r\n".encode(), b"$" * 20_000, cut=True)
    seen = "SELECT n FROM unknown_device WHERE protocol = 'nmea' AND identifier = $1"
    await eventually(lambda: fleet.db.fetchval(seen, stranger))
