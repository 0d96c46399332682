"""Fixtures on real PostGIS: one migrated template a run and worker, one database cloned from it a test."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import httpx
import hypothesis
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from core.db import make_engine
from core.ids import new_id
from core.settings import Settings
from tests.geo.fleet import Fleet, Ingest
from tests.helpers import ROOT, Client, Database, Server

# A shell's background job ignores Ctrl-C, and so would everything that the tests start and end with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is the machine's affair.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

SCRATCH_HOST = os.environ.get("OUTRIDER_TEST_PG_HOST")
SCRATCH_PORT = int(os.environ.get("OUTRIDER_TEST_PG_PORT", "5432"))
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() and shutil.disk_usage("/dev/shm").free > 4 * 2**30 else None
"""A folder in memory, where there is room: a database cloned and dropped for each test waits for no disk."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[tuple[str, int]]:
    """(socket folder, port) of a PostgreSQL for this run: our own private cluster unless one is named."""
    if SCRATCH_HOST:
        yield SCRATCH_HOST, SCRATCH_PORT
        return
    from dispatch_api.process.cluster import Cluster

    with tempfile.TemporaryDirectory(prefix="outrider-test-", dir=MEMORY) as folder:
        Path(folder).chmod(0o755)
        private = Cluster(data_dir=Path(folder) / "postgres", socket_dir=Path(folder) / "s")
        private.start()
        try:
            yield str(private.socket_dir), 5432
        finally:
            private.stop()


def _admin(host: str, port: int, *statements: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(host=host, port=port, user="outrider_owner", database="postgres")
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    # In a thread of its own, because a browser test already has a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, run()).result()


@pytest.fixture(scope="session")
def template(cluster: tuple[str, int]) -> Iterator[Database]:
    """A database migrated to head, to be cloned."""
    host, port = cluster
    made = Database(f"t_{new_id().hex[-12:]}", host, port)
    _admin(host, port, f"CREATE DATABASE {made.name}")
    migrate(made, "upgrade", "head")
    yield made
    _admin(host, port, f"DROP DATABASE {made.name} WITH (FORCE)")


def migrate(database: Database, *words: str) -> str:
    """Run alembic on a database as its owner; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *words],
        cwd=ROOT,
        env=os.environ | {"OUTRIDER_OWNER_DATABASE_URL": database.owner_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def cloned(template: Database) -> Iterator[Database]:
    """A fresh migrated database, gone at the end."""
    made = Database(f"{template.name}_{new_id().hex[-8:]}", template.host, template.port)
    _admin(made.host, made.port, f"CREATE DATABASE {made.name} TEMPLATE {template.name}")
    try:
        yield made
    finally:
        _admin(made.host, made.port, f"DROP DATABASE {made.name} WITH (FORCE)")


@pytest.fixture
def database(template: Database) -> Iterator[Database]:
    """A fresh migrated database of the test's own."""
    with cloned(template) as made:
        yield made


@pytest_asyncio.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    """The app role's connections."""
    made = make_engine(database.app_url)
    yield made
    await made.dispose()


@pytest_asyncio.fixture
async def fleet(database: Database) -> AsyncIterator[Fleet]:
    """Makes units, devices and shifts in the test's database, as its owner."""
    db = await database.owner()
    yield Fleet(db)
    await db.close()


@pytest_asyncio.fixture
async def ingest(database: Database, fleet: Fleet) -> AsyncIterator[Ingest]:
    """The ingest of a server on the test's database; ends before the fleet's connection does."""
    async with Ingest(database) as made:
        yield made


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    """Settings of a server on the test's database."""
    return Settings(
        database_url=database.app_url,
        owner_database_url=database.owner_url,
        ingest_database_url=database.ingest_url,
        data_dir=tmp_path,
    )


@asynccontextmanager
async def serving(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Client]:
    """The whole application in this process, reached over ASGI, with its lifespan run."""
    from dispatch_api.app import create_app

    application = create_app(settings)
    started, stop = asyncio.Event(), asyncio.Event()
    outcome: list[dict[str, str]] = []

    async def receive() -> dict[str, str]:
        if not started.is_set():
            return {"type": "lifespan.startup"}
        await stop.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message: dict[str, str]) -> None:
        outcome.append(message)
        started.set()

    lifespan = asyncio.create_task(application({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send))
    await started.wait()
    assert outcome[0]["type"] == "lifespan.startup.complete", outcome
    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        yield Client(http, engine)
    stop.set()
    await lifespan


@pytest_asyncio.fixture
async def client(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Client]:
    """The application on the test's database."""
    async with serving(settings, engine) as made:
        yield made


@pytest.fixture
def server(database: Database, tmp_path: Path) -> Iterator[Server]:
    """A real server process on the test's database."""
    running = Server(database, tmp_path).start()
    yield running
    running.stop()
