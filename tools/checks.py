"""Every check of `make test`, each named with its time; ends at the first that fails."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

CHECKS: list[tuple[str, list[str]]] = [
    ("lint", [f"{BIN}/ruff", "check", "."]),
    ("format", [f"{BIN}/ruff", "format", "--check", "."]),
    ("types", [f"{BIN}/mypy"]),
    ("layers", [f"{BIN}/lint-imports"]),
    ("web types", [sys.executable, "tools/build_web.py", "--check"]),
    ("tests", [sys.executable, "-m", "pytest", "--ignore=tests/browser", "-n", "2", "--dist", "loadfile"]),
    ("browser tests", [sys.executable, "-m", "pytest", "tests/browser"]),
]


def main() -> int:
    """Run the checks in order; the exit code of the first that fails, else 0."""
    env = {"OUTRIDER_TEST_DATA": str(ROOT / "../shared/data")} | dict(os.environ)
    env = {name: value for name, value in env.items() if name not in {"OUTRIDER_DEMO", "OUTRIDER_PORT"}}
    began = time.monotonic()
    for number, (name, command) in enumerate(CHECKS, 1):
        print(f"[{number}/{len(CHECKS)}] {name}", flush=True)
        since = time.monotonic()
        code = subprocess.run(command, cwd=ROOT, env=env, check=False).returncode
        spent = time.monotonic() - since
        if code:
            print(f"FAILED: {name}, after {spent:.1f} s", flush=True)
            return code
        print(f"[{number}/{len(CHECKS)}] {name}: passed in {spent:.1f} s", flush=True)
    print(f"All {len(CHECKS)} checks passed in {time.monotonic() - began:.0f} s.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
