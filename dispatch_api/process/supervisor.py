"""`outrider up`: the private database, server, worker, gateway and demonstration as one tree of processes.

The order is fixed: lock, port, database, schema, demonstration, server, worker, gateway. Nothing is begun before the
port is ours, and everything that was begun is ended in the opposite order, however the start or the run ends.
"""

import json
import operator
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from core.settings import Settings
from dispatch_api.demo.files import accounts_file, loading_mark
from dispatch_api.process import ports, tls
from dispatch_api.process.children import Child, keep_small, open_log, spawn, tail
from dispatch_api.process.cluster import Cluster
from dispatch_api.process.console import CannotStart, Interrupted, say, step
from dispatch_api.process.database import environment
from dispatch_api.process.serving import outrider_command, server_command, sharing_command
from dispatch_api.revisions import newest_revision

READY_WITHIN_S = 60.0
STOP_WITHIN_S = 10.0
FILES_WANTED = 65_536
LOGS_LOOKED_AT_EVERY = 50
"""Rounds of 0.2 s."""


def up(settings: Settings) -> int:
    """Start everything, keep it running until Ctrl-C or SIGTERM, end everything; the exit code.

    1 when it could not start (one sentence on standard error says why), else 0.
    """
    supervisor = Supervisor(settings)
    try:
        supervisor.run()
    except Interrupted:
        say("Stopped before it had started.")
        return 130
    except CannotStart as error:
        say()
        sys.stderr.write(f"Outrider cannot start. {error}\n")
        return 1
    return 0


class Supervisor:
    """The parent of every process of one installation. Its methods belong to the main thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stopping = threading.Event()
        self.cluster: Cluster | None = None
        self.children: list[Child] = []
        self.env: dict[str, str] = {}
        self.logs = Path(settings.data_dir).resolve() / "log"
        self.trackers = "over HTTP alone"
        self.accounts, self.loading = accounts_file(settings), loading_mark(settings)

    def run(self) -> None:
        """Start, watch, stop; raises CannotStart or Interrupted."""
        with ExitStack() as undo:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
                    undo.callback(signal.signal, number, signal.signal(number, self._asked_to_stop))
            self._refuse_what_cannot_work()
            if self.settings.database_url is None:
                self.cluster = Cluster.for_settings(self.settings)
                undo.callback(self.cluster.stop)
                self.cluster.lock(f", {self.settings.host} port {self.settings.port}")
            take = ports.bind if self.settings.processes == 1 else ports.reserve
            listening = undo.enter_context(take(self.settings.host, self.settings.port))
            undo.callback(self._stop_children)
            self._start(listening)
            self._introduce(listening)
            self._watch()
            say("Stopping …")
        say("Stopped.")

    def _asked_to_stop(self, *_: object) -> None:
        self.stopping.set()

    def _refuse_what_cannot_work(self) -> None:
        settings = self.settings
        demo = settings.demo or self.accounts.exists()
        if demo and not ports.is_loopback(settings.host) and not settings.demo_on_network:
            raise CannotStart(
                f"The demonstration's accounts would be reachable at {settings.host} from other machines: "
                "use DEMO=0 with another OUTRIDER_DATA_DIR, or set OUTRIDER_DEMO_ON_NETWORK=1 if you mean it."
            )
        for problem in tls.problems(settings.tls_cert, settings.tls_key):
            raise CannotStart(problem)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    def _start(self, listening: socket.socket) -> None:
        steps: list[tuple[str, Callable[[], None]]] = []
        if self.cluster is not None:
            steps.append(("Database", self._start_cluster))
        self.env = os.environ | environment(self.settings, self.cluster)
        self.env |= {
            "OUTRIDER_DATA_DIR": str(Path(self.settings.data_dir).resolve()),
            "OUTRIDER_HOST": self.settings.host,
            "OUTRIDER_PORT": str(listening.getsockname()[1]),
            "OUTRIDER_DEMO": str(int(self.settings.demo)),
        }
        if "OUTRIDER_OWNER_DATABASE_URL" in self.env:
            steps.append(("Schema", self._migrate))
        if self.settings.demo:
            steps.append(("Demonstration", self._load_demo))
        steps.append(("Server", lambda: self._start_server(listening)))
        for number, (name, action) in enumerate(steps, 1):
            with step(number, len(steps), name):
                action()
        self._add("worker", outrider_command("worker"))
        self._start_gateway()
        if self.settings.demo and self.accounts.exists():
            self._add("demo", outrider_command("demo", "drive"))

    def _start_cluster(self) -> None:
        assert self.cluster is not None
        self.cluster.start(self.stopping.is_set)
        if self.loading.exists():  # the last start was ended while it filled the database: begin again
            self.cluster.empty()
            self.loading.unlink()

    def _migrate(self) -> None:
        """Bring the schema up. A look first: starting the migration tool takes seconds, even for nothing."""
        if self.cluster is None or self.cluster.ask("SELECT version_num FROM alembic_version") != newest_revision():
            self._once("upgrade")

    def _load_demo(self) -> None:
        """Load the demonstration; the command itself leaves a database with people alone, only slower."""
        if self.cluster is None:
            self._once("demo", "load")
        elif self.cluster.ask("SELECT EXISTS (SELECT FROM user_account)") != "t":
            self.loading.touch()
            self._once("demo", "load")
            self.loading.unlink()

    def _once(self, *words: str) -> None:
        """Run a command of ours to its end; CannotStart with its last words when it fails."""
        name = "-".join(words)
        log = open_log(self.logs, name)
        process = spawn(outrider_command(*words), log=log, env=self.env)
        while process.poll() is None:
            if self.stopping.wait(0.02):
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_WITHIN_S)
                process.kill()
                raise Interrupted
        if process.returncode:
            raise CannotStart(f"`outrider {' '.join(words)}` failed; its log ({log}) ends:\n{tail(log)}")

    def _add(self, name: str, command: list[str], *fds: int) -> Child:
        child = Child(name, command, self.env, open_log(self.logs, name), fds)
        child.start()
        self.children.append(child)
        return child

    def _start_server(self, listening: socket.socket) -> None:
        if self.settings.processes == 1:
            server = self._add("server", server_command(self.settings, listening.fileno()), listening.fileno())
        else:
            for number in range(1, self.settings.processes + 1):
                server = self._add(f"server-{number}", sharing_command())
        until = time.monotonic() + READY_WITHIN_S
        answer = "nothing"
        while time.monotonic() < until:
            if self.stopping.wait(0.05):
                raise Interrupted
            if not server.alive:
                log = self.logs / f"{server.name}.log"
                raise CannotStart(f"The server ended at once; its log ({log}) ends:\n{tail(log)}")
            answer = ask_ready(listening, self.settings.tls)
            if answer == "ready":
                return
        raise CannotStart(f"The server was not ready within {READY_WITHIN_S:.0f} s: /readyz said {answer}")

    def _start_gateway(self) -> None:
        """Listen for trackers too, unless a port of theirs is another's: people can work without them."""
        host, wanted = self.settings.host, {
            "Teltonika on TCP and UDP": ("OUTRIDER_TELTONIKA_PORT", self.settings.teltonika_port),
            "GT06 on TCP and UDP": ("OUTRIDER_GT06_PORT", self.settings.gt06_port),
            "H02 on TCP and UDP": ("OUTRIDER_H02_PORT", self.settings.h02_port),
            "NMEA on TCP": ("OUTRIDER_NMEA_PORT", self.settings.nmea_port),
            "ATAK on TCP": ("OUTRIDER_COT_PORT", self.settings.cot_port),
        }  # fmt: skip
        for setting, port in filter(operator.itemgetter(1), wanted.values()):
            try:
                ports.bind(host, port).close()
            except CannotStart:
                say(f"Port {port} on {host} cannot be had: no trackers ({setting} names another).")
                return
        listening = [f"{what} port {port}" for what, (_, port) in wanted.items() if port]
        if listening:
            self._add("gateway", outrider_command("gateway"))
            self.trackers = ", ".join(listening)

    def _introduce(self, listening: socket.socket) -> None:
        say()
        for address in ports.addresses(listening, "https" if self.settings.tls else "http"):
            say(f"  Outrider    {address}")
        say(f"  database    {self._where()}")
        say(f"  trackers    {self.trackers}")
        for name, port in self.settings.unauthenticated.items():
            say(
                f"  beware      {name} knows no secret: let port {port} be reached through a private APN or a VPN alone"
            )
        say(f"  logs        {_short(self.logs)}")
        if not self.settings.demo:
            say("  first administrator:  .venv/bin/outrider create-user LOGIN --role administrator")
        elif self.accounts.exists():
            say("  demonstration accounts, for this database only:")
            for account in json.loads(self.accounts.read_text()):
                say(f"    {account['role']:<20}{account['login']:<24}{account['password']}")
        else:
            say("  no demonstration: the database holds people of its own; another OUTRIDER_DATA_DIR gets a new one")
        say("  Ctrl-C stops everything.")
        say()

    def _where(self) -> str:
        if self.cluster is None:
            return "as OUTRIDER_DATABASE_URL says"
        places = self.cluster.places
        if places.why_elsewhere:
            return f"{places.data} ({places.why_elsewhere})"
        return f"{_short(places.data)} (private, socket {places.socket})"

    def _watch(self) -> None:
        """Start again whatever dies, until somebody asks to stop."""
        rounds = 0
        while not self.stopping.wait(0.2):
            rounds += 1
            if self.cluster is not None and not self.cluster.alive:
                self._revive_cluster()
            for child in self.children:
                if happened := child.tend():
                    say(happened)
            if rounds % LOGS_LOOKED_AT_EVERY == 0:
                for log in self.logs.glob("*.log"):
                    keep_small(log)

    def _revive_cluster(self) -> None:
        assert self.cluster is not None
        say("The database ended; starting it again.")
        for pause_s in (0.0, 1.0, 5.0, 30.0):
            if self.stopping.wait(pause_s):
                return
            try:
                self.cluster.start(self.stopping.is_set)
            except Interrupted:
                return
            except CannotStart as error:
                say(str(error))
            else:
                say("The database is back.")
                return
        raise CannotStart("The database could not be started again.")

    def _stop_children(self) -> None:
        """Servers first, so that nobody is answered who could not be served; the others with them."""
        until = time.monotonic() + STOP_WITHIN_S
        for child in self.children:
            child.ask_to_stop()
        for child in self.children:
            child.wait_stopped(until)


def ask_ready(listening: socket.socket, with_tls: bool) -> str:
    """`ready`, or what /readyz answered instead. Our own certificate need not be trusted by this machine."""
    address = ports.addresses(listening, "https" if with_tls else "http")[0]
    direct = urllib.request.ProxyHandler({})
    unchecked = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())  # noqa: S323
    try:
        with urllib.request.build_opener(direct, unchecked).open(f"{address}/readyz", timeout=5):
            return "ready"
    except urllib.error.HTTPError as error:
        return error.read(500).decode(errors="replace")
    except OSError as error:
        return str(error)


def _short(path: Path) -> str:
    """The path as seen from the working folder, where that is shorter."""
    with suppress(ValueError):
        return f"./{path.relative_to(Path.cwd())}"
    return str(path)
