"""Hostile values in every field of every route that takes JSON: the stated refusal, and nothing is written."""

import asyncio
import copy
import json
import re
from collections.abc import AsyncIterator, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from core.actor import Role
from core.db import make_engine
from loadtests.fuzz.contents import contents
from tests import module_wide
from tests.dispatch_api.hostile_cases import API, CASES, CODE, HUGE, INSTALL, LATER, MIB, NO_ID, NOW, Case
from tests.helpers import Client, Crew, Database, Server, crew, person

TRACKERS = "gpslogger", "osmand", "overland", "owntracks", "traccar"
ELSEWHERE = {f"{API}/positions", *(f"/ingest/{name}" for name in TRACKERS)}
"""Bodies of trackers: the device lane answers them fix by fix, and has its own tables of hostile ones."""

TEXTS = [{"a": 1}, 2**63, True, "a\x00b", "\ud800", "x" * 200_001]
NUMBERS = [[[]], 2**63, -(2**63) - 1, 10**400, "\x00", "NaN", "1e999"]
MOMENTS = [
    {"a": 1}, 2**63, 1_767_225_600, "", "\x00", "2026-11-23", "2026-11-23T10:00:00", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "2026-02-30T10:00:00Z",
]  # fmt: skip
FLAGS = [{"a": 1}, 2**63, "\x00"]
OBJECTS: list[Any] = [2**63, "\x00", {"surprise": {"a": 1}}, [None]]
LITERALS = {"NaN": 400, "Infinity": 400, "-Infinity": 400, "9" * 5_000: 400, "1e999": 422, "-1e999": 422}
"""What stands in the place of a number without quotes, and its answer: the first are no JSON."""

NOT_OURS = [b"[]", b"3", b'"x"', b"true", b'{"\\u0000": 1}', b'{"\\ud800": 1}', b'{"surprise": 1}']
UNREADABLE = {
    "cut": b"{",
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and cut": b'{"id":' + b"[" * 100_000,
    "bytes": b"\xff\xfe\x00",
    "latin-1": '{"id": "ė"}'.encode("iso8859-13"),
    "utf-16": '{"id": null}'.encode("utf-16"),
    "utf-32 without a mark": '{"id": null}'.encode("utf-32-le"),
    "a surrogate in utf-8": b'{"id": "\xed\xa0\x80"}',
    "nan": b'{"id": NaN}',
}
RECEIPTS = {"/tasks/$issued/seen", "/inbox/ack"}
"""What is only said to have come or been seen: the task and the inbox keep by whom and when, the audit does not."""
MEASURED = re.compile(r'("(?:accuracy_m|altitude_m|speed_mps|heading_deg|battery_pct)": )[\d.]+')
"""What the database holds in single precision, where 1e-50 would be an underflow and not 0."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT")
Place = tuple[str | int, ...]


def leaves(body: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value of a body with where it stands, also those that hold others; of a list, its first item."""
    if at:
        yield at, body
    inner = body.items() if isinstance(body, dict) else enumerate(body[:1]) if isinstance(body, list) else ()
    for key, value in inner:
        yield from leaves(value, (*at, key))


def hostile(value: Any) -> list[Any]:
    """What to put in the place of a good value."""
    if isinstance(value, bool):
        return FLAGS
    if isinstance(value, int | float):
        return NUMBERS
    if isinstance(value, str):
        return MOMENTS if MOMENT.match(value) else TEXTS
    return OBJECTS


def replaced(body: dict[str, Any], at: Place, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(body)
    place: Any = made
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    return made


database, server = module_wide.database, module_wide.server


class Desk:
    """What the cases act on, by name, the people who do, and the tables they may have changed."""

    def __init__(self, http: httpx.AsyncClient, owner: asyncpg.Connection) -> None:
        self.http, self.owner = http, owner
        self.ids: dict[str, str] = {}
        self.device_key = ""
        self.headers: dict[str, dict[str, str]] = {"nobody": {}}

    def filled(self, value: Any) -> Any:
        """The value with every `$name` in it replaced."""
        return json.loads(re.sub(r"\$(\w+)", lambda name: self.ids[name[1]], json.dumps(value)))

    async def send(self, case: Case, content: bytes) -> httpx.Response:
        """Send a body as the person of the case."""
        headers = self.headers[case.role] | {"Content-Type": "application/json"}
        return await self.http.request(case.method, API + self.filled(case.path), content=content, headers=headers)

    async def make(self, role: str, path: str, body: dict[str, Any]) -> str:
        """The id of a new object."""
        answer = await self.http.post(API + path, json=self.filled(body), headers=self.headers[role])
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def noted(self) -> int:
        """How many rows the audit has."""
        return int(await self.owner.fetchval("SELECT count(*) FROM audit_event"))

    async def contents(self) -> dict[str, tuple[int, int]]:
        """What every table says."""
        return await contents(self.owner)


async def furnish(desk: Desk, client: Client, patrol: Crew, other: Crew, third: Crew) -> None:
    """People of every role, and one of everything that a path or a body of the cases names."""
    people = {role: await person(client.engine, role) for role in Role if role is not Role.OFFICER}
    people[Role.OFFICER], desk.device_key = patrol.officer, third.device_key
    desk.headers |= {role.value: await client.sign_in(user) for role, user in people.items()}
    desk.ids |= {
        "login": people[Role.INTELLIGENCE].login, "user": str(other.officer.id), "unit": str(patrol.unit.id),
        "other": str(other.unit.id), "third": str(third.unit.id), "device": str(patrol.device.id), "install": INSTALL,
    }  # fmt: skip
    task = {"kind": "checkpoint", "priority": "P4", "title": "t", "reason_code": "random", "lon": 25.3, "lat": 54.7}
    notice = {"kind": "information", "priority": "P4", "headline": "h", "to": {"units": ["$unit"]}}
    violation = {"category": "fuel", "occurred_at": NOW, "lon": 25.3, "lat": 54.7, "coord_source": "gps"}
    hold = {"kind": "unit", "object_id": "$unit", "reason": "r"}
    for name, role, path, body in (
        ("office", "administrator", "/offices", {"code": "LT0", "name": "x"}),
        ("planned", "dispatcher", "/shifts", {"unit_id": "$third", "members": [], "from": NOW, "to": LATER}),
        ("draft", "dispatcher", "/tasks", task),
        ("issued", "dispatcher", "/tasks", task | {"unit_id": "$unit", "issue": True}),
        ("older", "dispatcher", "/notices", notice),
        ("notice", "dispatcher", "/notices", notice),
        ("violation", "officer", "/violations", violation),
        ("hold", "investigator", "/holds", hold),
    ):
        desk.ids[name] = await desk.make(role, path, body)
    enrolled = {"id": INSTALL, "name": "tablet", "pin": "1234"}
    answer = await desk.http.post(f"{API}/installs", json=enrolled, headers=desk.headers["officer"])
    desk.ids["credential"] = answer.json()["credential"]


@pytest_asyncio.fixture(scope="module")
async def desk(server: Server, database: Database) -> AsyncIterator[Desk]:
    """One desk for all tests here."""
    engine, owner = make_engine(database.app_url), await database.owner()
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        made = Desk(http, owner)
        crews = [await crew(engine, on_shift=on_shift, capabilities=["dog"]) for on_shift in (True, True, False)]
        await furnish(made, Client(http, engine), *crews)
        yield made
    await owner.close()
    await engine.dispose()


def refused(answer: httpx.Response, status: int, what: object) -> None:
    """The answer is this refusal, as a problem document."""
    told = f"{what!r:.300}: {answer.status_code} {answer.text[:500]}"
    assert answer.status_code == status, told
    assert answer.headers["content-type"] == "application/problem+json", told
    assert answer.json()["code"] == CODE[status], told


async def test_every_route_that_takes_json_is_tried(desk: Desk) -> None:
    document = (await desk.http.get(f"{API}/openapi.json", headers=desk.headers["auditor"])).json()
    taking = {
        f"{method.upper()} {re.sub('{.*?}', '*', path)}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }
    tried = {f"{case.method} {API}{re.sub('[$][a-z]+|' + NO_ID, '*', case.path)}" for case in CASES}
    assert {route for route in taking if route.split()[1] not in ELSEWHERE} == tried


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_hostile_fields_are_refused_and_nothing_is_written(case: Case, desk: Desk) -> None:
    body = desk.filled(case.body)
    before = await desk.contents()
    for at, value in leaves(body):
        for bad in hostile(value):
            answer = await desk.send(case, json.dumps(replaced(body, at, bad)).encode())
            refused(answer, 422, (at, bad))
        if isinstance(value, int | float) and not isinstance(value, bool):
            marked = json.dumps(replaced(body, at, "@@"))
            for literal, status in LITERALS.items():
                refused(await desk.send(case, marked.replace('"@@"', literal).encode()), status, (at, literal))
    for content in NOT_OURS:
        refused(await desk.send(case, content), 422, content)
    assert await desk.contents() == before
    noted = await desk.noted()
    good = await desk.send(case, MEASURED.sub(r"\g<1>1e-50", json.dumps(body)).encode())
    assert good.status_code == case.status, f"the fields were not what was refused: {good.text}"
    if good.is_success and case.path not in RECEIPTS:
        assert await desk.noted() > noted, "nobody would know who did it (S23)"


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_is_no_json_is_refused_everywhere(name: str, desk: Desk) -> None:
    before = await desk.contents()
    for case in {case.path.split("/")[1]: case for case in CASES}.values():
        refused(await desk.send(case, UNREADABLE[name]), 400, (case, name))
    assert await desk.contents() == before


async def endless(size: int) -> AsyncIterator[bytes]:
    for piece in repeat(b" " * MIB, size // MIB):
        yield piece


def peak_rss(server: Server) -> int:
    """The most memory the server ever held, in bytes."""
    assert server.process
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


@pytest.mark.parametrize("told", [True, False], ids=["with its length", "in chunks"])
@pytest.mark.parametrize("path", ["/session", "/tasks", "/notices", "/units", "/violations"])
async def test_a_huge_body_is_refused_and_never_held(path: str, told: bool, desk: Desk, server: Server) -> None:
    before, held = await desk.contents(), peak_rss(server)
    headers = desk.headers["dispatcher"] | {"Content-Type": "application/json"}
    headers |= {"Content-Length": str(HUGE)} if told else {}
    answer = await desk.http.post(API + path, content=endless(HUGE), headers=headers)
    refused(answer, 413, path)
    assert peak_rss(server) - held < HUGE // 4
    assert await desk.contents() == before


@pytest.mark.parametrize("told", [True, False], ids=["with its length", "in chunks"])
@pytest.mark.parametrize(
    ("path", "begun", "limit"), [("/api/v1/positions", 2**16 + 1, MIB), ("/ingest/osmand", 1_000, 2**16)]
)
async def test_a_tracker_is_told_before_it_has_sent_it_all(
    path: str, begun: int, limit: int, told: bool, desk: Desk
) -> None:
    before, url = await desk.contents(), desk.http.base_url
    size = f"Content-Length: {HUGE}" if told else "Transfer-Encoding: chunked"
    head = f"POST {path} HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: Bearer {desk.device_key}\r\n{size}\r\n\r\n"
    piece = b" " * begun if told else b"%x\r\n%s\r\n" % (limit + 1, b" " * (limit + 1))
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(head.replace("\r\n\r\n", "\r\nContent-Type: application/json\r\n\r\n").encode() + piece)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413 "), answer
    assert b"content-type: application/problem+json" in answer.lower()
    assert await desk.contents() == before


async def test_the_server_wrote_no_fault(desk: Desk, server: Server) -> None:
    assert (await desk.http.get("/readyz")).status_code == 200
    assert '"unexpected"' not in server.log()
    assert "Traceback" not in server.log()
