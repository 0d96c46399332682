"""What a measurement runs on: a migrated database, in a private cluster or in the one OUTRIDER_TEST_PG_HOST names, and
processes that listen."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from core.ids import new_id

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def database() -> Iterator[dict[str, str]]:
    """The OUTRIDER_*DATABASE_URL variables of a fresh database, dropped afterwards."""
    from dispatch_api.process.cluster import Cluster

    if host := os.environ.get("OUTRIDER_TEST_PG_HOST"):
        yield from _made(host, os.environ.get("OUTRIDER_TEST_PG_PORT", "5432"))
        return
    cluster = Cluster.temporary()
    cluster.start()
    try:
        yield from _made(str(cluster.socket_dir), "5432")
    finally:
        cluster.stop()


def _made(host: str, port: str) -> Iterator[dict[str, str]]:
    name = f"bench_{new_id().hex[-10:]}"
    psql = ["psql", "-q", "-h", host, "-p", port, "-U", "outrider_owner", "-d", "postgres", "-c"]
    subprocess.run([*psql, f"CREATE DATABASE {name}"], check=True)
    url = "postgresql+asyncpg://{role}@/" + name + f"?host={host}&port={port}"
    roles = {"": "outrider_app", "OWNER_": "outrider_owner", "INGEST_": "outrider_ingest"}
    urls = {f"OUTRIDER_{which}DATABASE_URL": url.format(role=role) for which, role in roles.items()}
    try:
        upgrade = [sys.executable, "-m", "alembic", "upgrade", "head"]
        subprocess.run(upgrade, cwd=ROOT, env=os.environ | urls, check=True, capture_output=True)
        yield urls
    finally:
        subprocess.run([*psql, f"DROP DATABASE {name} WITH (FORCE)"], check=True)


@contextlib.contextmanager
def listening(command: list[str], port: int, environment: dict[str, str]) -> Iterator[psutil.Process]:
    """A process from the moment it takes connections (uvicorn does so once its application is ready) until it ended."""
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} did not start.")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)
