"""What tests share: databases cloned from a migrated template, people by role, a signed-in client, a real server."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import passwords, sign_in
from core.actor import Actor, Role, system
from core.bus import Bus
from core.ids import digest, new_id, new_secret
from core.models import Credential, UserAccount
from core.settings import Settings
from core.work import Work, open_work
from dispatch_api.process.serving import server_options
from geo.models import Device, DeviceAssignment, Shift, ShiftMember, Unit, UnitMember
from loadtests.faults.broker import free_port as free_port

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Database:
    """One database and how each role reaches it."""

    name: str
    host: str
    port: int = 5432

    def url(self, role: str) -> str:
        return f"postgresql+asyncpg://{role}@/{self.name}?host={self.host}&port={self.port}"

    @property
    def owner_url(self) -> str:
        return self.url("outrider_owner")

    @property
    def app_url(self) -> str:
        return self.url("outrider_app")

    @property
    def ingest_url(self) -> str:
        return self.url("outrider_ingest")

    def environment(self) -> dict[str, str]:
        """The variables a process of Outrider needs to work on this database."""
        return {
            "OUTRIDER_DATABASE_URL": self.app_url,
            "OUTRIDER_OWNER_DATABASE_URL": self.owner_url,
            "OUTRIDER_INGEST_DATABASE_URL": self.ingest_url,
        }

    async def owner(self) -> asyncpg.Connection:
        return await asyncpg.connect(host=self.host, port=self.port, user="outrider_owner", database=self.name)


@cache
def _password_hash() -> str:
    """The hash of PASSWORD, made once a run: argon2 is slow on purpose."""
    return passwords._hasher.hash(PASSWORD)


async def person(engine: AsyncEngine, *roles: Role | str, login: str | None = None, **fields: Any) -> UserAccount:
    """A person with these roles and PASSWORD."""
    login = login or f"{'-'.join(map(str, roles)) or 'nobody'}-{new_id().hex[-6:]}"
    async with open_work(engine, system("test")) as work:
        made = UserAccount(login=login, name=fields.pop("name", "Test Person"), roles=list(map(str, roles)), **fields)
        work.session.add(made)
        await work.session.flush()
        work.session.add(Credential(user_id=made.id, password_hash=_password_hash()))
    return made


def actor_of(user: UserAccount, *units: UUID) -> Actor:
    """The actor a person is once signed in."""
    return Actor(
        user_id=user.id,
        login=user.login,
        name=user.name,
        roles=frozenset(map(Role, user.roles)),
        office_id=user.office_id,
        unit_ids=frozenset(units),
    )


@contextlib.asynccontextmanager
async def work_of(engine: AsyncEngine, actor: Actor, bus: Bus | None = None) -> AsyncIterator[Work]:
    """A unit of work as this actor."""
    async with open_work(engine, actor, bus) as work:
        yield work


@dataclass
class Crew:
    """A unit with one officer and one device, on shift unless said otherwise."""

    unit: Unit
    officer: UserAccount
    device: Device
    device_key: str
    shift: Shift | None = None

    @property
    def actor(self) -> Actor:
        return actor_of(self.officer, self.unit.id)


async def crew(
    engine: AsyncEngine, *, on_shift: bool = True, since: str = "1 day", protocol: str = "http", **unit_fields: Any
) -> Crew:
    """A crew straight in the database; `since` is how long ago its shift began (a PostgreSQL interval)."""
    officer = await person(engine, Role.OFFICER)
    key = new_secret("od")
    fields = {"call_sign": f"T-{new_id().hex[-8:]}", "kind": "patrol"} | unit_fields
    async with open_work(engine, system("test")) as work:
        unit = Unit(**fields, status="available" if on_shift else "off_duty")
        device = Device(protocol=protocol, key_digest=digest(key), interval_s=10)
        work.session.add_all([unit, device])
        await work.session.flush()
        work.session.add(UnitMember(unit_id=unit.id, user_id=officer.id))
        work.session.add(DeviceAssignment(device_id=device.id, unit_id=unit.id))
        shift = None
        if on_shift:
            ago = (await work.session.execute(text(f"SELECT now() - interval '{since}'"))).scalar_one()
            shift = Shift(unit_id=unit.id, on_at=ago)
            work.session.add(shift)
            await work.session.flush()
            work.session.add(ShiftMember(shift_id=shift.id, user_id=officer.id))
    return Crew(unit, officer, device, key, shift)


@dataclass
class Client:
    """An HTTP client against one app; `sign_in` gives headers for a person."""

    http: httpx.AsyncClient
    engine: AsyncEngine

    async def sign_in(self, user: UserAccount) -> dict[str, str]:
        """Authorization headers of a new session, opened without the slow hash."""
        async with open_work(self.engine, system("test")) as work:
            return {"Authorization": f"Bearer {(await sign_in.open_session(work, user)).token}"}

    async def new(self, *roles: Role | str, **fields: Any) -> tuple[UserAccount, dict[str, str]]:
        """A new person with these roles, and their headers."""
        user = await person(self.engine, *roles, **fields)
        return user, await self.sign_in(user)


@dataclass
class Server:
    """A real uvicorn of Outrider in its own process; `kill` and `start` let a test break it."""

    database: Database
    data_dir: Path
    port: int = field(default_factory=free_port)
    extra: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def start(self, timeout_s: float = 90) -> "Server":
        """Start and wait until it is ready."""
        log = (self.data_dir / "server.log").open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                "dispatch_api.asgi:app",
                "--port",
                str(self.port),
                *server_options(Settings()),
            ],
            cwd=ROOT,
            env=os.environ
            | self.database.environment()
            | {"OUTRIDER_DATA_DIR": str(self.data_dir), "OUTRIDER_PORT": str(self.port)}
            | self.extra,
            stdout=log,
            stderr=log,
        )
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.process.kill()
        raise AssertionError(f"the server did not start:\n{self.log()[-4000:]}")

    def log(self) -> str:
        """What the server has written so far."""
        return (self.data_dir / "server.log").read_text(errors="replace")

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """The orderly end."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


BUSES_OF_WARSAW = "traces/warsaw_buses_2024-02-13_evening.csv.gz"


def shared_data(path: str, otherwise: str) -> Path | None:
    """A file of the shared test data; None where it is not here, and a warning says what is left out."""
    file = Settings().test_data / path
    if file.exists():
        return file
    warnings.warn(f"{file} is not here: {otherwise}", stacklevel=2)
    return None


async def eventually(check: Any, timeout_s: float = 5.0, every_s: float = 0.05) -> Any:
    """The first true value of `check()` (sync or async); fails after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = check()
        if asyncio.iscoroutine(value):
            value = await value
        if value or time.monotonic() > deadline:
            assert value, "it did not happen in time"
            return value
        await asyncio.sleep(every_s)
