"""What sockets cost: frames to 200 screens beside a bare writer of prebuilt frames, and the memory of each.

`python -m loadtests.bench.sockets [--json] [--rounds 3] [--frames 1000]`. One server process at a time, its clients
(`socket_clients`) in a process of their own that only counts; both share the machine.

- `to_bare`: frames a second that the hub sends to 200 dispatchers' sockets over what a plain asyncio server sends by
  `transport.write` of one prebuilt frame to as many connections; the median over the rounds.
- `kb_a_socket`: what 1,000 open sockets add to the server's memory (their users', views' and buffers' share too).
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

from core.actor import Role, system
from core.db import make_engine
from core.settings import Settings
from core.work import open_work
from dispatch_api.process.serving import server_options
from loadtests.bench import scratch
from loadtests.bench.fanout import people

PORT = int(os.environ.get("OUTRIDER_BENCH_PORT", "8480"))
SCREENS, USERS, A_USER = 200, 250, 4
"""Screens that are written to; people who open sockets, and how many each."""


async def _tokens(urls: dict[str, str]) -> list[str]:
    engine = make_engine(urls["OUTRIDER_DATABASE_URL"])
    async with open_work(engine, system("bench")) as work:
        found = [token for _, token in await people(work, USERS, Role.DISPATCHER)]
    await engine.dispose()
    return found


def _served(urls: dict[str, str], folder: Path, *command: str) -> contextlib.AbstractContextManager[psutil.Process]:
    environment = urls | {"OUTRIDER_DATA_DIR": str(folder), "OUTRIDER_LOG_LEVEL": "warning"}
    return scratch.listening([sys.executable, "-m", *command], PORT, environment)


class _Clients:
    """Open sockets in a process of their own."""

    def __init__(self, plan: Path, n: int) -> None:
        command = [sys.executable, "-m", "loadtests.bench.socket_clients", str(PORT), str(plan), str(n)]
        self._process = subprocess.Popen(
            command, cwd=scratch.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ask("")

    def ask(self, order: str) -> Any:
        """What it answers to an order; the empty one only waits until all sockets are open."""
        assert self._process.stdin
        assert self._process.stdout
        if order:
            self._process.stdin.write(order + "\n")
            self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> "_Clients":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def _frames_per_s(plan: Path, frames: int) -> float:
    """Frames that 200 connections have read a second, from the order to flood them to the last one's last."""
    with _Clients(plan, SCREENS) as clients:
        clients.ask(f"expect {frames}")
        began = time.time()
        httpx.post(f"http://127.0.0.1:{PORT}/flood?frames={frames}", timeout=120)
        return SCREENS * frames / (float(clients.ask("wait")) - began)


def _kb_a_socket(plan: Path, server: psutil.Process) -> float:
    with _Clients(plan, SCREENS):
        pass  # what the first sockets of a process bring along counts for nobody
    time.sleep(2)
    before, n = server.memory_info().rss, USERS * A_USER
    with _Clients(plan, n):
        time.sleep(3)
        return (server.memory_info().rss - before) / n / 1024


def measure(rounds: int = 3, frames: int = 1_000) -> dict[str, Any]:
    """Both servers in turn, then the memory of ours."""
    speeds: dict[str, list[float]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as name, scratch.database() as urls:
        plan = Path(name) / "plan.json"
        plan.write_text(json.dumps(asyncio.run(_tokens(urls))))
        options = server_options(Settings(port=PORT, data_dir=Path(name)))
        ours = ["uvicorn", "loadtests.bench.apps:flooding", "--factory", "--port", str(PORT), *options]
        for _ in range(rounds):
            for way, command in (("ours", ours), ("bare", ["loadtests.bench.bare", str(PORT)])):
                with _served(urls, Path(name), *command):
                    speeds[way].append(_frames_per_s(plan, frames))
        with _served(urls, Path(name), *ours) as server:
            kb = _kb_a_socket(plan, server)
    return {
        "to_bare": round(median(a / b for a, b in zip(speeds["ours"], speeds["bare"], strict=True)), 3),
        "frames_per_s": {way: round(median(found)) for way, found in speeds.items()},
        "kb_a_socket": round(kb, 1),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=1_000)
    arguments = parser.parse_args()
    figures = measure(arguments.rounds, arguments.frames)
    print(json.dumps(figures) if arguments.json else "\n".join(f"{name:16} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
