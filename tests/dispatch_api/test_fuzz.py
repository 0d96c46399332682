"""Every operation of the OpenAPI document and both sockets under generated input: none may break the server.

This is a short form of `make fuzz` (loadtests/fuzz), the same in every run.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI, WebSocket

from core.db import make_engine
from loadtests.fuzz import frames, operations
from loadtests.fuzz.operations import Plan
from loadtests.fuzz.scene import Badge, Desk, furnish
from loadtests.fuzz.sending import Ready
from tests import module_wide
from tests.helpers import Database, Server, eventually, free_port

ASKING = ["dispatcher", "officer", "administrator"]
SHORT = Plan(cases=6, seed=1, phases=("fuzzing",), deterministic=True)

database, server = module_wide.database, module_wide.server


@pytest_asyncio.fixture
async def desk(server: Server, database: Database) -> AsyncIterator[Desk]:
    """People of the test's own: some sign themselves out."""
    engine = make_engine(database.app_url)
    yield await furnish(engine, server.url, sessions=3)
    await engine.dispose()


async def document(url: str, desk: Desk) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=url, headers=desk.badges["auditor"].headers(), timeout=60) as http:
        return dict((await http.get("/api/v1/openapi.json")).json())


async def test_no_request_breaks_the_server(server: Server, desk: Desk) -> None:
    published = await document(server.url, desk)
    kept = list[Ready]()
    founds = await asyncio.to_thread(operations.run, published, server.url, ASKING, desk, SHORT, kept.append)
    assert [found.role for found in founds] == ASKING
    for found in founds:
        assert found.faults == {}, [line for line in server.log().splitlines() if "error" in line][-3:]
        assert found.errors == []
        assert len(found.tallies) == sum(len(each) for each in published["paths"].values()) > 80
        allowed = sum(n for each in found.tallies.values() for status, n in each.statuses.items() if status // 100 == 2)
        assert allowed > 15, f"{found.role}: nothing got past the door"
    assert {found.cases for found in founds} == {len(kept)}, "each case as every role"


async def test_no_frame_breaks_the_server(server: Server, desk: Desk) -> None:
    found = await frames.run(server.url, desk, frames=400, seed=1)
    assert found.faults == []
    assert found.sent >= 400
    assert {4400, 1009} <= found.ends.keys()
    assert "socket_failed" not in server.log()


@pytest.fixture
def faulty() -> Iterator[str]:
    """A server with faults on each side: numbers too large for the database, text beyond ASCII, what is no JSON."""
    app = FastAPI()

    @app.get("/api/v1/things")
    async def things(q: str, after: int = 0) -> int:
        return len(q.encode("ascii") + after.to_bytes(8, signed=True))

    @app.websocket("/api/v1/{path:path}")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        while True:
            message = await socket.receive_json()
            await socket.send_json({"kind": "pong", "n": message.get("n") if isinstance(message, dict) else 0})

    port = free_port()
    running = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", ws="websockets-sansio"))
    thread = threading.Thread(target=running.run)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join()


async def test_a_planted_fault_is_found(faulty: str) -> None:
    async def up() -> bool:
        async with httpx.AsyncClient() as http:
            try:
                return (await http.get(f"{faulty}/openapi.json")).is_success
            except httpx.TransportError:
                return False

    await eventually(up)
    desk = Desk({"officer": Badge(["o"]), "dispatcher": Badge(["d"])}, {})
    async with httpx.AsyncClient() as http:
        published = (await http.get(f"{faulty}/openapi.json")).json()
    plan = Plan(cases=100, seed=1, deterministic=True)
    (found,) = await asyncio.to_thread(operations.run, published, faulty, ["officer"], desk, plan)
    assert any("500 b'Internal Server Error'" in told for told in found.faults["GET /api/v1/things"])
    broken = await frames.run(faulty, desk, frames=60, seed=1)
    assert any("ended with 1011" in told or "ended with 1006" in told for told in broken.faults)
