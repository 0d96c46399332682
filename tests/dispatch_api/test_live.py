"""The live sockets against a real server: snapshots and deltas, inboxes by seq, rights, limits, stalled readers."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import websockets
from sqlalchemy.ext.asyncio import AsyncEngine

from core import sign_in
from core.actor import Role, system
from core.models import UserAccount
from core.work import open_work
from dispatch_api.live.hub import RIGHTS_S
from mobile_contract.messages import parse_to_client
from tests import module_wide
from tests.helpers import Crew, Server, crew, eventually, person

LITHUANIA = [20.5, 53.5, 27.0, 56.6]

database, server = module_wide.database, module_wide.server


async def token_of(engine: AsyncEngine, user: UserAccount) -> str:
    async with open_work(engine, system("test")) as work:
        return (await sign_in.open_session(work, user)).token


@asynccontextmanager
async def connected(
    server: Server, path: str, token: str | None, **hello: Any
) -> AsyncIterator[websockets.ClientConnection]:
    async with websockets.connect(f"{server.ws}/api/v1{path}") as socket:
        await socket.send(json.dumps({"kind": "hello"} | ({"token": token} if token else {}) | hello))
        yield socket


async def until(socket: websockets.ClientConnection, kind: str, within_s: float = 10) -> dict[str, Any]:
    """The next message of this kind; every message on the way is checked against the contract."""
    async with asyncio.timeout(within_s):
        while True:
            text = await socket.recv()
            parse_to_client(text)
            message: dict[str, Any] = json.loads(text)
            if message["kind"] == kind:
                return message


async def close_code(socket: websockets.ClientConnection) -> int:
    async with asyncio.timeout(15):
        try:
            while True:
                await socket.recv()
        except websockets.ConnectionClosed:
            return socket.close_code or 0


async def report(server: Server, made: Crew, lon: float, lat: float, ago_s: float = 0, **fields: Any) -> None:
    fix = {"fix_at": (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat(), "lon": lon, "lat": lat} | fields
    async with httpx.AsyncClient() as http:
        headers = {"Authorization": f"Bearer {made.device_key}"}
        answer = await http.post(f"{server.url}/api/v1/positions", json={"fixes": [fix]}, headers=headers)
    assert answer.json()["accepted"] == 1, answer.text


def marks(message: dict[str, Any]) -> dict[str, dict[str, Any]]:
    table = message["units"] if message["kind"] == "snapshot" else message
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    return {row["unit_id"]: row for row in rows}


async def test_snapshot_then_deltas_equal_a_fresh_snapshot(server: Server, engine: AsyncEngine) -> None:
    crews = [await crew(engine) for _ in range(4)]
    token = await token_of(engine, await person(engine, Role.DISPATCHER))
    await report(server, crews[0], 23.001, 55.0, ago_s=60)
    async with connected(server, "/live", token, bbox=LITHUANIA) as socket:
        assert (await until(socket, "welcome"))["heartbeat_s"] == 2
        seen = marks(await until(socket, "snapshot"))
        for n, made in enumerate(crews):
            await report(server, made, 23.0 + n, 55.0, heading_deg=90.0, speed_mps=12.5)
        await report(server, crews[3], 30.0, 55.0)  # out of view: and 4 degrees in no time is a jump
        ids = {str(made.unit.id) for made in crews}
        while not ids <= seen.keys() or seen[str(crews[0].unit.id)]["lon"] != 23.0:
            delta = await until(socket, "units")
            seen |= marks(delta)
            for gone in delta["gone"]:
                seen.pop(gone, None)
        async with connected(server, "/live", token, bbox=LITHUANIA) as fresh:
            assert marks(await until(fresh, "snapshot")) == seen
    assert seen[str(crews[1].unit.id)]["heading_deg"] == 90.0


async def test_a_view_shows_what_is_in_it(server: Server, engine: AsyncEngine) -> None:
    west, east = await crew(engine), await crew(engine)
    await report(server, west, 21.1, 55.7)
    await report(server, east, 25.3, 54.7)
    token = await token_of(engine, await person(engine, Role.DISPATCHER))
    async with connected(server, "/live", token, bbox=[20.5, 55, 22, 56]) as socket:
        shown, ids = marks(await until(socket, "snapshot")), (str(west.unit.id), str(east.unit.id))
        while ids[0] not in shown:  # a fix stored a moment ago comes with the next tick
            shown |= marks(await until(socket, "units"))
        assert ids[1] not in shown
        await socket.send(json.dumps({"kind": "view", "bbox": [25, 54, 26, 55]}))
        seen: dict[str, Any] = {}
        gone: set[str] = set()
        while ids[1] not in seen or ids[0] not in gone:  # the other's fix may be a tick behind
            turned = await until(socket, "units")
            seen |= marks(turned)
            gone |= set(turned["gone"])


async def test_who_goes_off_duty_leaves_the_map(server: Server, engine: AsyncEngine) -> None:
    made = await crew(engine)
    await report(server, made, 25.3, 54.7)
    dispatcher = await token_of(engine, await person(engine, Role.DISPATCHER))
    officer = await token_of(engine, made.officer)
    async with connected(server, "/live", dispatcher, bbox=LITHUANIA) as socket, httpx.AsyncClient() as http:
        shown = marks(await until(socket, "snapshot"))
        while str(made.unit.id) not in shown:
            shown |= marks(await until(socket, "units"))
        assert made.shift
        url = f"{server.url}/api/v1/shifts/{made.shift.id}/end"
        assert (await http.post(url, headers={"Authorization": f"Bearer {officer}"})).status_code == 200
        while str(made.unit.id) not in (await until(socket, "units"))["gone"]:
            pass
        async with connected(server, "/live", dispatcher, bbox=LITHUANIA) as fresh:
            assert str(made.unit.id) not in marks(await until(fresh, "snapshot"))


async def test_a_task_reaches_officer_and_dispatchers_and_comes_back(server: Server, engine: AsyncEngine) -> None:
    made = await crew(engine)
    dispatcher = await token_of(engine, await person(engine, Role.DISPATCHER))
    officer = await token_of(engine, made.officer)
    task = {
        "kind": "stop_vehicle", "priority": "P2", "title": "Grey van", "reason_code": "indicator",
        "lon": 25.3, "lat": 54.7, "unit_id": str(made.unit.id), "issue": True,
    }  # fmt: skip
    async with (
        connected(server, "/live", dispatcher) as centre,
        connected(server, "/inbox/live", officer, after=0) as tablet,
        httpx.AsyncClient(base_url=f"{server.url}/api/v1") as http,
    ):
        await until(centre, "snapshot")
        await until(tablet, "welcome")
        created = await http.post("/tasks", json=task, headers={"Authorization": f"Bearer {dispatcher}"})
        assert created.status_code == 201, created.text
        item = (await until(tablet, "inbox"))["items"][0]
        assert (item["seq"], item["kind"], item["body"]["title"]) == (1, "task", "Grey van")
        await tablet.send(json.dumps({"kind": "ack", "upto": item["seq"]}))
        states = []
        while "delivered" not in states:
            states.append((await until(centre, "task"))["task"]["status"])
        url = f"/tasks/{created.json()['id']}/transitions"
        done = await http.post(url, json={"verb": "acknowledge"}, headers={"Authorization": f"Bearer {officer}"})
        assert done.json()["result"] == "applied"
        assert (await until(centre, "task"))["task"]["status"] == "acknowledged"


async def test_the_inbox_resumes_by_seq(server: Server, engine: AsyncEngine) -> None:
    made = await crew(engine)
    sender = {"Authorization": f"Bearer {await token_of(engine, await person(engine, Role.DISPATCHER))}"}
    officer = await token_of(engine, made.officer)
    notice = {"kind": "information", "priority": "P4", "body": "", "to": {"units": [str(made.unit.id)]}}
    async with httpx.AsyncClient(base_url=f"{server.url}/api/v1") as http:
        for n in range(7):
            answer = await http.post("/notices", json=notice | {"headline": f"n{n}"}, headers=sender)
            assert answer.status_code == 201, answer.text
    async with connected(server, "/inbox/live", officer, after=4) as tablet:
        items = (await until(tablet, "inbox"))["items"]
        assert [(i["seq"], i["body"]["headline"]) for i in items] == [(5, "n4"), (6, "n5"), (7, "n6")]
    async with connected(server, "/inbox/live", officer, after=99) as tablet:  # the server began anew
        assert (await until(tablet, "resync"))["reason"] == "unknown_seq"
        assert [i["seq"] for i in (await until(tablet, "inbox"))["items"]] == list(range(1, 8))


async def test_a_write_past_this_process_is_shown_within_a_second_or_two(server: Server, engine: AsyncEngine) -> None:
    """The worker, or another server: no wake-up reaches this process, the round each second does."""
    made = await crew(engine)
    token = await token_of(engine, await person(engine, Role.DISPATCHER))
    async with connected(server, "/live", token) as socket:
        await until(socket, "snapshot")
        owner = await server.database.owner()
        await owner.execute(
            "INSERT INTO unit_latest (unit_id, device_id, fix_at, received_at, point) VALUES"
            " ($1, $2, now(), now(), ST_SetSRID(ST_MakePoint(25, 55), 4326))", made.unit.id, made.device.id,
        )  # fmt: skip
        await owner.close()
        while str(made.unit.id) not in marks(await until(socket, "units", within_s=5)):
            pass


@pytest.mark.parametrize(("what", "code"), [("logout", 4401), ("disable", 4401), ("role", 4401)])
async def test_a_lost_right_ends_the_socket(server: Server, engine: AsyncEngine, what: str, code: int) -> None:
    user = await person(engine, Role.DISPATCHER)
    token = await token_of(engine, user)
    admin = {"Authorization": f"Bearer {await token_of(engine, await person(engine, Role.ADMINISTRATOR))}"}
    own = {"Authorization": f"Bearer {token}"}
    async with (
        connected(server, "/live", token) as socket,
        httpx.AsyncClient(base_url=f"{server.url}/api/v1") as http,
    ):
        await until(socket, "snapshot")
        if what == "logout":
            await http.delete("/session", headers=own)
        elif what == "disable":
            await http.post(f"/users/{user.id}/disable", headers=admin)
        else:
            await http.patch(f"/users/{user.id}", json={"roles": ["auditor"]}, headers=admin)
        started = asyncio.get_running_loop().time()
        assert await close_code(socket) == code
        assert asyncio.get_running_loop().time() - started < 5


@pytest.mark.parametrize(
    ("behind", "code"),
    [
        ("DELETE FROM sign_in WHERE user_id = $1", 4401),
        ("UPDATE user_account SET roles = '{auditor}' WHERE id = $1", 4403),
    ],
    ids=["session", "role"],
)
async def test_a_right_that_is_lost_unheard_ends_the_socket_too(
    server: Server, engine: AsyncEngine, behind: str, code: int
) -> None:
    """No wake-up tells of it: rights are read again every few seconds."""
    user = await person(engine, Role.DISPATCHER)
    async with connected(server, "/live", await token_of(engine, user)) as socket:
        await until(socket, "snapshot")
        owner = await server.database.owner()
        await owner.execute(behind, user.id)
        await owner.close()
        assert await close_code(socket) == code
    assert RIGHTS_S <= 4, "with a second to read them it is to be known within five"


async def test_bad_beginnings(server: Server, engine: AsyncEngine) -> None:
    officer = await token_of(engine, (await crew(engine)).officer)
    for hello, code in (
        ("not json", 4400),
        ('{"kind": "surprise"}', 4400),
        ('{"kind": "ping", "n": 1}', 4400),
        ('{"kind": "hello"}', 4401),
        ('{"kind": "hello", "token": "os_wrong"}', 4401),
        ('{"kind": "hello", "ticket": "ot_wrong"}', 4401),
        (json.dumps({"kind": "hello", "token": officer}), 4403),
        (json.dumps({"kind": "hello", "token": officer, "bbox": [1, 2, "NaN", 4]}), 4400),
        ("x" * 70_000, 1009),
    ):
        async with websockets.connect(f"{server.ws}/api/v1/live") as socket:
            await socket.send(hello)
            assert await close_code(socket) == code, hello[:60]
    async with websockets.connect(f"{server.ws}/api/v1/live") as socket:
        assert await close_code(socket) == 4408


async def test_a_frame_has_64_kib_and_not_a_byte_more(server: Server, engine: AsyncEngine) -> None:
    token = await token_of(engine, await person(engine, Role.DISPATCHER))
    hello = json.dumps({"kind": "hello", "token": token})
    async with websockets.connect(f"{server.ws}/api/v1/live") as socket:
        await socket.send(hello.ljust(65_536))
        await until(socket, "snapshot")
        await socket.send('{"kind": "ping", "n": 1}'.ljust(65_536))
        await until(socket, "pong")
        await socket.send('{"kind": "ping", "n": 2}'.ljust(65_537))
        assert await close_code(socket) == 1009


async def test_foreign_origins_are_refused_before_anything(server: Server) -> None:
    for origin in ("https://elsewhere.example", "null"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(f"{server.ws}/api/v1/live", additional_headers={"Origin": origin}):
                pass
        assert refused.value.response.status_code == 403
    with pytest.raises(websockets.InvalidStatus):  # a cookie without any origin
        async with websockets.connect(f"{server.ws}/api/v1/live", additional_headers={"Cookie": "outrider=x"}):
            pass


async def test_a_ticket_opens_one_socket_once(server: Server, engine: AsyncEngine) -> None:
    token = await token_of(engine, await person(engine, Role.DISPATCHER))
    async with httpx.AsyncClient(base_url=f"{server.url}/api/v1") as http:
        answer = await http.post("/session/socket-ticket", headers={"Authorization": f"Bearer {token}"})
    async with connected(server, "/live", None, ticket=answer.json()["ticket"]) as socket:
        await until(socket, "snapshot")
    async with connected(server, "/live", None, ticket=answer.json()["ticket"]) as socket:
        assert await close_code(socket) == 4401


async def test_a_sixth_socket_is_refused(server: Server, engine: AsyncEngine) -> None:
    token = await token_of(engine, await person(engine, Role.DISPATCHER))
    async with contextmany(server, token, 5), connected(server, "/live", token) as sixth:
        assert await close_code(sixth) == 4409


@asynccontextmanager
async def contextmany(server: Server, token: str, n: int) -> AsyncIterator[None]:
    if n == 0:
        yield
        return
    async with connected(server, "/live", token) as socket:
        await until(socket, "snapshot")
        async with contextmany(server, token, n - 1):
            yield


async def test_ping_and_beat(server: Server, engine: AsyncEngine) -> None:
    token = await token_of(engine, await person(engine, Role.DISPATCHER))
    async with connected(server, "/live", token) as socket:
        await socket.send('{"kind": "ping", "n": 7}')
        assert (await until(socket, "pong"))["n"] == 7
        first = await until(socket, "beat", within_s=4)
        second = await until(socket, "beat", within_s=4)
        assert second["as_of"] > first["as_of"]


async def test_a_stalled_reader_is_cut_and_stops_nobody(server: Server, engine: AsyncEngine) -> None:
    made = await crew(engine)
    sender = {"Authorization": f"Bearer {await token_of(engine, await person(engine, Role.DISPATCHER))}"}
    stalled, reading = [await token_of(engine, await person(engine, Role.DISPATCHER)) for _ in range(2)]
    # The kernel keeps megabytes for a reader: little room on its side, and large messages, fill that soon.
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", server.port))
    task = {
        "kind": "stop_vehicle", "priority": "P4", "title": "t", "reason_code": "indicator",
        "instruction": "\N{GRINNING FACE}" * 9_900,
    }  # fmt: skip
    async with (
        websockets.connect(f"{server.ws}/api/v1/live", sock=narrow) as slow,
        connected(server, "/live", reading) as quick,
        httpx.AsyncClient(base_url=f"{server.url}/api/v1") as http,
    ):
        await slow.send(json.dumps({"kind": "hello", "token": stalled}))
        await until(slow, "welcome")
        await until(quick, "snapshot")
        slow.transport.pause_reading()
        for n in range(200):  # 8 MB
            answer = await http.post(
                "/tasks", json=task | {"title": f"t{n}", "unit_id": str(made.unit.id)}, headers=sender
            )
            assert answer.status_code == 201, answer.text
            await until(quick, "task", within_s=5)
        await eventually(lambda: '"code": 1013' in server.log(), timeout_s=15)
