"""A private PostgreSQL with PostGIS on a Unix socket: made, started, watched and stopped by its owner.

Nothing here uses TCP or passwords: who may open the socket's folder, and the operating system's word on who is
calling, decide. Durability is said on the command line, where no ALTER SYSTEM can undo it.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from dispatch_api.process import leftovers
from dispatch_api.process.children import open_log, spawn, tail
from dispatch_api.process.console import CannotStart, Interrupted
from dispatch_api.process.places import Places, check_socket_length, choose, database_account, private_folder
from dispatch_api.process.postgres import Binaries, memory_options

if TYPE_CHECKING:
    from core.settings import Settings

OWNER, APP, INGEST = "outrider_owner", "outrider_app", "outrider_ingest"
DURABLE = ("fsync=on", "full_page_writes=on", "synchronous_commit=on")
QUIET = ("log_min_error_statement=panic", "log_error_verbosity=terse")
"""Statements and their values may hold names and places of people: not for a log."""

_ROLES = """
SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', name)
FROM unnest(ARRAY['outrider_app', 'outrider_ingest']) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \\gexec
SELECT format('ALTER ROLE %I SET %s', name, setting)
FROM unnest(ARRAY['outrider_app', 'outrider_ingest']) AS wanted (name),
  unnest(ARRAY['synchronous_commit = on', 'statement_timeout = ''5s''', 'lock_timeout = ''2s''',
               'idle_in_transaction_session_timeout = ''10s''']) AS s (setting) \\gexec
SELECT 'CREATE DATABASE outrider' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'outrider') \\gexec
"""


class Cluster:
    """One private database in `data_dir` (PostgreSQL's own folder), reached through `socket_dir`.

    `with Cluster(...) as cluster:` starts and stops it. Start it from the main thread only: it ends with the
    thread that started it.
    """

    def __init__(self, data_dir: Path, socket_dir: Path) -> None:
        self.places = Places(Path(data_dir), Path(socket_dir))
        self.account = database_account()
        self.log = Path()
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._remove: Path | None = None

    @classmethod
    def for_settings(cls, settings: "Settings") -> "Cluster":
        """The private database of these settings; its folders are chosen, nothing is started."""
        places = choose(Path(settings.data_dir), database_account())
        cluster = cls(places.data, places.socket)
        cluster.places = places
        return cluster

    @classmethod
    def temporary(cls) -> "Cluster":
        """A database in a new folder that the database's user can enter; the folder goes when it is stopped."""
        folder = Path(tempfile.mkdtemp(prefix="outrider-"))
        account = database_account()
        os.chown(folder, account.uid, account.gid)
        cluster = cls(folder / "postgres", folder / "socket")
        cluster._remove = folder
        return cluster

    @property
    def data_dir(self) -> Path:
        """PostgreSQL's own folder."""
        return self.places.data

    @property
    def socket_dir(self) -> Path:
        """The folder of its socket: the `host` of a connection."""
        return self.places.socket

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while we run it."""
        return self._process.pid if self.alive and self._process else None

    @property
    def alive(self) -> bool:
        """Whether the postmaster we started runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def binaries(self) -> Binaries:
        """The programs that fit the data: of the version that made it, or the newest there are."""
        version = self.data_dir / "PG_VERSION"
        return Binaries.find(version.read_text().strip() if version.exists() else None)

    def url(self, role: str = APP, database: str = "outrider") -> str:
        """The address for SQLAlchemy with asyncpg, as one of the three roles."""
        return f"postgresql+asyncpg://{role}@/{database}?host={quote(str(self.socket_dir))}"

    def __enter__(self) -> "Cluster":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def answers(self) -> bool:
        """Whether a database answers at the socket, whoever started it."""
        asked = [str(self.binaries.program("pg_isready")), "-q", "-h", str(self.socket_dir), "-d", "postgres"]
        return subprocess.run(asked, check=False, cwd="/").returncode == 0

    def lock(self, note: str = "") -> None:
        """Take the database for ourselves until we stop or die; raises CannotStart when somebody has it."""
        if self._lock is not None:
            return
        self.places.prepare(self.account)
        try:
            file = (self.places.home / "postgres.lock").open("a+")
        except OSError as error:
            raise CannotStart(f"{self.places.home} cannot be written to: {error.strerror}.") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            who = file.read().strip() or "another process"
            file.close()
            raise CannotStart(f"Outrider already runs on this database ({who}): use it, or stop it first.") from None
        self._lock = file
        file.truncate(0)
        file.write(f"process {os.getpid()}{note}\n")
        file.flush()

    def start(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Make the database if there is none, start it, and return once it answers and its roles exist.

        Raises CannotStart with the reason, or Interrupted when `interrupted()` becomes true meanwhile.
        """
        try:
            self.lock()
            self._start(interrupted)
        except BaseException:
            self.stop()
            raise

    def _start(self, interrupted: Callable[[], bool]) -> None:
        check_socket_length(self.socket_dir)
        private_folder(self.socket_dir, self.account)
        self.log = open_log(self.places.home / "log", "postgres")
        if not (self.data_dir / "PG_VERSION").exists():
            self._initdb()
        private_folder(self.data_dir, self.account)
        leftovers.clear(self.places, self.account)
        self._process = self._launch()
        self._wait_ready(interrupted)
        self._psql(_ROLES)

    def stop(self) -> None:
        """Stop it after the running transactions were ended (fast shutdown), and give the lock back."""
        if self._process is not None:
            for number, patience_s in ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
                with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    self._process.send_signal(number)
                    self._process.wait(patience_s)
                    break
            self._process = None
            with suppress(OSError):
                self.socket_dir.rmdir()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._remove is not None:
            shutil.rmtree(self._remove, ignore_errors=True)

    def _initdb(self) -> None:
        """Make the data beside its place and move it there whole, so that a kill leaves nothing half made."""
        new = self.data_dir.with_name("postgres.new")
        shutil.rmtree(new, ignore_errors=True)
        private_folder(new, self.account)
        command = [self.binaries.program("initdb"), "-D", new, "-U", OWNER, "-A", "peer", "-E", "UTF8",
                   "--locale=C.UTF-8", "-k", "--no-instructions"]  # fmt: skip
        done = subprocess.run(
            [str(part) for part in command],
            cwd="/", capture_output=True, text=True, check=False, **self.account.popen_options,
        )  # fmt: skip
        if done.returncode:
            shutil.rmtree(new, ignore_errors=True)
            raise CannotStart(f"The database could not be made in {new.parent}: {_last_line(done.stderr)}")
        me = self.account.name if self.account.is_me else "root"
        (new / "pg_hba.conf").write_text("local all all peer map=outrider\n")
        (new / "pg_ident.conf").write_text("".join(f"outrider {me} {role}\n" for role in (OWNER, APP, INGEST)))
        new.rename(self.data_dir)

    def _launch(self) -> "subprocess.Popen[bytes]":
        options = [
            "listen_addresses=", f"unix_socket_directories={self.socket_dir}", "unix_socket_permissions=0700",
            *DURABLE, *QUIET, *memory_options(),
        ]  # fmt: skip
        flags = [part for option in options for part in ("-c", option)]
        return spawn(
            [self.binaries.program("postgres"), "-D", self.data_dir, *flags],
            log=self.log, death_signal=signal.SIGINT, account=self.account, cwd="/",
        )  # fmt: skip

    def _wait_ready(self, interrupted: Callable[[], bool]) -> None:
        """Until our own child answers; replaying a long log after a crash may take minutes."""
        while self.alive:
            if self.answers() and self.alive:
                return
            if interrupted():
                raise Interrupted
            time.sleep(0.03)
        raise CannotStart(
            f"The database in {self.data_dir} did not start. Its log ({self.log}) ends:\n{tail(self.log)}"
        )

    def ask(self, question: str) -> str:
        """What the database `outrider` answers its owner; empty when it cannot, for instance before migration."""
        return self._run_psql(question, "outrider").stdout.strip()

    def empty(self) -> None:
        """Throw the database `outrider` away and make it anew, without tables."""
        self._psql(f"DROP DATABASE IF EXISTS outrider WITH (FORCE);\n{_ROLES}")

    def _psql(self, script: str) -> None:
        done = self._run_psql(script, "postgres")
        if done.returncode:
            raise CannotStart(f"The database and its roles could not be made: {_last_line(done.stderr)}")

    def _run_psql(self, script: str, database: str) -> "subprocess.CompletedProcess[str]":
        command = [self.binaries.program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.socket_dir,
                   "-U", OWNER, "-d", database]  # fmt: skip
        return subprocess.run(
            [str(part) for part in command], input=script, capture_output=True, text=True, check=False, cwd="/"
        )


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason was given"])[-1]
