"""Where the private database and its socket live, and that nobody else can have put them there."""

import hashlib
import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dispatch_api.process.children import Account
from dispatch_api.process.console import CannotStart

SYSTEM_DATA = Path("/var/lib/outrider")
SYSTEM_SOCKETS = Path("/run/outrider")
_SOCKET_PATH_LIMIT = 93
"""Bytes of a socket's folder: 107 of sockaddr_un, less `/.s.PGSQL.5432`."""


def database_account() -> Account:
    """The user PostgreSQL runs as: ourselves, or `postgres` when we are root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid())
        return Account(me.pw_name, me.pw_uid, me.pw_gid)
    try:
        found = pwd.getpwnam("postgres")
    except KeyError:
        raise CannotStart("There is no user `postgres`: install the package `postgresql`.") from None
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def private_folder(path: Path, account: Account) -> Path:
    """Make the folder if it is missing, for that user alone; refuse one that is another's or open to others."""
    try:
        path.mkdir(mode=0o700)
        os.chown(path, account.uid, account.gid)
    except FileExistsError:
        pass
    except OSError as error:
        raise CannotStart(f"The folder {path} cannot be made: {error.strerror}.") from error
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise CannotStart(f"{path} is not a folder: move it away.")
    if found.st_uid != account.uid:
        owner = _name(found.st_uid)
        raise CannotStart(f"The folder {path} belongs to {owner}: start Outrider as that user, or move it away.")
    if found.st_mode & 0o077:
        raise CannotStart(f"The folder {path} is open to other users: chmod 700 {path}")
    return path


def _name(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user number {uid}"


@dataclass(frozen=True)
class Places:
    """Folders of one private database: `data` of PostgreSQL itself, `home` around it, `socket` to reach it."""

    data: Path
    socket: Path
    why_elsewhere: str = ""
    note: Path | None = None

    @property
    def home(self) -> Path:
        """The folder that holds the database, its lock and its log."""
        return self.data.parent

    def prepare(self, account: Account) -> None:
        """Make the folders around the data, and note a place outside the data folder."""
        try:
            self.socket.parent.mkdir(parents=True, exist_ok=True)
            if self.note is None:
                self.home.mkdir(parents=True, exist_ok=True)
                return
            self.home.parent.mkdir(parents=True, exist_ok=True)
            private_folder(self.home, account)
            self.note.write_text(f"{self.data}\n")
        except OSError as error:
            raise CannotStart(f"{error.filename} cannot be written to: {error.strerror}.") from error


def choose(data_dir: Path, account: Account) -> Places:
    """The places for Outrider's data folder, which is made if missing; nothing else is.

    Beside the data folder's other files when the database's user can get there, else below /var/lib/outrider
    under a name made of the folder's real path. That place is noted in `postgres.path`, because a moved
    checkout would get another name and look empty.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"The data folder {data_dir} cannot be made: {error.strerror}.") from error
    real = data_dir.resolve()
    short = hashlib.sha256(os.fsencode(real)).hexdigest()[:12]
    note, inside = real / "postgres.path", real / "postgres"
    elsewhere = f"the {account.name} user cannot enter {real}"
    if note.exists():
        return Places(Path(note.read_text().strip()), _socket(account, short), elsewhere, note)
    if account.is_me or _can_enter(real, account):
        return Places(inside, _socket(account, short))
    if inside.exists():
        raise CannotStart(
            f"The database is in {inside}, but {elsewhere} any more: give its folders back their x right."
        )
    return Places(SYSTEM_DATA / short / "postgres", _socket(account, short), elsewhere, note)


def _can_enter(folder: Path, account: Account) -> bool:
    """Whether that user can pass through every folder on the way."""
    tested = subprocess.run(["/usr/bin/test", "-x", str(folder)], cwd="/", check=False, **account.popen_options)
    return tested.returncode == 0


def _socket(account: Account, short: str) -> Path:
    if os.geteuid() == 0:
        return SYSTEM_SOCKETS / short
    run = os.environ.get("XDG_RUNTIME_DIR", "")
    if run and os.path.isdir(run) and os.stat(run).st_uid == account.uid:
        folder = Path(run) / f"outrider-{short}"
        if len(os.fsencode(folder)) <= _SOCKET_PATH_LIMIT:
            return folder
    return Path("/tmp") / f"outrider-{account.uid}-{short}"  # noqa: S108  owner and rights are checked after


def check_socket_length(folder: Path) -> None:
    """Refuse a folder whose socket's name the kernel could not hold."""
    if len(os.fsencode(folder)) > _SOCKET_PATH_LIMIT:
        raise CannotStart(f"The socket folder {folder} has a name of more than {_SOCKET_PATH_LIMIT} bytes.")
