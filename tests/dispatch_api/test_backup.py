"""Backup of a filled installation, back into a fresh cluster: every row, every rule, the audit, and a server on it."""

import asyncio
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from core import audit
from core.actor import system
from core.audit import Action
from core.db import make_engine
from core.models import UserAccount
from core.settings import Settings
from core.work import open_work
from dispatch_api.backup import content
from dispatch_api.commands import backup as commands
from dispatch_api.demo import load
from dispatch_api.process.cluster import Cluster
from dispatch_api.workers import heat
from geo.models import Unit
from tests import module_wide
from tests.helpers import ROOT, Crew, Database, Server, crew

DAYS = 3
FIXES_A_DAY = 2_000
HEADS = "audit-heads"
PHOTO = f"attachments/originals/ab/{'ab' * 32}"
CHANGED_BY_RESTORING = {"audit_event", "audit_pending", "audit_chain", "sign_in", "socket_ticket"}

database = module_wide.database


def settings_of(database: Database, folder: Path) -> Settings:
    return Settings(
        database_url=database.app_url, owner_database_url=database.owner_url, ingest_database_url=database.ingest_url,
        data_dir=folder,
    )  # fmt: skip


@pytest.fixture(scope="module")
def filled(database: Database, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Crew]:
    """The demonstration, days of positions, a sealed audit, and the files that belong to them; a crew on duty."""
    settings = settings_of(database, tmp_path_factory.mktemp("var"))
    (settings.data_dir / "tls").mkdir()
    (settings.data_dir / "tls" / "ca.key").write_text("a key\n")
    for name in (PHOTO, "uploads/half"):
        (settings.data_dir / name).parent.mkdir(parents=True)
        (settings.data_dir / name).write_bytes(b"a photo of evidence")
    (settings.data_dir / "log").mkdir()
    (settings.data_dir / "log" / "server.log").write_text("not for a backup\n")

    async def fill() -> Crew:
        assert await load.run(settings) == 0
        engine = make_engine(database.app_url, pool_size=2)
        made = await crew(engine, since="10 days")
        owner = await database.owner()
        for day in range(DAYS):
            moment = datetime.now(UTC) - timedelta(days=day + 1)
            await owner.execute("SELECT ensure_position_day($1)", moment.date())
            await owner.execute(
                "INSERT INTO position (device_id, fix_at, received_at, unit_id, point) SELECT $1,"
                " date_trunc('day', $2::timestamptz AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + n * interval '20 s', $2,"
                " $3, ST_SetSRID(ST_MakePoint(25 + n / 1e4, 54.7), 4326) FROM generate_series(1, $4::int) n",
                made.device.id, moment, made.unit.id, FIXES_A_DAY,
            )  # fmt: skip
        await owner.close()
        async with open_work(engine, system("test")) as work:
            work.audit(Action.COLLECTION, "test", None, note="before the backup")
        while await audit.seal(engine):
            pass
        await audit.export_head(engine, settings.data_dir / HEADS)
        while await heat.round_(engine):
            pass
        await engine.dispose()
        return made

    return settings, asyncio.run(fill())


def outrider(settings: Settings, *words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one command as an administrator of the machine would."""
    names = {"data_dir": "DATA_DIR", "database_url": "DATABASE_URL", "owner_database_url": "OWNER_DATABASE_URL"}
    own = {f"OUTRIDER_{name}": str(value) for field, name in names.items() if (value := getattr(settings, field))}
    return subprocess.run(
        [sys.executable, "-m", "dispatch_api.cli", *map(str, words)],
        cwd=ROOT, env=os.environ | own | more, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def backup(filled: tuple[Settings, Crew], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a backup of it."""
    file = tmp_path_factory.mktemp("elsewhere") / "night.outrider"
    done = outrider(filled[0], "backup", file)
    assert done.returncode == 0, done.stderr
    assert "keep it as safe as the database" in done.stdout
    assert file.stat().st_mode & 0o077 == 0
    assert not list(file.parent.glob("*.part"))
    return file


@pytest.fixture(scope="module")
def fresh() -> Iterator[Database]:
    """A cluster that has seen nothing yet but its roles."""
    with Cluster.temporary() as cluster:
        yield Database("outrider", str(cluster.socket_dir))


async def everything(database: Database) -> dict[str, tuple[int, str]]:
    """Of each table and partition the number of rows and a digest of them, read independently of the backup."""
    owner = await database.owner()
    names = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    found = {}
    for (name,) in names:
        query = f"SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {name} t"
        found[name] = tuple(await owner.fetchrow(query))
    await owner.close()
    return found


async def rules(database: Database) -> dict[str, str]:
    owner = await database.owner()
    try:
        return (await content.read(owner)).rules
    finally:
        await owner.close()


@pytest.fixture(scope="module")
def restored(backup: Path, fresh: Database, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The backup, brought back on another cluster and into another folder."""
    settings = settings_of(fresh, tmp_path_factory.mktemp("other"))
    done = outrider(settings, "restore", backup)
    assert done.returncode == 0, done.stderr
    assert "checked: " in done.stdout
    return settings


async def test_every_row_comes_back(database: Database, fresh: Database, restored: Settings) -> None:
    was, now = await everything(database), await everything(fresh)
    assert was.keys() == now.keys()
    assert sum(1 for name in was if name.startswith("position_2")) >= DAYS
    assert sum(n for name, (n, _) in was.items() if name.startswith("position_2")) >= DAYS * FIXES_A_DAY
    for table in ("user_account", "unit", "task", "task_event", "notice", "violation", "inbox", "heat_cell", "shift"):
        assert was[table][0] > 0, f"the test needs some {table}"
    assert {t: v for t, v in was.items() if t not in CHANGED_BY_RESTORING} == {
        t: v for t, v in now.items() if t not in CHANGED_BY_RESTORING
    }
    assert now["audit_event"][0] == was["audit_event"][0] + 1
    assert now["sign_in"][0] == 0


async def test_every_rule_is_in_force(database: Database, fresh: Database, restored: Settings) -> None:
    was, now = await rules(database), await rules(fresh)
    assert was == now
    kinds = {name.split()[0] for name in was}
    assert kinds == {"table", "grant", "policy", "index", "constraint", "trigger", "function"}
    assert "grant unit outrider_app SELECT" in was
    assert "policy position app" in was
    engine = make_engine(fresh.app_url, pool_size=2)
    async with engine.connect() as connection:
        for table in ("unit", "position", "task", "violation", "audit_event"):
            assert (await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table
    async with open_work(engine, system("test")) as work:
        assert len(await work.all(Unit.__table__.select())) > 5  # type: ignore[attr-defined]
    for statement in ("DELETE FROM audit_event", "UPDATE audit_chain SET hash = ''", "TRUNCATE position"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with engine.begin() as connection:
                await connection.exec_driver_sql(statement)
    await engine.dispose()
    tracker = await asyncpg.connect(host=fresh.host, user="outrider_ingest", database=fresh.name)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await tracker.fetch("SELECT * FROM user_account")
    await tracker.close()


async def test_the_audit_is_whole_and_tells_of_the_restoring(fresh: Database, restored: Settings) -> None:
    done = outrider(restored, "verify-audit")
    assert done.returncode == 0, done.stdout
    assert outrider(restored, "verify-heat").returncode == 0
    owner = await fresh.owner()
    row = await owner.fetchrow("SELECT * FROM audit_event WHERE object_kind = 'database'")
    assert row["actor_login"] == "restore" or row["actor_id"] is None
    await owner.execute("UPDATE audit_event SET object_id = 'x' WHERE fields ->> 'note' = 'before the backup'")
    assert outrider(restored, "verify-audit").returncode == 1
    await owner.execute("UPDATE audit_event SET object_id = NULL WHERE fields ->> 'note' = 'before the backup'")
    await owner.close()


def test_the_files_that_matter_come_back(filled: tuple[Settings, Crew], backup: Path, restored: Settings) -> None:
    was, now = filled[0].data_dir, restored.data_dir
    with zipfile.ZipFile(backup) as archive:
        assert archive.testzip() is None
        assert not [name for name in archive.namelist() if "log" in name or "uploads" in name]
    for name in ("tls/ca.key", "demo-accounts.json", PHOTO):
        assert (now / name).read_bytes() == (was / name).read_bytes()
        assert (now / name).stat().st_mode & 0o077 == 0
    heads = list((was / HEADS).iterdir())
    assert heads
    assert [(now / HEADS / head.name).read_text() for head in heads] == [head.read_text() for head in heads]


def test_a_server_starts_on_it(filled: tuple[Settings, Crew], fresh: Database, restored: Settings) -> None:
    server = Server(fresh, restored.data_dir).start()
    try:
        fix = {"fix_at": datetime.now(UTC).isoformat(), "lat": 54.7, "lon": 25.3}
        headers = {"Authorization": f"Bearer {filled[1].device_key}"}
        answer = httpx.post(f"{server.url}/api/v1/positions", json={"fixes": [fix]}, headers=headers)
        assert answer.json()["accepted"] == 1
    finally:
        server.stop()


def unchanged(before: dict[str, tuple[int, str]], database: Database) -> bool:
    return before == asyncio.run(everything(database))


def test_a_filled_database_is_not_restored_over(
    backup: Path, fresh: Database, restored: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    before = asyncio.run(everything(fresh))
    assert commands.restore(restored, backup, replace=False) == 1
    assert "--replace restores over them" in capsys.readouterr().err
    assert unchanged(before, fresh)


async def test_one_in_use_is_not_restored_over(
    backup: Path, fresh: Database, restored: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await everything(fresh)
    somebody = await asyncpg.connect(host=fresh.host, user="outrider_app", database=fresh.name)
    assert await asyncio.to_thread(commands.restore, restored, backup, replace=True) == 1
    await somebody.close()
    assert "stop Outrider first" in capsys.readouterr().err
    assert before == await everything(fresh)


FORGED = b"1 " + b"0" * 64 + b"\n"


def head_of(archive: zipfile.ZipFile) -> tuple[bytes, bytes]:
    """The digest of the newest audit head as the manifest has it, and that of a forged one."""
    name = next(name for name in archive.namelist() if HEADS in name)
    was, now = (hashlib.sha256(data).hexdigest().encode() for data in (archive.read(name), FORGED))
    return was, now


def altered(backup: Path, to: Path, what: str) -> Path:
    """A copy of the backup with something in it that is not right."""
    with zipfile.ZipFile(backup) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if what == "rows" and name == "manifest.json":
                data = data.replace(b'"user_account": ', b'"user_account": 1')
            if what == "policy" and name == "manifest.json":
                data = data.replace(b'"policy unit app"', b'"policy unit other"')
            if what == "file" and name.endswith("ca.key"):
                data = b"another key\n"
            if what == "path" and name == "manifest.json":
                data = data.replace(b'"tls/ca.key"', b'"tls/../../ca.key"')
            if what == "revision" and name == "manifest.json":
                data = data.replace(b'"revision": "', b'"revision": "9')
            if what == "head" and name == "manifest.json":
                data = data.replace(*head_of(old))
            if what == "head" and HEADS in name:
                data = FORGED
            if what == "dump" and name == "database.dump":
                data = data[: len(data) // 2]
            new.writestr(name, data)
    if what == "bytes":
        whole = bytearray(to.read_bytes())
        at = len(whole) // 3
        whole[at : at + 64] = bytes(64)
        to.write_bytes(whole)
    return to


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("rows", "user_account: "),
        ("policy", "policy unit other: missing"),
        ("file", "tls/ca.key is damaged"),
        ("path", "where none belongs"),
        ("revision", "of a later Outrider"),
        ("dump", "could not be restored"),
        ("bytes", "damaged"),
        ("head", "does not match"),
    ],
)
def test_a_backup_that_is_not_right_changes_nothing(
    backup: Path, fresh: Database, restored: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    what: str, said: str,
) -> None:  # fmt: skip
    before = asyncio.run(everything(fresh))
    assert commands.restore(restored, altered(backup, tmp_path / "bad.outrider", what), replace=True) == 1
    assert said in capsys.readouterr().err
    assert unchanged(before, fresh)
    assert asyncio.run(databases(fresh)) == {"outrider", "postgres"}
    assert (restored.data_dir / "tls" / "ca.key").read_text() == "a key\n"


async def databases(on: Database) -> set[str]:
    owner = await on.owner()
    names = {row["datname"] for row in await owner.fetch("SELECT datname FROM pg_database WHERE NOT datistemplate")}
    await owner.close()
    return names


def test_with_replace_it_is_as_the_backup_says(
    filled: tuple[Settings, Crew], backup: Path, fresh: Database, restored: Settings
) -> None:
    """What came after the backup is gone, its files are set aside, and the database's other rules stay."""

    async def later() -> None:
        engine = make_engine(fresh.app_url, pool_size=2)
        async with open_work(engine, system("test")) as work:
            work.session.add(UserAccount(login="late", name="Late", roles=[]))
        await engine.dispose()

    asyncio.run(later())
    (restored.data_dir / "tls" / "ca.key").write_text("a later key\n")
    done = outrider(restored, "restore", backup, "--replace")
    assert done.returncode == 0, done.stderr
    now = asyncio.run(everything(fresh))
    was = asyncio.run(everything(database_of(filled)))
    assert now["user_account"] == was["user_account"]
    assert asyncio.run(databases(fresh)) == {"outrider", "postgres"}
    assert (restored.data_dir / "tls" / "ca.key").read_text() == "a key\n"
    (aside,) = restored.data_dir.glob("replaced-*")
    assert (aside / "tls" / "ca.key").read_text() == "a later key\n"
    assert str(aside) in done.stdout


def database_of(filled: tuple[Settings, Crew]) -> Database:
    url = str(filled[0].database_url)
    name, _, rest = url.partition("@/")[2].partition("?host=")
    host, _, port = rest.partition("&port=")
    return Database(name, host, int(port))


def test_an_existing_file_is_not_written_over(
    filled: tuple[Settings, Crew], backup: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = backup.stat().st_size
    assert commands.run(filled[0], backup) == 1
    assert "exists already" in capsys.readouterr().err
    assert backup.stat().st_size == size


def test_no_half_backup_is_left_where_the_disk_is_full(filled: tuple[Settings, Crew], tmp_path: Path) -> None:
    """A file size limit stands for the full disk: a tmpfs of its own needs more rights than a test has everywhere."""
    file = tmp_path / "x.outrider"
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        " resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
        f" from dispatch_api.cli import main; main(['backup', {str(file)!r}])"
    )
    own = {"OUTRIDER_DATA_DIR": str(filled[0].data_dir), "OUTRIDER_OWNER_DATABASE_URL": filled[0].owner_database_url}
    done = subprocess.run(
        [sys.executable, "-c", limited], cwd=ROOT, env=os.environ | {k: str(v) for k, v in own.items()},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []
