"""`outrider replay`: a recorded CSV sent through the HTTP ingest, as that many devices.

Intervals are kept and times moved. At speed 1 each fix is sent when it says it was taken. At other speeds all
times lie in the past, and the recording's last row falls at the replay's end. Rows far older than the rest stay
older by as much. `--keep-times` sends the recorded times unchanged.
"""

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from core.errors import OutriderError
from core.settings import Settings
from dispatch_api.commands.client import Refused, Session, credentials, server_url, signed_in
from dispatch_api.commands.progress import Progress
from dispatch_api.commands.recording import Row, beginning, read
from dispatch_api.commands.trackers import Fleet, Tracker

SLOT_S = 0.25
PREFIX = "R-"
BULK = 1_000
AT_ONCE = 8


@dataclass(frozen=True)
class Schedule:
    """When each row is sent and what time it says.

    `first` is the recording's beginning (without rows far older than the rest), `last` its end, `start` the
    moment the replay began; all in seconds since 1970.
    """

    first: float
    last: float
    start: float
    speed: float
    keep_times: bool = False

    def sent_at(self, row: Row) -> float:
        """When the row is due; rows older than the recording are due at once."""
        return self.start + max(0.0, row.at - self.first) / self.speed

    def said_at(self, row: Row) -> float:
        """The time the sent fix carries: never later than the moment it is sent."""
        if self.keep_times:
            return row.at
        end = self.start + (self.last - self.first) / self.speed
        return row.at + min(end - self.last, self.start - self.first)


async def _units(session: Session, names: list[str], progress: Progress) -> dict[str, str]:
    """The id of the unit of each name; makes what is missing, tracked always."""
    known = {unit["call_sign"]: unit["id"] async for unit in session.pages("/units")}
    ids = {name: known[PREFIX + name] for name in names if PREFIX + name in known}
    missing = iter([name for name in names if name not in ids])

    async def make() -> None:
        for name in missing:
            body = {"call_sign": PREFIX + name, "kind": "patrol", "tracking": "always"}
            ids[name] = (await session.call("POST", "/units", body))["id"]
            progress.show("units", len(ids), len(names))

    await asyncio.gather(*(make() for _ in range(AT_ONCE)))
    return ids


async def _trackers(session: Session, ids: dict[str, str], progress: Progress) -> dict[str, Tracker]:
    """A tracker with a fresh key for each unit; devices of an earlier replay get a new key."""
    trackers: dict[str, Tracker] = {}
    known = {d["identifier"]: d["id"] async for d in session.pages("/devices") if d["protocol"] == "http"}
    again = iter([name for name in ids if f"replay:{name}" in known])

    async def rotate() -> None:
        for name in again:
            made = await session.call("POST", f"/devices/{known[f'replay:{name}']}/rotate-key", {})
            trackers[name] = Tracker(made["key"])
            progress.show("devices", len(trackers), len(ids))

    await asyncio.gather(*(rotate() for _ in range(AT_ONCE)))
    new = [name for name in ids if name not in trackers]
    for at in range(0, len(new), BULK):
        names = new[at : at + BULK]
        items = [{"unit_id": ids[n], "protocol": "http", "identifier": f"replay:{n}", "interval_s": 12} for n in names]
        made = await session.call("POST", "/devices/bulk", {"items": items})
        trackers |= {n: Tracker(d["key"]) for n, d in zip(names, made["items"], strict=True)}
        progress.show("devices", len(trackers), len(ids))
    return trackers


async def _send(
    rows: list[Row], plan: Schedule, fleet: Fleet, trackers: dict[str, Tracker], progress: Progress, until: float
) -> None:
    for number, row in enumerate(rows, 1):
        due = plan.sent_at(row)
        if due > until:
            break
        while (wait := due - time.time()) > 0:
            progress.show("fixes", number, len(rows), f"{fleet.pending} waiting, {fleet.tally.accepted} stored")
            await asyncio.sleep(min(wait, SLOT_S))
        said = datetime.fromtimestamp(plan.said_at(row), UTC).isoformat(timespec="milliseconds")
        fleet.report(trackers[row.unit], {"fix_at": said, "lat": row.lat, "lon": row.lon} | dict(row.more))
        if not number % BULK:
            await asyncio.sleep(0)
    await fleet.drain()


async def run(settings: Settings, args: argparse.Namespace) -> int:
    """Replay the file; prints the tally of what became of it; the exit code."""
    progress = Progress()
    try:
        if not 0.01 <= args.speed <= 1_000:
            raise Refused("--speed must lie between 0.01 and 1000.")
        rows, left_out = read(Path(args.file))
        if left_out:
            print(f"{left_out.n:,} lines cannot be read and are left out, the first: {left_out.first}", file=sys.stderr)
        names = list(dict.fromkeys(row.unit for row in rows))
        url = server_url(settings, args.url)
        login, password = credentials(settings, "administrator", args.login, args.password)
        async with signed_in(url, login, password, args.code) as session:
            trackers = await _trackers(session, await _units(session, names, progress), progress)
        plan = Schedule(beginning(rows), rows[-1].at, time.time(), args.speed, args.keep_times)
        until = plan.start + args.duration if args.duration else float("inf")
        async with Fleet(url) as fleet:
            await _send(rows, plan, fleet, trackers, progress, until)
    except (OutriderError, aiohttp.ClientError, OSError) as error:
        progress.done()
        print(f"Replay stopped: {error}", file=sys.stderr)
        return 1
    progress.done()
    for name, n in vars(fleet.tally).items():
        print(f"{name:>13}  {n}")
    return 0 if fleet.tally.refused_keys == 0 else 1
