"""An upgrade with a restore point: nothing lost when it works, nothing changed when the migration fails."""

import asyncio
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.actor import Role
from core.db import make_engine
from core.settings import Settings
from dispatch_api import revisions
from dispatch_api.backup import archive, content
from dispatch_api.backup.content import Content
from dispatch_api.commands import backup as commands
from dispatch_api.commands import upgrade
from dispatch_api.process.cluster import Cluster
from tests.conftest import cloned
from tests.conftest import migrate as alembic
from tests.helpers import Database, person

NEWEST = revisions.newest_revision()
FAILS_LATE = """
revision = "9999"
down_revision = "{newest}"
from alembic import op
def upgrade():
    op.execute("UPDATE user_account SET name = 'Spoiled'")
    op.execute("DROP TABLE notice_recipient CASCADE")
    op.execute("COMMIT")
    op.execute("SELECT 1 / 0")
def downgrade():
    pass
"""


@pytest.fixture
def database(template: Database) -> Iterator[Database]:
    """A filled database, one schema behind."""
    with cloned(template) as made:
        yield made


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    """Its settings."""
    return Settings(database_url=database.app_url, owner_database_url=database.owner_url, data_dir=tmp_path)


def fill(database: Database) -> None:
    async def run() -> None:
        engine = make_engine(database.app_url, pool_size=1)
        await person(engine, Role.DISPATCHER)
        await engine.dispose()

    asyncio.run(run())


def look(database: Database) -> Content:
    async def run() -> Content:
        owner = await database.owner()
        try:
            return await content.read(owner)
        finally:
            await owner.close()

    return asyncio.run(run())


async def names(database: Database) -> list[str]:
    owner = await database.owner()
    try:
        return [row["name"] for row in await owner.fetch("SELECT name FROM user_account")]
    finally:
        await owner.close()


def points(settings: Settings) -> list[Path]:
    return sorted((settings.data_dir / "restore-points").glob("*"))


def test_an_installation_of_before_is_upgraded(
    database: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database)
    whole = look(database)
    alembic(database, "downgrade", "-1")
    before = look(database)
    assert upgrade.run(settings) == 0
    assert look(database) == whole
    (point,) = points(settings)
    with archive.reading(point) as (_, manifest):
        assert manifest.content == before
    assert f"from {before.revision} to {NEWEST}" in capsys.readouterr().out
    assert upgrade.run(settings) == 0
    assert "of this version already" in capsys.readouterr().out
    assert points(settings) == [point]


def test_an_empty_one_needs_no_restore_point(database: Database, settings: Settings) -> None:
    alembic(database, "downgrade", "base")
    assert upgrade.run(settings) == 0
    assert look(database).revision == NEWEST
    assert points(settings) == []


@pytest.fixture
def broken(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version of Outrider whose newest migration commits half of its work and then fails."""
    root = tmp_path_factory.mktemp("version")
    (root / "alembic" / "versions").mkdir(parents=True)
    for file in (revisions.ROOT / "alembic").glob("*.*"):
        (root / "alembic" / file.name).write_bytes(file.read_bytes())
    for file in (revisions.ROOT / "alembic" / "versions").glob("*.py"):
        (root / "alembic" / "versions" / file.name).write_bytes(file.read_bytes())
    (root / "alembic" / "versions" / "9999_fails.py").write_text(FAILS_LATE.format(newest=NEWEST))
    ini = (revisions.ROOT / "alembic.ini").read_text()
    (root / "alembic.ini").write_text(ini)
    monkeypatch.setattr(revisions, "ROOT", root)


@pytest.mark.usefixtures("broken")
def test_a_failing_migration_is_taken_back(
    database: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database)
    before = look(database)
    assert upgrade.run(settings) == 1
    said = capsys.readouterr().err
    assert "division by zero" in said
    assert f"the database is as it was, of schema {before.revision}" in said
    now = look(database)
    assert asyncio.run(names(database)) == ["Test Person"]
    assert now.rules == before.rules
    assert now.revision == before.revision
    added = {"audit_event": 1, "audit_pending": 1}
    assert now.rows == {table: n + added.get(table, 0) for table, n in before.rows.items()}
    (point,) = points(settings)
    assert str(point) in said
    assert zipfile.is_zipfile(point)


def test_nobody_may_be_at_work_meanwhile(
    database: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database)
    alembic(database, "downgrade", "-1")

    async def run() -> int:
        somebody = await database.owner()
        code = await asyncio.to_thread(upgrade.run, settings)
        await somebody.close()
        return code

    assert asyncio.run(run()) == 1
    assert "stop Outrider first" in capsys.readouterr().err
    assert look(database).revision != NEWEST


def test_three_restore_points_are_kept(tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / f"2026010{n}T000000-schema-0001.outrider").touch()
    upgrade._prune(tmp_path)
    assert [file.name[:8] for file in sorted(tmp_path.iterdir())] == ["20260102", "20260103", "20260104"]


@pytest.fixture
def asleep() -> Iterator[Settings]:
    """Settings of a private installation that does not run, in a folder its database's user can enter."""
    with tempfile.TemporaryDirectory(prefix="outrider-test-") as folder:
        Path(folder).chmod(0o755)
        yield Settings(data_dir=Path(folder), database_url=None, owner_database_url=None)


def test_a_private_database_is_started_for_it(
    asleep: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.outrider"
    assert upgrade.run(asleep) == 0
    cluster = Cluster.for_settings(asleep)
    assert not cluster.answers()
    with cluster:
        fill(Database("outrider", str(cluster.socket_dir)))
        assert commands.run(asleep, file) == 0  # as it runs
        assert commands.restore(asleep, file, replace=True) == 1
        assert "Outrider runs on this database: stop it first" in capsys.readouterr().err
    assert commands.restore(asleep, file, replace=False) == 1
    assert "--replace" in capsys.readouterr().err
    assert commands.restore(asleep, file, replace=True) == 0
    assert commands.run(asleep, tmp_path / "y.outrider") == 0
    assert not cluster.answers()
    assert upgrade.run(asleep) == 0
