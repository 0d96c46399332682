"""Several server processes on one address: what one commits the others show, and each may be killed."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import websockets
from sqlalchemy.ext.asyncio import AsyncEngine

from core import sign_in
from core.actor import Role, system
from core.models import UserAccount
from core.work import open_work
from tests import module_wide
from tests.helpers import ROOT, Database, crew, eventually, free_port, person

WITHIN_S = 30


@dataclass
class Servers:
    """`outrider serve --processes 2`, and which of its processes holds a connection."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pids(self) -> list[int]:
        """The processes that listen."""
        return sorted(pid for pid, seen in self._seen().items() if "LISTEN" in {each.status for each in seen})

    def holder(self, client_port: int) -> int | None:
        """The process that has accepted the connection of this client's port."""
        for pid, seen in self._seen().items():
            if any(each.raddr and each.raddr.port == client_port for each in seen):
                return pid
        return None

    def _seen(self) -> dict[int, list[Any]]:
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error):
                found[child.pid] = child.net_connections("tcp")
        return found


database = module_wide.database


@pytest.fixture(scope="module")
def servers(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder, port = tmp_path_factory.mktemp("servers"), free_port()
    own = {"OUTRIDER_DATA_DIR": str(folder), "OUTRIDER_PORT": str(port), "OUTRIDER_LOGIN_TRIES_ACCOUNT": "4"}
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "dispatch_api.cli", "serve", "--processes", "2"]
        env = os.environ | database.environment() | own
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    running = Servers(process, port, folder / "log")
    try:
        until = time.monotonic() + 60
        while len(running.pids()) < 2:
            assert process.poll() is None, running.log.read_text()
            assert time.monotonic() < until, running.log.read_text()
            time.sleep(0.1)
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)


async def token_of(engine: AsyncEngine, user: UserAccount) -> str:
    async with open_work(engine, system("test")) as work:
        return (await sign_in.open_session(work, user)).token


@asynccontextmanager
async def one_to_each(servers: Servers) -> AsyncIterator[dict[int, httpx.AsyncClient]]:
    """A client with one lasting connection to each process."""
    async with AsyncExitStack() as held:
        found: dict[int, httpx.AsyncClient] = {}
        until = time.monotonic() + WITHIN_S
        while len(found) < 2:
            assert time.monotonic() < until, servers.log.read_text()
            http = httpx.AsyncClient(base_url=servers.url, timeout=WITHIN_S)
            await held.enter_async_context(http)
            answer = await http.get("/healthz")
            stream = answer.extensions["network_stream"]
            pid = servers.holder(stream.get_extra_info("client_addr")[1])
            if pid:
                found[pid] = http
        yield found


@asynccontextmanager
async def socket_on(servers: Servers, pid: int, path: str, **hello: Any) -> AsyncIterator[websockets.ClientConnection]:
    """A socket that this process serves; which one a new connection meets is the kernel's choice."""
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        async with websockets.connect(f"ws://127.0.0.1:{servers.port}/api/v1{path}") as socket:
            if servers.holder(socket.local_address[1]) != pid:
                continue
            await socket.send(json.dumps({"kind": "hello"} | hello))
            yield socket
            return
    raise AssertionError(f"no socket met process {pid}")


async def until_said(socket: websockets.ClientConnection, *words: str) -> None:
    """Until a message holds all these words."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            said = str(await socket.recv())
            if all(word in said for word in words):
                return


async def until_closed(socket: websockets.ClientConnection) -> None:
    with contextlib.suppress(websockets.ConnectionClosed):
        async with asyncio.timeout(WITHIN_S):
            while True:
                await socket.recv()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_what_one_process_commits_the_other_shows(servers: Servers, engine: AsyncEngine) -> None:
    """A position, a task and the inbox it lands in, and a right that is taken away."""
    made, user = await crew(engine), await person(engine, Role.DISPATCHER)
    token, officer = await token_of(engine, user), await token_of(engine, made.officer)
    admin = await token_of(engine, await person(engine, Role.ADMINISTRATOR))
    async with one_to_each(servers) as clients:
        (here, http), (there, _) = sorted(clients.items())
        async with (
            socket_on(servers, there, "/live", token=token, bbox=[20.5, 53.5, 27.0, 56.6]) as screen,
            socket_on(servers, there, "/inbox/live", token=officer, after=0) as inbox,
        ):
            await until_said(screen, '"snapshot"')
            await until_said(inbox, '"welcome"')
            fix = {"fix_at": datetime.now(UTC).isoformat(), "lon": 25.3, "lat": 54.7}
            stored = await http.post("/api/v1/positions", json={"fixes": [fix]}, headers=bearer(made.device_key))
            assert stored.json()["accepted"] == 1, stored.text
            await until_said(screen, '"units"', str(made.unit.id), "25.3")
            task = {"kind": "checkpoint", "priority": "P2", "title": "Across", "reason_code": "random",
                    "lon": 25.3, "lat": 54.7, "unit_id": str(made.unit.id), "issue": True}  # fmt: skip
            issued = await http.post("/api/v1/tasks", json=task, headers=bearer(token))
            assert issued.status_code == 201, issued.text
            await until_said(screen, '"task"', issued.json()["id"])
            await until_said(inbox, issued.json()["id"])
            off = await http.post(f"/api/v1/users/{user.id}/disable", headers=bearer(admin))
            assert off.status_code == 200, off.text
            await until_closed(screen)
            assert screen.close_code == 4401
    assert here != there


async def test_wrong_log_ins_are_counted_by_all_processes_together(servers: Servers, engine: AsyncEngine) -> None:
    user = await person(engine, Role.DISPATCHER)
    claim = {"login": user.login, "password": "not this one"}
    async with one_to_each(servers) as clients:
        both = list(clients.values())
        statuses = [(await both[n % 2].post("/api/v1/session", json=claim)).status_code for n in range(5)]
        assert statuses == [401, 401, 401, 401, 429]
        assert (await both[1].post("/api/v1/session", json=claim)).status_code == 429


async def test_one_is_killed_and_the_others_go_on(servers: Servers, engine: AsyncEngine) -> None:
    token = await token_of(engine, await person(engine, Role.DISPATCHER))
    before = servers.pids()
    os.kill(before[0], signal.SIGKILL)
    async with httpx.AsyncClient(base_url=servers.url, timeout=WITHIN_S) as http:
        await eventually(lambda: before[0] not in servers.pids(), WITHIN_S)
        for _ in range(20):  # new connections each: none may meet the dead one
            answer = await http.get("/api/v1/me", headers=bearer(token) | {"Connection": "close"})
            assert answer.status_code == 200
    await eventually(lambda: len(servers.pids()) == 2, 60)
    assert before[1] in servers.pids()
    assert "server-" in servers.log.read_text()


async def test_all_stop_together(servers: Servers) -> None:
    children = psutil.Process(servers.process.pid).children()
    servers.process.terminate()
    assert await asyncio.to_thread(servers.process.wait, 30) == 0
    assert not [child for child in children if child.is_running()]
