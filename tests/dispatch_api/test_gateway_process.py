"""The gateway as a process of its own: killed before and after a commit, and what it stores on a server's live map."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import websockets
from sqlalchemy.ext.asyncio import AsyncEngine

from core import sign_in
from core.actor import Role, system
from core.work import open_work
from tests import module_wide
from tests.geo.fleet import Fleet, now
from tests.geo.teltonika_frames import frame, hello
from tests.helpers import PASSWORD, ROOT, Database, Server, eventually, free_port, person

IMEI = "356307042441013"

database, server = module_wide.database, module_wide.server


@dataclass
class Gateway:
    """`outrider gateway` in its own process."""

    database: Database
    log: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dispatch_api.cli", "gateway"],
                cwd=ROOT, stdout=log, stderr=log,
                env=os.environ | self.database.environment() | {"OUTRIDER_TELTONIKA_PORT": str(self.port)},
            )  # fmt: skip

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection, as soon as it listens."""

        async def open_() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
            try:
                return await asyncio.open_connection("127.0.0.1", self.port)
            except ConnectionError:
                return None

        found: tuple[asyncio.StreamReader, asyncio.StreamWriter] = await eventually(open_, 20)
        return found

    async def say(self, sent: bytes, n: int, timeout_s: float = 10) -> bytes:
        """What a new connection is answered; as soon as the gateway listens."""
        reader, writer = await self.connected()
        writer.write(sent)
        try:
            async with asyncio.timeout(timeout_s):
                return bytes(await reader.readexactly(n))
        except asyncio.IncompleteReadError as short:
            return short.partial
        except (ConnectionError, TimeoutError):
            return b""
        finally:
            writer.close()

    def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        assert self.process
        self.process.send_signal(how)
        return self.process.wait(15)


@pytest.fixture
def gateway(database: Database, tmp_path: Path) -> Iterator[Gateway]:
    running = Gateway(database, tmp_path / "gateway.log")
    running.start()
    yield running
    if running.process and running.process.poll() is None:
        running.kill()


async def registered(fleet: Fleet) -> tuple[UUID, UUID]:
    unit_id, device_id, _ = await fleet.crew()
    await fleet.db.execute("UPDATE device SET revoked_at = now() WHERE identifier = $1", IMEI)
    await fleet.db.execute(
        "UPDATE device SET protocol = 'teltonika', identifier = $2, updated_at = clock_timestamp() WHERE id = $1",
        device_id, IMEI,
    )  # fmt: skip
    return unit_id, device_id


async def locked(owner: asyncpg.Connection) -> bool:
    """Whether somebody waits for a lock: the gateway, in the middle of its commit."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await owner.fetchval(waiting))


async def test_killed_before_and_after_the_commit(gateway: Gateway, database: Database, fleet: Fleet) -> None:
    _, device_id = await registered(fleet)
    sent = frame(now() - timedelta(minutes=5), 7)
    assert await gateway.say(hello(IMEI) + frame(now() - timedelta(hours=1)), 5) == b"\x01\0\0\0\1"
    owner = await database.owner()
    async with owner.transaction():  # before: it never comes to its end
        await owner.execute("LOCK TABLE position IN EXCLUSIVE MODE")
        asked = asyncio.create_task(gateway.say(hello(IMEI) + sent, 5))
        await eventually(lambda: locked(owner))
        gateway.kill()
        assert await asked in {b"\x01", b""}, "what is not committed is not answered"
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'outrider writer' AND datname = current_database()"
        )
    assert len(await fleet.track(device_id)) == 1
    gateway.start()
    _, writer = await gateway.connected()
    writer.write(hello(IMEI) + sent)

    async def all_stored() -> bool:
        return len(await fleet.track(device_id)) == 8

    await eventually(all_stored, 20, every_s=0.002)  # after: the answer, sent or not, is never read
    gateway.kill()
    writer.close()
    gateway.start()
    assert await gateway.say(hello(IMEI) + sent, 5) == b"\x01\0\0\0\7"
    assert len(await fleet.track(device_id)) == 8
    assert gateway.kill(signal.SIGTERM) == 0
    await owner.close()


async def test_a_port_in_use_is_said_and_ends_it(gateway: Gateway, database: Database, tmp_path: Path) -> None:
    _, writer = await gateway.connected()
    writer.close()
    second = Gateway(database, tmp_path / "second.log", gateway.port)
    second.start()
    assert second.process
    assert await asyncio.to_thread(second.process.wait, 20) == 1
    assert f"The gateway cannot start. Port {gateway.port} on 127.0.0.1" in second.log.read_text()


async def test_what_it_stores_is_on_every_servers_live_map(
    gateway: Gateway, server: Server, engine: AsyncEngine, fleet: Fleet
) -> None:
    unit_id, _ = await registered(fleet)
    dispatcher = await person(engine, Role.DISPATCHER)
    async with open_work(engine, system("test")) as work:
        token = (await sign_in.open_session(work, dispatcher)).token
    async with websockets.connect(f"{server.ws}/api/v1/live") as screen, asyncio.timeout(10):
        await screen.send(json.dumps({"kind": "hello", "token": token}))
        while json.loads(await screen.recv())["kind"] != "snapshot":
            pass
        at = now()
        assert await gateway.say(hello(IMEI) + frame(at), 5) == b"\x01\0\0\0\1"
        committed = datetime.now(at.tzinfo)
        while True:
            message = json.loads(await screen.recv())
            rows = [dict(zip(message["columns"], row, strict=True)) for row in message.get("rows", ())]
            if seen := [row for row in rows if row["unit_id"] == str(unit_id)]:
                break
        assert (seen[0]["lat"], datetime.fromisoformat(seen[0]["fix_at"])) == (54.7, at)
        assert datetime.now(at.tzinfo) - committed < timedelta(seconds=2.5)


async def test_simulated_units_report_to_it(
    gateway: Gateway, server: Server, engine: AsyncEngine, fleet: Fleet, tmp_path: Path
) -> None:
    administrator = await person(engine, Role.ADMINISTRATOR)
    words = ["--units", "3", "--interval", "0.5", "--records", "2", "--duration", "3", "--url", server.url]
    words += ["--port", str(gateway.port), "--login", administrator.login, "--password", PASSWORD]
    _, writer = await gateway.connected()
    writer.close()
    for _ in range(2):  # the second time they are registered already
        done = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dispatch_api.cli", "simulate", *words,
            cwd=ROOT, env=os.environ | {"OUTRIDER_DATA_DIR": str(tmp_path)}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        shown, _ = await done.communicate()
        tally = dict(line.split() for line in shown.decode().splitlines() if len(line.split()) == 2)
        assert done.returncode == 0, shown
        assert int(tally["acknowledged"]) >= 3
    counted = "SELECT count(*) FROM position p JOIN unit u ON u.id = p.unit_id WHERE u.call_sign LIKE 'SIM-%'"
    assert await fleet.db.fetchval(counted + " AND suspect IS NULL") == await fleet.db.fetchval(counted) >= 6
    assert await fleet.db.fetchval("SELECT count(*) FROM device WHERE identifier LIKE '35000000000000_'") == 3
