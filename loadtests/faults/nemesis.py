"""What goes wrong: the server killed and started again, the database killed or restarted under a server that stays.

All of it belongs to the main thread, because the kernel ends our children with the thread that started them.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from core.settings import Settings
from dispatch_api.process import ports
from dispatch_api.process.children import spawn, tail
from dispatch_api.process.cluster import Cluster
from dispatch_api.process.serving import APPLICATION, outrider_command, server_options

BACK_WITHIN_S = 60.0
"""Later than this is never: the trial ends."""
GONE_WITHIN_S = 20.0


class Broken(Exception):
    """What must go on did not."""


def until(holds: Callable[[], bool], within_s: float, otherwise: str) -> None:
    """Return as soon as something holds; raises Broken when it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise Broken(otherwise)
        time.sleep(0.02)


class Server:
    """Outrider's server as `outrider up` runs it: on a socket that outlives it, so that clients wait, not fail.

    `application` is another ASGI factory than Outrider's own; `settings` are further ones by their names.
    """

    def __init__(
        self, urls: dict[str, str], folder: Path, application: str | None = None, name: str = "server", **settings: Any
    ) -> None:
        self._listening = ports.bind("127.0.0.1", 0)
        self.port = port = self._listening.getsockname()[1]
        self.url, self.log = f"http://127.0.0.1:{port}", folder / f"{name}.log"
        self.socket_url = f"ws://127.0.0.1:{port}/api/v1"
        what = [application, "--factory"] if application else [APPLICATION]
        fd = ["--fd", str(self._listening.fileno())]
        options = server_options(Settings(port=port, data_dir=folder, demo=False))
        self._command = [sys.executable, "-m", "uvicorn", *what, *fd, *options]
        own = {"OUTRIDER_DATA_DIR": str(folder), "OUTRIDER_PORT": str(port), "OUTRIDER_LOG_LEVEL": "warning"}
        self._env = os.environ | urls | own | {f"OUTRIDER_{key.upper()}": str(value) for key, value in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None

    def add(self, env: dict[str, str]) -> None:
        """Start it with these variables as well."""
        self._env |= env

    @property
    def pid(self) -> int | None:
        """The server's process while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def worker_pid(self) -> int | None:
        """The background work's process while it runs."""
        return self._worker.pid if self._worker else None

    def start(self) -> float:
        """Start it; the seconds until it was ready."""
        began = time.monotonic()
        self.spawn()
        self.wait_ready()
        return time.monotonic() - began

    def spawn(self, **env: str) -> None:
        """Start it without waiting; `env` are variables for this start."""
        fds = [self._listening.fileno()]
        self._process = spawn(
            self._command, log=self.log, env=self._env | env, pass_fds=fds, death_signal=signal.SIGKILL
        )

    def wait_ready(self) -> None:
        """Return once /readyz says so; raises Broken."""
        deadline, told = time.monotonic() + BACK_WITHIN_S, ""
        while time.monotonic() < deadline:
            if self.pid is None:
                raise Broken(f"the server ended by itself; its log ends:\n{tail(self.log, 20)}")
            status, told = self.ask("/readyz")
            if status == 200:
                return
            time.sleep(0.02)
        raise Broken(f"the server was not ready in time; it said {told!r}, its log ends:\n{tail(self.log, 20)}")

    def ask(self, path: str) -> tuple[int, str]:
        """What a path is answered with; status 0 for no answer within 2 s."""
        try:
            answer = httpx.get(self.url + path, timeout=2)
        except httpx.TransportError as failure:
            return 0, repr(failure)
        return answer.status_code, answer.text

    def errors(self) -> list[str]:
        """The faults the server logged, each in a line."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            told = json.loads(line) if line.startswith("{") else {"level": line[:5].lower(), "event": line}
            if told.get("level") == "error":
                cause = (told.get("exception") or told["event"]).strip().splitlines()[-1]
                found.append(f"the server logged {told['event']}: {cause[:200]}")
        return found

    def start_worker(self) -> None:
        """Start the background work: deadlines, and the chain of the audit."""
        log = self.log.with_name("worker.log")
        self._worker = spawn(outrider_command("worker"), log=log, env=self._env, death_signal=signal.SIGKILL)

    def end_worker(self) -> None:
        """End the background work in order; raises Broken when it had ended by itself."""
        if self._worker is None:
            return
        if self._worker.poll() is not None:
            raise Broken(f"the worker ended by itself; its log ends:\n{tail(self.log.with_name('worker.log'), 20)}")
        self._worker.terminate()
        self._worker.wait(BACK_WITHIN_S)
        self._worker = None

    def kill(self) -> None:
        """kill -9."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def terminate(self) -> "subprocess.Popen[bytes]":
        """Ask it to end in order, as a deployment does; the process that is ending. Another can be started at once."""
        process, self._process = self._process, None
        assert process
        process.terminate()
        return process

    def close(self) -> None:
        """End whatever still runs."""
        for process in (self._process, self._worker):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        with suppress(OSError):  # it is closed already
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def crash(cluster: Cluster) -> None:
    """kill -9 all processes of this cluster at once, and return when they are gone."""
    assert cluster.pid
    postmaster = psutil.Process(cluster.pid)
    postmaster.suspend()  # it makes no further ones
    processes = [*postmaster.children(recursive=True), postmaster]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    until(lambda: not cluster.alive, GONE_WITHIN_S, "the killed database did not end")
    until(lambda: not any(map(_lives, processes)), GONE_WITHIN_S, "the killed database's processes did not end")


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def shut_down(cluster: Cluster) -> None:
    """End the cluster as `restart -m fast` does: transactions under way are undone, clients cut."""
    assert cluster.pid
    os.kill(cluster.pid, signal.SIGINT)
    until(lambda: not cluster.alive, GONE_WITHIN_S, "the database did not shut down")


@dataclass(frozen=True)
class Blow:
    """One fault: what it was, and the seconds until the server was ready after it could be again."""

    what: str
    ready_s: float


def kill_server(server: Server) -> Blow:
    """Kill the server and start it."""
    server.kill()
    return Blow("server killed", server.start())


def strike_database(server: Server, cluster: Cluster, *, orderly: bool, away_s: float) -> Blow:
    """Crash the database (or shut it down in order) under a running server, and start it after a while.

    Raises Broken when the server ends, or says anything but "alive, not ready" meanwhile.
    """
    pid = server.pid
    (shut_down if orderly else crash)(cluster)
    time.sleep(away_s)
    told = server.ask("/healthz")[0], server.ask("/readyz")[0]
    if told != (200, 503):
        raise Broken(f"without a database /healthz and /readyz answered {told}, not 200 and 503")
    cluster.start()
    began = time.monotonic()
    server.wait_ready()
    if server.pid != pid:
        raise Broken("the server did not outlive the database")
    return Blow("database shut down" if orderly else "database killed", time.monotonic() - began)
