"""Every check of `make test`, each named with its time; ends at the first that fails."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = [sys.executable, "-m", "pytest"]
AGAIN_AT_MOST = 5


@dataclass(frozen=True)
class Check:
    """One command that must end with 0."""

    name: str
    command: list[str]

    def run(self, env: dict[str, str], out: int | None = None) -> subprocess.Popen[bytes]:
        """Start it; what it prints goes to `out`."""
        return subprocess.Popen(self.command, cwd=ROOT, env=env, stdout=out, stderr=out)


@dataclass(frozen=True)
class Tests(Check):
    """A run of pytest, whose few failed tests are run once more by themselves.

    Whole flows share two cores with each other; one that a busy machine made late is named UNSTEADY and is to be
    mended, but does not hide that all else holds.
    """

    cache: str = ""

    def again(self, env: dict[str, str]) -> int:
        """Run what failed, alone; the exit code."""
        noted = ROOT / self.cache / "v/cache/lastfailed"
        failed = sorted(json.loads(noted.read_text())) if noted.exists() else []
        if not 1 <= len(failed) <= AGAIN_AT_MOST:
            return 1
        print(f"Failed beside others, now alone: {' '.join(failed)}", flush=True)
        code = subprocess.run([*PYTEST, "-v", *failed], cwd=ROOT, env=env, check=False).returncode
        if code == 0:
            print(f"UNSTEADY, to be mended: {' '.join(failed)}", flush=True)
        return code


def pytest(name: str, *args: str) -> Tests:
    """A run of its own, with a memory of its own for what failed."""
    cache = f".pytest_cache/{name.replace(' ', '_')}"
    return Tests(name, [*PYTEST, "-o", f"cache_dir={cache}", *args], cache)


SERIAL = [
    Check("lint", [f"{BIN}/ruff", "check", "."]),
    Check("format", [f"{BIN}/ruff", "format", "--check", "."]),
    Check("types", [f"{BIN}/mypy"]),
    Check("layers", [f"{BIN}/lint-imports"]),
    Check("web types", [sys.executable, "tools/build_web.py", "--check"]),
]
PAGES = pytest("browser tests", "tests/browser")
REST = pytest("tests", "--ignore=tests/browser", "-n", "2", "--dist", "loadfile")
TOTAL = len(SERIAL) + 2


def main() -> int:
    """Run the checks; the exit code of the first that fails, else 0."""
    env = {"OUTRIDER_TEST_DATA": str(ROOT / "../shared/data")} | dict(os.environ)
    env = {name: value for name, value in env.items() if name not in {"OUTRIDER_DEMO", "OUTRIDER_PORT"}}
    began = time.monotonic()
    for number, check in enumerate(SERIAL, 1):
        print(f"[{number}/{TOTAL}] {check.name}", flush=True)
        since = time.monotonic()
        if code := _told(number, check, check.run(env).wait(), since):
            return code
    if code := _both(env):
        return code
    print(f"All {TOTAL} checks passed in {time.monotonic() - began:.0f} s.", flush=True)
    return 0


def _both(env: dict[str, str]) -> int:
    """Tests in the browser beside all others: each waits a good part of its time for the other side of a socket."""
    print(f"[{TOTAL - 1}/{TOTAL}] {REST.name}, with {PAGES.name} beside them", flush=True)
    since = time.monotonic()
    with tempfile.TemporaryFile() as printed:
        pages = PAGES.run(env, printed.fileno())
        try:
            codes = [REST.run(env).wait(), pages.wait()]
        finally:
            pages.terminate()
        printed.seek(0)
        print(printed.read().decode(errors="replace"), flush=True)
    for number, (check, code) in enumerate(zip((REST, PAGES), codes, strict=True), TOTAL - 1):
        if code := _told(number, check, code and check.again(env), since):
            return code
    return 0


def _told(number: int, check: Check, code: int, since: float) -> int:
    spent = time.monotonic() - since
    if code:
        print(f"FAILED: {check.name}, after {spent:.1f} s", flush=True)
    else:
        print(f"[{number}/{TOTAL}] {check.name}: passed in {spent:.1f} s", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
