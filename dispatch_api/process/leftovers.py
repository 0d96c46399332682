"""What a killed database left behind: backends that still hold its memory, and stale lock files.

Called only by whoever holds the database's lock, so no living supervisor owns what is found.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from dispatch_api.process.children import Account
from dispatch_api.process.console import CannotStart
from dispatch_api.process.places import Places

_PATIENCE_S = 15.0
_LEAVING_S = 5.0
"""A postmaster whose parent was killed is already on its way out: give it this long before asking.

Backends without one may work on for hours, and are asked at once.
"""
_SCAN = 'for p in "$@"; do [ "$(readlink /proc/$p/cwd)" = "$0" ] && echo $p; done; true'


def clear(places: Places, account: Account) -> None:
    """Wait for leftover processes to go, ask them, and make stale lock files harmless; CannotStart if one stays."""
    pid_file = places.data / "postmaster.pid"
    if not pid_file.exists():
        return
    began = time.monotonic()
    leaving_s = _LEAVING_S if _postmaster(pid_file) in _processes(places.data, account) else 0.5
    to_ask = [(leaving_s, signal.SIGTERM), (leaving_s + 2, signal.SIGQUIT)]
    while left := _processes(places.data, account):
        waited_s = time.monotonic() - began
        if waited_s > _PATIENCE_S + leaving_s:
            numbers = ", ".join(map(str, left))
            raise CannotStart(f"Old database processes do not end (process {numbers}): end them, then start again.")
        if to_ask and waited_s > to_ask[0][0]:
            _ask(left, _postmaster(pid_file), to_ask.pop(0)[1])
        time.sleep(0.1)
    _forget_reused_numbers(places, pid_file)


def _processes(data: Path, account: Account) -> list[int]:
    """Processes named postgres that work in this folder; read as their user, since root may lack the right."""
    named = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "comm").read_text().strip() == "postgres":
                named.append(folder.name)
    if not named:
        return []
    found = subprocess.run(
        ["/bin/sh", "-c", _SCAN, str(data.resolve()), *named],
        cwd="/", capture_output=True, text=True, check=False, **account.popen_options,
    )  # fmt: skip
    return [int(line) for line in found.stdout.split()]


def _postmaster(pid_file: Path) -> int:
    try:
        return abs(int(pid_file.read_text().splitlines()[0]))
    except (OSError, ValueError, IndexError):
        return 0


def _ask(processes: list[int], postmaster: int, number: signal.Signals) -> None:
    for pid in processes:
        # A postmaster reads SIGTERM as "wait for every client"; SIGINT is its orderly fast stop.
        mild = pid == postmaster and number == signal.SIGTERM
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT if mild else number)


def _forget_reused_numbers(places: Places, pid_file: Path) -> None:
    """Remove lock files that name a process which is not a database any more.

    PostgreSQL only asks whether a process of that number lives, and after a restart of the machine or the
    container another program may have it. Of a dead number it thinks for itself.
    """
    for file in (pid_file, places.socket / ".s.PGSQL.5432.lock"):
        with suppress(FileNotFoundError):
            pid = _postmaster(file)
            if pid and Path(f"/proc/{pid}").exists():
                file.unlink()
