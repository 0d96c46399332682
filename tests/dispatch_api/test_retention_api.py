"""Holds and the dry run over HTTP and from the shell; secrets in stored answers are forgotten after a day."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from core.actor import system
from core.ids import new_id
from core.models import AuditEvent
from core.settings import Settings
from core.work import open_work
from dispatch_api.commands import retention as command
from dispatch_api.workers import retention as worker
from tests import module_wide
from tests.helpers import Client, crew, person

API = "/api/v1"
RING = [[25.2, 54.6], [25.4, 54.6], [25.4, 54.8], [25.2, 54.6]]

database = module_wide.database


async def told(client: Client, kind: str) -> list[AuditEvent]:
    async with open_work(client.engine, system("test")) as work:
        return await work.all(select(AuditEvent).where(AuditEvent.object_kind == kind).order_by(AuditEvent.id))


async def test_a_hold_is_placed_once_listed_and_released(client: Client) -> None:
    unit = (await crew(client.engine)).unit
    investigator, headers = await client.new("investigator")
    sent = {
        "id": str(new_id()), "kind": "unit", "object_id": str(unit.id), "from": "2026-05-01T00:00:00Z",
        "to": "2026-05-02T00:00:00+03:00", "reason": "<b>prosecutor</b>", "reference": "case 17/2026",
    }  # fmt: skip
    first = await client.http.post(f"{API}/holds", json=sent, headers=headers)
    assert first.status_code == 201, first.text
    again = await client.http.post(f"{API}/holds", json=sent, headers=headers)
    assert (again.headers["Idempotency-Replayed"], again.json()) == ("true", first.json())
    hold = first.json()
    assert hold == sent | {
        "id": hold["id"], "from": "2026-05-01T00:00:00.000Z", "to": "2026-05-01T21:00:00.000Z", "area": None,
        "active": True, "placed_by": str(investigator.id), "placed_at": hold["placed_at"], "ends_at": None,
        "released_by": None, "released_at": None, "release_reason": None,
    }  # fmt: skip
    _, stranger = await client.new("investigator")
    _, affairs = await client.new("internal_affairs")
    for who, n in ((headers, 1), (stranger, 0), (affairs, 1)):
        items = (await client.http.get(f"{API}/holds?active=true", headers=who)).json()["items"]
        assert [item["id"] for item in items] == [hold["id"]] * n
    path, why = f"{API}/holds/{hold['id']}/release", {"reason": "closed"}
    assert (await client.http.post(path, json=why, headers=stranger)).status_code == 404
    released = (await client.http.post(path, json=why, headers=affairs)).json()
    assert (released["active"], released["release_reason"]) == (False, "closed")
    assert (await client.http.post(path, json={"reason": "again"}, headers=headers)).json() == released
    listed = (await client.http.get(f"{API}/holds?active=true", headers=affairs)).json()["items"]
    assert hold["id"] not in {item["id"] for item in listed}
    actions = [(row.action, row.fields.get("reason")) for row in await told(client, "legal_hold") if row.object_id]
    assert actions == [("collection", "<b>prosecutor</b>"), ("alteration", "closed")]


async def test_what_is_no_hold_is_refused(client: Client) -> None:
    _, headers = await client.new("internal_affairs")
    unit = str((await crew(client.engine)).unit.id)
    area = {"type": "Polygon", "coordinates": [RING]}
    day = {"from": "2026-05-01T00:00:00Z", "to": "2026-05-02T00:00:00Z"}
    good = {"kind": "area", "area": area, **day}
    crossing = {"type": "Polygon", "coordinates": [[[25, 54], [26, 55], [26, 54], [25, 55], [25, 54]]]}
    wrong: list[dict[str, Any]] = [
        {"kind": "unit"}, {"kind": "unit", "object_id": str(new_id())}, {"kind": "moon", "object_id": unit},
        {"kind": "unit", "object_id": unit, "area": area}, {"kind": "area", "area": area}, {"kind": "area", **day},
        good | {"object_id": unit}, good | {"area": crossing}, good | {"to": day["from"]},
        {"kind": "unit", "object_id": unit, "ends_at": "2020-01-01T00:00:00Z"},
        {"kind": "unit", "object_id": unit, "from": "2026-05-01T00:00:00"},
        {"kind": "unit", "object_id": unit, "reason": ""}, {"kind": "unit", "object_id": unit, "by": "me"},
    ]  # fmt: skip
    for body in wrong:
        answer = await client.http.post(f"{API}/holds", json={"reason": "r"} | body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), body
    answer = await client.http.post(f"{API}/holds", json={"reason": "r"} | good, headers=headers)
    assert (answer.status_code, answer.json()["area"]["coordinates"]) == (201, [RING])


async def test_a_dry_run_shows_numbers_and_deletes_nothing(
    client: Client, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await person(client.engine, "officer", login="held-one")
    async with open_work(client.engine, system("test")) as work:
        add = text(
            "INSERT INTO job (id, kind, status, progress, params, created_by, created_at, finished_at)"
            " SELECT gen_random_uuid(), 'k', 'done', 1, '{}', u.id, now(), now() - interval '5 years'"
            " FROM user_account u, generate_series(1, :n) WHERE login = :login"
        )
        await work.session.execute(add, {"n": 2, "login": "held-one"})
        held = (await work.session.execute(text("SELECT id FROM user_account WHERE login = 'held-one'"))).scalar_one()
        other = await person(client.engine, "officer", login="free-one")
        await work.session.execute(add, {"n": 3, "login": other.login})
    _, affairs = await client.new("internal_affairs")
    hold = {"kind": "person", "object_id": str(held), "reason": "r"}
    assert (await client.http.post(f"{API}/holds", json=hold, headers=affairs)).status_code == 201
    for role in ("administrator", "internal_affairs", "auditor"):
        _, headers = await client.new(role)
        answer = await client.http.get(f"{API}/retention", headers=headers)
        assert answer.status_code == 200, answer.text
        found = {line["name"]: line for line in answer.json()["classes"]}
        assert (found["jobs"]["due"], found["jobs"]["held"]) == (3, 2), role
        assert found["jobs"]["oldest"] < found["jobs"]["before"]
    assert (await told(client, "retention"))[-1].fields["due"]["jobs"] == 3
    assert await command.run(settings, dry_run=True) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("jobs "))
    assert line.split()[3:5] == ["3", "2"]
    assert await command.run(settings, dry_run=False) == 0
    assert "jobs deleted  3 of 3  100%" in capsys.readouterr().out
    async with open_work(client.engine, system("test")) as work:
        assert await work.all(text("SELECT count(*) FROM job WHERE finished_at IS NOT NULL")) == [2]


async def test_secrets_are_forgotten_after_a_day(client: Client, settings: Settings) -> None:
    one = await crew(client.engine)
    _, admin = await client.new("administrator")
    officer = await client.sign_in(one.officer)
    device = {"unit_id": str(one.unit.id), "protocol": "http"}
    user = {"login": f"new-{new_id().hex[-6:]}", "name": "New", "roles": ["officer"]}
    writes = [
        ("devices", {"id": str(new_id()), **device}, admin), ("users", {"id": str(new_id()), **user}, admin),
        ("devices/bulk", {"id": str(new_id()), "items": [device, device]}, admin),
        ("installs", {"id": str(new_id()), "name": "tablet", "pin": "1234"}, officer),
        ("phones", {"id": str(new_id()), "app": "traccar"}, officer),
    ]  # fmt: skip
    first = [await client.http.post(f"{API}/{path}", json=body, headers=who) for path, body, who in writes]
    assert {answer.status_code for answer in first} == {201}
    secrets = [
        first[0].json()["key"], first[1].json()["one_time_password"], first[2].json()["items"][1]["key"],
        first[3].json()["credential"], first[4].json()["key"],
    ]  # fmt: skip
    ids = [body["id"] for _, body, _ in writes]

    async def kept() -> list[str]:
        query = text("SELECT string_agg(answer::text, ' ') FROM client_write WHERE id = ANY(CAST(:ids AS uuid[]))")
        async with open_work(client.engine, system("test")) as work:
            stored = str(await work.first(query.bindparams(ids=ids)))
        return [secret for secret in secrets if secret in stored]

    async def rounds_after(age: timedelta) -> None:
        async with open_work(client.engine, system("test")) as work:
            await work.session.execute(text("UPDATE client_write SET at = :at"), {"at": datetime.now(UTC) - age})
        await worker.round_(client.engine, settings)

    await rounds_after(timedelta(hours=23))
    assert await kept() == secrets  # who asks again at once still gets it
    await rounds_after(timedelta(hours=25))
    assert await kept() == []
    again = await client.http.post(f"{API}/devices", json=writes[0][1], headers=admin)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert again.json() == first[0].json() | {"key": None}
    hidden = {"installs": {"credential": ""}, "phones": {"key": "", "code": "", "code_svg": ""}}
    for (path, body, who), before in list(zip(writes, first, strict=True))[3:]:
        again = await client.http.post(f"{API}/{path}", json=body, headers=who)
        assert (again.status_code, again.json()) == (201, before.json() | hidden[path]), path
    sent = {"fixes": [{"fix_at": datetime.now(UTC).isoformat(), "lat": 54.7, "lon": 25.3}]}
    key = {"Authorization": f"Bearer {secrets[0]}"}
    assert (await client.http.post(f"{API}/positions", json=sent, headers=key)).json()["accepted"] == 1
