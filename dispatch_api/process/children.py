"""Child processes that never outlive their parent, and are started again when they die."""

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

LOG_LIMIT_BYTES = 10 * 1024 * 1024
BACK_OFF_S = (0.1, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
STEADY_S = 60.0
"""A child that lived this long starts its back-off anew."""


@dataclass(frozen=True)
class Account:
    """The operating system's user a process runs as."""

    name: str
    uid: int
    gid: int

    @property
    def is_me(self) -> bool:
        """Whether this process already runs as that user."""
        return self.uid == os.geteuid()

    @property
    def popen_options(self) -> dict[str, Any]:
        """What makes Popen run a program as that user."""
        return {} if self.is_me else {"user": self.uid, "group": self.gid, "extra_groups": []}


def _die_with_parent(number: int) -> Callable[[], None]:
    """What a child runs before its program: ask the kernel for a signal when its parent's thread ends.

    A change of user clears that wish, so it is asked for after; Popen calls this after changing the user.
    """
    parent = os.getpid()

    def ask() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path | None,
    death_signal: signal.Signals = signal.SIGTERM,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    cwd: str | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program that gets `death_signal` when we die, in a session of its own, writing to `log`, or where we do.

    Call it from the main thread only: the kernel ties the signal to the thread that started the child.
    The session keeps the terminal's Ctrl-C away, so that an orderly stop stays ours to lead.
    """
    with log.open("ab") if log else nullcontext() as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=env,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
            preexec_fn=_die_with_parent(death_signal),
            **(account.popen_options if account else {}),
        )


def open_log(folder: Path, name: str) -> Path:
    """The log file of a child, readable by its owner alone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = folder / f"{name}.log"
    log.touch(mode=0o600)
    return log


def keep_small(log: Path) -> None:
    """Set a log aside once it has grown past 10 MB; the one set aside before goes.

    Its writer appends, so it goes on at the beginning of the emptied file.
    """
    with suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copy2(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, for a person to read."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    return ""


@dataclass
class Child:
    """One long-running process of Outrider, kept alive until it is told to stop."""

    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str]
    log: Path | None
    pass_fds: Sequence[int] = ()
    process: "subprocess.Popen[bytes] | None" = None
    deaths: int = 0
    started_at: float = 0.0
    due_at: float = 0.0

    def start(self) -> None:
        """Start it now."""
        self.process = spawn(self.command, log=self.log, env=self.env, pass_fds=self.pass_fds)
        self.started_at = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def tend(self) -> str | None:
        """Start it again if it died and its pause is over; a sentence when something happened, else None."""
        now = time.monotonic()
        if self.alive:
            return None
        if self.process is not None:
            code, self.process = self.process.returncode, None
            self.deaths = 0 if now - self.started_at > STEADY_S else self.deaths
            pause_s = BACK_OFF_S[min(self.deaths, len(BACK_OFF_S) - 1)]
            self.deaths, self.due_at = self.deaths + 1, now + pause_s
            where = f", its log: {self.log}" if self.log else ""
            return f"{self.name} ended ({_why(code)}); starting it again in {pause_s:g} s{where}"
        if now >= self.due_at:
            self.start()
        return None

    def ask_to_stop(self) -> None:
        """Send SIGTERM, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait_stopped(self, until: float) -> None:
        """Wait until a moment of the monotonic clock, then kill."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


def _why(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
