"""Commands that work through a real server: imports with a real worker, and replays of recordings."""

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role
from core.settings import Settings
from dispatch_api.commands import import_violations
from dispatch_api.commands.recording import Row, beginning, read
from tests import module_wide
from tests.helpers import BUSES_OF_WARSAW, PASSWORD, ROOT, Database, Server, person, shared_data

START = datetime(2024, 2, 13, 18, 0, tzinfo=UTC)

database, server = module_wide.database, module_wide.server


@pytest.fixture(scope="module")
def worker(database: Database, server: Server) -> Iterator[None]:
    """A real worker that shares the server's folder."""
    with (server.data_dir / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dispatch_api.cli", "worker"],
            cwd=ROOT, env=_environment(server), stdout=log, stderr=log,
        )  # fmt: skip
    yield
    process.terminate()
    assert process.wait(20) == 0


def _environment(server: Server) -> dict[str, str]:
    own = {"OUTRIDER_DATA_DIR": str(server.data_dir), "OUTRIDER_PORT": str(server.port)}
    return os.environ | server.database.environment() | own


def outrider(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one command as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "dispatch_api.cli", *words],
        cwd=ROOT, env=_environment(server), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


async def login(engine: AsyncEngine, role: Role) -> list[str]:
    user = await person(engine, role)
    return ["--login", user.login, "--password", PASSWORD]


def tally(output: str) -> dict[str, int]:
    """The lines `word  number` of a command's output."""
    lines = [line.split() for line in output.splitlines()]
    return {words[0]: int(words[1]) for words in lines if len(words) == 2 and words[1].isdigit()}


async def fetched(database: Database, query: str, *values: Any) -> list[asyncpg.Record]:
    owner = await database.owner()
    try:
        return list(await owner.fetch(query, *values))
    finally:
        await owner.close()


@pytest.mark.usefixtures("worker")
async def test_a_long_csv_is_imported_once(server: Server, engine: AsyncEngine, tmp_path: Path) -> None:
    rows = [f"{n},2026-01-{n % 28 + 1:02}T08:00:00Z,fuel,54.{n:06d},25.3" for n in range(12_000)]
    rows[5_000] = "5000,2026-01-01T08:00:00Z,fuel,95,25.3"
    file = tmp_path / "violations.csv.gz"
    file.write_bytes(gzip.compress("\n".join(["id,occurred_at,category,lat,lon", *rows]).encode()))
    words = ["import", str(file), "--source", "long", *await login(engine, Role.SUPERVISOR)]
    first = outrider(server, *words)
    assert first.returncode == 0, first.stderr + server.log()
    assert tally(first.stdout) == {"accepted": 11_999, "duplicates": 0, "rejected": 1}
    assert "line 5002: " in first.stdout
    again = outrider(server, *words)
    assert again.returncode == 0, again.stderr
    assert tally(again.stdout) == {"accepted": 0, "duplicates": 11_999, "rejected": 1}
    stored = await fetched(server.database, "SELECT count(*) AS n FROM violation WHERE source = 'long'")
    assert stored[0]["n"] == 11_999


async def test_a_short_geojson_and_what_is_refused(
    server: Server, engine: AsyncEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feature = {
        "type": "Feature", "geometry": {"type": "Point", "coordinates": [25.3, 54.7]},
        "properties": {"category": "fuel", "occurred_at": "2026-01-01T08:00:00Z", "id": "a"},
    }  # fmt: skip
    good, bad, cut = tmp_path / "v.json", tmp_path / "v.txt", tmp_path / "v.csv.gz"
    good.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    bad.write_text("x")
    cut.write_bytes(gzip.compress(b"id,occurred_at\n" * 1_000)[:-9])
    settings = Settings(port=server.port, data_dir=server.data_dir)
    supervisor = (await person(engine, Role.SUPERVISOR)).login
    auditor = (await person(engine, Role.AUDITOR)).login

    async def imported(file: Path, login: str, password: str = PASSWORD) -> int:
        who = {"login": login, "password": password, "code": None}
        words = argparse.Namespace(file=str(file), source="short", url=None, **who)
        return await import_violations.run(settings, words)

    assert await imported(good, supervisor) == 0
    assert tally(capsys.readouterr().out)["accepted"] == 1
    for file, who, why in (
        (bad, [supervisor], "none of .csv"),
        (tmp_path / "none.csv", [supervisor], "No such file"),
        (cut, [supervisor], "Import stopped"),
        (good, [auditor], "403"),
        (good, [supervisor, "wrong password"], "401"),
    ):
        assert await imported(file, *who) == 1
        assert why in capsys.readouterr().err


def recording(file: Path) -> None:
    """3 units, 60 rows in 38 s; one (unit, time) again at another place, one row months older."""
    rows = [
        (f"u{n % 3}", START + timedelta(seconds=2 * (n // 3)), 54.7 + n % 3 / 10, 25.2 + n / 20_000) for n in range(58)
    ]
    rows.append(("u0", START + timedelta(seconds=20), 54.75, 25.25))
    rows.append(("u1", START - timedelta(days=70), 54.1, 24.1))
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["unit", "time", "lat", "lon"])
        writer.writerows([(unit, at.isoformat(), lat, lon) for unit, at, lat, lon in rows])


LATEST = """
SELECT u.call_sign, l.fix_at = (SELECT max(p.fix_at) FROM position p WHERE p.unit_id = u.id AND p.suspect IS NULL) AS ok
FROM unit u LEFT JOIN unit_latest l ON l.unit_id = u.id WHERE u.call_sign LIKE 'R-u%'
"""


async def test_a_recording_is_replayed(server: Server, engine: AsyncEngine, tmp_path: Path) -> None:
    file = tmp_path / "recording.csv"
    recording(file)
    words = ["replay", str(file), "--speed", "50", *await login(engine, Role.ADMINISTRATOR)]
    began = time.time()
    moved = outrider(server, *words)
    assert moved.returncode == 0, moved.stderr + server.log()
    counts = tally(moved.stdout)
    assert (counts["sent"], counts["accepted"], counts["duplicates"]) == (60, 59, 1)
    assert counts["off_duty"] == counts["rejected"] == counts["refused_keys"] == 0
    stored = await fetched(server.database, "SELECT unit_id, fix_at FROM position")
    assert len(stored) == len(set(map(tuple, stored))) == 59
    spread = sorted(row["fix_at"].timestamp() for row in stored)
    assert spread[0] == pytest.approx(spread[1] - 70 * 86_400, abs=1)
    assert began - 40 < spread[1] <= spread[-1] < time.time()
    assert {(r["call_sign"], r["ok"]) for r in await fetched(server.database, LATEST)} == {
        ("R-u0", True), ("R-u1", True), ("R-u2", True),
    }  # fmt: skip

    latest = await fetched(server.database, "SELECT unit_id, fix_at FROM unit_latest ORDER BY unit_id")
    kept = outrider(server, *words, "--keep-times")
    assert kept.returncode == 0, kept.stderr
    assert tally(kept.stdout)["accepted"] == 59
    stored = await fetched(
        server.database, "SELECT unit_id, fix_at FROM position WHERE fix_at < $1", START.replace(day=20)
    )
    assert len(stored) == len(set(map(tuple, stored))) == 59
    assert Counter(row["fix_at"] < START for row in stored)[True] == 1
    assert max(row["fix_at"] for row in stored) == START + timedelta(seconds=38)
    assert await fetched(server.database, "SELECT unit_id, fix_at FROM unit_latest ORDER BY unit_id") == latest
    repeated = outrider(server, *words, "--keep-times")
    assert tally(repeated.stdout)["duplicates"] == 60


BUSES = 40
CUT_S = 2_700
TROUBLED = ("5885", "8356", "3403", "8892", "8815", "9948", "9328")
"""Buses that repeat a time at another place, jump by tens of kilometres, or repeat places of months ago."""


def cut() -> list[Row]:
    """The first 45 minutes of 40 real buses with their errors, or of as many generated ones with the same errors."""
    file = shared_data(BUSES_OF_WARSAW, "the replay is tested with generated buses only")
    if file is None:
        return sorted((row for n in range(BUSES) for row in generated(f"g{n}", n)), key=lambda row: row.at)
    rows, _ = read(file)
    end = beginning(rows) + CUT_S
    buses = list(dict.fromkeys([*TROUBLED, *(row.unit for row in rows if row.at > end - 60)]))[:BUSES]
    return [row for row in rows if row.unit in buses and row.at <= end]


def generated(unit: str, n: int) -> list[Row]:
    """One bus at 36 km/h; the first four are months old, repeat a time elsewhere, or jump for a while or for good."""
    rows = [Row(START.timestamp() + at, unit, 54.5 + at * 9e-5, 25 + n / 100) for at in range(n % 10, CUT_S, 10)]
    if n == 0:
        return [Row(row.at - 70 * 86_400, unit, row.lat, row.lon) for row in rows]
    if n == 1:
        rows += [Row(rows[50].at, unit, 54.9, 25.9)]
    if n in {2, 3}:
        rows[100:102] = [Row(row.at, unit, 55.9, 23.9) for row in rows[100:102]]
    if n == 3:
        rows[-1] = Row(rows[-1].at, unit, 55.9, 23.9)
    return rows


STORED = """
SELECT u.call_sign, p.fix_at, ST_X(p.point) AS lon, ST_Y(p.point) AS lat, p.suspect
FROM position p JOIN unit u ON u.id = p.unit_id WHERE u.call_sign = ANY($1) ORDER BY p.fix_at
"""


async def test_a_real_evening_is_replayed(server: Server, engine: AsyncEngine, tmp_path: Path) -> None:
    rows, file = cut(), tmp_path / "cut.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["unit", "time", "lat", "lon"])
        writer.writerows([(r.unit, datetime.fromtimestamp(r.at, UTC).isoformat(), r.lat, r.lon) for r in rows])
    moved = outrider(server, "replay", str(file), "--speed", "300", *await login(engine, Role.ADMINISTRATOR))
    assert moved.returncode == 0, moved.stderr + server.log()

    kept: dict[tuple[str, float], tuple[float, float]] = {}
    for row in rows:
        kept.setdefault((f"R-{row.unit}", row.at), (row.lon, row.lat))
    counts = tally(moved.stdout)
    assert counts["sent"] == len(rows)
    assert counts["accepted"] == len(kept) < len(rows), "the cut must repeat a time"
    assert counts["duplicates"] == len(rows) - len(kept)
    assert counts["off_duty"] == counts["rejected"] == counts["refused_keys"] == 0

    stored = await fetched(server.database, STORED, list({call_sign for call_sign, _ in kept}))
    later_s = stored[-1]["fix_at"].timestamp() - rows[-1].at
    assert time.time() - 60 < rows[-1].at + later_s < time.time()
    assert len(stored) == len(kept)
    assert {
        (r["call_sign"], float(round(r["fix_at"].timestamp() - later_s))): (r["lon"], r["lat"]) for r in stored
    } == kept
    assert counts["suspect"] == sum(r["suspect"] is not None for r in stored)
    assert {"jump", "old"} <= {r["suspect"] for r in stored}, "the cut must hold both errors"

    plausible = {r["call_sign"]: (r["fix_at"], r["lon"], r["lat"]) for r in stored if r["suspect"] is None}
    assert len(plausible) < BUSES, "a bus of months ago is on no map"
    assert await on_the_map(server, engine) == plausible
    for call_sign in plausible.keys() - {r["call_sign"] for r in stored if r["suspect"] == "jump"}:
        newest = max(at for unit, at in kept if unit == call_sign)
        assert plausible[call_sign][1:] == kept[call_sign, newest]


async def on_the_map(server: Server, engine: AsyncEngine) -> dict[str, tuple[datetime, float, float]]:
    """The newest place of each unit of the replayed evening, as a dispatcher gets it."""
    user = await person(engine, Role.DISPATCHER)
    with httpx.Client(base_url=f"{server.url}/api/v1") as http:
        token = http.post("/session", json={"login": user.login, "password": PASSWORD}).json()["token"]
        features = http.get("/positions/latest", headers={"Authorization": f"Bearer {token}"}).json()["features"]
    return {
        f["properties"]["call_sign"]: (
            datetime.fromisoformat(f["properties"]["fix_at"]), *f["geometry"]["coordinates"],
        )
        for f in features
        if not f["properties"]["call_sign"].startswith("R-u")
    }  # fmt: skip
