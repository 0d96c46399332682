"""locust's users against a real server for some seconds: each does what it is for, and nothing fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role
from loadtests import prepare
from tests.helpers import PASSWORD, ROOT, Server, person

UNITS, DISPATCHERS, SECONDS = 3, 2, 16


def statistics(plan: Path) -> dict[str, dict[str, float]]:
    """What a run without a page measured, by name."""
    words = ["-f", "loadtests/locustfile.py", "--headless", "--json", "-u", str(UNITS * 2 + DISPATCHERS), "-r", "20"]
    done = subprocess.run(
        [sys.executable, "-m", "locust", *words, "-t", f"{SECONDS}s", "--exit-code-on-error", "3"],
        cwd=ROOT, env=os.environ | {"OUTRIDER_LOAD_PLAN": str(plan), "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    return {each["name"]: each for each in json.loads(done.stdout)}


async def test_every_user_does_its_work_and_is_gone_afterwards(
    server: Server, engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await person(engine, Role.ADMINISTRATOR)
    monkeypatch.setenv("OUTRIDER_LOAD_PASSWORD", PASSWORD)
    plan = tmp_path / "plan.json"
    words = [server.url, "--login", admin.login, "--units", str(UNITS), "--dispatchers", str(DISPATCHERS)]
    assert prepare.main([*words, "--plan", str(plan)]) == 0
    assert plan.stat().st_mode & 0o777 == 0o600
    found = statistics(plan)
    for name in ("position", "sign in", "live: welcome", "live: fix to frame", "inbox: welcome", "inbox: task",
                 "step: acknowledge", "step: en_route", "acknowledge inbox", "task"):  # fmt: skip
        assert found[name]["num_requests"] > 0, name
        assert found[name]["num_failures"] == 0, name
    assert found["sign in"]["num_requests"] >= UNITS + DISPATCHERS
    made = json.loads(plan.read_text())
    assert prepare.main([server.url, "--login", admin.login, "--plan", str(plan), "--end"]) == 0
    assert not plan.exists()
    who = {"login": made["crews"][0]["login"], "password": made["password"]}
    assert httpx.post(f"{server.url}/api/v1/session", json=who).status_code == 401
    key = {"Authorization": f"Bearer {made['crews'][0]['device_key']}"}
    assert httpx.post(f"{server.url}/api/v1/positions", json={"fixes": []}, headers=key).status_code == 401


def test_who_may_not_prepare_is_told(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.json"
    assert prepare.main([server.url, "--login", "nobody", "--plan", str(plan)]) == 1
    assert "/session: 4" in capsys.readouterr().err
    assert not plan.exists()
