"""Security statements that hold for all routes at once (docs/security.md): routes are enumerated, not listed."""

import asyncio
import csv
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
import websockets
from pyotp import TOTP

from core.db import make_engine, utcnow
from loadtests.fuzz.scene import API, Desk, furnish
from tests import module_wide
from tests.dispatch_api.hostile_cases import CASES, NO_ID
from tests.helpers import PASSWORD, Client, Database, Server, eventually, person

UNSAFE = {"post", "put", "patch", "delete"}
CANARY = "c4n4ry5ecret"

database = module_wide.database


@pytest.fixture(scope="module")
def server(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real server for all tests here."""
    running = Server(database, tmp_path_factory.mktemp("server"), extra={"OUTRIDER_METRICS_TOKEN": "m" * 32}).start()
    yield running
    running.stop()


@pytest_asyncio.fixture(scope="module")
async def scene(server: Server, database: Database) -> AsyncIterator[tuple[Client, Desk]]:
    """A crew with one of everything, people of each role, and who calls."""
    engine = make_engine(database.app_url)
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        yield Client(http, engine), await furnish(engine, server.url, sessions=2)
    await engine.dispose()


@pytest_asyncio.fixture(scope="module")
async def operations(scene: tuple[Client, Desk]) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, what is published) of every operation."""
    client, desk = scene
    document = (await client.http.get(f"{API}/openapi.json", headers=desk.badges["auditor"].headers())).json()
    return [(method, path, each) for path, all_of in document["paths"].items() for method, each in all_of.items()]


def good_body(method: str, path: str) -> dict[str, Any] | None:
    """A body the route takes, without a client's id; `{}` where none is known."""
    if method not in UNSAFE - {"delete"}:
        return None
    wanted = f"{method.upper()} {re.sub('{.*?}', '*', path)}"
    for case in CASES:
        if f"{case.method} {API}{re.sub('[$][a-z]+|' + NO_ID, '*', case.path)}" == wanted:
            body = json.loads(re.sub(r"[$]\w+", lambda _: str(uuid4()), json.dumps(case.body)))
            return {name: value for name, value in body.items() if name != "id"}
    return {}


def in_query(published: dict[str, Any]) -> set[str]:
    """The names an operation takes in its query."""
    return {each["name"] for each in published.get("parameters", []) if each["in"] == "query"}


async def test_s2_what_is_anothers_looks_like_what_is_not(
    scene: tuple[Client, Desk], operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    client, desk = scene
    _, stranger = await client.new("officer")
    refused = 0
    for method, path, _ in operations:
        names = re.findall(r"{(\w+)}", path)
        if not names or not set(names) <= desk.ids.keys():
            continue
        body = good_body(method, path)
        theirs = path.format(**{name: desk.ids[name][0] for name in names})
        unknown = path.format(**{name: str(uuid4()) for name in names})
        answers = [await client.http.request(method, at, headers=stranger, json=body) for at in (theirs, unknown)]
        told = [(answer.status_code, answer.content) for answer in answers]
        assert told[0] == told[1], f"{method} {path}"
        assert told[0][0] >= 400, f"{method} {path}"
        refused += told[0][0] == 404
    assert refused >= 20


async def test_s2_filters_by_anothers_id_find_as_much_as_by_an_unknown_one(
    scene: tuple[Client, Desk], operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    client, desk = scene
    _, stranger = await client.new("officer")
    tried = 0
    for method, path, published in operations:
        if method != "get" or "{" in path or "/ingest/" in path:
            continue
        for name in in_query(published) & desk.ids.keys():
            answers = [
                await client.http.get(path, params={name: value}, headers=stranger)
                for value in (desk.ids[name][0], str(uuid4()))
            ]
            assert answers[0].status_code == answers[1].status_code, path
            assert answers[0].content == answers[1].content, path
            tried += 1
    assert tried >= 3


async def test_s3_no_answer_holds_a_secret(
    scene: tuple[Client, Desk], operations: list[tuple[str, str, dict[str, Any]]], database: Database
) -> None:
    client, desk = scene
    install = f"{API}/installs/{desk.ids['install_id'][0]}/push"
    push = {"push": {"channel": "fcm", "target": CANARY, "target_kind": "fid"}}
    answer = await client.http.put(install, json=push, headers=desk.badges["officer"].headers())
    assert answer.is_success, answer.text
    owner = await database.owner()
    secrets = {CANARY}
    await owner.execute("UPDATE credential SET factor_secret = md5(user_id::text)")
    for query in ("SELECT password_hash FROM credential", "SELECT factor_secret FROM credential",
                  "SELECT encode(key_digest, 'hex') FROM device",
                  "SELECT encode(token_digest, 'hex') FROM sign_in"):  # fmt: skip
        secrets |= {row[0] for row in await owner.fetch(query)}
    await owner.close()
    assert len(secrets) > 10
    read = 0
    for method, path, _ in operations:
        names = re.findall(r"{(\w+)}", path)
        if method != "get" or not set(names) <= desk.ids.keys() or "/ingest/" in path:
            continue
        at = path.format(**{name: desk.ids[name][0] for name in names})
        for role, badge in desk.badges.items():
            answer = await client.http.get(at, headers=badge.headers())
            read += answer.is_success
            assert not [secret for secret in secrets if secret in answer.text], f"{path} as {role}"
    assert read > 60


async def test_s10_every_unsafe_route_refuses_a_cookie_alone(
    scene: tuple[Client, Desk], operations: list[tuple[str, str, dict[str, Any]]], server: Server
) -> None:
    client, _ = scene
    user = await person(client.engine, "administrator")
    async with httpx.AsyncClient(base_url=server.url) as http:
        opened = await http.post(f"{API}/session", json={"login": user.login, "password": PASSWORD})
        assert opened.status_code == 201
        by_key = ("/ingest/", f"{API}/positions", f"{API}/session", "/recovery", "/contact")
        tried = 0
        for method, path, _ in operations:
            if method not in UNSAFE or (method == "post" and any(each in path for each in by_key)):
                continue
            at = re.sub(r"{\w+}", str(uuid4()), path)
            answer = await http.request(method, at, json=good_body(method, path))
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf"), f"{method} {path}"
            tried += 1
        assert tried > 40
        assert (await http.get(f"{API}/me")).status_code == 200, "nothing of it signed out"


CLIMBS = ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "..\\..\\etc\\passwd",
          "..%5c..%5cetc%5cpasswd", "/etc/passwd", "%2fetc%2fpasswd", "a%00.js", "....//....//etc/passwd"]  # fmt: skip


async def test_s16_no_path_leads_out(
    scene: tuple[Client, Desk], operations: list[tuple[str, str, dict[str, Any]]], server: Server
) -> None:
    """Sent as they are: a client's library would tidy them up first."""
    _, desk = scene
    paths = {"/static/{x}"} | {path for method, path, _ in operations if method == "get" and path.count("{") == 1}
    token = desk.badges["officer"].token
    host = server.url.removeprefix("http://")
    for path in sorted(paths):
        for climb in CLIMBS:
            target = re.sub(r"{\w+}", lambda _, climb=climb: climb, path)
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            head = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            status = int(answer.split(b" ", 2)[1])
            assert status in {400, 403, 404, 405, 422}, f"{target}: {answer[:300]!r}"
            assert b"root:" not in answer


async def test_s16_a_name_of_a_file_is_only_a_name(scene: tuple[Client, Desk], server: Server) -> None:
    client, desk = scene
    headers = desk.badges["officer"].headers()
    for name in ("../../../evil.jpg", "/etc/cron.d/evil", "..\\evil.jpg"):
        body = {"task_id": desk.ids["task_id"][1], "name": name, "media_type": "image/jpeg", "size": 4,
                "sha256": "cd" * 32}  # fmt: skip
        answer = await client.http.post(f"{API}/attachments", json=body | {"id": str(uuid4())}, headers=headers)
        assert answer.status_code in {201, 422}, answer.text
    assert not [file for file in server.data_dir.rglob("*") if "evil" in file.name]


async def test_s20_a_thousand_ranges_cost_nothing(scene: tuple[Client, Desk]) -> None:
    client, _ = scene
    page = (await client.http.get("/")).text
    script = re.findall(r'src="(/static/[^"]+)"', page)[0]
    whole = (await client.http.get(script)).content
    ranges = ",".join(f"{n}-{n + 1}" for n in range(0, 2_000, 2))
    answer = await client.http.get(script, headers={"Range": f"bytes={ranges}"})
    assert answer.status_code in {200, 206, 400, 416, 431}
    assert len(answer.content) <= max(len(whole), 2_000 * 200)


async def test_s24_no_secret_is_written_or_told(
    scene: tuple[Client, Desk], operations: list[tuple[str, str, dict[str, Any]]], server: Server
) -> None:
    """Canaries where secrets belong: headers, cookies, query, secret fields, the first message of a socket."""
    client, desk = scene
    http = client.http
    hidden = {"Authorization": f"Bearer os_{CANARY}", "Cookie": f"outrider={CANARY}; __Host-outrider={CANARY}",
              "X-CSRF-Token": CANARY, "Proxy-Authorization": f"Basic {CANARY}"}  # fmt: skip
    for method, path, _ in operations:
        at = re.sub(r"{\w+}", NO_ID, path)
        for headers in (hidden, desk.badges["administrator"].headers() | {"X-CSRF-Token": CANARY}):
            answer = await http.request(method, at, params={"key": CANARY, "id": CANARY}, headers=headers)
            assert CANARY not in answer.text, f"{method} {path}"
    fields = ("password", "old", "new", "pin", "credential", "token", "key", "target")
    for method, path, _ in operations:
        if method in UNSAFE - {"delete"} and f"{API}/session" != path:
            body = (good_body(method, path) or {}) | {name: {"x": CANARY} for name in fields}
            at = re.sub(r"{\w+}", NO_ID, path)
            answer = await http.request(method, at, json=body, headers=desk.badges["administrator"].headers())
            assert CANARY not in answer.text, f"{method} {path}"
    for body in ({"login": "x", "password": CANARY}, {"login": "x", "password": {"a": CANARY}}):
        assert CANARY not in (await http.post(f"{API}/session", json=body)).text
    for path in (f"{API}/live", f"{API}/inbox/live"):
        async with websockets.connect(f"{server.ws}{path}?token={CANARY}") as socket:
            await socket.send(json.dumps({"kind": "hello", "token": CANARY, "ticket": None}))
            async with asyncio.timeout(20):
                assert not [told async for told in Told(socket) if CANARY in told]
    assert (await http.get("/metrics", headers={"Authorization": f"Bearer {CANARY}"})).status_code == 401
    metrics = await http.get("/metrics", headers={"Authorization": "Bearer " + "m" * 32})
    assert metrics.status_code == 200
    assert CANARY not in metrics.text
    log = await eventually(lambda: "/metrics" in server.log() and server.log())
    assert CANARY not in log


class Told:
    """What a socket says until it ends, however it ends."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket

    def __aiter__(self) -> "Told":
        return self

    async def __anext__(self) -> str:
        try:
            return str(await self._socket.recv())
        except websockets.ConnectionClosed:
            raise StopAsyncIteration from None


async def ended(server: Server, path: str, token: str, act: Any) -> int:
    """The code a live socket is closed with after `act`."""
    async with websockets.connect(f"{server.ws}{API}{path}") as socket:
        await socket.send(json.dumps({"kind": "hello", "token": token}))
        while '"welcome"' not in str(await asyncio.wait_for(socket.recv(), 10)):
            pass
        assert (await act()).is_success
        async with asyncio.timeout(20):
            async for _ in Told(socket):
                pass
        return socket.close_code or 0


@pytest.mark.parametrize(
    "how",
    ["signs out", "is disabled", "has other roles", "has a new password elsewhere", "has a factor", "has it reset"],
)
async def test_s12_whoever_is_out_has_no_socket(how: str, scene: tuple[Client, Desk], server: Server) -> None:
    client, _ = scene
    user, headers = await client.new("dispatcher")
    _, admin = await client.new("administrator")
    second = await client.sign_in(user)
    users, known = f"{API}/users/{user.id}", {"login": user.login, "password": PASSWORD}
    secret = (await client.http.post(f"{API}/session/factor", json=known)).json()["secret"]
    act = {
        "signs out": lambda: client.http.delete(f"{API}/session", headers=headers),
        "is disabled": lambda: client.http.post(f"{users}/disable", headers=admin),
        "has other roles": lambda: client.http.patch(users, json={"roles": ["officer"], "version": 1}, headers=admin),
        "has a new password elsewhere": lambda: client.http.post(
            f"{API}/session/password", json={"old": PASSWORD, "new": "another long password"}, headers=second
        ),
        "has a factor": lambda: client.http.post(f"{API}/session", json=known | {"code": TOTP(secret).now()}),
        "has the password reset": lambda: client.http.post(f"{users}/reset-password", headers=admin),
        "has it reset": lambda: client.http.post(f"{users}/reset-factor", headers=admin),
    }[how]
    token = headers["Authorization"].removeprefix("Bearer ")
    assert await ended(server, "/live", token, act) == 4401
    assert (await client.http.get(f"{API}/me", headers=headers)).status_code == 401


async def test_s22_no_exported_cell_begins_a_formula(
    scene: tuple[Client, Desk], operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    """Whatever can be had as CSV is looked for; people can only choose words, and those are hostile here."""
    client, desk = scene
    (_, headers), (_, supervisor), (_, dispatcher) = [
        await client.new(role) for role in ("administrator", "supervisor", "dispatcher")
    ]
    unit = desk.ids["unit_id"][0]
    named = (await client.http.get(f"{API}/units/{unit}", headers=headers)).json()
    change = {"version": named["version"], "call_sign": "=1+1"}
    assert (await client.http.patch(f"{API}/units/{unit}", json=change, headers=headers)).is_success
    rows = "".join(f"{word},2026-11-01T10:00:00Z,25.31,54.71,@x\n" for word in ("=cmd", "+1", "-y"))
    file = f"category,occurred_at,lon,lat,note\n{rows}"
    csv_headers = supervisor | {"Content-Type": "text/csv"}
    assert (await client.http.post(f"{API}/violations/import", content=file, headers=csv_headers)).is_success
    fix = {"fixes": [{"fix_at": utcnow().isoformat(), "lat": 54.7, "lon": -25.3, "altitude_m": -3.7}]}
    assert (await client.http.post(f"{API}/positions", json=fix, headers=desk.badges["device"].headers())).is_success
    exports = [
        path.format(unit_id=unit)
        for method, path, published in operations
        if method == "get"
        for each in published.get("parameters", [])
        if each["name"] == "format" and "csv" in each["schema"].get("enum", [])
    ]
    assert len(exports) >= 2
    for path in exports:
        asked = {"format": "csv", "reason_code": "incident"} if "track" in path else {"format": "csv"}
        answer = await client.http.get(path, params=asked, headers=dispatcher)
        assert answer.is_success, answer.text
        head, *rows = csv.reader(answer.text.splitlines())
        assert rows, path
        for cell in (cell for row in (head, *rows) for cell in row):
            assert cell[:1] not in "=+@\t\r" or cell == "", f"{path}: {cell!r}"
            assert not cell.startswith("-") or float(cell) < 0, f"{path}: {cell!r}"


NOTHING_OF_ANYBODY = {
    "/healthz", "/readyz", *(f"{API}/{name}" for name in (
        "me", "inbox", "shifts/mine",  # one's own
        "hotspot-runs/{run_id}",  # how far one's own is: that it was asked for, and its places, are written down
        "code-lists", "aide-memoires", "offices", "units", "units/{unit_id}", "violations/categories",
        "installs/push-config", "devices", "devices/unknown", "devices/trust", "devices/{device_id}/trust",
        "shifts", "shifts/{shift_id}",  # the roster, which every screen of the centre shows
        "attachments/{attachment_id}",  # a file's name and size; whoever opens it is written down (test_attachments.py)
    )),
}  # fmt: skip
"""What may be read without a trace: nothing of it says where somebody was, what they did, or what was found."""


async def test_s23_who_reads_of_people_places_and_findings_is_written_down(
    scene: tuple[Client, Desk], operations: list[tuple[str, str, dict[str, Any]]], database: Database
) -> None:
    client, desk = scene
    owner = await database.owner()
    asked = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "lon": 25.3, "lat": 54.7, "reason": "r",
             "reason_code": "incident"}  # fmt: skip
    traceless, traced = set(), 0
    for method, path, published in operations:
        names = re.findall(r"{(\w+)}", path)
        if method != "get" or not set(names) <= desk.ids.keys() or "/ingest/" in path:
            continue
        at = path.format(**{name: desk.ids[name][0] for name in names})
        wanted = {each["name"] for each in published.get("parameters", []) if each["in"] == "query"}
        params = {name: value for name, value in asked.items() if name in wanted}
        for badge in desk.badges.values():
            before = await owner.fetchval("SELECT count(*) FROM audit_event")
            if (await client.http.get(at, params=params, headers=badge.headers())).is_success:
                if await owner.fetchval("SELECT count(*) FROM audit_event") > before:
                    traced += 1
                else:
                    traceless.add(path)
    await owner.close()
    assert traceless == NOTHING_OF_ANYBODY
    assert traced > 100
