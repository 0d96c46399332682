"""What stands around every request: headers, limits, hostile bodies, addresses behind proxies, second walls."""

import json
import re
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request
from structlog.processors import format_exc_info

from core import actor
from core.actor import May, Role
from core.errors import Malformed
from core.models import UserAccount
from core.settings import Settings
from core.work import open_work
from dispatch_api.access import client_address
from dispatch_api.app import create_app
from dispatch_api.hosts import is_own, own_names
from dispatch_api.logs import redact
from dispatch_api.process import tls
from dispatch_api.security import MIB, check_json
from loadtests.fuzz.scene import furnish
from tests.helpers import Client, Database, Server, crew, eventually

HOSTILE = ["\x00", "a\x00b"]
WITHOUT_POLICY = {"user_id", "office_id", "install_id"}
"""Whose rows the database shows to every role: names stand beside what people did, for whoever sees that."""


async def test_headers_stand_on_pages_api_and_errors(client: Client) -> None:
    for path, status in (("/", 200), ("/api/v1/me", 401), ("/healthz", 200), ("/nothing", 404)):
        answer = await client.http.get(path)
        assert answer.status_code == status
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]


async def test_only_a_server_with_tls_of_its_own_asks_for_it_for_ever(settings: Settings, tmp_path: Path) -> None:
    assert tls.init(Settings(data_dir=tmp_path), ["127.0.0.1"]) == 0
    files = {f"tls_{which}": tmp_path / "tls" / f"server.{end}" for which, end in (("cert", "crt"), ("key", "key"))}
    secure = settings.model_copy(update=files)
    for of, wanted in ((settings, None), (secure, "max-age=31536000")):
        transport = httpx.ASGITransport(create_app(of))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            answer = await http.get("/nothing")
        assert answer.status_code == 404
        assert answer.headers.get("strict-transport-security") == wanted


async def test_pages_hold_no_inline_script_or_style(client: Client) -> None:
    for path in ("/", "/officer", "/supervisor", "/devices", "/people", "/shifts"):
        html = (await client.http.get(path)).text
        assert "<style" not in html
        assert " style=" not in html
        assert "<script>" not in html


async def test_errors_are_problem_documents(client: Client) -> None:
    _, admin = await client.new(Role.ADMINISTRATOR)
    cases = [
        ("GET", "/api/v1/nothing", None, 404, "not_found"),
        ("GET", "/api/v1/units/no-uuid", None, 422, "invalid"),
        ("PUT", "/api/v1/units", {}, 405, "method_not_allowed"),
        ("POST", "/api/v1/units", {"call_sign": "X"}, 422, "invalid"),
        ("POST", "/api/v1/units", {"call_sign": "X", "kind": "patrol", "surprise": 1}, 422, "invalid"),
        ("GET", "/api/v1/units?limit=501", None, 422, "invalid"),
    ]
    for method, path, body, status, code in cases:
        answer = await client.http.request(method, path, json=body, headers=admin)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "code", "detail"} <= answer.json().keys()


@pytest.mark.parametrize("name", [*HOSTILE, "\ud800", "x" * 201, ""])
async def test_hostile_text_is_422_and_stores_nothing(client: Client, name: str) -> None:
    _, admin = await client.new(Role.ADMINISTRATOR)
    body = json.dumps({"call_sign": name, "kind": "patrol"}).encode("utf-8", "surrogatepass")
    headers = admin | {"Content-Type": "application/json"}
    answer = await client.http.post("/api/v1/units", content=body, headers=headers)
    assert answer.status_code == 422
    assert (await client.http.get("/api/v1/units", headers=admin)).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b'{"call_sign": NaN, "kind": "patrol"}', 400, "malformed"),
        (b'{"call_sign": "a", "kind": Infinity}', 400, "malformed"),
        (b"[" * 100_000, 400, "malformed"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, 400, "malformed"),
        (b'"' + b"x" * (MIB + 1) + b'"', 413, "too_large"),
        (b'{"call_sign": "a", "kind": "patrol", "tracking": 9223372036854775808}', 422, "invalid"),
        (b"\xff\xfe", 400, "malformed"),
    ],
)
async def test_hostile_bodies(client: Client, body: bytes, status: int, code: str) -> None:
    _, admin = await client.new(Role.ADMINISTRATOR)
    headers = admin | {"Content-Type": "application/json"}
    answer = await client.http.post("/api/v1/units", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "at", ["2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "12", "", "\x00"]
)
async def test_hostile_times(client: Client, at: str) -> None:
    _, dispatcher = await client.new(Role.DISPATCHER)
    made = await crew(client.engine, on_shift=False)
    body = {"unit_id": str(made.unit.id), "from": at, "to": "2026-01-02T00:00:00Z"}
    answer = await client.http.post("/api/v1/shifts", json=body, headers=dispatcher)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "from"


def test_depth_is_counted_outside_of_texts() -> None:
    check_json(b'{"a": "' + b"[" * 500 + b'\\"{"}')
    check_json(b"[" * 64 + b"]" * 64)
    with pytest.raises(Malformed):
        check_json(b"[" * 65 + b"]" * 65)


def asked(peer: str, forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", forwarded.encode())]
    return Request({"type": "http", "client": (peer, 1), "headers": headers})


def test_only_a_trusted_proxy_is_believed() -> None:
    trusting = Settings(trusted_proxies="10.0.0.1, 10.1.0.0/16")
    assert client_address(asked("9.9.9.9", "1.2.3.4"), trusting) == "9.9.9.9"
    assert client_address(asked("10.0.0.1", "1.2.3.4"), trusting) == "1.2.3.4"
    assert client_address(asked("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.1.2.3"), trusting) == "1.2.3.4"
    assert client_address(asked("10.0.0.1", "1.2.3.4"), Settings()) == "10.0.0.1"


def test_the_name_in_our_links_is_ours() -> None:
    """Else a mail server would carry links that this server refuses."""
    for settings in (
        Settings(public_url="https://outrider.example/"),
        Settings(allowed_origins="https://outrider.example"),
    ):
        assert is_own("outrider.example:8443", own_names(settings))
        assert not is_own("evil.example", own_names(settings))
    assert not is_own("outrider.example", own_names(Settings()))


def test_logs_hold_no_secret() -> None:
    entry = {"event": "x", "password": "p", "detail": "key od_" + "A" * 43, "token": "t", "path": "/api"}
    text_of = json.dumps(redact(None, "info", entry))
    assert '"p"' not in text_of
    assert "AAAA" not in text_of
    assert '"/api"' in text_of


async def test_a_fault_of_the_database_writes_nobodys_name_into_the_log(client: Client) -> None:
    """Neither what was sent to it nor the row it refused."""
    name = "Jonas Jonaitis\n\n1980-01-31"
    with pytest.raises(DBAPIError) as failed:
        async with open_work(client.engine, actor.system("test")) as work:
            work.session.add(UserAccount(login="jonas", name=name, roles=None))  # type: ignore[arg-type]
    told = format_exc_info(None, "error", {"event": "unexpected", "exc_info": failed.value})  # type: ignore[arg-type]
    assert "Failing row contains" in told["exception"]
    entry = redact(None, "error", told)
    assert "NotNullViolation" in entry["exception"]
    assert "DETAIL:  [hidden]" in entry["exception"]
    for hidden in ("Jonas", "jonas", "1980-01-31"):
        assert hidden not in entry["exception"]


async def test_the_access_log_holds_no_query_string(server: Server) -> None:
    async with httpx.AsyncClient() as http:
        await http.get(f"{server.url}/api/v1/me?canary=c4n4ry", headers={"Authorization": "Bearer c4n4ry"})
        await http.get(f"{server.url}/ingest/osmand?id=c4n4ry&lat=54.7&lon=25.3")
    log = await eventually(lambda: "/api/v1/me" in server.log() and server.log())
    assert "c4n4ry" not in log


SECOND_WALL = ["unit", "device", "device_assignment", "shift", "position", "unit_latest", "task", "task_event",
               "notice", "inbox", "recipient", "violation", "credential", "ingest_count", "job",
               "role_grant", "handover"]  # fmt: skip


async def test_with_every_check_of_a_route_gone_there_is_no_foreign_row(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await furnish(client.engine, str(client.http.base_url), 1, client.http._transport)
    auditor = desk.badges["auditor"].headers()
    paths = (await client.http.get("/api/v1/openapi.json", headers=auditor)).json()["paths"]
    monkeypatch.setitem(actor.MATRIX, Role.OFFICER, frozenset(May))  # from here on officers pass every door
    monkeypatch.setattr(actor, "_given", actor._given.__wrapped__)  # what was worked out before does not count
    stranger = (await crew(client.engine)).officer
    headers = await client.sign_in(stranger)
    theirs = {value for name, values in desk.ids.items() for value in values if name not in WITHOUT_POLICY}
    asked = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "lon": 25.3, "lat": 54.7, "reason": "r",
             "reason_code": "incident", "task_id": desk.names["issued"]}  # fmt: skip
    lists = things = 0
    for path in (path for path, each in paths.items() if "get" in each and path.startswith("/api/")):
        names = re.findall(r"{(\w+)}", path)
        if not set(names) <= desk.ids.keys() - WITHOUT_POLICY:
            continue
        wanted = {each["name"] for each in paths[path]["get"].get("parameters", []) if each["in"] == "query"}
        at = path.format(**{name: desk.ids[name][0] for name in names})
        params = {name: value for name, value in asked.items() if name in wanted}
        answer = await client.http.get(at, params=params, headers=headers)
        assert answer.status_code != 403, f"{path}: {answer.text}"
        if names:
            things += answer.status_code == 404
            assert answer.status_code == 404, f"{path}: {answer.status_code} {answer.text}"
        else:
            lists += answer.is_success
            assert not [each for each in theirs if each in answer.text], path
    assert things >= 12
    assert lists >= 15


async def test_without_a_scope_every_table_is_empty(client: Client) -> None:
    """S4: with the route's own check gone, row-level security still gives no foreign row."""
    mine, theirs = await crew(client.engine), await crew(client.engine)
    async with open_work(client.engine, mine.actor) as work:
        seen = set(await work.all(text("SELECT id FROM unit")))
        assert seen == {mine.unit.id}
        assert await work.first(text(f"SELECT 1 FROM shift WHERE unit_id = '{theirs.unit.id}'")) is None
    async with client.engine.begin() as connection:  # no scope at all
        for name in SECOND_WALL:
            assert (await connection.execute(text(f"SELECT count(*) FROM {name}"))).scalar_one() == 0, name


async def test_foreign_rows_cannot_be_written(client: Client) -> None:
    mine, theirs = await crew(client.engine), await crew(client.engine)
    with pytest.raises(DBAPIError, match="row-level security"):
        async with open_work(client.engine, mine.actor) as work:
            await work.session.execute(
                text("INSERT INTO shift (id, unit_id, version, updated_at) VALUES (gen_random_uuid(), :u, 1, now())"),
                {"u": theirs.unit.id},
            )


@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["audit_event", "task_event"])
async def test_the_serving_role_cannot_change_history(client: Client, table: str, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with client.engine.begin() as connection:
            await connection.execute(text(statement.format(table)))


async def test_the_serving_roles_are_nobody_special(database: Database) -> None:
    owner = await database.owner()
    rows = await owner.fetch(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles"
        " WHERE rolname LIKE 'outrider_%' AND rolname <> 'outrider_owner'"
    )
    owned = await owner.fetchval(
        "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname IN"
        " ('outrider_app', 'outrider_ingest')"
    )
    await owner.close()
    assert {row["rolname"] for row in rows} == {"outrider_app", "outrider_ingest"}
    assert not any(value for row in rows for name, value in row.items() if name != "rolname")
    assert owned == 0
