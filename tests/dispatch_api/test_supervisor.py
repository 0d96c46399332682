"""`outrider up` as people run it: real processes, real kills, real sentences."""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from alembic.script import ScriptDirectory

from core.settings import Settings
from dispatch_api import revisions
from dispatch_api.process import children, tls

ROOT = Path(__file__).resolve().parents[2]
READY = "Ctrl-C stops everything."

MARKS = {"server": "uvicorn", "worker": "cli worker", "gateway": "cli gateway", "postgres": "postgres -D"}
"""How each process that `outrider up` starts is known."""

ENDS_WITHIN_S = 60
"""Ten for the servers, and as long as the database needs for its last checkpoint on a busy disk."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Up:
    """One running `outrider up`."""

    process: "subprocess.Popen[str]"
    output: Path
    url: str

    def family(self) -> dict[str, psutil.Process]:
        """The supervisor's descendants by what they are."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
                line = " ".join(child.cmdline())
                for name, mark in MARKS.items():
                    if mark in line:
                        found[name] = child
        return found

    def answers(self, context: ssl.SSLContext | None = None) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5, context=context) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@dataclass
class Place:
    """A data folder that outlives several starts, and the port they use."""

    data: Path
    port: int

    def environment(self, **more: str) -> dict[str, str]:
        own = {"OUTRIDER_DATA_DIR": str(self.data), "OUTRIDER_PORT": str(self.port), "OUTRIDER_DEMO": "0"}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
        return clean | own | more

    def command(self) -> list[str]:
        return [sys.executable, "-m", "dispatch_api.cli", "up"]

    def fails(self, **more: str) -> tuple[int, str]:
        """Exit code and standard error of a start that must not succeed."""
        done = subprocess.run(
            self.command(),
            cwd=ROOT,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stderr

    def start(self, scheme: str = "http", **more: str) -> Up:
        """Start and wait until it says that it is ready."""
        output = self.data / "said.txt"
        with output.open("w") as out:
            process = subprocess.Popen(
                self.command(), cwd=ROOT, env=self.environment(**more), stdout=out, stderr=out, text=True
            )
        until = time.monotonic() + 150
        while READY not in output.read_text():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < until, output.read_text()
            time.sleep(0.05)
        return Up(process, output, f"{scheme}://127.0.0.1:{self.port}")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A data folder that the database's user can enter."""
    with tempfile.TemporaryDirectory(prefix="outrider-test-") as folder:
        Path(folder).chmod(0o755)
        yield Place(Path(folder), free_port())


def wait_for(happened: object, timeout_s: float = 20) -> None:
    assert callable(happened)
    until = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def gone(processes: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)


def test_restarts_what_is_killed_and_ends_what_it_started(place: Place) -> None:
    up = place.start(OUTRIDER_TELTONIKA_PORT=str(free_port()))
    try:
        assert up.answers()
        said = up.output.read_text()
        for part in ("[1/3] Database", "Schema", "Server", up.url, "(private, socket ", "create-user"):
            assert part in said
        code, error = place.fails(OUTRIDER_PORT=str(free_port()))
        assert code == 1
        owner = f"process {up.process.pid}, 127.0.0.1 port {place.port}"
        assert f"Outrider already runs on this database ({owner})" in error

        for name in MARKS:
            before = up.family()[name]
            before.send_signal(signal.SIGKILL)
            wait_for(lambda name=name, before=before: up.family().get(name, before).pid != before.pid)
            wait_for(up.answers)
        family = list(up.family().values())
        assert len(family) == len(MARKS)
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(ENDS_WITHIN_S) == 0
        assert gone(family)
        assert "Stopped." in up.output.read_text()
    finally:
        up.process.kill()


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_works(place: Place) -> None:
    up = place.start()
    try:
        family = list(psutil.Process(up.process.pid).children(recursive=True))
        assert len(family) >= 3
        up.process.kill()
        up.process.wait()
        assert tls.init(Settings(data_dir=place.data), ["127.0.0.1"]) == 0
        folder = place.data / "tls"
        files = {"OUTRIDER_TLS_CERT": str(folder / "server.crt"), "OUTRIDER_TLS_KEY": str(folder / "server.key")}
        up = place.start("https", **files)
        assert gone(family)
        assert up.answers(ssl.create_default_context(cafile=str(folder / "ca.crt")))
        up.process.terminate()
        assert up.process.wait(ENDS_WITHIN_S) == 0
    finally:
        up.process.kill()


def test_a_demonstration_cut_short_is_loaded_anew() -> None:
    with tempfile.TemporaryDirectory(prefix="outrider-test-") as folder:
        Path(folder).chmod(0o755)
        demo = Place(Path(folder), free_port())
        first = subprocess.Popen(
            demo.command(), cwd=ROOT, env=demo.environment(OUTRIDER_DEMO="1"), stdout=subprocess.DEVNULL
        )
        wait_for(lambda: (demo.data / "demo-devices.json").exists(), 60)  # some of it is committed
        first.kill()
        first.wait()
        assert not (demo.data / "demo-accounts.json").exists()
        up = demo.start(OUTRIDER_DEMO="1")
        try:
            said = up.output.read_text()
            assert "demo-dispatcher" in said
            assert "holds people of its own" not in said
            assert not (demo.data / "demo-loading").exists()
        finally:
            up.process.terminate()
            assert up.process.wait(ENDS_WITHIN_S) == 0


def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, error = Place(tmp_path, port).fails(OUTRIDER_DATABASE_URL="postgresql+asyncpg://nowhere.example/x")
    assert code == 1
    assert error == (
        f"Outrider cannot start. Port {port} on 127.0.0.1 is in use by another program: stop it, "
        f"or choose another port: make run PORT={port + 1}\n"
    )
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"OUTRIDER_HOST": "0.0.0.0", "OUTRIDER_DEMO": "1"}, "OUTRIDER_DEMO_ON_NETWORK=1"),
        ({"OUTRIDER_HOST": "203.0.113.7"}, "no address of this machine"),
        ({"OUTRIDER_TLS_CERT": "/nowhere.crt"}, "only together"),
        ({"OUTRIDER_DATA_DIR": "/dev/null/var"}, "cannot be made: Not a directory"),
        ({"OUTRIDER_DATABASE_URL": "postgresql+asyncpg://x@/x?host=/nowhere", "OUTRIDER_PORT": "0"}, "server ended"),
    ],
)
def test_what_cannot_work_is_one_sentence(place: Place, more: dict[str, str], sentence: str) -> None:
    code, error = Place(place.data, free_port()).fails(**more)
    assert code == 1
    assert error.startswith("Outrider cannot start. ")
    assert sentence in error
    assert "Traceback" not in error.splitlines()[0]


def test_the_newest_revision_is_what_the_migration_tool_says() -> None:
    assert revisions.newest_revision() == ScriptDirectory(str(ROOT / "alembic")).get_current_head()


def test_two_newest_revisions_are_none(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text(f'revision = "{name}"\ndown_revision = "z"\n')
    assert revisions.newest_revision(tmp_path) is None


def test_logs_stay_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "LOG_LIMIT_BYTES", 10)
    log = children.open_log(tmp_path, "child")
    with log.open("ab") as writer:
        writer.write(b"a line that is long\n")
        writer.flush()
        children.keep_small(log)
        writer.write(b"short\n")
    children.keep_small(log)
    assert log.read_bytes() == b"short\n"
    assert (tmp_path / "child.log.1").read_bytes() == b"a line that is long\n"
    assert log.stat().st_mode & 0o777 == 0o600
