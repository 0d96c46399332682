"""Every operation of the OpenAPI document under generated requests, right and wrong ones: none may break the server."""

from collections.abc import Iterator
from typing import Any

import httpx
import hypothesis
import pytest
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.openapi import from_dict
from sqlalchemy.ext.asyncio import AsyncEngine

from core import sign_in
from core.actor import Role, system
from core.work import open_work
from tests.conftest import cloned
from tests.helpers import Crew, Database, Server, crew, person

EXAMPLES = 8
"""For each operation, role and mode; the same in every run."""
ENDS_THE_SESSION = {("DELETE", "/api/v1/session"), ("POST", "/api/v1/session/password")}
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.fixture(scope="module")
def database(template: Database) -> Iterator[Database]:
    """One database for both roles."""
    with cloned(template) as made:
        yield made


@pytest.fixture(scope="module")
def server(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real server for both roles."""
    running = Server(database, tmp_path_factory.mktemp("server")).start()
    yield running
    running.stop()


def known_ids(http: httpx.Client, made: Crew) -> dict[str, str]:
    """Ids of objects that exist, by the name of the path's parameter."""
    found = {"unit_id": made.unit.id, "device_id": made.device.id, "user_id": made.officer.id}
    if made.shift:
        found["shift_id"] = made.shift.id
    task = {"kind": "checkpoint", "priority": "P2", "title": "t", "reason_code": "random", "lon": 25.3, "lat": 54.7}
    notice = {"kind": "information", "priority": "P4", "headline": "h", "to": {"units": [str(made.unit.id)]}}
    for name, path, body in (("task_id", "/tasks", task), ("notice_id", "/notices", notice)):
        answer = http.post(f"/api/v1{path}", json=body)
        if answer.status_code == 201:
            found[name] = answer.json()["id"]
    return {name: str(value) for name, value in found.items()}


def faults(operation: Any, mode: GenerationMode, http: httpx.Client, ids: dict[str, str]) -> list[str]:
    """The requests of one operation that the server answered with 5xx."""
    found = []

    @SETTINGS
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Case) -> None:
        if mode is GenerationMode.POSITIVE:
            case.path_parameters |= {name: ids[name] for name in case.path_parameters.keys() & ids.keys()}
        answer = case.call(base_url=str(http.base_url), headers=dict(http.headers))
        if answer.status_code >= 500:
            found.append(f"{answer.status_code} {case.as_curl_command()[:1_500]}")

    try:
        send()
    except Unsatisfiable:  # nothing about it can be wrong: it takes no parameters
        assert mode is GenerationMode.NEGATIVE, operation.label
    return found


@pytest.mark.parametrize("role", [Role.DISPATCHER, Role.ADMINISTRATOR])
async def test_no_request_breaks_the_server(role: Role, server: Server, engine: AsyncEngine) -> None:
    made = await crew(engine)
    user = await person(engine, role)
    async with open_work(engine, system("test")) as work:
        token = (await sign_in.open_session(work, user)).token
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        schema = from_dict(http.get("/api/v1/openapi.json").json())
        ids, found, tried = known_ids(http, made), [], 0
        for each in schema.get_all_operations():
            operation = each.ok()
            if (operation.method.upper(), operation.path) in ENDS_THE_SESSION:
                continue
            tried += 1
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                found += faults(operation, mode, http, ids)
        assert http.get("/api/v1/me").status_code == 200, "the session was to last"
    assert tried > 50
    assert found == [], "\n".join(found) + server.log()[-6_000:]
