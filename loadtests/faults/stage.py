"""What a fault test is given: a migrated database of its own, servers on it, and whoever is to be killed later."""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from sqlalchemy.ext.asyncio import AsyncEngine

from core.db import asyncpg_dsn, make_engine
from core.settings import Settings
from dispatch_api.process.cluster import APP, INGEST, OWNER, Cluster
from dispatch_api.process.database import environment
from loadtests.bench.scratch import ROOT
from loadtests.faults import mutants
from loadtests.faults.nemesis import Server

Say = Callable[[str], None]


@dataclass
class Stage:
    """One run of one fault test."""

    cluster: Cluster
    database: str
    folder: Path
    say: Say
    seed: int = 7
    short: bool = False
    mutant: str | None = None
    servers: list[Server] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Let everything random follow from the seed."""
        self.chance = random.Random(self.seed)

    @property
    def urls(self) -> dict[str, str]:
        """The variables that lead a process to the database."""
        roles = {"": APP, "OWNER_": OWNER, "INGEST_": INGEST}
        return {f"OUTRIDER_{which}DATABASE_URL": self.cluster.url(role, self.database) for which, role in roles.items()}

    def server(self, **settings: Any) -> Server:
        """One more server, not started; settings by their names. A mutant that is a server's is in it."""
        factory = mutants.factory(self.mutant)
        server = Server(self.urls, self.folder, factory, name=f"server-{len(self.servers) + 1}", **settings)
        self.servers.append(server)
        return server

    async def serving(self, **settings: Any) -> Server:
        """One more server, ready."""
        server = self.server(**settings)
        await start(server)
        return server

    def engine(self) -> AsyncEngine:
        """The database as the servers see it; to be disposed of."""
        return make_engine(self.urls["OUTRIDER_DATABASE_URL"])

    async def owner(self) -> asyncpg.Connection:
        """The database as its owner."""
        return await asyncpg.connect(asyncpg_dsn(self.urls["OUTRIDER_OWNER_DATABASE_URL"]))

    def errors(self) -> list[str]:
        """Faults that the servers logged."""
        return [error for server in self.servers for error in server.errors()]

    def n(self, full: int, short: int) -> int:
        """A number by the length of the run."""
        return short if self.short else full


async def start(server: Server) -> float:
    """Start a server without stopping the loop; the seconds until it was ready."""
    began = asyncio.get_running_loop().time()
    server.spawn()
    await asyncio.to_thread(server.wait_ready)
    return asyncio.get_running_loop().time() - began


def rss_mib(server: Server) -> float:
    """The server's memory."""
    return float(psutil.Process(server.pid).memory_info().rss / 2**20)


def descriptors(server: Server) -> int:
    """The server's open files and sockets."""
    return int(psutil.Process(server.pid).num_fds())


def migrate(cluster: Cluster) -> None:
    """Bring the cluster's own database, of which every stage has a copy, to the newest schema."""
    urls = environment(Settings(), cluster)
    subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT, env=os.environ | urls, check=True,
                   capture_output=True)  # fmt: skip


@contextmanager
def staged(cluster: Cluster, say: Say, **how: Any) -> Iterator[Stage]:
    """A stage on a copy of the cluster's migrated database; both go afterwards, with whatever still runs."""
    name = f"faults_{os.urandom(4).hex()}"
    asyncio.run(_order(cluster, f"CREATE DATABASE {name} TEMPLATE outrider"))
    with tempfile.TemporaryDirectory(prefix="outrider-faults-") as folder:
        stage = Stage(cluster, name, Path(folder), say, **how)
        try:
            yield stage
        finally:
            for server in stage.servers:
                server.close()
            if not cluster.alive:
                cluster.start()
            asyncio.run(_order(cluster, f"DROP DATABASE {name} WITH (FORCE)"))


async def _order(cluster: Cluster, statement: str) -> None:
    connection = await asyncpg.connect(asyncpg_dsn(cluster.url(OWNER, "postgres")))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
