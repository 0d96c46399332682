"""The reference client against a real server: what an officer does without coverage arrives once and in order."""

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import pytest_asyncio
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role
from core.db import make_engine
from core.ids import new_id
from loadtests.faults.proxy import Proxy
from mobile_contract.client import Officer
from mobile_contract.client import officer as officer_module
from mobile_contract.client.wire import Later, Refused, Revoked, Wire
from tests.conftest import cloned
from tests.helpers import PASSWORD, ROOT, Client, Crew, Database, Server, crew, eventually

API = "/api/v1"
VIOLATION = {
    "category": "tobacco", "occurred_at": "2026-05-01T12:00:00Z", "lon": 25.3, "lat": 54.7, "coord_source": "gps",
}  # fmt: skip


@dataclass
class Desk:
    """A real server, a dispatcher's headers, and crews whose officer has an app."""

    server: Server
    engine: AsyncEngine
    http: httpx.AsyncClient
    dispatcher: dict[str, str]
    folder: Path

    async def app(self) -> tuple[Crew, Path]:
        """A crew, and the store of its officer's enrolled app."""
        one, file = await crew(self.engine), self.folder / f"{new_id()}.sqlite"
        async with Officer.at(self.server.url, file) as app:
            await app.enrol(one.officer.login, PASSWORD, "2580", "tablet")
        return one, file

    async def task(self, one: Crew, **fields: Any) -> str:
        body = {
            "kind": "stop_vehicle", "priority": "P2", "title": "Stop it", "reason_code": "indicator", "lon": 25.3,
            "lat": 54.7, "unit_id": str(one.unit.id), "issue": True,
        } | fields  # fmt: skip
        made = await self.http.post(f"{API}/tasks", json=body, headers=self.dispatcher)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def get(self, path: str) -> Any:
        return (await self.http.get(f"{API}{path}", headers=self.dispatcher)).json()


@pytest_asyncio.fixture(scope="module")
async def desk(template: Database, tmp_path_factory: Any) -> AsyncIterator[Desk]:
    folder = tmp_path_factory.mktemp("client")
    with cloned(template) as database:
        server, engine = Server(database, folder).start(), make_engine(database.app_url)
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            _, dispatcher = await Client(http, engine).new(Role.DISPATCHER)
            yield Desk(server, engine, http, dispatcher, folder)
        server.stop()
        await engine.dispose()


@asynccontextmanager
async def running(app: Officer) -> AsyncIterator[Officer]:
    kept = asyncio.create_task(app.run())
    try:
        yield app
    finally:
        kept.cancel()
        await asyncio.gather(kept, return_exceptions=True)


def photo(file: Path) -> Path:
    out = io.BytesIO()
    Image.effect_noise((3000, 2500), 90).convert("RGB").save(out, "JPEG", quality=95)
    file.write_bytes(out.getvalue())
    return file


async def test_a_shift_with_a_dead_server_and_a_killed_app(desk: Desk) -> None:
    one, file = await desk.app()
    heard: list[dict[str, Any]] = []
    async with Officer.at(desk.server.url, file, heard.append) as app:
        await app.sign_in("2580")
        async with running(app):
            task_id = await desk.task(one)
            await eventually(lambda: heard and heard[-1]["body"]["id"] == task_id)
            await eventually(lambda: _is(desk, task_id, "delivered"))
            app.step(task_id, "acknowledge")
            await eventually(lambda: _is(desk, task_id, "acknowledged"))
            desk.server.kill()
            await eventually(lambda: not app.is_online)
            app.step(task_id, "en_route")
            app.attach(photo(desk.folder / "panel.jpg"), task_id=task_id)
            app.step(task_id, "on_scene", lon=25.3, lat=54.7, accuracy_m=8)
            violation_id = app.do("/violations", **VIOLATION, task_id=task_id)
    async with Officer.at(desk.server.url, file) as app:  # the tablet was off in between
        with pytest.raises(Later):
            await app.sign_in("2580")
        app.do(f"/tasks/{task_id}/messages", text="Found it")
        app.step(task_id, "complete", result="violation")
        waiting = app.store.outbox()
        assert [entry.path.rpartition("/")[2] for entry in waiting] == [
            "transitions", "transitions", "violations", "messages", "transitions", "attachments",
        ], "in order, the photo last"  # fmt: skip
        async with running(app):
            desk.server.start()
            await eventually(lambda: not app.store.outbox(), 30)
        assert app.store.outbox("refused") == []
    events = (await desk.get(f"/tasks/{task_id}/events"))["items"]
    taken = [event["verb"] for event in events if event["by"] == str(one.officer.id) and event["verb"] != "deliver"]
    assert taken == ["acknowledge", "en_route", "on_scene", "complete"]
    assert {event["result"] for event in events} == {"applied"}
    (found,) = (await desk.get("/violations?category=tobacco&limit=500"))["features"]
    assert (found["id"], found["properties"]["task_id"]) == (violation_id, task_id)
    (file_,) = (await desk.get(f"/attachments?task_id={task_id}"))["items"]
    assert (file_["status"], file_["size"]) == ("complete", (desk.folder / "panel.jpg").stat().st_size)
    assert [m["text"] for m in (await desk.get(f"/tasks/{task_id}/messages"))["items"]] == ["Found it"]


async def _is(desk: Desk, task_id: str, status: str) -> bool:
    return bool((await desk.get(f"/tasks/{task_id}"))["status"] == status)


async def test_the_inbox_goes_on_where_it_stopped_without_a_gap(desk: Desk) -> None:
    one, file = await desk.app()
    notice = {"kind": "information", "priority": "P4", "headline": "h", "to": {"units": [str(one.unit.id)]}}

    async def send(n: int) -> None:
        for _ in range(n):
            made = await desk.http.post(f"{API}/notices", json=notice, headers=desk.dispatcher)
            assert made.status_code == 201

    for round_ in range(1, 4):
        async with Officer.at(desk.server.url, file) as app:
            await app.sign_in("2580")
            await send(3)
            async with running(app):
                await eventually(lambda n=round_: app.store.head() == 6 * n - 3)
                await send(3)
                await eventually(lambda n=round_: app.store.head() == 6 * n)
            assert [item["seq"] for item in app.store.inbox()] == list(range(1, 6 * round_ + 1))


async def test_what_was_stored_and_not_told_is_told_on_the_next_line(desk: Desk) -> None:
    """The app died, or its line did, between storing and telling; nothing more comes meanwhile."""
    one, file = await desk.app()
    task_id = await desk.task(one)
    async with Officer.at(desk.server.url, file) as app:
        await app.sign_in("2580")
        app.store.keep((await app.wire.call("GET", "/inbox?after=0"))["items"])
        assert await _is(desk, task_id, "issued")
        async with running(app):
            await eventually(lambda: _is(desk, task_id, "delivered"))


async def test_an_inbox_of_before_the_server_was_set_back_is_read_anew(desk: Desk) -> None:
    one, file = await desk.app()
    task_id = await desk.task(one)
    async with Officer.at(desk.server.url, file) as app:
        await app.sign_in("2580")
        app.store.keep([{"seq": 500, "kind": "task", "body": {"id": "lost"}}])
        async with running(app):
            await eventually(lambda: [item["body"]["id"] for item in app.store.inbox()] == [task_id])
            await eventually(lambda: _is(desk, task_id, "delivered"))


async def test_an_app_that_is_told_of_a_network_comes_back_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _, file = await desk.app()
    monkeypatch.setattr(officer_module, "wait_s", lambda *_: 3600.0)  # unless it is told, in an hour
    async with Proxy(desk.server.port).running() as line, Officer.at(line.url, file) as app:
        await app.sign_in("2580")
        async with running(app):
            await eventually(lambda: app.is_online)
            line.turn("rst")
            await eventually(lambda: not app.is_online)
            app.do("/violations", **VIOLATION)
            line.turn("pass")
            app.came_online()
            await eventually(lambda: app.is_online and not app.store.outbox())


async def test_a_new_network_begins_with_short_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """How often it failed on the one before does not count: one failure on the new one must not cost half a minute."""
    _, file = await desk.app()
    waits: list[int] = []
    monkeypatch.setattr(officer_module, "wait_s", lambda tries, *_: waits.append(tries) or 0.02)
    async with Proxy(desk.server.port).running() as line, Officer.at(line.url, file) as app:
        await app.sign_in("2580")
        line.turn("rst")
        app.do("/violations", **VIOLATION)
        async with running(app):
            await eventually(lambda: waits.count(4) == 2)  # the line, and the sending
            assert waits.count(1) == 2
            app.came_online()
            await eventually(lambda: waits.count(1) == 4)


async def test_a_kept_connection_that_had_ended_costs_no_wait() -> None:
    """A server lets idle connections go; a phone in a dead spot learns of it with its next request."""
    asked: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answered in range(2):
            if not (head := await reader.readuntil(b"\r\n\r\n")).startswith(b"POST"):
                break
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            asked.append(answered)
            if answered:
                break
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, aiohttp.ClientSession() as session:
        wire = Wire(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", session)
        for _ in range(2):
            assert await wire.call("POST", "/tasks", {"id": "1"}) == {}
        server.close()
    assert asked == [0, 1, 0], "the second went unanswered and was asked again on a new connection"


async def test_what_is_refused_is_kept_and_stops_nothing(desk: Desk) -> None:
    one, file = await desk.app()
    task_id = await desk.task(one)
    async with Officer.at(desk.server.url, file) as app:
        with pytest.raises(Refused):
            await app.sign_in("0000")
        await app.sign_in("2580")
        app.do("/violations", **VIOLATION | {"category": "gossip"})
        (desk.folder / "page.jpg").write_text("<html>")
        app.attach(desk.folder / "page.jpg", task_id=task_id)
        app.step(task_id, "acknowledge")
        await app.flush()
        codes = [entry.answer["code"] for entry in app.store.outbox("refused")]
        assert codes == ["invalid", "media_type"]
    assert await _is(desk, task_id, "acknowledged")


async def test_an_app_that_was_shut_out_wipes_itself_and_hands_over_when_it_may(desk: Desk) -> None:
    _, file = await desk.app()
    client = Client(desk.http, desk.engine)
    _, admin = await client.new(Role.ADMINISTRATOR)
    _, supervisor = await client.new(Role.SUPERVISOR)
    async with Officer.at(desk.server.url, file) as app:
        await app.sign_in("2580")
        install_id = app.store.get("install_id")
        kept = asyncio.create_task(app.run())
        await eventually(lambda: app.is_online)
        url = f"{API}/installs/{install_id}"
        app.store.add("POST", "/violations", {"id": str(new_id())} | VIOLATION)  # unsent when it happens
        revoked = await desk.http.post(f"{url}/revoke", json={"recover": True}, headers=admin)
        assert revoked.status_code == 204
        with pytest.raises(Revoked):
            await asyncio.wait_for(kept, 15)
        assert (app.store.get("credential"), app.store.inbox(), app.store.outbox()) == (None, [], [])
    handed = (await desk.http.get(f"{url}/recovery", headers=supervisor)).json()["records"]
    assert [record["path"] for record in handed] == ["/violations"]
    assert json.loads(handed[0]["body"])["category"] == "tobacco"


async def test_at_a_terminal(desk: Desk) -> None:
    one = await crew(desk.engine)
    task_id = await desk.task(one)
    store = desk.folder / "terminal.sqlite"

    async def said(*words: str) -> list[Any]:
        command = [sys.executable, "-m", "mobile_contract.client", "--server", desk.server.url, "--store", str(store)]
        made = await asyncio.create_subprocess_exec(
            *command, "--pin", "2580", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await made.communicate()
        assert made.returncode == 0, words
        return [json.loads(line) for line in out.splitlines()]

    await said("enrol", "--login", one.officer.login, "--password", PASSWORD)
    assert [item["body"]["id"] for item in await said("run", "--seconds", "2")] == [task_id]
    await said("step", task_id, "acknowledge")
    assert await _is(desk, task_id, "acknowledged")
    assert [item["kind"] for item in await said("inbox")] == ["task"]
    assert await said("outbox") == []
