"""Frames for the two sockets: what is nearly right, what is JSON, and what is nothing; each socket says why it ends."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from loadtests.fuzz.scene import Desk

EXPECTED_CODES = {1000, 1002, 1003, 1007, 1009, 1013, 4400, 4401, 4403, 4408, 4409}
"""How a server may end a socket over what a client sent: anything but a fault of its own."""
SOCKETS = {"/api/v1/live": "dispatcher", "/api/v1/inbox/live": "officer"}
SIGNED_IN = 0.8
"""The share of sockets that say a right hello first."""
ANSWERED_WITHIN_S = 10.0
AT_ONCE = 3
CUT = 1006
"""No close frame was read: right only after a frame over the limit, which the server does not read to its end."""
LIMIT = 65_536
NUMBERS = [0, -1, 1, 2**31, 2**53, 2**53 + 1, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, True]
TEXTS = ["", "\x00", "\ud800", "a" * 300, "${1}", "'; DROP TABLE inbox; --", "0190a0a0-0000-7000-8000-000000000000"]
KINDS = ["hello", "view", "ack", "ping", "welcome", "bye", "Hello", ""]


@dataclass
class Frames:
    """How many frames were sent, how sockets ended, and what should not have been."""

    sent: int = 0
    sockets: int = 0
    ends: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def value(chance: random.Random, depth: int = 0) -> Any:
    """Some JSON."""
    kind = chance.randrange(5 if depth > 3 else 7)
    if kind == 5:
        return [value(chance, depth + 1) for _ in range(chance.randrange(5))]
    if kind == 6:
        return {chance.choice(TEXTS + KINDS): value(chance, depth + 1) for _ in range(chance.randrange(4))}
    return [None, chance.choice(NUMBERS), chance.choice(TEXTS), chance.random() * 400 - 200, False][kind]


def near(chance: random.Random) -> str:
    """A message of ours, with one or two things wrong or none."""
    good: list[dict[str, Any]] = [
        {"kind": "view", "bbox": [20, 53, 27, 57]},
        {"kind": "view"},
        {"kind": "ack", "upto": chance.choice([0, 1, 10**6])},
        {"kind": "ping", "n": chance.randrange(10**6)},
        {"kind": "hello", "token": "os_x", "after": 0},
    ]
    message = dict(chance.choice(good))
    for _ in range(chance.randrange(3)):
        name = chance.choice([*message, "bbox", "upto", "n", "after", "install_id", "ticket", "surprise"])
        message[name] = value(chance)
    return json.dumps(message)


def frame(chance: random.Random) -> str | bytes:
    """One frame of any sort."""
    match chance.randrange(8):
        case 0 | 1 | 2 | 3:
            return near(chance)
        case 4 | 5:
            return json.dumps(value(chance))
        case 6:
            return chance.choice(["", "{", "[" * 30_000, '{"kind":"ping","n":NaN}', "x" * 70_000, "\x00", "null"])
        case _:
            return chance.randbytes(chance.choice([0, 1, 100, 70_000]))


async def run(url: str, desk: Desk, *, frames: int, seed: int) -> Frames:
    """Send so many to both sockets, a few at a time."""
    found, base = Frames(), url.replace("http", "ws", 1)
    each = frames // (AT_ONCE * len(SOCKETS)) + 1
    async with asyncio.TaskGroup() as group:
        for path, role in SOCKETS.items():
            for number in range(AT_ONCE):
                chance = random.Random(f"{seed} {path} {number}")
                group.create_task(_client(found, base + path, desk.badges[role].token or "", chance, each))
    return found


async def _client(found: Frames, address: str, token: str, chance: random.Random, frames: int) -> None:
    left = frames
    while left > 0:
        found.sockets += 1
        async with connect(address, max_size=None) as socket:
            talk = _Talk(socket, chance)
            try:
                left -= await talk.hold(found, token, left)
                await socket.close()
            except websockets.ConnectionClosed:
                left -= 1
            except TimeoutError:
                found.faults.append(f"{address} neither answered nor ended")
        code = socket.close_code or 0
        found.ends[code] += 1
        if code not in EXPECTED_CODES and not (code == CUT and talk.too_long):
            found.faults.append(f"{address} ended with {code}")


class _Talk:
    def __init__(self, socket: ClientConnection, chance: random.Random) -> None:
        self._socket, self._chance = socket, chance
        self.too_long = False

    async def hold(self, found: Frames, token: str, most: int) -> int:
        """Send a few at a time, each time until the server says that it is still there; how many it bore."""
        if self._chance.random() < SIGNED_IN:
            await self._socket.send(json.dumps({"kind": "hello", "token": token}))
            await self._answered(0)
        sent = 0
        while sent < most:
            for _ in range(self._chance.randrange(1, 4)):
                content = frame(self._chance)
                self.too_long |= len(content) > LIMIT
                await self._socket.send(content)
                sent, found.sent = sent + 1, found.sent + 1
            await self._answered(found.sent)
        return sent

    async def _answered(self, number: int) -> None:
        """Return when a ping was answered, which is after all before it; raises ConnectionClosed, TimeoutError."""
        await self._socket.send(json.dumps({"kind": "ping", "n": number}))
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while True:
                told = json.loads(await self._socket.recv())
                if told["kind"] == "pong" and told["n"] == number:
                    return
