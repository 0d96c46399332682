"""Hand-overs over HTTP: given once however often they are sent, read by those who may, confirmed by another."""

from typing import Any
from uuid import UUID

from core.actor import Role, system
from core.ids import new_id
from core.work import open_work
from dispatch_api.live import reads
from dispatch_api.live.hub import LONG_AGO
from tests.helpers import Client, Database

API = "/api/v1/handovers"
TASK = {"kind": "checkpoint", "priority": "P2", "title": "Grey van", "reason_code": "random", "lon": 25.3, "lat": 54.7}


async def test_a_hand_over_from_one_to_the_next(client: Client) -> None:
    http = client.http
    leaves, by_first = await client.new(Role.DISPATCHER, name="Rasa")
    _, by_second = await client.new(Role.DISPATCHER, name="Jonas")
    task = (await http.post("/api/v1/tasks", json=TASK, headers=by_first)).json()
    open_now = (await http.get(f"{API}/now", headers=by_second)).json()
    assert [one["title"] for one in open_now["tasks"]] == ["Grey van"]
    body = {"id": str(new_id()), "note": "The van turns up at noon."}
    given = await http.post(API, json=body, headers=by_first)
    assert (given.status_code, given.json()["id"], given.json()["n_tasks"]) == (201, body["id"], 1)
    again = await http.post(API, json=body, headers=by_first)
    assert (again.json(), again.headers["idempotency-replayed"]) == (given.json(), "true")
    reused = await http.post(API, json=body | {"note": "x"}, headers=by_first)
    assert (reused.status_code, reused.json()["code"]) == (409, "id_reused")
    own = await http.post(f"{API}/{body['id']}/confirm", headers=by_first)
    assert (own.status_code, own.json()["code"]) == (403, "own_handover")
    another_session = await client.sign_in(leaves)
    assert (await http.post(f"{API}/{body['id']}/confirm", headers=another_session)).json()["code"] == "own_handover"
    confirmed = await http.post(f"{API}/{body['id']}/confirm", json={"id": str(new_id())}, headers=by_second)
    assert (confirmed.status_code, confirmed.json()["confirmed_by_name"]) == (200, "Jonas")
    (listed,) = (await http.get(API, headers=by_first)).json()["items"]
    assert (listed["note"], listed["confirmed_by_name"]) == (body["note"], "Jonas")
    assert "tasks" not in listed
    whole = (await http.get(f"{API}/{body['id']}", headers=by_first)).json()
    assert [(one["id"], one["status"]) for one in whole["tasks"]] == [(task["id"], "draft")]
    _, by_third = await client.new(Role.DISPATCHER)
    late = await http.post(f"{API}/{body['id']}/confirm", headers=by_third)
    assert (late.status_code, late.json()["code"], late.json()["changed_by"]) == (409, "version_conflict", "Jonas")


async def test_supervisors_and_auditors_read_and_confirm_nothing(client: Client) -> None:
    _, dispatcher = await client.new(Role.DISPATCHER)
    given = (await client.http.post(API, json={"note": ""}, headers=dispatcher)).json()
    for role in (Role.SUPERVISOR, Role.AUDITOR):
        _, headers = await client.new(role)
        assert [one["id"] for one in (await client.http.get(API, headers=headers)).json()["items"]] == [given["id"]]
        for path, body in ((f"{API}/{given['id']}/confirm", {}), (API, {"note": ""})):
            assert (await client.http.post(path, json=body, headers=headers)).status_code == 403
    everything: dict[str, Any] = {"note": "x" * 10_001}
    assert (await client.http.post(API, json=everything, headers=dispatcher)).status_code == 422


async def test_of_one_that_nobody_confirmed_for_a_day_screens_say_no_more(client: Client, database: Database) -> None:
    _, by_first = await client.new(Role.DISPATCHER)
    _, by_second = await client.new(Role.DISPATCHER)
    given = (await client.http.post(API, json={"note": ""}, headers=by_first)).json()["id"]

    async def announced() -> set[UUID]:
        async with open_work(client.engine, system("test")) as work:
            return set(await reads.changed_handovers(work, LONG_AGO, whole=True))

    assert await announced() == {UUID(given)}
    owner = await database.owner()
    await owner.execute("UPDATE handover SET given_at = now() - interval '24 hours 1 minute'")
    await owner.close()
    assert await announced() == set()
    confirmed = await client.http.post(f"{API}/{given}/confirm", headers=by_second)
    assert (confirmed.status_code, confirmed.json()["id"]) == (200, given)
