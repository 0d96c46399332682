"""Everything held about one person, as a file; a disclosure that is audited."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from core.actor import system
from core.ids import new_id
from core.models import AuditEvent, RoleGrant
from core.work import open_work
from dispatch_api import subject_report
from mobile_contract.resources import NoticeIn, TaskIn, TransitionIn
from tasks import notices, tasks
from tasks.models import Handover
from tasks.transitions import transition
from tests.helpers import ROOT, Client, Crew, Database, actor_of, crew, person, work_of

HOSTILE = "<script>alert(1)</script>"
NOTHING_LEFT: dict[str, Any] = {"n_tasks": 0, "n_notices": 0, "n_silent": 0, "listed": {}}
MINUTES_AGO = (10, 20, 90)
"""When the fixes of the person's unit were."""


async def lived(client: Client, database: Database) -> Crew:
    """An officer with a task, a notice, a violation, and two fixes on shift and one before."""
    one = await crew(client.engine, since="1 hour")
    dispatcher = await person(client.engine, "dispatcher", login="rasa")
    async with work_of(client.engine, actor_of(dispatcher)) as work:
        body = {"kind": "checkpoint", "priority": "P3", "title": HOSTILE, "reason_code": "random", "issue": True}
        point = {"type": "Point", "coordinates": [25.3, 54.7]}
        task = await tasks.create(work, TaskIn.model_validate(body | {"unit_id": one.unit.id, "point": point}))
        sent = {
            "kind": "information",
            "priority": "P3",
            "headline": "head",
            "body": "b",
            "to": {"units": [one.unit.id]},
        }
        await notices.send(work, NoticeIn.model_validate(sent))
    async with work_of(client.engine, one.actor) as work:
        await transition(work, task["id"], TransitionIn(verb="acknowledge"))
    officer = await client.sign_in(one.officer)
    found = {"category": "fuel", "occurred_at": "2026-05-01T09:00:00Z", "lon": 25.3, "lat": 54.7, "coord_source": "gps"}
    recording = await client.http.post("/api/v1/violations", json=found | {"id": str(new_id())}, headers=officer)
    assert recording.status_code == 201
    async with open_work(client.engine, system("test")) as work:
        work.session.add(RoleGrant(user_id=one.officer.id, roles=["supervisor"], proposed_by=dispatcher.id))
        work.session.add(RoleGrant(user_id=dispatcher.id, roles=["auditor"], proposed_by=dispatcher.id))
        taken_over = {"confirmed_by": one.officer.id, "confirmed_at": work.now}
        work.session.add(Handover(given_by=dispatcher.id, note="not theirs", **taken_over, **NOTHING_LEFT))
        work.session.add(Handover(given_by=one.officer.id, note="their own", **NOTHING_LEFT))
        work.session.add(Handover(given_by=dispatcher.id, note="not about them", **NOTHING_LEFT))
    owner = await database.owner()
    for minutes in MINUTES_AGO:
        at = datetime.now(UTC) - timedelta(minutes=minutes)
        await owner.execute("SELECT ensure_position_day($1)", at.date())
        await owner.execute(
            "INSERT INTO position (device_id, unit_id, fix_at, received_at, point)"
            " VALUES ($1, $2, $3, $3, ST_Point(25.1, 54.1, 4326))", one.device.id, one.unit.id, at,
        )  # fmt: skip
    await owner.close()
    looked = await client.sign_in(dispatcher)
    assert (await client.http.get(f"/api/v1/units/{one.unit.id}/track", headers=looked)).status_code == 200
    return one


def counts(report: dict[str, Any]) -> dict[str, int]:
    return {name: len(rows) for name, rows in report["sections"].items()}


async def test_everything_about_a_person_and_nobody_else(client: Client, database: Database) -> None:
    one = await lived(client, database)
    await crew(client.engine)  # somebody else
    _, affairs = await client.new("internal_affairs", login="ia")
    tablet = {"id": str(new_id()), "name": "tablet", "pin": "1234"}
    enrolled = await client.http.post("/api/v1/installs", json=tablet, headers=await client.sign_in(one.officer))
    secret = enrolled.json()["credential"]
    path = f"/api/v1/users/{one.officer.id}/subject-report"
    answer = await client.http.get(f"{path}?reason=request 5/2026", headers=affairs)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="subject-{one.officer.login}.json"'
    report = answer.json()
    assert (report["about"], report["made_by"], report["reason"]) == (one.officer.login, "ia", "request 5/2026")
    assert counts(report) == counts(report) | {
        "person": 1, "units": 1, "shifts": 1, "positions": 2, "tracks_read": 1, "violations": 1, "corrections": 0,
        "tasks": 0, "task_steps": 1, "notices_sent": 0, "notices_received": 1, "inbox": 3, "requests": 2,
        "jobs": 0, "installs": 1, "role_grants": 1, "handovers": 2,
    }  # fmt: skip
    sections = report["sections"]
    assert sections["positions"][0]["lon"] == 25.1
    assert sorted(row["note"] or "" for row in sections["handovers"]) == ["", "their own"]
    assert sections["tracks_read"][0]["actor_login"] == "rasa"
    assert {row["action"] for row in sections["audit_by"]} >= {"collection", "alteration"}
    assert "argon2" not in answer.text
    assert "digest" not in answer.text
    assert secret not in answer.text
    async with open_work(client.engine, system("test")) as work:
        told_of_people = select(AuditEvent).where(AuditEvent.action == "disclosure", AuditEvent.object_kind == "user")
        (told,) = await work.all(told_of_people)
    assert (told.object_id, told.fields["reason"]) == (str(one.officer.id), "request 5/2026")
    assert told.fields["rows"] == counts(report)
    # What has become known of the person meanwhile: that this was read.
    html = await client.http.get(f"{path}?reason=again&format=html", headers=affairs)
    assert html.headers["content-type"] == "text/html; charset=utf-8"
    assert "&lt;script&gt;" in html.text
    assert "<script" not in html.text
    newest_at = datetime.now(UTC) - timedelta(minutes=MINUTES_AGO[0])  # soon after midnight, yesterday
    assert f"<td>{newest_at:%Y-%m-%d}</td>" in html.text
    assert "disclosure" in html.text


async def test_who_may_and_what_is_asked(client: Client) -> None:
    user, own = await client.new("officer")
    _, admin = await client.new("administrator")
    path = f"/api/v1/users/{user.id}/subject-report"
    assert (await client.http.get(f"{path}?reason=r", headers=admin)).status_code == 200
    assert (await client.http.get(path, headers=admin)).status_code == 422
    assert (await client.http.get(f"{path}?reason=r&format=pdf", headers=admin)).status_code == 422
    for headers in (own, (await client.new("auditor"))[1], (await client.new("supervisor"))[1]):
        assert (await client.http.get(f"{path}?reason=r", headers=headers)).status_code == 403
    unknown = await client.http.get(f"/api/v1/users/{new_id()}/subject-report?reason=r", headers=admin)
    assert unknown.status_code == 404


async def test_from_the_shell(client: Client, database: Database, tmp_path: Path) -> None:
    one = await lived(client, database)

    def outrider(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dispatch_api.cli", "subject-report", *words], cwd=ROOT,
            env={"PATH": "/usr/bin", **database.environment()}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    file = tmp_path / "r.json"
    words = [one.officer.login.upper(), "--reason", "request 6", "--format", "json", "--output", str(file)]
    first = outrider(*words)
    assert first.returncode == 0, first.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert counts(json.loads(file.read_text()))["positions"] == 2
    assert "is there already" in outrider(*words).stderr
    unknown = outrider("nobody", "--reason", "r", "--output", str(tmp_path / "n.html"))
    assert (unknown.returncode, (tmp_path / "n.html").exists()) == (1, False)
    async with open_work(client.engine, system("test")) as work:
        told = text("SELECT actor_login FROM audit_event WHERE action = 'disclosure' AND object_kind = 'user'")
        assert await work.all(told) == ["system:subject-report"]


def test_sections_have_names_of_their_own() -> None:
    names = [section.name for section in subject_report.SECTIONS]
    assert len(set(names)) == len(names)
