"""Notices over HTTP."""

from typing import Any

from core.actor import Role
from core.ids import new_id
from tests.helpers import Client, crew

URL = "/api/v1/notices"
BODY = {"kind": "information", "priority": "P3", "headline": "Road closed", "to": {"everyone": True}}


async def test_a_notice_goes_out_and_comes_back_as_receipts(client: Client) -> None:
    team = await crew(client.engine)
    _, sender = await client.new(Role.DISPATCHER)
    officer = await client.sign_in(team.officer)
    body = BODY | {"id": str(new_id()), "to": {"units": [str(team.unit.id)]}}
    first, again = [await client.http.post(URL, json=body, headers=sender) for _ in range(2)]
    assert (first.status_code, first.json()) == (201, {"id": body["id"], "number": 1, "recipients": 1})
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    inbox = (await client.http.get("/api/v1/inbox", headers=officer)).json()
    assert [(item["kind"], item["body"]["id"]) for item in inbox["items"]] == [("notice", body["id"])]
    await client.http.post("/api/v1/inbox/ack", json={"upto": 1}, headers=officer)
    path = f"{URL}/{body['id']}"
    for verb in ("seen", "acknowledge"):
        answer = await client.http.post(f"{path}/{verb}", json={"at": "2026-01-02T03:04:05+02:00"}, headers=officer)
        assert answer.status_code == 200
    (receipt,) = (await client.http.get(path, headers=sender)).json()["receipts"]
    assert receipt.keys() == {
        "user_id", "name", "unit_id", "queued_at", "delivered_at", "seen_at", "acknowledged_at",
        "cancel_confirmed_at", "channel",
    }  # fmt: skip
    assert receipt["delivered_at"]
    assert receipt["seen_at"] == receipt["acknowledged_at"] == "2026-01-02T01:04:05.000Z"
    bare = await client.http.post(f"{path}/acknowledge", headers=officer)
    assert bare.status_code == 200


async def test_who_may_what(client: Client) -> None:
    team, other = await crew(client.engine), await crew(client.engine)
    _, sender = await client.new(Role.DISPATCHER)
    _, auditor = await client.new(Role.AUDITOR)
    officer, stranger = await client.sign_in(team.officer), await client.sign_in(other.officer)
    body = BODY | {"to": {"units": [str(team.unit.id)]}}
    made = (await client.http.post(URL, json=body, headers=sender)).json()
    path = f"{URL}/{made['id']}"

    async def post(headers: dict[str, str], what: str) -> int:
        return (await client.http.post(f"{path}/{what}", json={}, headers=headers)).status_code

    async def seen(headers: dict[str, str]) -> tuple[int, int]:
        one = await client.http.get(path, headers=headers)
        return one.status_code, len((await client.http.get(URL, headers=headers)).json()["items"])

    assert [await post(h, "acknowledge") for h in (officer, stranger, sender, auditor)] == [200, 404, 403, 403]
    assert [await post(h, "cancel") for h in (officer, auditor, sender)] == [403, 403, 200]
    assert [await seen(h) for h in (officer, stranger, sender, auditor)] == [(200, 1), (404, 0), (200, 1), (200, 1)]
    assert (await client.http.post(URL, json=BODY, headers=officer)).status_code == 403


async def test_what_is_refused_is_not_stored(client: Client) -> None:
    _, sender = await client.new(Role.DISPATCHER)
    bad: list[dict[str, Any]] = [
        {"to": {}}, {"to": {"units": []}}, {"to": {"everyone": False}}, {"to": {"units": [str(new_id())]}},
        {"headline": ""}, {"headline": "a\u0000"}, {"kind": "gossip"}, {"valid_to": "2026-01-01T00:00:00"},
        {"valid_to": "2020-01-01T00:00:00Z"}, {"to": None}, {"more": 1}, {"body": "x" * 10_001},
    ]  # fmt: skip
    for change in bad:
        answer = await client.http.post(URL, json=BODY | change, headers=sender)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), change
    assert (await client.http.get(URL, headers=sender)).json() == {"items": [], "next": None}


async def test_replace_reply_cancel_and_confirm(client: Client) -> None:
    team, other = await crew(client.engine), await crew(client.engine)
    user, sender = await client.new(Role.DISPATCHER, name="Rasa Budėtoja")
    officer, stranger = await client.sign_in(team.officer), await client.sign_in(other.officer)

    async def post(headers: dict[str, str], path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        answer = await client.http.post(f"{URL}{path}", json=body, headers=headers)
        return answer.status_code, answer.json()

    old = (await post(sender, "", BODY | {"to": {"units": [str(team.unit.id)]}}))[1]
    body = {name: BODY[name] for name in ("kind", "priority", "headline")} | {"supersedes": old["id"]}
    status, new = await post(sender, "", body)
    assert (status, new["recipients"]) == (201, 1)
    status, refused = await post(sender, "", body)
    assert (status, refused["code"], refused["changed_by"]) == (409, "transition_not_allowed", user.name)
    assert refused["changed_at"].endswith("Z")
    path = f"/{new['id']}"
    reply = {"id": str(new_id()), "text": "Seen at the bridge", "at": "2026-01-02T03:04:05Z"}
    first, again = [await post(officer, f"{path}/reply", reply) for _ in range(2)]
    assert first == again
    assert (first[0], first[1]["text"], first[1]["at"]) == (201, reply["text"], "2026-01-02T03:04:05.000Z")
    assert (await post(stranger, f"{path}/reply", {"text": "x"}))[0] == 404
    assert (await post(sender, f"{path}/reply", {"text": "x"}))[0] == 403
    for bad in ({"text": ""}, {"text": "x" * 2_001}, {"text": "a\u0000"}, {}):
        assert (await post(officer, f"{path}/reply", bad))[0] == 422, bad
    assert (await post(officer, f"{path}/acknowledge", {}))[1]["acknowledged"] == 1
    assert (await post(sender, f"{path}/cancel", {}))[1]["unconfirmed"] == 1
    assert (await post(officer, f"{path}/acknowledge", {"state": "cancelled"}))[1]["unconfirmed"] == 0
    whole = (await client.http.get(f"{URL}{path}", headers=sender)).json()
    assert [answer["text"] for answer in whole["replies"]] == [reply["text"]]
    assert (whole["replied"], whole["state"], whole["supersedes"]) == (1, "cancelled", old["id"])
    assert whole["receipts"][0]["name"] == team.officer.name
    states = [
        item["body"]["state"] for item in (await client.http.get("/api/v1/inbox", headers=officer)).json()["items"]
    ]
    assert states == ["sent", "superseded", "sent", "cancelled"]
