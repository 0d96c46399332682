"""The screens of `fanout`: dispatchers or officers on real websockets, and sockets that stop reading.

`PLAN dispatchers|officers`: each in a process of its own, so that officers do not wait for what dispatchers read.
Orders come by line on the standard input: `begin` and `end` a measurement, `stall N` keeps N sockets open that do
not read. Half of the dispatchers look at the whole country, each of the others at a district of their own.
"""

import asyncio
import base64
import json
import os
import random
import socket
import struct
import sys
import time
from collections import defaultdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import websockets

COUNTRY = (20.5, 53.7, 27.0, 56.6)


class Alarm(msgspec.Struct):
    """What is looked at of an alert."""

    kind: str
    since: datetime | None = None
    cleared_at: datetime | None = None


class Frame(msgspec.Struct):
    """What is looked at of a dispatcher's message."""

    kind: str
    alert: Alarm | None = None
    version: int = 0
    rows: list[tuple[str, float, float, datetime, Any, Any, Any, str, bool]] = []


_frame = msgspec.json.Decoder(Frame)


class Screens:
    """Everybody's sockets, and what they saw since `begin`."""

    def __init__(self, plan: dict[str, Any], who: str) -> None:
        self._plan, self._who = plan, who
        self._url = f"ws://127.0.0.1:{plan['port']}/api/v1"
        self._stalled: list[asyncio.Task[None]] = []
        self._ready = 0
        self.begin()

    def begin(self) -> None:
        """Forget what was seen."""
        self.fixes: list[float] = []
        self.presses: list[float] = []
        self.clicks: list[float] = []
        self.versions: dict[int, list[float]] = defaultdict(list)
        self.cuts: list[float] = []
        self.lost = 0

    async def open(self) -> None:
        """Open all sockets and wait until each has its snapshot."""
        if self._who == "dispatchers":
            people = [(self._watch, token) for token in self._plan["dispatchers"]]
        else:
            people = [(self._officer, crew["token"]) for crew in self._plan["crews"]]
        self._tasks = []
        for n, (role, token) in enumerate(people):
            self._tasks.append(asyncio.create_task(role(n, token)))
            await asyncio.sleep(0.02)
        while self._ready < len(people):
            await asyncio.sleep(0.1)

    async def _watch(self, n: int, token: str) -> None:
        west, south = random.uniform(21, 25), random.uniform(54, 55.4)
        box = COUNTRY if n % 2 else (west, south, west + 1.5, south + 0.9)
        async with websockets.connect(f"{self._url}/live", compression=None, max_size=None) as ws:
            await ws.send(json.dumps({"kind": "hello", "token": token, "bbox": box}))
            await self._seen_by(ws, partial(self._look, {}))

    async def _officer(self, n: int, token: str) -> None:
        async with websockets.connect(f"{self._url}/inbox/live", compression=None, max_size=None) as ws:
            await ws.send(json.dumps({"kind": "hello", "token": token, "after": 0}))
            await self._seen_by(ws, self._take)

    async def _seen_by(self, ws: websockets.ClientConnection, look: Any) -> None:
        self._ready += 1
        try:
            async for text in ws:
                if answer := look(text, time.time()):
                    await ws.send(answer)
        except websockets.ConnectionClosed:
            pass
        self.lost += 1
        print(f"a socket was lost: {ws.close_code}", file=sys.stderr)

    def _look(self, shown: dict[str, datetime], text: str, now: float) -> None:
        """Note how old each fix is when this screen first has it: a new status sends the row with its old fix again."""
        if text.startswith('{"kind":"units"'):
            frame = _frame.decode(text)
            self.versions[frame.version].append(now)
            for row in frame.rows:
                if shown.get(row[0]) != row[3]:
                    shown[row[0]] = row[3]
                    self.fixes.append(now - row[3].timestamp())
        elif text.startswith('{"kind":"alert"'):
            alert = _frame.decode(text).alert
            if alert and alert.kind == "panic" and alert.since and alert.cleared_at is None:
                self.presses.append(now - alert.since.timestamp())

    def _take(self, text: str, now: float) -> str | None:
        if not text.startswith('{"kind":"inbox"'):
            return None
        items = json.loads(text)["items"]
        for item in items:
            if item["body"]["status"] == "issued":
                self.clicks.append(now - float(item["body"]["title"].removeprefix("click ")))
        return json.dumps({"kind": "ack", "upto": items[-1]["seq"]})

    def stall(self, n: int) -> None:
        """Keep so many sockets open that do not read."""
        for task in self._stalled:
            task.cancel()
        tokens = self._plan["dispatchers"]
        self._stalled = [asyncio.create_task(self._stall(tokens[i % len(tokens)])) for i in range(n)]

    async def _stall(self, token: str) -> None:
        """Open a socket, read nothing until the server has cut it, and again."""
        while True:
            plain = socket.socket()
            try:
                began = time.monotonic()
                self._hello(plain, token)
                while not self._is_cut(plain):
                    await asyncio.sleep(0.25)
                self.cuts.append(time.monotonic() - began)
            finally:
                plain.close()

    def _hello(self, plain: socket.socket, token: str) -> None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", self._plan["port"]))
        key = base64.b64encode(os.urandom(16)).decode()
        plain.sendall(
            f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{self._plan['port']}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):  # a hello that comes together with the request is not looked at
            answer += plain.recv(1)
        hello = json.dumps({"kind": "hello", "token": token}).encode()
        plain.sendall(struct.pack("!BBH", 0x81, 0x80 | 126, len(hello)) + b"\0\0\0\0" + hello)

    @staticmethod
    def _is_cut(plain: socket.socket) -> bool:
        """Whether the server has ended the connection, told without reading from it (TCP_INFO's first byte)."""
        established = 1
        return plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != established

    def end(self) -> dict[str, Any]:
        """What was seen since `begin`, in milliseconds."""
        if self._who == "officers":
            return {"click_to_officer_ms": _spread(self.clicks), "lost": self.lost}
        spread = [max(at) - min(at) for at in self.versions.values() if len(at) > 1]
        return {
            "fix_to_frame_ms": _spread(self.fixes), "press_to_screen_ms": _spread(self.presses),
            "tick_spread_ms": _spread(spread), "lost": self.lost,
            "cut": len(self.cuts), "cut_after_s": round(max(self.cuts, default=0), 1),
        }  # fmt: skip


def _spread(values_s: list[float]) -> dict[str, float]:
    ordered = sorted(value * 1_000 for value in values_s)
    if not ordered:
        raise SystemExit("nothing was seen")
    at = {"p50": ordered[len(ordered) // 2], "p99": ordered[int(len(ordered) * 0.99)], "max": ordered[-1]}
    return {name: round(value, 1) for name, value in at.items()} | {"n": len(ordered)}


async def _run(plan: dict[str, Any], who: str) -> None:
    screens = Screens(plan, who)
    await screens.open()
    print("ready", flush=True)
    while order := await asyncio.to_thread(sys.stdin.readline):
        answer: dict[str, Any] = {}
        if order == "begin\n":
            screens.begin()
        elif order == "end\n":
            answer = screens.end()
        else:
            screens.stall(int(order.split()[1]))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(_run(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]))
