"""An officer's app without a screen: signs in, keeps the inbox, sends the outbox."""

import asyncio
import contextlib
import hashlib
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import websockets

from mobile_contract.attachments import PIECE_BYTES
from mobile_contract.client.store import Entry, Store
from mobile_contract.client.wire import Later, Refused, Revoked, SignedOut, Wire

SILENCE_S = 6.0
"""A beat comes every 2 s; after so long without any the connection is lost."""
LONGEST_WAIT_S = 30.0
FLUSH_EVERY_S = 15.0
OCTETS = {"Content-Type": "application/octet-stream"}


def now() -> str:
    """The device's time as it is sent."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def wait_s(tries: int, least_s: float = 0.0) -> float:
    """How long to wait before try number `tries`: random, so that a thousand tablets do not come back at once."""
    return max(least_s, random.uniform(0, min(LONGEST_WAIT_S, 2.0 ** min(tries, 10))))


async def _pause(until: asyncio.Event, seconds: float) -> None:
    """Wait for so long, or until something happens."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(until.wait(), seconds)


async def _unless(again: asyncio.Event, doing: Coroutine[Any, Any, None]) -> None:
    """Do something to its end, or until it had better begin again; raises what it raises."""
    task, interrupted = asyncio.create_task(doing), asyncio.create_task(again.wait())
    try:
        await asyncio.wait({task, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        task.cancel()
        interrupted.cancel()
        await asyncio.gather(task, interrupted, return_exceptions=True)


class Officer:
    """One installation. `heard` is told of every item of the inbox once it is stored."""

    def __init__(self, wire: Wire, store: Store, heard: Callable[[dict[str, Any]], None] = lambda _item: None) -> None:
        self.wire, self.store = wire, store
        self._heard = heard
        self._pin: str | None = None
        self._sending = asyncio.Lock()
        self._stirred = asyncio.Event()
        self._line_again, self._send_again = asyncio.Event(), asyncio.Event()
        self.is_online = False

    @staticmethod
    @asynccontextmanager
    async def at(
        server: str, file: Path, heard: Callable[[dict[str, Any]], None] = lambda _item: None
    ) -> AsyncIterator["Officer"]:
        """An officer's app on a server, with its store in `file`."""
        store = Store(file)
        async with aiohttp.ClientSession() as http:
            yield Officer(Wire(server, http), store, heard)
        store.close()

    async def enrol(self, login: str, password: str, pin: str, name: str, code: str | None = None) -> None:
        """Make this an installation of the person who signs in; raises Later, Refused (`code_needed`)."""
        claim = {"login": login, "password": password} | ({"code": code} if code else {})
        session = await self.wire.call("POST", "/session", claim)
        self.wire.token = session["token"]
        install_id = self.store.get("install_id") or str(uuid4())
        self.store.put("install_id", install_id)
        made = await self.wire.call("POST", "/installs", {"id": install_id, "name": name, "pin": pin})
        self.store.put("credential", made["credential"])
        await self.wire.call("DELETE", "/session")
        self.wire.token = ""

    async def sign_in(self, pin: str) -> dict[str, Any]:
        """A session of 12 hours; raises Later, Refused for a wrong PIN, and Revoked, after everything was wiped."""
        body = {"install_id": self.store.get("install_id"), "credential": self.store.get("credential"), "pin": pin}
        self.wire.token, self._pin = "", pin
        try:
            session: dict[str, Any] = await self.wire.call("POST", "/session", body)
        except Refused:
            self._pin = None
            raise
        except Revoked as revoked:
            await self._give_up(may_recover=revoked.may_recover)
            raise
        self.wire.token = session["token"]
        return session

    async def _give_up(self, *, may_recover: bool) -> None:
        """Hand over what was not sent, if that was allowed; then forget everything."""
        records = [
            {"method": entry.method, "path": entry.path, "body": json.dumps(entry.body)}
            for entry in self.store.outbox() if entry.file is None
        ]  # fmt: skip
        if may_recover and records:
            body = {"credential": self.store.get("credential"), "records": records}
            with contextlib.suppress(Refused, SignedOut):
                await self.wire.call("POST", f"/installs/{self.store.get('install_id')}/recovery", body)
        self.store.wipe()

    def do(self, path: str, **body: Any) -> str:
        """Something done: it is on the disk when this returns, and sent when it can be. Its id."""
        made = {"id": str(uuid4())} | {name: value for name, value in body.items() if value is not None}
        self.store.add("POST", path, made)
        self._stirred.set()
        return str(made["id"])

    def step(self, task_id: str | UUID, verb: str, **fields: Any) -> str:
        """A step of a task, at the device's time."""
        return self.do(f"/tasks/{task_id}/transitions", verb=verb, at=now(), **fields)

    def attach(self, file: Path, **owner: Any) -> str:
        """A file of a task, violation or stop form (`task_id`, `violation_id` or `stop_form_id`); its id."""
        data = file.read_bytes()
        body = {"id": str(uuid4()), "name": file.name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        self.store.add("POST", "/attachments", body | owner, file)
        self._stirred.set()
        return str(body["id"])

    async def flush(self) -> None:
        """Send what waits, in order, one at a time; raises Later when it cannot go on, Revoked."""
        async with self._sending:
            while waiting := self.store.outbox():
                entry = waiting[0]
                try:
                    answer = await self._signed_in(lambda: self._send(entry))  # noqa: B023 - called before the next
                except Refused as refused:
                    self.store.settle(entry, "refused", refused.problem)
                else:
                    self.store.settle(entry, "done", answer)

    async def _signed_in(self, call: Callable[[], Any]) -> Any:
        """The outcome of a call, signing in again once when the session has ended."""
        try:
            return await call()
        except SignedOut:
            if self._pin is None:
                raise Later from None
            await self.sign_in(self._pin)
            return await call()
        except Revoked:
            if self._pin is not None:
                await self.sign_in(self._pin)  # which says whether the outbox may be handed over
            await self._give_up(may_recover=False)
            raise

    async def _send(self, entry: Entry) -> Any:
        if entry.file is None:
            return await self.wire.call(entry.method, entry.path, entry.body)
        made = await self.wire.call("POST", entry.path, entry.body)
        url = f"{entry.path}/{made['id']}"
        made = await self.wire.call("GET", url)
        data = entry.file.read_bytes()
        while made["status"] == "receiving":
            try:
                made = await self._piece(url, data, made["received"])
            except Refused as refused:
                if refused.code not in {"piece_out_of_order", "hash_mismatch"}:
                    raise
                made = await self.wire.call("GET", url)
        return made

    async def _piece(self, url: str, data: bytes, offset: int) -> Any:
        if offset >= len(data):
            return await self.wire.call("POST", f"{url}/complete", {})
        piece = data[offset : offset + PIECE_BYTES]
        asked = {"offset": str(offset), "sha256": hashlib.sha256(piece).hexdigest()}
        return await self.wire.call("PUT", f"{url}/content", params=asked, data=piece, headers=OCTETS)

    def came_online(self) -> None:
        """The device says that it has a network again: begin anew at once, whatever hangs on the one before."""
        self._line_again.set()
        self._send_again.set()
        self._stirred.set()

    async def run(self) -> None:
        """Keep the inbox and send the outbox until cancelled; raises Revoked once all is wiped, or Refused."""
        tasks = [asyncio.create_task(self._keep_line()), asyncio.create_task(self._keep_sending())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_sending(self) -> None:
        tries = 0
        while True:
            self._stirred.clear()
            if self._send_again.is_set():
                tries = 0  # what failed on the network before says nothing of this one
            self._send_again.clear()
            pause_s = FLUSH_EVERY_S
            try:
                await _unless(self._send_again, self.flush())
                tries = 0
            except Later as later:
                tries += 1
                pause_s = wait_s(tries, later.after_s)
            await _pause(self._stirred, pause_s)

    async def _keep_line(self) -> None:
        tries = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                if not self.wire.token and self._pin:
                    await self.sign_in(self._pin)
                await _unless(self._line_again, self._listen())
            except (Later, OSError, TimeoutError, websockets.WebSocketException):
                pass
            self.is_online = False
            stood = asyncio.get_running_loop().time() - began > SILENCE_S
            tries = 0 if stood else tries + 1
            await _pause(self._line_again, wait_s(tries))
            if self._line_again.is_set():
                tries = 0
            self._line_again.clear()

    async def _listen(self) -> None:
        hello = {
            "kind": "hello", "token": self.wire.token, "after": self.store.head(),
            "install_id": self.store.get("install_id"),
        }  # fmt: skip
        async with websockets.connect(self.wire.socket_url, open_timeout=10, max_size=2**24) as socket:
            await socket.send(json.dumps(hello))
            while True:
                message = json.loads(await asyncio.wait_for(socket.recv(), SILENCE_S))
                await self._take(socket, message)

    async def _take(self, socket: websockets.ClientConnection, message: dict[str, Any]) -> None:
        match message["kind"]:
            case "welcome":
                self.is_online = True
                self._stirred.set()
                await self._tell(socket)  # what was said over the line before may not have arrived
            case "resync":
                self.store.forget_inbox()
            case "inbox":
                before = self.store.head()
                self.store.keep(message["items"])
                await self._tell(socket)
                for item in message["items"]:
                    if item["seq"] > before:
                        self._heard(item)
            case "bye" if message["code"] == 4401:
                await self._signed_in(self._check)

    async def _tell(self, socket: websockets.ClientConnection) -> None:
        """Say how far everything is stored."""
        if upto := self.store.head():
            await socket.send(json.dumps({"kind": "ack", "upto": upto}))

    async def _check(self) -> None:
        """Ask once over HTTP: that says whether the session has ended or the installation was shut out."""
        await self.wire.call("GET", "/me")
