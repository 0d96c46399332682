"""Photos and files over HTTP on a real disk: resumed, checked, kept by content, shown only to whom they concern."""

import asyncio
import hashlib
import io
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from PIL import Image
from sqlalchemy import text

from casework import attachments
from core.actor import Role, system
from core.db import make_engine
from core.file_store import FileStore
from core.ids import new_id
from core.settings import Settings
from core.work import open_work
from mobile_contract.attachments import MAX_BYTES, PIECE_BYTES, SCREEN_PX
from tests.conftest import cloned, serving
from tests.helpers import ROOT, Client, Crew, Database, crew

API = "/api/v1"
OCTETS = {"Content-Type": "application/octet-stream"}
GPS_IFD, ORIENTATION = 0x8825, 0x0112


@dataclass
class Desk:
    """A server in this process, a crew with a task, a violation and their headers; another crew; a dispatcher."""

    client: Client
    store: FileStore
    crew: Crew
    officer: dict[str, str]
    stranger: dict[str, str]
    dispatcher: dict[str, str]
    task_id: str
    violation_id: str

    async def announce(self, data: bytes, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        body = {
            "id": str(new_id()),
            "name": "photo.jpg",
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        } | ({} if {"task_id", "violation_id", "stop_form_id"} & fields.keys() else {"task_id": self.task_id})
        return await self.client.http.post(f"{API}/attachments", json=body | fields, headers=headers or self.officer)

    async def piece(self, id_: str, offset: int, data: bytes, **changes: Any) -> httpx.Response:
        asked = {"offset": offset, "sha256": changes.get("sha256", hashlib.sha256(data).hexdigest())}
        headers = changes.get("headers", self.officer) | OCTETS
        return await self.client.http.put(
            f"{API}/attachments/{id_}/content", params=asked, content=data, headers=headers
        )

    async def complete(self, id_: str) -> httpx.Response:
        return await self.client.http.post(f"{API}/attachments/{id_}/complete", headers=self.officer)

    async def sent(self, data: bytes, **fields: Any) -> httpx.Response:
        """The answer to the completion of a file sent in pieces of 4 MiB."""
        announced = await self.announce(data, **fields)
        assert announced.status_code == 201, announced.text
        id_ = announced.json()["id"]
        for start in range(0, len(data), PIECE_BYTES):
            answer = await self.piece(id_, start, data[start : start + PIECE_BYTES])
            assert answer.status_code == 200, answer.text
        return await self.complete(id_)

    async def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self.client.http.get(f"{API}/attachments{path}", headers=headers or self.officer)


@pytest_asyncio.fixture(scope="module")
async def desk(template: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    folder = tmp_path_factory.mktemp("data")
    with cloned(template) as database:
        engine = make_engine(database.app_url)
        settings = Settings(database_url=database.app_url, ingest_database_url=database.ingest_url, data_dir=folder)
        async with serving(settings, engine) as client:
            yield await _desk(client, FileStore(folder))
        await engine.dispose()


async def _desk(client: Client, store: FileStore) -> Desk:
    one, other = await crew(client.engine), await crew(client.engine)
    officer, stranger = await client.sign_in(one.officer), await client.sign_in(other.officer)
    _, dispatcher = await client.new(Role.DISPATCHER)
    task = {
        "kind": "stop_vehicle", "priority": "P2", "title": "Stop it", "reason_code": "indicator", "lon": 25.3,
        "lat": 54.7, "unit_id": str(one.unit.id), "issue": True,
    }  # fmt: skip
    made = await client.http.post(f"{API}/tasks", json=task, headers=dispatcher)
    assert made.status_code == 201, made.text
    violation = {
        "id": str(new_id()), "category": "tobacco", "occurred_at": "2026-05-01T12:00:00Z", "lon": 25.3, "lat": 54.7,
        "coord_source": "gps",
    }  # fmt: skip
    found = await client.http.post(f"{API}/violations", json=violation, headers=officer)
    assert found.json()["id"] == violation["id"], "a file can name a violation that was made offline"
    return Desk(client, store, one, officer, stranger, dispatcher, made.json()["id"], violation["id"])


def photo(size: tuple[int, int] = (640, 480), kind: str = "JPEG", **saved: Any) -> bytes:
    """A photo of noise, with a place and a name in its EXIF, lying on its side."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010E], exif[0x013B] = 6, "SECRET-PLACE", "SECRET-NAME"
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (54.0, 41.0, 13.0), 3: "E", 4: (25.0, 16.0, 47.0)})
    out = io.BytesIO()
    Image.effect_noise(size, 80).convert("RGB").save(out, kind, exif=exif, **saved)
    return out.getvalue()


def png(width: int, height: int) -> bytes:
    """A PNG that says it is this large; nothing much is in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", b"x\x9c\x03\x00\x00\x00\x00\x01")
        + chunk(b"IEND", b"")
    )


async def test_a_photo_is_kept_as_it_is_and_shown_without_what_the_camera_wrote(desk: Desk) -> None:
    data = photo((4000, 3000), quality=95)
    assert len(data) > PIECE_BYTES, "several pieces"
    before = (await desk.client.http.get(f"{API}/tasks/{desk.task_id}", headers=desk.dispatcher)).json()
    answer = await desk.sent(
        data, name='../../etc/ "x"\r\nž.jpg', captured_at="2026-05-01T12:00:00Z", lon=25.3, lat=54.7
    )
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["status"], made["media_type"], made["screen"]) == ("complete", "image/jpeg", True)
    assert (made["width_px"], made["height_px"]) == (3000, 4000), "as it is looked at"
    assert (made["lon"], made["captured_at"]) == (25.3, "2026-05-01T12:00:00.000Z")
    kept = desk.store.original(made["sha256"])
    assert kept.read_bytes() == data
    assert not desk.store.part(made["id"]).exists()
    whole = await desk.get(f"/{made['id']}/original")
    assert whole.content == data
    assert whole.headers["Content-Type"] == "image/jpeg"
    for name, value in {
        "X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }.items():  # fmt: skip
        assert whole.headers[name] == value
    assert whole.headers["Content-Disposition"].startswith("attachment; filename*=utf-8''")
    shown = await desk.get(f"/{made['id']}/screen", desk.dispatcher)
    assert shown.headers["Content-Disposition"].startswith("attachment")
    copy = Image.open(io.BytesIO(shown.content))
    assert (copy.size, copy.format) == ((1200, SCREEN_PX), "JPEG")
    assert dict(copy.getexif()) == {}
    assert b"SECRET" in data
    assert b"SECRET" not in shown.content
    assert b"Exif" not in shown.content
    after = (await desk.client.http.get(f"{API}/tasks/{desk.task_id}", headers=desk.dispatcher)).json()
    assert (after["attachments"], after["version"]) == (before["attachments"] + 1, before["version"])
    part = await desk.client.http.get(
        f"{API}/attachments/{made['id']}/original", headers=desk.officer | {"Range": "bytes=10-19"}
    )
    assert (part.status_code, part.content) == (206, data[10:20])


async def test_an_upload_goes_on_where_it_stopped(desk: Desk) -> None:
    """O5: pieces again, out of order, overlapping and damaged; and what the disk lost is asked for again."""
    data = photo()
    cut = len(data) // 3
    sent = await desk.announce(data)
    id_ = sent.json()["id"]
    again = await desk.announce(data, id=id_)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert (await desk.piece(id_, 0, data[:cut])).json()["received"] == cut
    early = await desk.piece(id_, 2 * cut, data[2 * cut :])
    assert (early.status_code, early.json()["code"], early.json()["received"]) == (409, "piece_out_of_order", cut)
    short = await desk.complete(id_)
    assert (short.status_code, short.json()["code"], short.json()["received"]) == (409, "piece_out_of_order", cut)
    damaged = await desk.piece(id_, cut, data[cut : 2 * cut], sha256="0" * 64)
    assert (damaged.status_code, damaged.json()["code"]) == (409, "hash_mismatch")
    assert (await desk.piece(id_, 0, data[:cut])).json()["received"] == cut, "the answer was lost: sent again"
    assert (await desk.piece(id_, cut - 100, data[cut - 100 : 2 * cut])).json()["received"] == 2 * cut
    assert (await desk.get(f"/{id_}")).json()["received"] == 2 * cut
    os.truncate(desk.store.part(id_), cut)  # a backup from before the last piece
    lost = await desk.piece(id_, 2 * cut, data[2 * cut :])
    assert (lost.status_code, lost.json()["received"]) == (409, cut)
    assert (await desk.piece(id_, cut, data[cut:])).json()["received"] == len(data)
    first, second = await asyncio.gather(desk.complete(id_), desk.complete(id_))
    assert first.json() == second.json()
    assert first.json()["status"] == "complete"
    assert (await desk.piece(id_, 0, data[:cut])).json() == first.json(), "late pieces change nothing"
    left = {file.name for file in desk.store.uploads.iterdir()}
    assert not any(name.startswith(id_) or name.endswith((".piece", ".jpg")) for name in left)


async def test_a_crash_between_the_file_and_the_row_is_mended_by_asking_again(desk: Desk) -> None:
    data = photo()
    id_ = (await desk.announce(data)).json()["id"]
    await desk.piece(id_, 0, data)
    desk.store.keep(desk.store.part(id_), desk.store.original(hashlib.sha256(data).hexdigest()))
    assert (await desk.complete(id_)).json()["status"] == "complete"


async def test_what_is_not_what_was_announced_is_asked_for_again(desk: Desk) -> None:
    data, other = photo(), photo()
    id_ = (await desk.announce(data, size=len(other))).json()["id"]
    await desk.piece(id_, 0, other)
    answer = await desk.complete(id_)
    assert (answer.status_code, answer.json()["code"]) == (409, "hash_mismatch")
    assert (await desk.get(f"/{id_}")).json()["received"] == 0
    assert (await desk.piece(id_, 0, data[: len(other)])).json()["received"] == min(len(data), len(other))


def _archive_in_a_photo() -> bytes:
    out = io.BytesIO(photo())
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("x.jar", "x")
    return out.getvalue()


HOSTILE = {
    "a pixel bomb": (png(50_000, 50_000), 413, "too_large"),
    "a truncated photo": (photo()[:5_000], 422, "invalid"),
    "a picture of nothing": (png(10, 10), 422, "invalid"),
    "an archive in a photo": (_archive_in_a_photo(), 415, "media_type"),
    "a drawing with a script": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", 415, "media_type"),
    "a page": (b"<!doctype html><script>alert(1)</script>", 415, "media_type"),
    "an archive": (b"PK\x03\x04" + b"\0" * 64, 415, "media_type"),
    "a program": (b"\x7fELF" + b"\0" * 64, 415, "media_type"),
    "too short to be anything": (b"\xff", 415, "media_type"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_files_are_refused_for_good(desk: Desk, name: str) -> None:
    data, status, code = HOSTILE[name]
    answer = await desk.sent(data, media_type="image/jpeg")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    (found,) = [
        item for item in (await desk.get(f"?task_id={desk.task_id}&limit=500")).json()["items"]
        if item["sha256"] == hashlib.sha256(data).hexdigest()
    ]  # fmt: skip
    assert (found["status"], found["refused"]) == ("refused", code)
    assert (await desk.complete(found["id"])).status_code == status, "it says so again"
    assert not desk.store.original(found["sha256"]).exists()
    assert (await desk.get(f"/{found['id']}/original")).status_code == 404


async def test_other_files_are_kept_without_a_copy_for_screens(desk: Desk) -> None:
    for data, kind in (
        (b"%PDF-1.7\n...", "application/pdf"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42....", "video/mp4"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic....", "image/heic"),
        (photo(kind="PNG"), "image/png"),
        (photo(kind="WEBP"), "image/webp"),
    ):
        made = (await desk.sent(data, violation_id=desk.violation_id)).json()
        assert (made["media_type"], made["screen"]) == (kind, kind in {"image/png", "image/webp"})
        assert ((await desk.get(f"/{made['id']}/screen")).status_code == 200) is made["screen"]


async def test_bounds(desk: Desk) -> None:
    for wrong in (
        {"size": 0}, {"size": MAX_BYTES + 1}, {"sha256": "x" * 64}, {"sha256": "AB" * 32}, {"name": "a\x00b"},
        {"name": ""}, {"violation_id": desk.violation_id, "task_id": desk.task_id}, {"task_id": None}, {"lon": 25.0},
        {"lon": 181, "lat": 1}, {"captured_at": "2026-05-01T12:00:00"}, {"extra": 1},
    ):  # fmt: skip
        answer = await desk.announce(b"x", **{"task_id": desk.task_id} | wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), wrong
    id_ = (await desk.announce(b"x" * 100)).json()["id"]
    assert (await desk.piece(id_, 0, b"x" * 101)).status_code == 413, "more than announced"
    assert (await desk.piece(id_, 0, b"")).status_code == 422
    large = await desk.piece(id_, 0, b"x" * (PIECE_BYTES + 1))
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    json_piece = await desk.client.http.put(
        f"{API}/attachments/{id_}/content?offset=0&sha256={'0' * 64}", json={}, headers=desk.officer
    )
    assert json_piece.status_code == 415
    for query in ("", f"?task_id={desk.task_id}&violation_id={desk.violation_id}"):
        assert (await desk.get(query)).status_code == 422
    largest = b"%PDF-" + b"x" * (MAX_BYTES - 5)
    assert (await desk.sent(largest)).json()["status"] == "complete"


async def test_only_who_sees_the_thing_sees_its_files(desk: Desk) -> None:
    made = (await desk.sent(photo(), violation_id=desk.violation_id)).json()
    _, supervisor = await desk.client.new(Role.SUPERVISOR)
    _, administrator = await desk.client.new(Role.ADMINISTRATOR)
    on_task = (await desk.sent(photo())).json()
    _, investigator = await desk.client.new(Role.INVESTIGATOR)  # reads violations, not tasks
    for headers, status, task_status in (
        (desk.officer, 200, 200), (supervisor, 200, 200), (desk.dispatcher, 200, 200), (desk.stranger, 404, 404),
        (administrator, 403, 403), (investigator, 200, 404), ({}, 401, 401),
    ):  # fmt: skip
        for path in ("", "/screen", "/original?reason_code=case_work"):
            found = await desk.client.http.get(f"{API}/attachments/{made['id']}{path}", headers=headers)
            assert found.status_code == status, (path, status)
            found = await desk.client.http.get(f"{API}/attachments/{on_task['id']}{path}", headers=headers)
            assert found.status_code == task_status
    listed = (await desk.get(f"?violation_id={desk.violation_id}", desk.stranger)).json()
    assert listed["items"] == []
    theirs = {"id": str(new_id()), "violation_id": desk.violation_id}
    assert (await desk.announce(b"x", desk.stranger, **theirs)).status_code == 404
    assert (await desk.announce(b"x", desk.stranger, id=str(new_id()))).status_code == 404
    assert (await desk.announce(b"x", task_id=str(new_id()))).status_code == 404
    assert (await desk.piece(made["id"], 0, b"x", headers=desk.stranger)).status_code == 404
    stolen = await desk.client.http.post(f"{API}/attachments/{made['id']}/complete", headers=desk.stranger)
    assert stolen.status_code == 404


async def test_a_photo_of_a_task_that_went_to_another_unit_is_still_taken(desk: Desk) -> None:
    other = await crew(desk.client.engine)
    http, centre = desk.client.http, desk.dispatcher
    task = {"kind": "stop_vehicle", "priority": "P3", "title": "x", "reason_code": "random", "lon": 25.3, "lat": 54.7}
    issued = task | {"unit_id": str(desk.crew.unit.id), "issue": True, "override_reason": "busy"}
    made = (await http.post(f"{API}/tasks", json=issued, headers=centre)).json()
    steps = f"{API}/tasks/{made['id']}/transitions"
    declined = await http.post(steps, json={"verb": "decline", "reason_code": "busy"}, headers=desk.officer)
    assert declined.json()["result"] == "applied", declined.text
    moved = await http.post(steps, json={"verb": "reassign", "unit_id": str(other.unit.id)}, headers=centre)
    assert moved.status_code == 200, moved.text
    assert (await http.get(f"{API}/tasks/{made['id']}", headers=desk.officer)).status_code == 404
    answer = await desk.sent(photo(), task_id=made["id"])
    assert answer.json()["status"] == "complete"
    shown = await http.get(f"{API}/attachments?task_id={made['id']}", headers=await desk.client.sign_in(other.officer))
    assert [item["id"] for item in shown.json()["items"]] == [answer.json()["id"]]


async def test_looks_are_written_down_and_the_original_asks_why(desk: Desk) -> None:
    made = (await desk.sent(photo(), violation_id=desk.violation_id)).json()
    original = f"/{made['id']}/original"
    for query in ("", "?reason_code=curiosity", "?reason_code=other"):
        assert (await desk.get(original + query, desk.dispatcher)).status_code == 422
    assert (await desk.get(f"{original}?reason_code=other&reason=court", desk.dispatcher)).status_code == 200
    assert (await desk.get(f"/{made['id']}/screen", desk.dispatcher)).status_code == 200
    query = "SELECT action, fields FROM audit_event WHERE object_kind = 'attachment' AND object_id = :id ORDER BY id"
    async with open_work(desk.client.engine, system("test")) as work:
        rows = await work.session.execute(text(query), {"id": made["id"]})
        found = [(row.action, row.fields.get("reason")) for row in rows]
    assert found == [("collection", None), ("collection", None), ("disclosure", "court"), ("consultation", None)]


async def test_a_full_disk_is_told_before_any_effect(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    data = photo()
    id_ = (await desk.announce(data)).json()["id"]
    with monkeypatch.context() as patched:
        patched.setattr("core.file_store.SPARE_BYTES", 2**62)
        for answer in (await desk.announce(photo()), await desk.piece(id_, 0, data)):
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert answer.headers["Retry-After"] == "60"
    assert (await desk.piece(id_, 0, data)).json()["received"] == len(data)
    assert (await desk.complete(id_)).json()["status"] == "complete"


async def test_files_no_row_names_are_swept_a_day_later_but_not_during_a_backup(desk: Desk) -> None:
    data = photo()
    made = (await desk.sent(data)).json()
    orphan, fresh = desk.store.original("f" * 64), desk.store.original("e" * 64)
    left, part = desk.store.uploads / "x.piece", desk.store.uploads / str(new_id())
    for file in (orphan, fresh, left, part):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    for file in (orphan, left, part, desk.store.original(made["sha256"]), desk.store.screen(made["sha256"])):
        os.utime(file, (1, 1) if file != part else None)

    async def swept() -> int:
        async with open_work(desk.client.engine, system("retention")) as work:
            return await attachments.sweep(work, desk.store)

    async with open_work(desk.client.engine, system("backup")) as work:
        await work.session.execute(text("SELECT pg_advisory_xact_lock_shared(hashtext('outrider.files'))"))
        assert await swept() == 0
    assert await swept() == 1
    assert not orphan.exists()
    assert fresh.exists()
    assert desk.store.original(made["sha256"]).read_bytes() == data
    assert desk.store.sweep_uploads() == 1
    assert part.exists(), "a tablet may be away for weeks"


def test_a_server_starts_without_the_libraries_for_pictures_and_push() -> None:

    code = "import sys, dispatch_api.app; assert not {'PIL', 'firebase_admin', 'grpc'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
