"""What Prometheus reads: true figures of a real server, nobody's secrets, and nothing for those without the token."""

import asyncio
import json
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import structlog
import websockets
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from core.actor import Role, system
from core.audit import Action
from core.db import make_engine
from core.ids import new_id
from core.models import InboxCursor, Recipient
from core.settings import Settings
from core.work import open_work
from dispatch_api.gateway.line import Lines
from dispatch_api.gateway.server import _families as gateway_families
from dispatch_api.metrics import pages, probe
from dispatch_api.metrics.measures import Measures, Rounds
from dispatch_api.metrics.pages import Page
from dispatch_api.process import condition
from dispatch_api.workers import condition as watch
from geo.counts import Counts
from tests import module_wide
from tests.helpers import ROOT, Client, Database, Server, crew

TOKEN = "a-token-of-this-test-only"
READER = {"Authorization": f"Bearer {TOKEN}"}
Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]

database = module_wide.database


@pytest.fixture(scope="module")
def server(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real server for all tests here."""
    folder = tmp_path_factory.mktemp("server")
    running = Server(database, folder, extra={"OUTRIDER_METRICS_TOKEN": TOKEN}).start()
    yield running
    running.stop()


def read(server: Server) -> Figures:
    """Every figure by its name and labels."""
    answer = httpx.get(f"{server.url}/metrics", headers=READER)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(figures: Figures, name: str, **labels: str) -> float:
    return figures[name, frozenset(labels.items())]


def test_only_the_token_opens_them(server: Server) -> None:
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}):
        assert httpx.get(f"{server.url}/metrics", headers=headers).status_code == 401
    assert httpx.get(f"{server.url}/metrics?token={TOKEN}").status_code == 401


async def test_without_a_token_set_they_are_closed(client: Client) -> None:
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer None"}):
        assert (await client.http.get("/metrics", headers=headers)).status_code == 401


async def test_fixes_are_counted_by_what_became_of_them(server: Server, engine: AsyncEngine) -> None:
    before = read(server)
    on, off = await crew(engine), await crew(engine, on_shift=False)
    now = datetime.now(UTC)
    good = [{"fix_at": (now - timedelta(seconds=n)).isoformat(), "lat": 54.7, "lon": 25.3} for n in range(5)]
    async with httpx.AsyncClient(base_url=server.url) as http:
        for key, fixes in (
            (on.device_key, [*good, {"fix_at": now.isoformat(), "lat": 95, "lon": 25}]),
            (on.device_key, good[:2]),
            (on.device_key, [{"fix_at": (now + timedelta(hours=1)).isoformat(), "lat": 54.7, "lon": 25.3}]),
            (off.device_key, good[:3]),
        ):
            sent = await http.post(
                "/api/v1/positions", json={"fixes": fixes}, headers={"Authorization": f"Bearer {key}"}
            )
            assert sent.status_code == 200
    after = read(server)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, process="server", **labels) - value(before, name, process="server", **labels)

    results = {r: grown("outrider_fixes_total", result=r) for r in ("accepted", "duplicate", "off_duty", "rejected")}
    assert results == {"accepted": 6, "duplicate": 2, "off_duty": 3, "rejected": 1}
    assert grown("outrider_fixes_suspect_total") == 1
    assert grown("outrider_commit_seconds_count") == 3
    assert grown("outrider_delivery_seconds_sum") >= grown("outrider_commit_seconds_sum") > 0
    assert value(after, "outrider_writer_queue_rows", process="server") == 0


async def test_requests_are_told_apart_by_template_only(server: Server) -> None:
    secret = "55555555-4444-4333-8222-111111111111"
    async with httpx.AsyncClient(base_url=server.url) as http:
        for path in (f"/api/v1/tasks/{secret}", f"/{secret}", f"/static/{secret}", f"/ingest/osmand?id={secret}"):
            await http.get(path)
        await http.request("TRACE", "/healthz")
        await http.get("/healthz")
        page = await http.get("/metrics", headers=READER)
    figures = read(server)

    def answered(method: str, route: str, status: int) -> float:
        labels = {"process": "server", "method": method, "route": route, "status": str(status)}
        return value(figures, "outrider_request_seconds_count", **labels)

    assert answered("GET", "/api/v1/tasks/{task_id}", 401) == 1
    assert answered("GET", "none", 404) == 1
    assert answered("GET", "/static", 404) == 1
    assert answered("GET", "/ingest/osmand", 404) == 1
    assert answered("GET", "/healthz", 200) == 1
    assert answered("other", "/healthz", 405) == 1
    assert secret not in page.text
    assert TOKEN not in page.text


async def test_open_sockets_are_counted_by_kind(server: Server, engine: AsyncEngine) -> None:
    http = httpx.AsyncClient()
    people = Client(http, engine)
    _, dispatcher = await people.new(Role.DISPATCHER)
    _, officer = await people.new(Role.OFFICER)
    await http.aclose()

    async def hello(path: str, headers: dict[str, str]) -> websockets.ClientConnection:
        socket = await websockets.connect(f"{server.ws}{path}")
        await socket.send(json.dumps({"kind": "hello", "token": headers["Authorization"].removeprefix("Bearer ")}))
        await asyncio.wait_for(socket.recv(), 10)
        return socket

    opened = [await hello(path, who) for path, who in (("/api/v1/live", dispatcher), ("/api/v1/live", dispatcher),
                                                       ("/api/v1/inbox/live", officer))]  # fmt: skip
    figures = read(server)
    assert value(figures, "outrider_sockets", process="server", kind="live") == 2
    assert value(figures, "outrider_sockets", process="server", kind="inbox") == 1
    assert value(figures, "outrider_outbound_messages", process="server", kind="inbox") <= 2
    assert value(figures, "outrider_connections_most", process="server") == 10
    for socket in opened:
        await socket.close()


async def test_the_state_of_the_database_and_the_machine(server: Server, engine: AsyncEngine) -> None:
    async with open_work(engine, system("test")) as work:
        work.audit(Action.ALTERATION, "test", None)
    officer = (await crew(engine)).officer
    async with open_work(engine, system("test")) as work:
        counter = await work.first(select(Recipient).where(col(Recipient.user_id) == officer.id))
        assert counter
        counter.seq = 9
        work.session.add_all([InboxCursor(user_id=officer.id, install_id=new_id(), upto=upto) for upto in (1, 2)])
    await asyncio.sleep(0.1)
    figures = read(server)
    assert value(figures, "outrider_database_up") == 1
    assert abs(value(figures, "outrider_clock_skew_seconds")) < 1
    assert value(figures, "outrider_audit_unsealed_events") >= 1  # there is no worker here
    assert 0.1 <= value(figures, "outrider_audit_seal_lag_seconds") < 300
    assert value(figures, "outrider_database_bytes") > 1_000_000
    assert value(figures, "outrider_disk_free_bytes", place="data") > 0
    assert value(figures, "outrider_jobs", status="queued") == 0
    assert value(figures, "outrider_inbox_undelivered_items") == 7
    assert value(figures, "process_resident_memory_bytes", process="server") > 30_000_000
    assert value(figures, "process_open_fds", process="server") > 5


async def test_a_database_that_is_away(settings: Settings) -> None:
    engine = make_engine("postgresql+asyncpg://nobody@/nothing?host=/nowhere")
    found = {family.name: family for family in await probe.families(engine, settings)}
    assert found["outrider_database_up"].samples[0].value == 0
    assert "outrider_clock_skew_seconds" not in found
    assert found["outrider_disk_free_bytes"].samples
    await engine.dispose()


async def test_one_server_tells_of_all_processes(server: Server) -> None:
    worker = Measures()
    begun = time.time()
    rounds = Rounds(worker, {"seals": 1, "heads": 60})
    rounds.went_well("seals", 0.25)
    rounds.failed("heads")
    async with (
        Page(server.data_dir, "worker", worker.registry),
        Page(server.data_dir, "server", Measures().registry) as second,
    ):
        assert second.name == "server-2"
        await asyncio.sleep(0.5)
        figures = read(server)
        ends = "outrider_loop_last_success_timestamp_seconds"
        good, never = (value(figures, ends, process="worker", loop=loop) for loop in ("seals", "heads"))
        assert begun <= never < good <= time.time()
        assert value(figures, "outrider_loop_failures_total", process="worker", loop="heads") == 1
        assert value(figures, "outrider_loop_interval_seconds", process="worker", loop="heads") == 60
        memory = [labels for name, labels in figures if name == "process_resident_memory_bytes"]
        assert sorted(dict(labels)["process"] for labels in memory) == ["server", "server-2", "worker"]
        left = server.data_dir / "metrics" / "worker.prom"
        old = time.time() - pages.STALE_AFTER_S - 1
        os.utime(left, (old, old))
        assert not [labels for _, labels in read(server) if ("process", "worker") in labels]
    assert not left.exists()


async def test_a_disk_that_takes_no_page_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("no folder\n")
    async with Page(tmp_path, "server", Measures().registry) as page:
        await asyncio.sleep(0.1)
        assert b"process_resident_memory_bytes" in await page.whole([])


async def test_totals_never_go_back(engine: AsyncEngine) -> None:
    counts = Counts()
    device = (await crew(engine)).device.id
    at = datetime.now(UTC)
    row = (device, at, *[None] * 12)
    counts.add(device, at, [row] * 3, 1, 0, 0, 2)

    class Away:
        async def execute(self, *_: Any) -> None:
            assert counts.totals() == [3, 1, 0, 0, 2]
            counts.add(device, at, [row], 0, 0, 0, 0)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await counts.write(cast(Any, Away()))
    assert counts.totals() == [4, 1, 0, 0, 2]
    await counts.write(cast(Any, SimpleNamespace(execute=lambda *_: asyncio.sleep(0))))
    assert counts.totals() == [4, 1, 0, 0, 2]


async def test_what_runs_short_is_said(
    client: Client, engine: AsyncEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = (await client.http.get("/readyz")).json()
    assert ready == {"status": "ready", "warnings": []}
    clock = condition.Clock()
    with structlog.testing.capture_logs() as said:
        await watch.round_(engine, settings, clock)
    assert said == []
    monkeypatch.setattr(condition, "DISK_WANTED_BYTES", 1 << 60)
    monkeypatch.setattr(probe, "utcnow", lambda: datetime.now(UTC) - timedelta(seconds=5))
    clock._offset -= 3600
    with structlog.testing.capture_logs() as said:
        await watch.round_(engine, settings, clock)
    assert [entry["event"] for entry in said] == ["disk_low", "clock_stepped", "clock_skew"]
    assert said[1]["seconds"] == pytest.approx(3600, abs=1)
    assert said[2]["database_ahead_s"] == pytest.approx(5, abs=1)
    ready = (await client.http.get("/readyz")).json()
    assert ready == {"status": "ready", "warnings": ["disk_low", "clock_skew"]}


def test_the_private_database_elsewhere_has_a_disk_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "postgres.path").write_text("/var/lib/outrider/nothing/postgres\n")
    assert [disk.place for disk in condition.disks(Settings(data_dir=tmp_path))] == ["data", "database"]


def test_the_queries_of_the_documentation_name_figures_there_are(server: Server) -> None:
    worker = Measures()
    Rounds(worker, {"seals": 1})
    worker.show(lambda: gateway_families(Lines(1)))
    text = httpx.get(f"{server.url}/metrics", headers=READER).text + generate_latest(worker.registry).decode()
    there = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    there |= {f"{name}{part}" for name in there for part in ("_bucket", "_count", "_sum")}
    asked = set(re.findall(r"\b(?:outrider|process)_\w+", (ROOT / "docs" / "operate.md").read_text()))
    assert len(asked) > 25
    assert {name for name in asked if not name.startswith("outrider_app") and name != "outrider_ingest"} <= there
