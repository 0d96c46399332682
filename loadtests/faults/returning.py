"""F14: the server dies under 2,000 sockets; everybody comes back at once, and has what came meanwhile."""

import asyncio
import json
import time
from dataclasses import dataclass, field

import websockets
from sqlalchemy.ext.asyncio import AsyncEngine

from core import inbox
from core.actor import Role, system
from core.ids import new_id
from core.work import open_work
from loadtests.faults import scene
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.nemesis import Server
from loadtests.faults.scene import Person
from loadtests.faults.stage import Stage, rss_mib, start
from loadtests.faults.traffic import percentile

ITEMS = 3
BACK_WITHIN_S, MEMORY_MIB = 20.0, 400
NEVER_S = 60.0
JITTER_S = 10.0


@dataclass
class _App:
    """An officer's app: knows its place in the inbox, and comes back when it is cut."""

    server: Server
    person: Person
    jitter_s: float = 0.0
    head: int = 0
    at: dict[int, float] = field(default_factory=dict)
    gaps: int = 0
    failures: list[float] = field(default_factory=list)

    async def run(self, chance: float) -> None:
        """Connect, read, and again, for ever."""
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, websockets.WebSocketException):
                self.failures.append(time.monotonic())
            await asyncio.sleep(self.jitter_s * chance or 0.02)

    async def _listen(self) -> None:
        url = f"{self.server.socket_url}/inbox/live"
        async with websockets.connect(url, compression=None, open_timeout=NEVER_S, ping_interval=None) as socket:
            await socket.send(json.dumps({"kind": "hello", "token": self.person.token, "after": self.head}))
            async for text in socket:
                if '"kind":"inbox"' not in text[:20]:
                    continue
                for item in json.loads(text)["items"]:
                    self.gaps += item["seq"] != self.head + 1
                    self.head = item["seq"]
                    self.at[self.head] = time.monotonic()


async def _tell(engine: AsyncEngine, people: list[Person]) -> None:
    """Put one item into every inbox, as a notice to everyone does."""
    async with open_work(engine, system("faults")) as work:
        notice = new_id()
        await inbox.push(work, [person.id for person in people], new_id(), "notice", notice, {"id": str(notice)})


async def _have(apps: list[_App], head: int) -> float:
    """Seconds until everybody has this number, at most NEVER_S."""
    began = time.monotonic()
    while any(app.head < head for app in apps) and time.monotonic() - began < NEVER_S:
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def _return(server: Server, engine: AsyncEngine, apps: list[_App], head: int) -> list[float]:
    """Kill, tell something meanwhile, start; seconds from ready until each had it."""
    server.kill()
    await _tell(engine, [app.person for app in apps])
    await start(server)
    ready = time.monotonic()
    await _have(apps, head)
    now = time.monotonic()
    return [max(0.0, app.at.get(head, now) - ready) for app in apps]


async def play(stage: Stage) -> list[Figure]:
    """Come back at once, and again spread over ten seconds."""
    engine, n = stage.engine(), stage.n(2_000, 400)
    people = await scene.people(engine, Role.OFFICER, n)
    for _ in range(ITEMS):
        await _tell(engine, people)
    server = await stage.serving()
    apps = [_App(server, person) for person in people]
    going = [asyncio.create_task(app.run(stage.chance.random())) for app in apps]
    first_s = await _have(apps, ITEMS)
    at_once = await _return(server, engine, apps, ITEMS + 1)
    memory, failures = rss_mib(server), sum(len(app.failures) for app in apps)
    spread: list[float] = []
    if not stage.short:
        for app in apps:
            app.jitter_s = JITTER_S
        spread = await _return(server, engine, apps, ITEMS + 2)
        memory = max(memory, rss_mib(server))
    head = ITEMS + 1 + bool(spread)
    lost = sum(app.head < head for app in apps)
    for each in going:
        each.cancel()
    await asyncio.gather(*going, return_exceptions=True)
    await engine.dispose()
    return [
        Figure("sockets", n),
        Figure("all connected and caught up at first", first_s, "s"),
        Figure("back at once with what came meanwhile, p99", percentile(at_once), "s", most=BACK_WITHIN_S),
        *([Figure("back within 10 s by chance, p99", percentile(spread), "s", most=BACK_WITHIN_S)] if spread else []),
        Figure("connections that failed, a socket", failures / n, most=1),
        zero("sockets without what came", lost, stage),
        zero("gaps", sum(app.gaps for app in apps), stage),
        Figure("server memory", memory, "MiB", most=MEMORY_MIB),
        zero("server errors", stage.errors(), stage),
    ]


F14 = Fault(
    "F14",
    "2,000 sockets come back at once after kill -9: all resume within 20 s, nothing lost, the server stays up",
    "",
    on_a_loop(play),
    {
        "hash_per_reconnect": Mutant(
            "a password is hashed for each socket", "back at once with what came meanwhile, p99"
        )
    },
)
