"""How soon screens see what happened: 200 dispatchers, 1,500 units that report every 10 s, tasks sent meanwhile.

`python -m loadtests.bench.fanout [--json] [--seconds 30] [--rounds 2] [--dispatchers 200] [--officers 100]`. A real
server process; the clients (`fanout_clients`) and the units' fixes and clicks (`fanout_load`) are processes of their
own; all share the machine. Each round measures once with everybody reading and once beside sockets that have stopped
reading.

- `fix_to_frame_ms`: from a unit's sending a fix (its `fix_at`) to a dispatcher's client having read it in a frame.
- `click_to_officer_ms`: from before `POST /tasks` to the officer's socket having the task.
- `press_to_screen_ms`: from a panic button's press (its `fix_at`) to a dispatcher's client having the alarm.
- `tick_spread_ms`: from the first dispatcher having a version to the last.
- `stalled_to_alone`: p99 beside stalled sockets over p99 alone, the median over the rounds.
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
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from core import sign_in
from core.actor import Role, system
from core.db import make_engine
from core.ids import digest, new_secret
from core.models import UserAccount
from core.settings import Settings
from core.work import Work, open_work
from dispatch_api.process.serving import server_options
from geo.models import Device, DeviceAssignment, Shift, ShiftMember, Unit, UnitMember
from loadtests.bench import scratch

PORT = int(os.environ.get("OUTRIDER_BENCH_PORT", "8460"))
"""Where the server listens."""
UNITS = 1_500
INTERVAL_S = 10.0
STALLED = 10
"""Sockets that stop reading, in every second phase."""
WARM_S = 5.0
"""Between phases, so that none measures the other's tail."""
MEASURES = ("fix_to_frame_ms", "press_to_screen_ms", "click_to_officer_ms", "tick_spread_ms")


async def people(work: Work, n: int, role: Role) -> list[tuple[UserAccount, str]]:
    """People of one role, each with the token of a session."""
    users = [UserAccount(login=f"{role}-{i}", name=f"{role} {i}", roles=[role.value]) for i in range(n)]
    work.session.add_all(users)
    await work.session.flush()
    return [(user, (await sign_in.open_session(work, user)).token) for user in users]


async def _prepare(urls: dict[str, str], screens: int, tablets: int) -> dict[str, Any]:
    """Units on shift with one device each, the first of them with an officer; everybody's tokens and keys."""
    engine = make_engine(urls["OUTRIDER_DATABASE_URL"])
    async with open_work(engine, system("bench")) as work:
        dispatchers = [token for _, token in await people(work, screens, Role.DISPATCHER)]
        officers = await people(work, tablets, Role.OFFICER)
        keys = [new_secret("od") for _ in range(UNITS)]
        units = [Unit(call_sign=f"B-{n}", kind="patrol", status="available") for n in range(UNITS)]
        devices = [Device(protocol="http", key_digest=digest(key), interval_s=int(INTERVAL_S)) for key in keys]
        shifts = [Shift(unit_id=unit.id, on_at=work.now) for unit in units]
        work.session.add_all([*units, *devices])
        await work.session.flush()
        pairs = zip(units, devices, strict=True)
        work.session.add_all([*shifts, *(DeviceAssignment(device_id=d.id, unit_id=u.id) for u, d in pairs)])
        await work.session.flush()
        for (user, _), unit, shift in zip(officers, units, shifts, strict=False):
            work.session.add(UnitMember(unit_id=unit.id, user_id=user.id))
            work.session.add(ShiftMember(shift_id=shift.id, user_id=user.id))
    await engine.dispose()
    crews = [{"unit_id": str(unit.id), "token": token} for unit, (_, token) in zip(units, officers, strict=False)]
    return {"port": PORT, "interval_s": INTERVAL_S, "dispatchers": dispatchers, "crews": crews, "keys": keys}


def server(urls: dict[str, str], folder: Path) -> contextlib.AbstractContextManager[psutil.Process]:
    """The server as `outrider up` starts it."""
    options = server_options(Settings(port=PORT, data_dir=folder, demo=False))
    command = [sys.executable, "-m", "uvicorn", "dispatch_api.asgi:app", "--port", str(PORT), *options]
    environment = urls | {"OUTRIDER_DATA_DIR": str(folder), "OUTRIDER_LOG_LEVEL": "warning"}
    return scratch.listening(command, PORT, environment)


@contextlib.contextmanager
def _beside(module: str, plan: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """One of the load's processes, once it says that it is ready."""
    command = [sys.executable, "-m", f"loadtests.bench.{module}", str(plan), *more]
    process = subprocess.Popen(command, cwd=scratch.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"{module} did not start.")
        yield process
    finally:
        process.kill()
        process.wait()


def _ask(process: subprocess.Popen[str], order: str) -> Any:
    """What the process answers to an order."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(order + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def _phase(screens: list[subprocess.Popen[str]], server: psutil.Process, seconds: float) -> dict[str, Any]:
    """Measure for so long: what the screens saw, and what the server took."""
    time.sleep(WARM_S)
    for each in screens:
        _ask(each, "begin")
    before, began, rss = server.cpu_times(), time.monotonic(), 0
    while time.monotonic() - began < seconds:
        time.sleep(0.5)
        rss = max(rss, server.memory_info().rss)
    now = server.cpu_times()
    cpu_s = now.user + now.system - before.user - before.system
    taken = {"server_rss_mib": round(rss / 2**20), "server_cpu": round(cpu_s / (time.monotonic() - began), 3)}
    dispatchers, officers = (_ask(each, "end") for each in screens)
    return dispatchers | officers | taken | {"lost": dispatchers["lost"] + officers["lost"]}


def measure(rounds: int = 2, seconds: float = 30, screens: int = 200, tablets: int = 100) -> dict[str, Any]:
    """Run alone and beside stalled sockets, in turn; the figures over all rounds."""
    phases: dict[str, list[dict[str, Any]]] = {"alone": [], "stalled": []}
    with tempfile.TemporaryDirectory() as name, scratch.database() as urls:
        plan = Path(name) / "plan.json"
        plan.write_text(json.dumps(asyncio.run(_prepare(urls, screens, tablets))))
        with (
            server(urls, Path(name)) as served,
            _beside("fanout_load", plan),
            _beside("fanout_clients", plan, "dispatchers") as dispatchers,
            _beside("fanout_clients", plan, "officers") as officers,
        ):
            for turn in range(rounds):
                for which in ("alone", "stalled") if turn % 2 == 0 else ("stalled", "alone"):
                    _ask(dispatchers, f"stall {STALLED if which == 'stalled' else 0}")
                    phases[which].append(_phase([dispatchers, officers], served, seconds))
    return _figures(phases)


def _figures(phases: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    both = [*phases["alone"], *phases["stalled"]]
    pairs = list(zip(phases["stalled"], phases["alone"], strict=True))
    return {
        **{name: {q: round(median(p[name][q] for p in phases["alone"]), 1) for q in ("p50", "p99", "max")}
           for name in MEASURES},
        "server_rss_mib": max(p["server_rss_mib"] for p in both),
        "server_cpu": round(median(p["server_cpu"] for p in phases["alone"]), 3),
        "stalled_to_alone": {
            name: round(median(s[name]["p99"] / a[name]["p99"] for s, a in pairs), 3) for name in MEASURES
        },
        "stalled_cut": sum(p["cut"] for p in phases["stalled"]),
        "stalled_cut_after_s": max((p["cut_after_s"] for p in phases["stalled"]), default=0),
        "lost_sockets": sum(p["lost"] for p in both),
        "phases": phases,
    }  # fmt: skip


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--dispatchers", type=int, default=200)
    parser.add_argument("--officers", type=int, default=100)
    arguments = parser.parse_args()
    figures = measure(arguments.rounds, arguments.seconds, arguments.dispatchers, arguments.officers)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        if name != "phases":
            print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
