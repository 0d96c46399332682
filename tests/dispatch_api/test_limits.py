"""Every limit of the interface at its last good value, and one more (S25). Sockets have theirs in test_live.py."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from core.actor import Role
from core.db import utcnow
from dispatch_api import uploads
from geo.violation_rows import CSV
from mobile_contract.attachments import MAX_BYTES, PIECE_BYTES
from tests.helpers import Client, crew

API = "/api/v1"
MIB = 2**20
TASK = {"kind": "checkpoint", "priority": "P4", "title": "t", "reason_code": "random", "lon": 25.3, "lat": 54.7}
NOTICE = {"kind": "information", "priority": "P4", "headline": "h", "to": {"everyone": True}}
YEARS_10 = timedelta(days=3_653)
END = utcnow().replace(microsecond=0)


def padded(size: int) -> bytes:
    """A task that is taken, in so many bytes."""
    return json.dumps(TASK).encode().ljust(size)


def polygon(vertices: int) -> dict[str, Any]:
    """A closed ring of so many positions."""
    side = vertices - 2
    ring = [[20 + n / 1_000, 54.0] for n in range(side)] + [[20.0, 55.0], [20.0, 54.0]]
    return {"type": "Polygon", "coordinates": [ring]}


def since(span: timedelta) -> str:
    """A period of this length, as a query's part."""
    begin, end = ((END - ago).isoformat().replace("+00:00", "Z") for ago in (span, timedelta(0)))
    return f"from={begin}&to={end}"


def fixes(n: int) -> dict[str, Any]:
    at = END - timedelta(hours=1)
    return {"fixes": [{"fix_at": (at + timedelta(seconds=i)).isoformat(), "lat": 54.7, "lon": 25.3} for i in range(n)]}


def devices(n: int) -> dict[str, Any]:
    return {"items": [{"unit_id": "$unit", "protocol": "http"}] * n}


def file(size: int) -> dict[str, Any]:
    return {"id": str(uuid4()), "name": "a.jpg", "media_type": "image/jpeg", "size": size, "sha256": "ab" * 32,
            "task_id": "$task"}  # fmt: skip


SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Limit:
    """What a role asks with a value, that is answered with `good` for the last one and with `bad` for the next."""

    what: str
    role: str
    path: str
    last: Any
    more: Any
    make: Callable[[Any], Any] | None = None
    good: int = 200
    bad: int = 422

    def __str__(self) -> str:
        return self.what


LIMITS = [
    Limit("body", "dispatcher", "/tasks", MIB, MIB + 1, padded, 201, 413),
    Limit("page", "dispatcher", "/units?limit={}", 500, 501),
    Limit("title", "dispatcher", "/tasks", 200, 201, lambda n: TASK | {"title": "x" * n}, 201),
    Limit("instruction", "dispatcher", "/tasks", 10_000, 10_001, lambda n: TASK | {"instruction": "x" * n}, 201),
    Limit("headline", "dispatcher", "/notices", 200, 201, lambda n: NOTICE | {"headline": "x" * n}, 201),
    Limit("notice", "dispatcher", "/notices", 10_000, 10_001, lambda n: NOTICE | {"body": "x" * n}, 201),
    Limit("polygon", "dispatcher", "/notices", 1_000, 1_001, lambda n: NOTICE | {"to": {"area": polygon(n)}}, 201),
    Limit("fixes", "device", "/positions", 1_000, 1_001, fixes, 200, 413),
    Limit("track", "dispatcher", "/units/$unit/track?reason_code=incident&{}", timedelta(days=31),
          timedelta(days=31) + SECOND),
    Limit("heat", "supervisor", "/violations/heat?{}", YEARS_10, YEARS_10 + SECOND),
    Limit("report", "supervisor", "/reports/violations-heatmap?format=csv&{}", YEARS_10, YEARS_10 + SECOND),
    Limit("devices", "administrator", "/devices/bulk", 1_000, 1_001, devices, 201),
    Limit("attachment", "officer", "/attachments", MAX_BYTES, MAX_BYTES + 1, file, 201),
]  # fmt: skip


class Desk:
    """People by role with their headers, and what paths and bodies name."""

    def __init__(self, client: Client) -> None:
        self.http, self.client = client.http, client
        self.headers: dict[str, dict[str, str]] = {}
        self.names: dict[str, str] = {}

    async def furnish(self) -> "Desk":
        made = await crew(self.client.engine)
        for role in (Role.DISPATCHER, Role.SUPERVISOR, Role.ADMINISTRATOR):
            _, self.headers[role.value] = await self.client.new(role)
        self.headers |= {
            "officer": await self.client.sign_in(made.officer),
            "device": {"Authorization": f"Bearer {made.device_key}"},
        }
        self.names = {"unit": str(made.unit.id)}
        issued = await self.ask("dispatcher", "/tasks", TASK | {"unit_id": str(made.unit.id), "issue": True})
        self.names["task"] = issued.json()["id"]
        return self

    async def ask(self, role: str, path: str, body: Any = None) -> httpx.Response:
        """GET, or POST a body: bytes as they are, anything else as JSON with its `$name`s filled in."""
        for name, value in self.names.items():
            path = path.replace(f"${name}", value)
        if body is None:
            return await self.http.get(API + path, headers=self.headers[role])
        if not isinstance(body, bytes):
            text = json.dumps(body)
            for name, value in self.names.items():
                text = text.replace(f'"${name}"', f'"{value}"')
            body = text.encode()
        headers = self.headers[role] | {"Content-Type": "application/json"}
        return await self.http.post(API + path, content=body, headers=headers)


async def test_each_limit_at_its_last_good_value_and_one_more(client: Client) -> None:
    desk = await Desk(client).furnish()
    for limit in LIMITS:
        for value, wanted in ((limit.more, limit.bad), (limit.last, limit.good)):
            put = value if not isinstance(value, timedelta) else since(value)
            body = limit.make(value) if limit.make else None
            answer = await desk.ask(limit.role, limit.path.format(put), body)
            assert answer.status_code == wanted, f"{limit} {value}: {answer.status_code} {answer.text[:500]}"


async def test_a_piece_of_a_file_has_4_mib(client: Client) -> None:
    desk = await Desk(client).furnish()
    made = await desk.ask("officer", "/attachments", file(2 * PIECE_BYTES))
    headers = desk.headers["officer"] | {"Content-Type": "application/octet-stream"}
    for size, wanted in ((PIECE_BYTES + 1, 413), (PIECE_BYTES, 200)):
        piece = bytes(size)
        asked = {"offset": 0, "sha256": hashlib.sha256(piece).hexdigest()}
        at = f"{API}/attachments/{made.json()['id']}/content"
        answer = await client.http.put(at, params=asked, content=piece, headers=headers)
        assert answer.status_code == wanted, answer.text


async def test_an_import_ends_at_its_limit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a small one in the place of 512 MiB."""
    assert uploads.LIMITS[CSV] == 512 * MIB
    rows = b"category,occurred_at,lon,lat\n" + b"fuel,2026-11-01T10:00:00Z,25.3,54.7\n" * 5
    monkeypatch.setitem(uploads.LIMITS, CSV, len(rows))
    _, headers = await client.new(Role.SUPERVISOR)
    for content, wanted in ((rows + b"\n", 413), (rows, 200)):
        at = f"{API}/violations/import"
        answer = await client.http.post(at, content=content, headers=headers | {"Content-Type": "text/csv"})
        assert answer.status_code == wanted, answer.text


async def test_no_list_gives_more_than_500(client: Client) -> None:
    _, headers = await client.new(Role.AUDITOR)
    paths = (await client.http.get(f"{API}/openapi.json", headers=headers)).json()["paths"]
    found = {
        path: (each["schema"]["minimum"], each["schema"]["maximum"], each["schema"]["default"])
        for path, operations in paths.items()
        for each in operations.get("get", {}).get("parameters", [])
        if each["name"] == "limit"
    }
    assert len(found) > 15
    assert {path: limits for path, limits in found.items() if limits[0] != 1 or limits[1] > 500} == {}
    shorter = {f"{API}/units/nearest": 10, f"{API}/violations/hotcells": 20}
    assert {path: limits[2] for path, limits in found.items() if limits[2] != 100} == shorter
