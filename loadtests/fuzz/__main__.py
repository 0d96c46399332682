"""Fuzz a real server on a scratch database: every operation as every role, then both sockets (F8).

`python -m loadtests.fuzz [--cases 1000] [--roles officer …] [--frames 10000] [--seed N] [--table FILE]`

schemathesis runs all of its phases; `--cases` is how many requests it generates for each operation, beside those it
enumerates. Each is sent as every role; who may write nothing asks last and alone, and must have written nothing.
The exit code is 1 when the server made a fault, cut a connection, or something could not be run.
"""

import argparse
import asyncio
import csv
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from loadtests.bench.scratch import database
from loadtests.faults.nemesis import Server
from loadtests.fuzz import frames, operations
from loadtests.fuzz.contents import contents
from loadtests.fuzz.found import PHASES, Found
from loadtests.fuzz.operations import STATEFUL, Plan
from loadtests.fuzz.scene import API, ROLES, Desk
from loadtests.fuzz.shares import Done, Share, furnished, repeated, work

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
    parser.add_argument("--processes", type=int, default=2, help="that generate and send")
    parser.add_argument("--minutes", type=float, default=inf, help="after which no operation is begun; says which")
    parser.add_argument("--after", type=Path, help="the table of an earlier run: what it has is left out")
    arguments = parser.parse_args()
    if not set(arguments.roles) - set(WRITES_NOTHING):
        parser.error("anonymous repeats what others asked: name another role, too")
    print(f"seed {arguments.seed}; making a database …", flush=True)
    with database() as urls, tempfile.TemporaryDirectory(prefix="outrider-fuzz-") as folder:
        server = Server(urls, Path(folder))
        try:
            server.start()
            return _Run(arguments, server, urls, Path(folder)).all()
        finally:
            server.close()


class _Run:
    def __init__(self, arguments: argparse.Namespace, server: Server, urls: dict[str, str], folder: Path) -> None:
        self._arguments, self._server, self._folder = arguments, server, folder
        self._database_url, self._owner_url = urls["OUTRIDER_DATABASE_URL"], urls["OUTRIDER_OWNER_DATABASE_URL"]
        self._plan = Plan(arguments.cases, arguments.seed)
        self._until = time.time() + arguments.minutes * 60
        self._wrong: list[str] = []
        self._not_begun: list[str] = []
        self._found = {role: Found(role) for role in arguments.roles}
        self._before = _before(arguments.after, arguments.roles) if arguments.after else set[str]()
        self._written = self._began = time.monotonic()

    def all(self) -> int:
        """Every role, then the sockets, then what is left of the server."""
        before = self._rss_mib()
        document = self._document()
        kept = self._together(document)
        for role in WRITES_NOTHING:
            if role in self._found:
                self._alone(role, document, kept)
        between = self._rss_mib()
        self._sockets(furnished(self._server.url, self._database_url))
        print(f"server memory {before:.0f} MiB, {between:.0f} after requests, {self._rss_mib():.0f} after frames")
        return self._judged()

    def _document(self) -> dict[str, Any]:
        desk = furnished(self._server.url, self._database_url)
        headers = desk.badges["auditor"].headers()
        document = httpx.get(f"{self._server.url}{API}/openapi.json", headers=headers, timeout=60).json()
        document["paths"] = {path: each for path, each in document["paths"].items() if self._arguments.only in path}
        return dict(document)

    def _together(self, document: dict[str, Any]) -> list[Path]:
        """Chains and operations, as many at once as there are processes; where one role's requests were kept."""
        roles = [role for role in self._found if role not in WRITES_NOTHING]
        shares = [self._share(f"chains of {role}", document, [role], (STATEFUL,)) for role in roles]
        for path, methods in document["paths"].items():
            for method, said in methods.items():
                narrow = document | {"paths": {path: {method: said}}}
                kept = self._folder / f"{len(shares)}.kept"
                generated = tuple(phase for phase in PHASES if phase != STATEFUL)
                shares.append(self._share(f"{method.upper()} {path}", narrow, roles, generated, kept))
        shares = [share for share in shares if share.what not in self._before]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self._arguments.processes, mp_context=context) as pool:
            doing = [pool.submit(work, share) for share in shares]
            try:
                for number, done in enumerate(as_completed(doing), 1):
                    self._note(done.result(), f"{number} of {len(shares)}")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [share.kept for share in shares if share.kept and share.kept.exists()]

    def _share(
        self, what: str, document: dict[str, Any], roles: list[str], phases: tuple[str, ...], kept: Path | None = None
    ) -> Share:
        plan = replace(self._plan, phases=phases)
        return Share(what, document, self._server.url, self._database_url, roles, plan, self._until, kept)

    def _note(self, done: Done, which: str) -> None:
        if not done.founds:
            self._not_begun.append(done.share.what)
            return
        for found in done.founds:
            self._found[found.role].add(found)
        requests, faults = sum(found.cases for found in done.founds), sum(len(found.faults) for found in done.founds)
        told = f", faults as {faults} roles" if faults else ""
        print(f"{which}: {done.share.what}: {requests} requests in {done.seconds:.0f} s{told}", flush=True)
        if time.monotonic() > self._written + TABLE_EVERY_S:
            self._write_table()

    def _alone(self, role: str, document: dict[str, Any], kept: list[Path]) -> None:
        """What others asked, as who may write nothing; and whether anything was written."""
        desk = furnished(self._server.url, self._database_url)
        was = asyncio.run(self._contents())
        self._found[role].add(repeated(self._server.url, kept, role))
        if time.time() < self._until:
            plan = replace(self._plan, phases=(STATEFUL,))
            self._found[role].add(operations.run(document, self._server.url, [role], desk, plan)[0])
        else:
            self._not_begun.append(f"chains of {role}")
        is_now = asyncio.run(self._contents())
        if changed := [name for name in is_now if is_now[name] != was.get(name)]:
            self._wrong.append(f"{role} changed {', '.join(changed)}")

    def _judged(self) -> int:
        """What is told at the end."""
        for found in self._found.values():
            print("\n".join(_told(found)))
            for operation, commands in found.faults.items():
                self._wrong += [f"{found.role}, {operation}: {command}" for command in commands]
            self._wrong += [f"{found.role}, not run: {error}" for error in found.errors]
        self._wrong += self._server.errors()
        if self._server.ask("/readyz")[0] != 200:
            self._wrong.append("the server is not ready any more")
        self._write_table()
        for line in self._wrong:
            print(f"WRONG: {line}")
        for what in self._not_begun:
            print(f"NOT RUN, no time left: {what}")
        requests, seconds = sum(found.cases for found in self._found.values()), time.monotonic() - self._began
        print(f"{requests} requests in {seconds:.0f} s, {len(self._wrong)} things wrong")
        return 1 if self._wrong or self._not_begun else 0

    def _sockets(self, desk: Desk) -> None:
        began = time.monotonic()
        seed, wanted = self._arguments.seed, self._arguments.frames
        found = asyncio.run(frames.run(self._server.url, desk, frames=wanted, seed=seed))
        self._wrong += sorted(set(found.faults))
        ends = ", ".join(f"{code}: {n}" for code, n in sorted(found.ends.items()))
        print(f"{found.sent} frames over {found.sockets} sockets in {time.monotonic() - began:.0f} s; ended {ends}")

    async def _contents(self) -> dict[str, tuple[int, int]]:
        owner = await asyncpg.connect(self._owner_url.replace("+asyncpg", ""))
        try:
            return {name: said for name, said in (await contents(owner)).items() if name not in OF_THE_DOOR}
        finally:
            await owner.close()

    def _rss_mib(self) -> float:
        assert self._server.pid
        return float(psutil.Process(self._server.pid).memory_info().rss) / 2**20

    def _write_table(self) -> None:
        if not self._arguments.table:
            return
        self._written = time.monotonic()
        with self._arguments.table.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["role", "operation", "cases", *PHASES, "answers"])
            for found in self._found.values():
                for operation, tally in sorted(found.tallies.items()):
                    answers = " ".join(f"{status}:{n}" for status, n in sorted(tally.statuses.items()))
                    phases = [tally.phases[name] for name in PHASES]
                    writer.writerow([found.role, operation, tally.cases, *phases, answers])


def _before(table: Path, roles: list[str]) -> set[str]:
    """What an earlier run did: operations as each of these roles, and roles' chains."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    roles = [role for role in roles if role not in WRITES_NOTHING]
    generated = Counter(row["operation"] for row in rows if row["role"] in roles and int(row["fuzzing"]))
    chains = {f"chains of {row['role']}" for row in rows if int(row["stateful"])}
    return chains | {operation for operation, n in generated.items() if n == len(roles)}


def _told(found: Found) -> list[str]:
    statuses: Counter[int] = sum((tally.statuses for tally in found.tallies.values()), Counter())
    phases: Counter[str] = sum((tally.phases for tally in found.tallies.values()), Counter())
    took = sorted(found.took_s)
    slow = f"p99.9 {took[int(len(took) * 0.999)] * 1000:.0f} ms" if took else "-"
    return [
        f"{found.role}: {found.cases} requests to {len(found.tallies)} operations, {slow}",
        f"  {', '.join(f'{name} {n}' for name, n in phases.items())}",
        f"  {', '.join(f'{status}: {n}' for status, n in sorted(statuses.items()))}",
    ]


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
