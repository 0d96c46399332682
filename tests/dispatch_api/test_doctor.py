"""What `outrider doctor` says of sound and of unsound installations."""

import asyncio
import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.db import make_engine, utcnow
from core.settings import Settings
from dispatch_api.process import condition, doctor
from dispatch_api.process.cluster import Cluster
from tests.helpers import Database, person


def troubles(settings: Settings) -> dict[str, str]:
    """The checks that found something, by the first word of their name."""
    return {name: trouble for name, trouble in doctor.checks(settings) if trouble}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation that sleeps, on a free port."""
    return Settings(data_dir=tmp_path, port=0)


def test_a_sound_installation(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.report(settings) == 0
    out = capsys.readouterr().out
    assert "Nothing is wrong." in out
    for name, field in Settings.model_fields.items():
        assert f"OUTRIDER_{name.upper()} " in out
        assert field.description
        assert field.description in out


def test_protocols_that_know_no_secret_are_named_when_they_are_on(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.report(settings) == 0
    assert "no secret" not in capsys.readouterr().out
    assert doctor.report(settings.model_copy(update={"gt06_port": 5023, "h02_port": 5013})) == 0
    out = capsys.readouterr().out
    assert "GT06 on port 5023 knows no secret" in out
    assert "H02 on port 5013 knows no secret" in out


def test_files_that_settings_name_and_that_are_of_no_use_are_told(settings: Settings, tmp_path: Path) -> None:
    nowhere, wrong, right = tmp_path / "nowhere", tmp_path / "wrong.json", tmp_path / "right.json"
    wrong.write_text('{"project_id": 7}')
    right.write_text('{"project_id": "x"}')
    names = ("cot_client_ca", "mqtt_ca", "mqtt_password_file")
    broken = settings.model_copy(update=dict.fromkeys((*names, "fcm_web"), nowhere) | {"fcm_credentials": wrong})
    found = troubles(broken)
    assert set(found) == {*(f"OUTRIDER_{name.upper()}" for name in names), "pushes to apps"}
    assert "OUTRIDER_FCM_WEB" in found["pushes to apps"]
    assert "OUTRIDER_FCM_CREDENTIALS" in found["pushes to apps"]
    sound = settings.model_copy(update=dict.fromkeys((*names, "fcm_web", "fcm_credentials"), right))
    assert troubles(sound) == {}


def test_secrets_are_not_shown(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    secret = settings.model_copy(
        update={
            "metrics_token": SecretStr("hush-1"),
            "owner_database_url": "postgresql+asyncpg://owner:hush-2@db.example/outrider",
        }
    )
    doctor.report(secret)
    out = capsys.readouterr().out
    assert "hush" not in out
    assert "owner:[secret]@db.example" in out


def test_everything_wrong_is_named_and_counted(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wrong = settings.model_copy(
            update={
                "port": taken.getsockname()[1],
                "timezone": "Europe/Nowhere",
                "tls_cert": Path("/nowhere.crt"),
                "chromium": Path("/nowhere/chromium"),
            }
        )
        found = troubles(wrong)
        assert doctor.report(wrong) == 1
    assert len(found) == 4
    assert "4 to mend." in capsys.readouterr().out
    said = " ".join(found.values())
    for part in ("in use", "OUTRIDER_TIMEZONE", "only together", "is no program"):
        assert part in said


def test_a_data_folder_that_cannot_be_made(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "var"
    found = troubles(settings.model_copy(update={"data_dir": folder, "audit_head_dir": folder}))
    for name in ("OUTRIDER_DATA_DIR", "OUTRIDER_AUDIT_HEAD_DIR"):
        assert any(f"set {name}" in trouble for trouble in found.values())


def test_a_running_database(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with Cluster.temporary() as cluster:
        own = {"database_url": cluster.url(), "ingest_database_url": cluster.url()}
        named = settings.model_copy(update=own)
        assert not troubles(named)
        lazy = cluster.url() + "&synchronous_commit=off"
        assert "synchronous_commit is off" in str(troubles(settings.model_copy(update=own | {"database_url": lazy})))
        owner = settings.model_copy(update=own | {"database_url": cluster.url("outrider_owner")})
        assert "outrider_owner may see every row" in str(troubles(owner))
        for wrong in (None, cluster.url().replace("outrider_app", "nobody")):
            broken = settings.model_copy(update=own | {"ingest_database_url": wrong})
            (said,) = troubles(broken).values()
            assert "OUTRIDER_INGEST_DATABASE_URL" in said
        monkeypatch.setattr(doctor, "utcnow", lambda: utcnow() - timedelta(seconds=9))
        assert "its clock is 9.0 s ahead of this one" in str(troubles(named))
    assert "is it running" in str(troubles(named))


def test_four_eyes_that_nobody_could_be_the_second_of(settings: Settings, database: Database) -> None:
    urls = {"database_url": database.app_url, "ingest_database_url": database.ingest_url, "four_eyes": True}
    asked = settings.model_copy(update=urls)

    async def another(**fields: Any) -> None:
        engine = make_engine(database.app_url)
        await person(engine, "administrator", **fields)
        await engine.dispose()

    asyncio.run(another())
    assert not troubles(asked)  # off until there is a second
    asyncio.run(another(disabled_at=utcnow()))
    assert "outrider create-user" in troubles(asked)["four eyes for role grants"]
    asyncio.run(another())
    assert not troubles(asked)


def test_a_full_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "DISK_WANTED_BYTES", 1 << 60)
    assert "make room" in troubles(settings)["free disk space"]
    assert os.path.isdir(settings.data_dir)
