"""What the screens of the centre list when more stands than they can."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role, system
from core.work import open_work
from dispatch_api.live import reads
from dispatch_api.live.board import Board
from mobile_contract.resources import TaskIn
from tasks import tasks
from tasks.models import Alert
from tests.helpers import actor_of, crew, person

DRAFT = {"kind": "checkpoint", "priority": "P2", "title": "Look", "reason_code": "random", "lon": 25.3, "lat": 54.7}


async def test_many_silent_trackers_do_not_push_an_alarm_about_a_task_off_the_screen(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher = actor_of(await person(engine, Role.DISPATCHER))
    async with open_work(engine, dispatcher) as work:
        task = await tasks.create(work, TaskIn.model_validate(DRAFT))
    now, n = datetime.now(UTC), 2
    silent = [(await crew(engine)).unit.id for _ in range(n * 2)]
    monkeypatch.setattr(Board, "ALERTS", n)
    async with open_work(engine, system("test")) as work:
        urgent = Alert(kind="task_declined", task_id=task["id"], raised_at=now - timedelta(hours=2), updated_at=now)
        quiet = [Alert(kind="unit_silent", unit_id=unit_id, raised_at=now, updated_at=now) for unit_id in silent]
        work.session.add_all([urgent, *quiet])
        await work.session.flush()
        found = await reads.changed_alerts(work, now + timedelta(days=1), whole=True)
        assert len(found) == n
        assert urgent.id in found
        everything = await reads.changed_alerts(work, now - timedelta(days=1), whole=True)
        board = Board()
        for alert_id, thing in (await reads.alert_things(work, everything)).items():
            board.alerts.put(alert_id, thing)
        work.session.expunge_all()
    shown = json.loads(board.alerts.array())
    assert len(shown) == n
    assert str(urgent.id) in [one["id"] for one in shown]
