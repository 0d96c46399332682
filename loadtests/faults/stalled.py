"""F7: screens that stop reading are cut, cost no memory, and nobody else notices."""

import asyncio
import base64
import json
import os
import socket
import struct
import time

import psutil

from core.actor import Role
from loadtests.faults import scene
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.nemesis import Server
from loadtests.faults.scene import Person
from loadtests.faults.stage import Stage, rss_mib
from loadtests.faults.traffic import Screens, Trackers, http, percentile

UNITS, PER_S = 1_000, 200
CUT_WITHIN_S, GONE_WITHIN_S = 10.0, 30.0


class Raw:
    """A live socket by hand, with next to no room in its kernel, that never reads."""

    def __init__(self, server: Server, person: Person) -> None:
        self.plain = socket.socket()
        self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.plain.connect(("127.0.0.1", server.port))
        self.began = time.monotonic()
        key = base64.b64encode(os.urandom(16)).decode()
        self.plain.sendall(
            f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):  # what comes together with the request is not looked at
            answer += self.plain.recv(1)
        hello = json.dumps({"kind": "hello", "token": person.token}).encode()
        self.plain.sendall(struct.pack("!BBH", 0x81, 0x80 | 126, len(hello)) + b"\0\0\0\0" + hello)
        self.own_port = int(self.plain.getsockname()[1])

    @property
    def is_cut(self) -> bool:
        """Whether the server has ended the connection, told without reading from it (TCP_INFO's first byte)."""
        established = 1
        return self.plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != established


def _held(server: Server, ports: set[int]) -> int:
    """How many of these clients' connections the server process still has."""
    return sum(bool(c.raddr) and c.raddr.port in ports for c in psutil.Process(server.pid).net_connections("tcp"))


async def _beside(server: Server, n: int, people: list[Person], screens: Screens) -> tuple[float, float, float]:
    """Stall so many sockets; seconds until all were cut and until the server let go, and the others' p99."""
    screens.ages_s.clear()
    raws = await asyncio.to_thread(lambda: [Raw(server, people[i % len(people)]) for i in range(n)])
    began, cut_s = time.monotonic(), 0.0
    await asyncio.sleep(0.5)
    while time.monotonic() - began < GONE_WITHIN_S + 5:
        await asyncio.sleep(0.25)
        if not cut_s and all(raw.is_cut for raw in raws):
            cut_s = time.monotonic() - began
        if cut_s and not _held(server, {raw.own_port for raw in raws}):
            break
    gone_s = time.monotonic() - began
    for raw in raws:
        raw.plain.close()
    return cut_s or gone_s, gone_s, percentile(screens.ages_s)


async def play(stage: Stage) -> list[Figure]:
    """Measure alone, beside one and beside fifty."""
    engine = stage.engine()
    readers = await scene.people(engine, Role.DISPATCHER, stage.n(120, 40))
    stalling = await scene.people(engine, Role.DISPATCHER, 10)
    units = await scene.tracked(engine, UNITS)
    await engine.dispose()
    server = await stage.serving()
    async with http(server) as session, Trackers(session, units, PER_S).reporting():
        await asyncio.sleep(UNITS / PER_S + 1)  # so that every unit has a place, and a snapshot is long
        async with Screens(server, readers).watching() as screens:
            screens.ages_s.clear()
            await asyncio.sleep(stage.n(15, 8))
            alone, memory = percentile(screens.ages_s), rss_mib(server)
            one = await _beside(server, 1, stalling, screens)
            many = await _beside(server, 50, stalling, screens)
            grown, quiet = rss_mib(server) - memory, time.monotonic() - min(screens.last.values())
            lost = screens.lost
    return [
        Figure("fix to frame, p99 alone", alone, "s"),
        Figure("p99 beside 1 stalled, to alone", one[2] / alone if alone else 0, "x", most=1.2),
        Figure("p99 beside 50 stalled, to alone", many[2] / alone if alone else 0, "x", most=1.2),
        Figure("longest silence of a reader at the end", quiet, "s", most=5),
        Figure("50 stalled cut after", max(one[0], many[0]), "s", most=CUT_WITHIN_S),
        Figure("their descriptors gone after", max(one[1], many[1]), "s", most=GONE_WITHIN_S),
        Figure("server memory grown by", grown, "MiB", most=20),
        zero("readers lost", lost, stage),
        zero("server errors", stage.errors(), stage),
    ]


F7 = Fault(
    "F7",
    "slow or stalled screens: the others unaffected, memory bounded",
    "120 readers for 500, at 200 positions/s",
    on_a_loop(play),
    {
        "plain_broadcast": Mutant(
            "one screen after another is sent to, however long each takes", "longest silence of a reader at the end"
        )
    },
)
