"""Set-up of a checkout, by the system's Python alone: packages of the system, of Python, and of the web pages.

`python3 tools/setup.py run|setup|test|bench` does what is missing and nothing else; each step is named with its time.
A failure is one sentence of what is wrong and one of what to do; all output of programs is in var/log/setup.log.
"""

from __future__ import annotations  # an old Python must get as far as the sentence about old Pythons

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "outrider-setup.json"
LOG = ROOT / "var" / "log" / "setup.log"
FREE_WANTED_GB = 3.0
OLDEST_PYTHON = (3, 11)
SBIN_TOO = f"{os.environ.get('PATH', '')}:/usr/sbin"
OUR_PACKAGES = ("core", "geo", "tasks", "casework", "web_map", "mobile_contract", "dispatch_api")


class CannotSetUp(Exception):
    """One sentence of what is wrong, and one of what to do."""


def main(words: list[str]) -> int:
    """Run the steps of one goal; the exit code."""
    goal = words[0] if words else "run"
    if goal not in {"run", "setup", "test", "bench"}:
        sys.stderr.write("usage: python3 tools/setup.py run|setup|test|bench\n")
        return 2
    began = time.monotonic()
    steps = steps_for(goal)
    for number, (name, action) in enumerate(steps, 1):
        print(f"[{number}/{len(steps)}] {name} … ", end="", flush=True)
        since = time.monotonic()
        try:
            note = action()
        except CannotSetUp as error:
            print("failed", flush=True)
            sys.stderr.write(f"\nSet-up stopped. {error}\n")
            return 1
        except KeyboardInterrupt:
            print("stopped", flush=True)
            return 130
        print(f"{note + ', ' if note else ''}{time.monotonic() - since:.1f} s", flush=True)
    print(f"Set up in {time.monotonic() - began:.1f} s.", flush=True)
    return 0


def steps_for(goal: str) -> list[tuple[str, Callable[[], str]]]:
    """The steps of a goal, in order."""
    return [
        ("This machine", lambda: check_machine(goal)),
        ("System packages", lambda: system_packages(goal)),
        ("Python environment", make_venv),
        ("Python packages", lambda: python_packages("test" if goal in {"test", "bench"} else "run")),
        ("Byte code", byte_code),
        ("Web pages and basemap", web_pages),
    ]


# This machine


def check_machine(goal: str) -> str:
    """Refuse, before anything is changed, what could only fail later."""
    if sys.version_info < OLDEST_PYTHON:
        raise CannotSetUp(
            f"Python {sys.version_info.major}.{sys.version_info.minor} is too old, 3.11 is needed: "
            "use Debian 12, Ubuntu 24.04 or newer, or name another: make run PYTHON=/path/to/python3"
        )
    try:
        LOG.parent.mkdir(parents=True, exist_ok=True)
        LOG.write_text("")
    except OSError as error:
        raise CannotSetUp(f"{LOG.parent} cannot be written to ({error.strerror}): chown the checkout to you.") from None
    free_gb = shutil.disk_usage(ROOT).free / 1024**3
    if free_gb < FREE_WANTED_GB and not STAMP.exists():
        raise CannotSetUp(
            f"Only {free_gb:.1f} GB are free below {ROOT}, {FREE_WANTED_GB:.0f} GB are needed: make room."
        )
    if goal == "run":
        check_port(os.environ.get("OUTRIDER_HOST", "127.0.0.1"), int(os.environ.get("OUTRIDER_PORT", "8000")))
    return ""


def check_port(host: str, port: int) -> None:
    """Find out about a port in use now rather than minutes later; the server itself decides in the end."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotSetUp(
                    f"Port {port} on {host} is in use, by another program or by Outrider itself: stop it, "
                    f"or choose another port: make run PORT={port + 1}"
                ) from None


# System packages


def system_packages(goal: str) -> str:
    """Install what is missing through apt; nothing is asked of apt when nothing is missing."""
    wanted = missing_packages(goal)
    if not wanted:
        return "all there"
    if not shutil.which("apt-get"):
        raise CannotSetUp(f"This system has no apt-get: install what these packages hold: {' '.join(wanted)}")
    as_root = root_prefix(wanted)
    if any(not has_candidate(package) for package in wanted):
        apt(as_root, "update")
    if "mosquitto" in wanted and Path("/run/systemd/system").exists():  # the tests start brokers of their own
        run([*as_root, "systemctl", "mask", "mosquitto.service"], APT_CAUSES, "systemctl mask mosquitto failed")
    try:
        apt(as_root, "install", *wanted)
    except CannotSetUp:  # the list may name versions that are gone
        apt(as_root, "update")
        apt(as_root, "install", *wanted)
    left = missing_packages(goal)
    if left:
        raise CannotSetUp(
            f"apt-get installed its packages, but still missing is what should come from: {' '.join(left)}"
        )
    return f"installed {' '.join(wanted)}"


def missing_packages(goal: str) -> list[str]:
    """Debian's names of what is not there, judged by what is needed rather than by the package list."""
    wanted = []
    if not venv_works():
        wanted.append("python3-venv")
    if (goal in {"test", "bench"} or not os.environ.get("OUTRIDER_DATABASE_URL")) and not postgis_there():
        wanted += postgis_packages()
    if goal in {"test", "bench"} and not shutil.which("mosquitto", path=SBIN_TOO):
        wanted.append("mosquitto")
    if goal == "test":
        wanted += browser_packages()
    if goal == "bench":
        wanted += [program for program in ("wrk", "strace", "faketime") if not shutil.which(program)]
    return wanted


def venv_works() -> bool:
    """Whether `python3 -m venv` can work: Debian ships it apart."""
    return (
        subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode
        == 0
    )


def postgis_there(lib: Path = Path("/usr/lib/postgresql"), share: Path = Path("/usr/share/postgresql")) -> bool:
    """Whether a PostgreSQL with PostGIS is installed."""
    return any(
        (lib / control.parts[-3] / "bin" / "initdb").exists() for control in share.glob("*/extension/postgis.control")
    )


def postgis_packages() -> list[str]:
    """The database's packages: PostGIS for the version that apt's `postgresql` stands for."""
    versions = re.findall(r"Depends: postgresql-(\d+)", output_of("apt-cache", "depends", "postgresql"))
    return ["postgresql", f"postgresql-{versions[0]}-postgis-3" if versions else "postgresql-postgis"]


def browser_packages() -> list[str]:
    """Chromium and one font for the browser tests; Ubuntu's package would only be a pointer to a snap."""
    named = os.environ.get("OUTRIDER_CHROMIUM")
    if named:
        if not os.access(named, os.X_OK):
            raise CannotSetUp(f"OUTRIDER_CHROMIUM={named} is no program: name Chromium's or Chrome's, or unset it.")
        return []
    found = shutil.which("chromium")
    if found and not is_snap(Path(found)):
        return []
    if found or distribution() == "ubuntu":
        raise CannotSetUp(
            "The browser tests need Chromium outside a snap, which Ubuntu's own package is not: install Google Chrome "
            "or Debian's Chromium, and name it: OUTRIDER_CHROMIUM=/usr/bin/google-chrome make test"
        )
    return ["chromium", "fonts-dejavu-core"]


def is_snap(program: Path) -> bool:
    """Whether a program is Ubuntu's stub or a link into a snap."""
    if "snap" in program.resolve().parts or program.resolve().name == "snap":
        return True
    with program.open("rb") as file:
        head = file.read(4096)
    return head.startswith(b"#!") and b"/snap/bin" in head


def distribution(file: Path = Path("/etc/os-release")) -> str:
    """`debian`, `ubuntu`, …"""
    with_id = re.search(r'^ID="?([a-z]+)', file.read_text(), re.MULTILINE) if file.exists() else None
    return with_id.group(1) if with_id else ""


def root_prefix(wanted: list[str]) -> list[str]:
    """What makes a command run as root: nothing, or sudo, which may ask for a password at a terminal."""
    if os.geteuid() == 0:
        return []
    by_hand = f"run this once as root, then make again: apt-get install --no-install-recommends {' '.join(wanted)}"
    if not shutil.which("sudo"):
        raise CannotSetUp(f"Packages are missing, you are not root and there is no sudo: {by_hand}")
    ask = ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
    if subprocess.run([*ask, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        raise CannotSetUp(f"Packages are missing and sudo is not allowed to you: {by_hand}")
    return ask


def has_candidate(package: str) -> bool:
    """Whether apt's list knows a version of the package."""
    return re.search(r"Candidate: (?!\(none\))\S", output_of("apt-cache", "policy", package)) is not None


def apt_command(as_root: list[str], verb: str, *packages: str) -> list[str]:
    """The apt-get command line of a verb."""
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120"]
    if verb == "update":  # a list that could not be fetched is only a warning otherwise
        return [*as_root, *quiet, "update", "-o", "APT::Update::Error-Mode=any"]
    return [*as_root, *quiet, "install", "-y", "--no-install-recommends", *packages]


def apt(as_root: list[str], verb: str, *packages: str) -> None:
    """Run apt-get; CannotSetUp with the likely cause when it fails."""
    run(apt_command(as_root, verb, *packages), APT_CAUSES, f"apt-get {verb} failed")


# Python packages


def wanted_stamp(which: str) -> dict[str, str]:
    """What the environment must have been made of; scripts in it name the checkout's own path."""
    digest = hashlib.sha256(str(ROOT).encode())
    for name in ("requirements.lock", "requirements-test.lock", "uv.lock.txt", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return {"set": which, "hash": digest.hexdigest(), "python": sys.version.split()[0], "root": str(ROOT)}


def stamp() -> dict[str, str]:
    """What the environment was made of; empty when it was never finished."""
    try:
        found = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def make_venv() -> str:
    """An environment in .venv with uv in it, made anew when its Python or its place has changed."""
    was, wanted = stamp(), wanted_stamp("run")
    python = VENV / "bin" / "python"
    alive = python.exists() and subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0
    moved = bool(was) and (was.get("root"), was.get("python")) != (wanted["root"], wanted["python"])
    if not alive or moved:
        shutil.rmtree(VENV, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(VENV)], PIP_CAUSES, "The Python environment could not be made")
    if was and not moved and (VENV / "bin" / "uv").exists():
        return "there"
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
    run([*pip, "-r", "uv.lock.txt"], PIP_CAUSES, "The installer uv could not be installed")
    return ""


def python_packages(which: str) -> str:
    """Exactly the locked packages, by hash, and this checkout itself; an environment for tests serves to run too."""
    was, wanted = stamp(), wanted_stamp(which)
    if was.get("set") == "test":
        wanted["set"] = "test"
    if was == wanted:
        return "there"
    STAMP.unlink(missing_ok=True)
    lock = "requirements-test.lock" if wanted["set"] == "test" else "requirements.lock"
    uv = [str(VENV / "bin" / "uv"), "pip"]
    to = ["--python", str(VENV / "bin" / "python"), "-q", "--compile-bytecode"]
    run([*uv, "sync", *to, "--require-hashes", lock], PIP_CAUSES, "Python packages could not be installed")
    ours = ["install", *to, "--no-deps", "--no-build-isolation", "-e", "."]
    run([*uv, *ours], PIP_CAUSES, "Outrider itself could not be installed")
    STAMP.write_text(json.dumps(wanted))
    return ""


def byte_code() -> str:
    """Our own modules compiled ahead, whatever the environment says of that: each start is half a second shorter."""
    ours = [name for name in OUR_PACKAGES if (ROOT / name).is_dir()]
    run([str(VENV / "bin" / "python"), "-m", "compileall", "-q", *ours], [], "Outrider's modules do not compile")
    return ""


def web_pages() -> str:
    """Scripts, styles and the basemap; the tool itself knows what is up to date."""
    run([str(VENV / "bin" / "python"), "tools/build_web.py"], NPM_CAUSES, "The web pages could not be built")
    return ""


# Running programs, and what their failures mean

NETWORK = (
    r"Could not resolve|Temporary failure|Failed to fetch|Unable to connect|Connection (?:refused|timed out|reset)"
    r"|Network is unreachable|Name or service not known|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET"
    r"|dns error|error sending request|Could not find a version|No route to host"
)
DISK = r"No space left|ENOSPC|not have enough free space|os error 28"
COMMON_CAUSES: list[tuple[str, str]] = [
    (DISK, f"The disk is full: {FREE_WANTED_GB:.0f} GB are needed; make room and run make again."),
    (NETWORK, "The package server cannot be reached: check the network (or proxy) and run make again."),
]
APT_CAUSES: list[tuple[str, str]] = [
    *COMMON_CAUSES,
    (
        r"dpkg was interrupted",
        "An earlier installation was interrupted: run `dpkg --configure -a` as root, then make again.",
    ),
    (
        r"Could not get lock|Unable to acquire",
        "Another program is installing packages: wait for it, then run make again.",
    ),
    (r"unmet dependencies|held broken", "apt has broken packages: run `apt-get -f install` as root, then make again."),
    (
        r"Unable to locate package|no installation candidate|not signed|Release file",
        "apt's package list is broken or lacks the package: mend its sources (/etc/apt), then run make again.",
    ),
]
PIP_CAUSES: list[tuple[str, str]] = [
    *COMMON_CAUSES,
    (
        r"[Hh]ash mismatch|HASHES|DO NOT MATCH",
        "A package is not the one that was locked: do not use it; tell the maintainers.",
    ),
    (r"ensurepip", "Python's venv is incomplete: apt-get install python3-venv, then run make again."),
]
NPM_CAUSES: list[tuple[str, str]] = [
    *COMMON_CAUSES,
    (r"EINTEGRITY", "A package is not the one that was locked: tell the maintainers."),
]


def run(command: list[str], causes: list[tuple[str, str]], failed: str) -> None:
    """Run a program, its output into the log; CannotSetUp with the likely cause when it fails."""
    with LOG.open("ab") as log:
        began = log.tell()
        log.write(f"$ {' '.join(command)}\n".encode())
        log.flush()
        try:
            done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=False, env=plain_environment())
        except OSError as error:
            raise CannotSetUp(f"{failed}: {command[0]}: {error.strerror}.") from None
    if done.returncode:
        with LOG.open("rb") as log:
            log.seek(began)
            raise CannotSetUp(explain(log.read().decode(errors="replace"), causes, failed))


def explain(output: str, causes: list[tuple[str, str]], failed: str) -> str:
    """The sentence for a failure: the first cause whose pattern its output shows, else its last lines."""
    for pattern, sentence in causes:
        if re.search(pattern, output):
            return f"{failed}. {sentence} (All output: {LOG.relative_to(ROOT)})"
    last = "\n".join(output.strip().splitlines()[-6:])
    return f"{failed}. Its output ({LOG.relative_to(ROOT)}) ends:\n{last}"


def plain_environment() -> dict[str, str]:
    """The environment with English messages and without another Python's settings."""
    taken_out = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MAKEFLAGS", "MFLAGS"}
    return {k: v for k, v in os.environ.items() if k not in taken_out} | {"LC_ALL": "C.UTF-8"}


def output_of(*command: str) -> str:
    """What a program prints; empty when it is missing or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, env=plain_environment()).stdout
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
