"""Fuzz a real server on a scratch database: every operation as every role, then both sockets (F8).

`python -m loadtests.fuzz [--cases 1000] [--roles officer …] [--frames 10000] [--seed N] [--table FILE]`

schemathesis runs all of its phases; `--cases` is how many requests it generates for each operation and role, beside
those it enumerates. Whoever may not write must have written nothing. The exit code is 1 when the server made a fault,
cut a connection, or something could not be run.
"""

import argparse
import asyncio
import csv
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import asyncpg
import httpx
import psutil

from core.db import make_engine
from loadtests.bench.scratch import database
from loadtests.faults.nemesis import Server
from loadtests.fuzz import frames, operations
from loadtests.fuzz.contents import contents
from loadtests.fuzz.operations import Found, Plan
from loadtests.fuzz.scene import API, ROLES, Desk, furnish

TABLE_EVERY_S = 10
WRITES_NOTHING = ("anonymous",)
OF_THE_DOOR = frozenset(
    {"audit_event", "audit_pending", "audit_day", "login_try", "sign_in", "ingest_count", "unknown_device"}
)
"""What knocking alone writes: tries, denials, and counts."""


def main() -> int:
    """Run and print; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000, help="generated for each operation and role")
    parser.add_argument("--roles", nargs="+", default=list(ROLES), metavar="ROLE")
    parser.add_argument("--only", default="", help="operations whose path holds this")
    parser.add_argument("--frames", type=int, default=10_000, help="to the two sockets together")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--table", type=Path, help="write cases and answers by role and operation there, as CSV")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}; making a database …", flush=True)
    with database() as urls, tempfile.TemporaryDirectory(prefix="outrider-fuzz-") as folder:
        server = Server(urls, Path(folder))
        try:
            server.start()
            return _Run(arguments, server, urls).all()
        finally:
            server.close()


class _Run:
    def __init__(self, arguments: argparse.Namespace, server: Server, urls: dict[str, str]) -> None:
        self._arguments, self._server, self._urls = arguments, server, urls
        self._wrong: list[str] = []
        self._found: list[Found] = []
        self._written = time.monotonic()

    def all(self) -> int:
        """Every role, then the sockets, then what is left of the server."""
        before = self._rss_mib()
        for role in self._arguments.roles:
            self._role(role, *asyncio.run(self._prepare()))
        between = self._rss_mib()
        self._sockets(asyncio.run(self._prepare())[0])  # of the people of before, some have signed themselves out
        print(f"server memory {before:.0f} MiB, {between:.0f} after requests, {self._rss_mib():.0f} after frames")
        self._wrong += self._server.errors()
        if self._server.ask("/readyz")[0] != 200:
            self._wrong.append("the server is not ready any more")
        self._write_table(self._found)
        for line in self._wrong:
            print(f"WRONG: {line}")
        print(f"{sum(found.cases for found in self._found)} requests, {len(self._wrong)} things wrong")
        return 1 if self._wrong else 0

    async def _prepare(self) -> tuple[Desk, dict[str, object]]:
        engine = make_engine(self._urls["OUTRIDER_DATABASE_URL"])
        desk = await furnish(engine, self._server.url)
        await engine.dispose()
        async with httpx.AsyncClient(base_url=self._server.url, headers=desk.badges["auditor"].headers()) as http:
            document = (await http.get(f"{API}/openapi.json")).json()
        document["paths"] = {path: each for path, each in document["paths"].items() if self._arguments.only in path}
        return desk, document

    def _role(self, role: str, desk: Desk, document: dict[str, object]) -> None:
        guarded = role in WRITES_NOTHING
        was = asyncio.run(self._contents()) if guarded else {}
        plan = Plan(self._arguments.cases, self._arguments.seed)
        found = operations.run(document, self._server.url, role, desk, plan, _say, self._look)
        self._found.append(found)
        if guarded and (is_now := asyncio.run(self._contents())) != was:
            changed = [name for name in is_now if is_now[name] != was.get(name)]
            self._wrong.append(f"{role} changed {', '.join(changed)}")
        for operation, commands in found.faults.items():
            self._wrong += [f"{role}, {operation}: {command}" for command in commands]
        self._wrong += [f"{role}, not run: {error}" for error in found.errors]
        print("\n".join(_told(found)), flush=True)

    def _sockets(self, desk: Desk) -> None:
        began = time.monotonic()
        seed, wanted = self._arguments.seed, self._arguments.frames
        found = asyncio.run(frames.run(self._server.url, desk, frames=wanted, seed=seed))
        self._wrong += sorted(set(found.faults))
        ends = ", ".join(f"{code}: {n}" for code, n in sorted(found.ends.items()))
        print(f"{found.sent} frames over {found.sockets} sockets in {time.monotonic() - began:.0f} s; ended {ends}")

    async def _contents(self) -> dict[str, tuple[int, int]]:
        owner = await asyncpg.connect(self._urls["OUTRIDER_OWNER_DATABASE_URL"].replace("+asyncpg", ""))
        try:
            return {name: said for name, said in (await contents(owner)).items() if name not in OF_THE_DOOR}
        finally:
            await owner.close()

    def _rss_mib(self) -> float:
        assert self._server.pid
        return float(psutil.Process(self._server.pid).memory_info().rss) / 2**20

    def _look(self, found: Found) -> None:
        if time.monotonic() > self._written + TABLE_EVERY_S:
            self._write_table([*self._found, found])

    def _write_table(self, founds: list[Found]) -> None:
        if not self._arguments.table:
            return
        self._written = time.monotonic()
        with self._arguments.table.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["role", "operation", "cases", *operations.PHASES, "answers"])
            for found in founds:
                for operation, tally in sorted(found.tallies.items()):
                    answers = " ".join(f"{status}:{n}" for status, n in sorted(tally.statuses.items()))
                    phases = [tally.phases[name] for name in operations.PHASES]
                    writer.writerow([found.role, operation, tally.cases, *phases, answers])


def _told(found: Found) -> list[str]:
    statuses: Counter[int] = sum((tally.statuses for tally in found.tallies.values()), Counter())
    phases: Counter[str] = sum((tally.phases for tally in found.tallies.values()), Counter())
    took = sorted(found.took_s)
    slow = f"p99.9 {took[int(len(took) * 0.999)] * 1000:.0f} ms" if took else "-"
    return [
        f"{found.role}: {found.cases} requests to {len(found.tallies)} operations in {found.seconds:.0f} s, {slow}",
        f"  {', '.join(f'{name} {n}' for name, n in phases.items())}",
        f"  {', '.join(f'{status}: {n}' for status, n in sorted(statuses.items()))}",
    ]


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
