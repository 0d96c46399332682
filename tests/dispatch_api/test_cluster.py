"""The private PostGIS, with real processes: made, locked, killed, started again."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from core.db import asyncpg_dsn
from core.settings import Settings
from dispatch_api.process import places
from dispatch_api.process.cluster import Cluster
from dispatch_api.process.console import CannotStart

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def one_cluster() -> Iterator[Cluster]:
    """A private database for this file; its tests kill it and start it again."""
    with Cluster.temporary() as made:
        yield made


@pytest.fixture
def cluster(one_cluster: Cluster) -> Cluster:
    """The same, running."""
    if not one_cluster.alive:
        one_cluster.start()
    return one_cluster


def kill(cluster: Cluster) -> None:
    assert cluster.pid
    os.kill(cluster.pid, signal.SIGKILL)
    while cluster.alive:
        time.sleep(0.02)


async def ask(cluster: Cluster, question: str, role: str = "outrider_app") -> object:
    connection = await asyncpg.connect(asyncpg_dsn(cluster.url(role)))
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_roles_settings_and_encoding(cluster: Cluster) -> None:
    for role, timeout in (("outrider_app", "5s"), ("outrider_ingest", "5s"), ("outrider_owner", "0")):
        shown = "SELECT current_setting('{}')"
        assert await ask(cluster, shown.format("statement_timeout"), role) == timeout
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            assert await ask(cluster, shown.format(name), role) == "on"
    mighty = "SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
    assert await ask(cluster, mighty) is False
    assert await ask(cluster, mighty, "outrider_ingest") is False
    assert await ask(cluster, "SHOW server_encoding") == "UTF8"
    assert await ask(cluster, "SHOW listen_addresses") == ""
    assert cluster.data_dir.stat().st_mode & 0o077 == 0
    assert cluster.socket_dir.stat().st_mode & 0o077 == 0


async def test_durability_cannot_be_altered(cluster: Cluster) -> None:
    await ask(cluster, "ALTER SYSTEM SET fsync = off", "outrider_owner")
    await ask(cluster, "SELECT pg_reload_conf()", "outrider_owner")
    await ask(cluster, "SELECT pg_sleep(0.3)", "outrider_owner")
    assert await ask(cluster, "SHOW fsync") == "on"


async def test_data_outlives_kill_and_restart(cluster: Cluster) -> None:
    await ask(cluster, "CREATE TABLE kept AS SELECT 7 AS n", "outrider_owner")
    kill(cluster)
    began = time.monotonic()
    cluster.start()
    assert time.monotonic() - began < 10
    assert await ask(cluster, "SELECT n FROM kept", "outrider_owner") == 7


async def test_starts_over_a_backend_that_holds_the_memory(cluster: Cluster) -> None:
    busy = "SELECT count(*) FROM generate_series(1, 10000000000)"
    psql = [cluster.binaries.program("psql"), "-h", cluster.socket_dir, "-U", "outrider_owner", "-d", "outrider"]
    working = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate_series(1, 1%'"
    with subprocess.Popen([*psql, "-c", busy], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        while await ask(cluster, working, "outrider_owner") != 2:  # the busy one, and this question
            time.sleep(0.05)
        kill(cluster)
        began = time.monotonic()
        cluster.start()
        assert time.monotonic() - began < 15
        client.kill()
    assert await ask(cluster, "SELECT 1") == 1


async def test_starts_though_its_old_number_belongs_to_another_program(cluster: Cluster) -> None:
    kill(cluster)
    pid_file = cluster.data_dir / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    other = subprocess.Popen(["/bin/sleep", "60"], cwd="/", **cluster.account.popen_options)
    try:
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        cluster.start()
        assert await ask(cluster, "SELECT 1") == 1
    finally:
        other.kill()
        other.wait()


def test_the_second_owner_is_refused(cluster: Cluster) -> None:
    second = Cluster(cluster.data_dir, cluster.socket_dir)
    with pytest.raises(CannotStart, match=rf"already runs on this database \(process {os.getpid()}"):
        second.start()
    assert cluster.alive


def test_dies_with_its_starter(tmp_path: Path) -> None:
    script = (
        "import sys, time; from dispatch_api.process.cluster import Cluster\n"
        "c = Cluster.temporary(); c.start(); print(c.pid, c.data_dir, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert starter.stdout
    pid, data = starter.stdout.readline().split()
    try:
        starter.kill()
        starter.wait()
        until = time.monotonic() + 10
        while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
            assert time.monotonic() < until, "postgres outlived its starter"
            time.sleep(0.05)
    finally:
        starter.stdout.close()
        shutil.rmtree(Path(data).parent)


def test_a_killed_initdb_leaves_nothing_half_made() -> None:
    cluster = Cluster.temporary()
    half = cluster.data_dir.with_name("postgres.new")
    half.mkdir()
    (half / "PG_VERSION").write_text("15")
    try:
        cluster.start()
        assert not half.exists()
    finally:
        cluster.stop()


def test_refuses_folders_that_are_not_its_own(tmp_path: Path) -> None:
    account = places.database_account()
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(CannotStart, match="is not a folder"):
        places.private_folder(link, account)
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    os.chown(open_to_all, account.uid, account.gid)
    open_to_all.chmod(0o755)
    with pytest.raises(CannotStart, match="open to other users: chmod 700"):
        places.private_folder(open_to_all, account)
    if os.geteuid() == 0:
        foreign = tmp_path / "foreign"
        foreign.mkdir(mode=0o700)
        os.chown(foreign, 65534, 65534)
        with pytest.raises(CannotStart, match="belongs to user nobody"):
            places.private_folder(foreign, account)


def test_a_long_socket_folder_is_refused() -> None:
    with pytest.raises(CannotStart, match="more than 93 bytes"):
        places.check_socket_length(Path("/tmp") / ("x" * 89))
    places.check_socket_length(Path("/tmp") / ("x" * 88))


def test_data_of_a_version_that_is_not_installed() -> None:
    cluster = Cluster.temporary()
    try:
        places.private_folder(cluster.data_dir, cluster.account)
        (cluster.data_dir / "PG_VERSION").write_text("9\n")
        with pytest.raises(CannotStart, match="made by PostgreSQL 9, which is not installed"):
            cluster.start()
    finally:
        cluster.stop()


def test_the_place_is_kept_when_a_closed_checkout_moves(tmp_path: Path) -> None:
    """As root in a folder that the postgres user cannot enter; anybody else's database stays inside."""
    with tempfile.TemporaryDirectory(prefix="outrider-test-", dir="/var/tmp") as closed:
        before, after = Path(closed) / "a" / "var", Path(closed) / "b" / "var"
        cluster = Cluster.for_settings(Settings(data_dir=before))
        first = cluster.places
        assert not first.home.exists() or first.home == before, "looking must make nothing"
        cluster.lock()
        cluster.stop()
        if os.geteuid() != 0:
            assert first.data == before.resolve() / "postgres"
            return
        try:
            assert first.data.is_relative_to(places.SYSTEM_DATA)
            assert "cannot enter" in first.why_elsewhere
            before.parent.rename(after.parent)
            assert Cluster.for_settings(Settings(data_dir=after)).places.data == first.data
        finally:
            shutil.rmtree(first.home)
