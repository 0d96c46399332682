"""The inbox over HTTP: pages, cursors, delivered."""

from typing import Any

from core import inbox
from core.actor import Role, system
from core.ids import new_id
from core.work import open_work
from tests.helpers import Client, crew

URL = "/api/v1/inbox"
TASK = {"kind": "checkpoint", "priority": "P2", "title": "Look", "reason_code": "random", "lon": 25.0, "lat": 54.5}


async def test_pages_join_at_the_head(client: Client) -> None:
    officer, headers = await client.new(Role.OFFICER)
    async with open_work(client.engine, system("test")) as work:
        for n in range(5):
            await inbox.push(work, [officer.id], new_id(), "message", new_id(), {"n": n})

    async def page(**params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = (await client.http.get(URL, params=params, headers=headers)).json()
        return answer

    first = await page(limit=2)
    assert [item["seq"] for item in first["items"]] == [1, 2]
    assert (first["next"], first["head_seq"]) == (2, 5)
    rest = await page(after=first["next"])
    assert ([item["body"]["n"] for item in rest["items"]], rest["next"]) == ([2, 3, 4], None)
    assert rest["items"][0].keys() == {"seq", "event_id", "kind", "at", "body"}
    assert await page(after=5) == {"items": [], "next": None, "head_seq": 5}
    for bad in ({"after": -1}, {"after": 2**63}, {"limit": 0}, {"limit": 501}):
        assert (await client.http.get(URL, params=bad, headers=headers)).status_code == 422


async def test_an_acknowledgement_delivers_tasks_and_only_moves_forward(client: Client) -> None:
    team = await crew(client.engine)
    officer = await client.sign_in(team.officer)
    _, dispatcher = await client.new(Role.DISPATCHER)
    body = TASK | {"unit_id": str(team.unit.id), "issue": True}
    made = [(await client.http.post("/api/v1/tasks", json=body, headers=dispatcher)).json() for _ in range(2)]

    async def ack(upto: int, install: Any = None) -> tuple[int, Any]:
        answer = await client.http.post(f"{URL}/ack", json={"upto": upto, "install_id": install}, headers=officer)
        return answer.status_code, answer.json().get("upto", answer.json().get("code"))

    async def statuses() -> list[str]:
        found = [await client.http.get(f"/api/v1/tasks/{task['id']}", headers=dispatcher) for task in made]
        return [task.json()["status"] for task in found]

    assert await ack(1) == (200, 1)
    assert await statuses() == ["delivered", "issued"]
    assert await ack(3) == (422, "invalid")
    assert await ack(2, str(new_id())) == (200, 2), "another tablet of the same officer"
    assert await statuses() == ["delivered", "delivered"]
    assert await ack(0) == (200, 1)
    assert (await client.http.post(f"{URL}/ack", json={"upto": 2**63}, headers=officer)).status_code == 422


async def test_only_officers_have_an_inbox(client: Client) -> None:
    assert (await client.http.get(URL)).status_code == 401
    _, dispatcher = await client.new(Role.DISPATCHER)
    assert (await client.http.get(URL, headers=dispatcher)).status_code == 403
    assert (await client.http.post(f"{URL}/ack", json={"upto": 0}, headers=dispatcher)).status_code == 403
