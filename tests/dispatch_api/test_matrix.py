"""Who may do what: a committed table of every route x role with the exact status of every cell.

The request of a cell is minimal: ids that do not exist, `{}` as body, no query. So those who may reach a route see
its 200, 404 or 422, and those who may not see 401 or 403. A route that is not in the table fails the test, and so
does a row whose route is gone. `OUTRIDER_WRITE_MATRIX=1` writes what is; then every changed cell is to be read.
"""

import asyncio
import csv
import os
import re
from pathlib import Path
from uuid import uuid4

import httpx
import websockets
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from core.actor import Role
from core.settings import Settings
from dispatch_api.app import create_app
from dispatch_api.device_lane import HANDLERS, DeviceLane
from tests.helpers import Client, Server, crew

TABLE = Path(__file__).with_name("matrix.csv")
PEOPLE = [role.value for role in Role]
COLUMNS = ["anonymous", "device", *PEOPLE, "disabled"]
NOT_SIGNED_IN, NO_RIGHT = 4401, 4403
OPEN = 101


def routes() -> set[tuple[str, str]]:
    """(method, path) of everything the application serves; WS for sockets."""
    app = create_app(
        Settings(database_url="postgresql+asyncpg://x@/x", ingest_database_url="postgresql+asyncpg://x@/x")
    )
    assert isinstance(app, DeviceLane)
    found = {(method, path) for path, method in HANDLERS}
    for route in iter_route_contexts(app.api.routes):
        if isinstance(route.original_route, Mount):
            found.add(("GET", f"{route.path}/nothing-of-this-name"))
        elif route.methods is None:
            found.add(("WS", str(route.path)))
        else:
            found |= {(method, str(route.path)) for method in route.methods if method != "HEAD"}
    return found


def table() -> dict[tuple[str, str], dict[str, int]]:
    with TABLE.open(newline="") as file:
        return {
            (row.pop("method"), row.pop("path")): {name: int(status) for name, status in row.items()}
            for row in csv.DictReader(file)
        }


def write(rows: dict[tuple[str, str], dict[str, int]]) -> None:
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "path", *COLUMNS])
        for (method, path), cells in sorted(rows.items(), key=lambda row: (row[0][1], row[0][0])):
            writer.writerow([method, path, *(cells[name] for name in COLUMNS)])


def test_every_route_is_listed() -> None:
    assert routes() == set(table())


def test_no_route_but_log_in_health_and_pages_is_open() -> None:
    """LT-15: no public users."""
    open_paths = {"/api/v1/session", "/healthz", "/readyz", "/", "/officer", "/supervisor"}
    open_paths |= {"/devices", "/people", "/shifts"}
    open_paths |= {"/officer-worker.js", "/officer.webmanifest"}  # parts of the page, the same for everybody
    by_credential = {("POST", f"/api/v1/installs/{{install_id}}/{what}") for what in ("recovery", "contact")}
    by_credential.add(("POST", "/api/v1/session/factor"))
    for (method, path), cells in table().items():
        if (method, path) in by_credential:
            assert set(cells.values()) == {422}  # the credential or password is in the body
        elif path not in open_paths and not path.startswith("/static/") and not path.startswith("/ingest/"):
            assert cells["anonymous"] in {401, NOT_SIGNED_IN}, path
            assert cells["disabled"] in {401, NOT_SIGNED_IN}, path


async def headers_of(client: Client) -> dict[str, dict[str, str]]:
    """Authorization of each column."""
    found: dict[str, dict[str, str]] = {"anonymous": {}}
    for role in PEOPLE:
        _, found[role] = await client.new(role)
    found["device"] = {"Authorization": f"Bearer {(await crew(client.engine)).device_key}"}
    gone, found["disabled"] = await client.new("dispatcher")
    _, admin = await client.new("administrator")
    answer = await client.http.post(f"/api/v1/users/{gone.id}/disable", headers=admin)
    assert answer.status_code == 200
    return found


async def status_of(http: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]) -> int:
    target = re.sub(r"\{[zxy]\}", "1", path)
    target = re.sub(r"\{\w+\}", lambda _: str(uuid4()), target).replace("{name}", "x")
    body: dict[str, str] | None = None if method in {"GET", "DELETE"} else {}
    return (await http.request(method, target, headers=headers, json=body)).status_code


async def measured(client: Client) -> dict[tuple[str, str], dict[str, int]]:
    headers = await headers_of(client)
    rows: dict[tuple[str, str], dict[str, int]] = {}
    for method, path in sorted(routes()):
        if method == "WS" or (method, path) == ("DELETE", "/api/v1/session"):
            continue  # sockets have their own test; signing out would end the session of the cells after it
        rows[method, path] = {name: await status_of(client.http, method, path, headers[name]) for name in COLUMNS}
    rows["DELETE", "/api/v1/session"] = {
        name: await status_of(client.http, "DELETE", "/api/v1/session", headers[name]) for name in COLUMNS
    }
    return rows


async def socket_status(server: Server, path: str, token: str | None) -> int:
    """101 when the socket says welcome, else the code it was closed with."""
    async with websockets.connect(f"{server.ws}{path}") as socket:
        await socket.send('{"kind": "hello"%s}' % (f', "token": "{token}"' if token else ""))
        try:
            while '"welcome"' not in str(await asyncio.wait_for(socket.recv(), 10)):
                pass
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 0
        return OPEN


async def measured_sockets(server: Server, client: Client) -> dict[tuple[str, str], dict[str, int]]:
    tokens = {
        name: h.get("Authorization", "").removeprefix("Bearer ") for name, h in (await headers_of(client)).items()
    }
    return {
        (method, path): {name: await socket_status(server, path, tokens[name]) for name in COLUMNS}
        for method, path in sorted(routes())
        if method == "WS"
    }


async def test_every_cell(client: Client) -> None:
    rows = await measured(client)
    if os.environ.get("OUTRIDER_WRITE_MATRIX"):
        kept = table() if TABLE.exists() else {}
        write({key: cells for key, cells in kept.items() if key[0] == "WS"} | rows)
    expected = {key: cells for key, cells in table().items() if key[0] != "WS"}
    assert {k: v for k, v in rows.items() if v != expected.get(k)} == {}


async def test_every_socket_cell(server: Server, client: Client) -> None:
    rows = await measured_sockets(server, client)
    if os.environ.get("OUTRIDER_WRITE_MATRIX"):
        write(table() | rows)
    expected = {key: cells for key, cells in table().items() if key[0] == "WS"}
    assert rows == expected


def test_the_table_keeps_administrators_from_case_work() -> None:
    case_work = re.compile(
        r"/(tasks|notices|handovers|violations|attachments|stop-forms|reports|jobs|shifts|inbox|positions/latest|track|nearest)\b"
    )
    for (method, path), cells in table().items():
        if case_work.search(path) and path.startswith("/api/") and method != "WS":
            assert cells["administrator"] == 403, path
