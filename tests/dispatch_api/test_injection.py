"""SQL in any parameter is text (S14): a query or path finds what an unknown word finds, a body is stored as it is."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest_asyncio

from core.db import make_engine
from loadtests.fuzz.contents import contents
from loadtests.fuzz.scene import API, ROLES, Desk, furnish
from tests import module_wide
from tests.dispatch_api.hostile_cases import CASES, LATER, NO_ID, NOW, Case
from tests.dispatch_api.test_hostile_input import MOMENT, leaves, replaced
from tests.helpers import Database, Server

WORD = "zzzzzz"
SQL = (
    "' OR '1'='1",
    "zzzzzz'; DROP TABLE violation; --",
    "zzzzzz') UNION SELECT password_hash FROM credential --",
    '" OR ""="',
    "\\'; DELETE FROM audit_event; --",
    "$1; COPY user_account TO PROGRAM 'true'; --",
)
LINES = ("zzzzzz'; DROP TABLE violation; --", "' || (SELECT password_hash FROM credential LIMIT 1) || '")
"""What bodies are tried with."""
ASKED = {
    "from": NOW, "to": LATER, "lon": "25.3", "lat": "54.7", "bbox": "24,54,26,55", "offset": "0", "sha256": "ab" * 32,
    "reason": "r", "z": "7", "x": "73", "y": "40",
}  # fmt: skip
"""What operations cannot be asked without."""

database, server = module_wide.database, module_wide.server


@pytest_asyncio.fixture(scope="module")
async def scene(
    server: Server, database: Database
) -> AsyncIterator[tuple[httpx.AsyncClient, Desk, asyncpg.Connection]]:
    """Who asks, one of everything, and the database's owner, who sees what is there."""
    engine, owner = make_engine(database.app_url), await database.owner()
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        yield http, await furnish(engine, server.url, sessions=3), owner
    await owner.close()
    await engine.dispose()


def found(answer: httpx.Response) -> object:
    """How much an answer lists, or how it refuses."""
    if not answer.is_success or "json" not in answer.headers.get("content-type", ""):
        return answer.status_code
    told = answer.json()
    lists = [told] if isinstance(told, list) else [each for each in told.values() if isinstance(each, list)]
    return answer.status_code, [len(each) for each in lists]


async def role_for(http: httpx.AsyncClient, desk: Desk, path: str, asked: dict[str, str]) -> str:
    """A role that may ask this, and is answered."""
    statuses = {}
    for role in (*ROLES, "internal_affairs", "investigator"):
        answer = await http.get(path, params=asked, headers=desk.badges[role].headers())
        statuses[role] = answer.status_code
    return min(statuses, key=lambda role: statuses[role])


async def test_sql_in_a_query_finds_what_any_unknown_word_finds(
    scene: tuple[httpx.AsyncClient, Desk, asyncpg.Connection],
) -> None:
    http, desk, owner = scene
    document = (await http.get(f"{API}/openapi.json", headers=desk.badges["auditor"].headers())).json()
    before = await contents(owner)
    tried = compared = 0
    for path, operations in document["paths"].items():
        if not (published := operations.get("get")):
            continue
        parameters = published.get("parameters", [])
        ids = {name: desk.ids[name][0] for name in re.findall(r"{(\w+)}", path) if name in desk.ids}
        at = path.format(**ASKED | dict.fromkeys(re.findall(r"{(\w+)}", path), NO_ID) | ids)
        asked = {
            each["name"]: ASKED[each["name"]] for each in parameters if each.get("required") and each["in"] == "query"
        }
        if "patrol-minutes" in path:
            asked = {"from": NOW[:10], "to": NOW[:10]}
        headers = desk.badges[await role_for(http, desk, at, asked)].headers()
        for name in (each["name"] for each in parameters if each["in"] == "query"):
            usual = found(await http.get(at, params=asked | {name: WORD}, headers=headers))
            for text in SQL:
                answer = await http.get(at, params=asked | {name: text}, headers=headers)
                assert answer.status_code < 500, f"{path}?{name}={text}: {answer.text}"
                refused = answer.status_code in {400, 422}  # longer than the field, or not of its alphabet
                assert refused or name == "after" or found(answer) == usual, f"{path}?{name}={text}"
                tried, compared = tried + 1, compared + (not refused)
        for name in re.findall(r"{(\w+)}", path):
            for text in SQL:
                there = path.format(**ASKED | dict.fromkeys(re.findall(r"{(\w+)}", path), NO_ID) | ids | {name: text})
                answer = await http.get(there, params=asked, headers=headers)
                assert answer.status_code in {400, 401, 403, 404, 422}, f"{there}: {answer.text}"
    assert tried > 500
    assert compared > 60, "nothing was ever looked for"
    now = await contents(owner)
    assert {name for name, (n, _) in before.items() if now[name][0] < n} == set(), "rows are gone"


async def test_sql_as_a_key_opens_nothing(scene: tuple[httpx.AsyncClient, Desk, asyncpg.Connection]) -> None:
    http, _, _ = scene
    for text in SQL:
        opened = {
            (await http.get(f"{API}/me", headers={"Authorization": f"Bearer {text}"})).status_code,
            (await http.post(f"{API}/positions", json={}, headers={"Authorization": f"Bearer {text}"})).status_code,
            (await http.post("/ingest/owntracks", json={}, auth=(text, text))).status_code,
            (await http.get("/ingest/gpslogger", params={"key": text, "lat": "1", "lon": "1"})).status_code,
            (await http.post(f"{API}/session", json={"login": text, "password": text})).status_code,
        }  # fmt: skip
        assert opened == {401}, text
        assert (await http.get("/ingest/osmand", params={"id": text, "lat": "1", "lon": "1"})).status_code == 404


def texts(case: Case) -> list[tuple[tuple[str | int, ...], str]]:
    """Where a body holds text that is no moment."""
    return [(at, each) for at, each in leaves(case.body) if isinstance(each, str) and not MOMENT.match(each)]


def stored(value: Any, text: str) -> bool:
    """Whether an answer says this text, as it is."""
    if isinstance(value, dict):
        return any(stored(each, text) for each in value.values())
    return any(stored(each, text) for each in value) if isinstance(value, list) else bool(value == text)


async def test_sql_in_a_body_is_stored_as_it_is(scene: tuple[httpx.AsyncClient, Desk, asyncpg.Connection]) -> None:
    http, desk, owner = scene
    people = desk.badges | {"nobody": desk.badges["anonymous"]}
    before, taken, told = await contents(owner), 0, 0
    for case in CASES:
        for at, _ in texts(case):
            for text in LINES:
                body = json.loads(re.sub(r"\$(\w+)", lambda n: desk.names.get(n[1], NO_ID), json.dumps(case.body)))
                if "id" in body:
                    body["id"] = str(uuid4())
                path = re.sub(r"\$(\w+)", lambda name: desk.names.get(name[1], NO_ID), case.path)
                answer = await http.request(
                    case.method, API + path, json=replaced(body, at, text), headers=people[case.role].headers()
                )
                assert answer.status_code < 500, f"{case} {at}: {answer.text}"
                taken += answer.is_success
                told += answer.is_success and answer.status_code != 204 and stored(answer.json(), text)
    assert taken > 40, "everything was refused"
    assert told > 20, "nothing came back as it was"
    now = await contents(owner)
    assert {name for name, (n, _) in before.items() if now[name][0] < n} == set(), "rows are gone"


async def test_sql_in_a_file_is_a_category_like_others(
    scene: tuple[httpx.AsyncClient, Desk, asyncpg.Connection],
) -> None:
    http, desk, _ = scene
    headers = desk.badges["supervisor"].headers()
    file = "category,occurred_at,lon,lat\n" + "".join(
        f'"{text.replace(chr(34), chr(34) * 2)}",{NOW},25.3,54.7\n' for text in SQL
    )
    answer = await http.post(
        f"{API}/violations/import",
        params={"source": SQL[1]},
        content=file,
        headers=headers | {"Content-Type": "text/csv"},
    )
    assert answer.json()["accepted"] == len(SQL), answer.text
    categories = (await http.get(f"{API}/violations/categories", headers=headers)).json()
    assert {each["category"]: each["n"] for each in categories if each["category"] in SQL} == dict.fromkeys(SQL, 1)
    for text in SQL:
        only = await http.get(f"{API}/violations", params={"category": text}, headers=headers)
        assert [each["properties"]["category"] for each in only.json()["features"]] == [text]
