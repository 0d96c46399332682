"""What set-up asks of the system, and its sentences, over real programs and their real outputs."""

import importlib.util
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tools/setup.py over a copy of the lock files in a folder of the test's own."""
    spec = importlib.util.spec_from_file_location("outrider_setup", ROOT / "tools" / "setup.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("requirements.lock", "requirements-test.lock", "uv.lock.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "var" / "log").mkdir(parents=True)
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "stamp.json")
    monkeypatch.setattr(module, "LOG", tmp_path / "var" / "log" / "setup.log")
    return module


def program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_a_port_in_use(setup: ModuleType) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(setup.CannotSetUp, match=f"Port {port} .* in use.*make run PORT={port + 1}"):
            setup.check_port("127.0.0.1", port)
    setup.check_port("127.0.0.1", port)


def test_a_full_disk_is_found_before_anything_is_changed(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "FREE_WANTED_GB", 1e9)
    with pytest.raises(setup.CannotSetUp, match="GB are free"):
        setup.check_machine("setup")


def test_an_old_python_gets_one_sentence(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "OLDEST_PYTHON", (99, 0))
    with pytest.raises(setup.CannotSetUp, match="is too old"):
        setup.check_machine("setup")


def test_failure_is_a_sentence_and_an_exit_code(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "OLDEST_PYTHON", (99, 0))
    assert setup.main(["run"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "[1/6] This machine … failed\n"
    assert shown.err.startswith("\nSet-up stopped. Python 3.")
    assert setup.main(["everything"]) == 2


def test_missing_packages_by_what_is_needed(setup: ModuleType, tmp_path: Path) -> None:
    share, lib = tmp_path / "share", tmp_path / "lib"
    assert not setup.postgis_there(lib, share)
    (share / "16" / "extension").mkdir(parents=True)
    (share / "16" / "extension" / "postgis.control").touch()
    assert not setup.postgis_there(lib, share)
    (lib / "16" / "bin").mkdir(parents=True)
    (lib / "16" / "bin" / "initdb").touch()
    assert setup.postgis_there(lib, share)


def test_ubuntus_chromium_is_known_for_a_snap(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OUTRIDER_CHROMIUM", raising=False)
    stub = program(tmp_path / "bin", "chromium", 'exec /snap/bin/chromium "$@"')
    assert setup.is_snap(stub)
    monkeypatch.setenv("PATH", str(stub.parent), prepend=os.pathsep)
    with pytest.raises(setup.CannotSetUp, match="OUTRIDER_CHROMIUM=/usr/bin/google-chrome make test"):
        setup.browser_packages()
    real = program(tmp_path / "bin", "chromium", "exit 0")
    assert setup.browser_packages() == []
    real.unlink()
    monkeypatch.setenv("PATH", str(stub.parent))
    monkeypatch.setattr(setup, "distribution", lambda: "debian")
    assert setup.browser_packages() == ["chromium", "fonts-dejavu-core"]
    monkeypatch.setattr(setup, "distribution", lambda: "ubuntu")
    with pytest.raises(setup.CannotSetUp, match="outside a snap"):
        setup.browser_packages()
    monkeypatch.setenv("OUTRIDER_CHROMIUM", "/nowhere")
    with pytest.raises(setup.CannotSetUp, match="is no program"):
        setup.browser_packages()


def test_distribution(setup: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n')
    assert setup.distribution(file) == "ubuntu"


def test_the_command_that_installs_is_one_apt_accepts(setup: ModuleType) -> None:
    command = setup.apt_command([], "install", *setup.postgis_packages())
    done = subprocess.run([*command, "--simulate"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert setup.apt_command(["sudo"], "install", "x")[:3] == ["sudo", "env", "DEBIAN_FRONTEND=noninteractive"]


def test_a_package_list_that_cannot_be_fetched(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sources").write_text("deb [trusted=yes] http://127.0.0.1:9/ stable main\n")
    for folder in ("state/lists/partial", "cache/archives/partial", "parts"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources"; Dir::Etc::sourceparts "{tmp_path}/parts";'
        f'Dir::State "{tmp_path}/state"; Dir::Cache "{tmp_path}/cache"; APT::Sandbox::User "";'
        'Acquire::Retries "0"; Acquire::http::Proxy "DIRECT";'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with pytest.raises(setup.CannotSetUp, match=r"apt-get update failed\. The package server cannot be reached"):
        setup.apt([], "update")
    assert "127.0.0.1" in setup.LOG.read_text()


def test_a_package_nobody_knows(setup: ModuleType) -> None:
    assert not setup.has_candidate("outrider-no-such-package")
    with pytest.raises(setup.CannotSetUp, match="package list is broken or lacks the package"):
        setup.apt([], "install", "--simulate", "outrider-no-such-package")


def test_neither_root_nor_sudo(setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    by_hand = "run this once as root, then make again: apt-get install --no-install-recommends postgresql"
    with pytest.raises(setup.CannotSetUp, match=f"there is no sudo: {by_hand}"):
        setup.root_prefix(["postgresql"])
    program(tmp_path, "sudo", "exit 1")
    with pytest.raises(setup.CannotSetUp, match=f"sudo is not allowed to you: {by_hand}"):
        setup.root_prefix(["postgresql"])
    program(tmp_path, "sudo", "exit 0")
    assert setup.root_prefix(["postgresql"])[0] == "sudo"


def test_no_network_for_python_packages(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(setup.CannotSetUp, match=r"uv could not be installed\. The package server cannot be reached"):
        setup.make_venv()
    assert not setup.STAMP.exists()


def test_an_environment_for_tests_serves_to_run(setup: ModuleType, tmp_path: Path) -> None:
    setup.STAMP.write_text(json.dumps(setup.wanted_stamp("test")))
    assert setup.python_packages("test") == "there"
    assert setup.python_packages("run") == "there"
    setup.STAMP.write_text(json.dumps(setup.wanted_stamp("run")))
    assert setup.python_packages("run") == "there"
    with pytest.raises(setup.CannotSetUp, match="bin/uv: No such file"):
        setup.python_packages("test")


def test_another_lock_or_another_place_is_another_environment(setup: ModuleType, tmp_path: Path) -> None:
    before = setup.wanted_stamp("run")
    assert setup.wanted_stamp("run") == before
    with (tmp_path / "requirements.lock").open("a") as lock:
        lock.write("# newer\n")
    assert setup.wanted_stamp("run")["hash"] != before["hash"]


@pytest.mark.parametrize(
    ("output", "part"),
    [
        ("dpkg: error processing archive x (--unpack):\n cannot copy: No space left on device", "disk is full"),
        ("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'", "dpkg --configure -a"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7", "Another program"),
        ("E: Unable to correct problems, you have held broken packages.", "apt-get -f install"),
        ("E: The repository 'http://x bookworm Release' is not signed.", "package list is broken"),
        ("something new\nand strange", "ends:\nsomething new\nand strange"),
    ],
)
def test_what_failures_mean(setup: ModuleType, output: str, part: str) -> None:
    assert part in setup.explain(output, setup.APT_CAUSES, "apt-get install failed")


def test_the_build_runs_what_people_run() -> None:
    assert "exec make test" in (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    shown = subprocess.run(["make", "-n", "run", "DEMO=0"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "tools/setup.py run" in shown
    assert "exec setpriv --pdeathsig TERM .venv/bin/outrider up" in shown


def test_set_up_needs_nothing_but_python() -> None:
    """-I and -S: no installed package can be imported."""
    done = subprocess.run([sys.executable, "-I", "-S", ROOT / "tools" / "setup.py", "nothing"], capture_output=True)
    assert done.returncode == 2
