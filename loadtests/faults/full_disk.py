"""F10: the disk full under load, the database's and the attachments': refused, nothing lost, on again by itself."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import asyncpg

from core.actor import Role
from loadtests.faults import scene
from loadtests.faults.checker import check
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.ledger import Promises
from loadtests.faults.nemesis import Broken, Server
from loadtests.faults.stage import Stage
from loadtests.faults.writers import WRITERS, Load
from mobile_contract.client import Officer, Store
from mobile_contract.client.wire import Later, Wire

DATABASE_MIB, MEDIA_MIB = 24, 300
RESUMED_WITHIN_S = 10.0


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """A file system of this size in a folder; raises Broken where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)], capture_output=True,
                          check=False, text=True)  # fmt: skip
    if made.returncode:
        raise Broken(f"a small disk needs root here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(folder: Path, leave: int = 0) -> Path:
    """Fill a disk but for so many bytes; the file that does it."""
    filler = folder / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while shutil.disk_usage(folder).free > leave:
            file.write(b"x" * 65536)
            file.flush()
    return filler


async def _onto(stage: Stage, disk: Path) -> None:
    """New partitions of positions, and violations, go onto this disk."""
    place = disk / "space"
    place.mkdir()
    account = stage.cluster.account
    for each in (disk, place):
        os.chown(each, account.uid, account.gid)
    db = await stage.owner()
    await db.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
    await db.execute("GRANT CREATE ON TABLESPACE small TO PUBLIC")
    await db.execute("ALTER TABLE violation SET TABLESPACE small")
    await db.execute(f"ALTER DATABASE {stage.database} SET default_tablespace = 'small'")
    await db.close()


async def _off(stage: Stage) -> None:
    db = await asyncpg.connect(host=str(stage.cluster.socket_dir), user="outrider_owner", database="postgres")
    await db.execute(f"DROP DATABASE {stage.database} WITH (FORCE)")
    await db.execute("DROP TABLESPACE small")
    await db.execute(f"CREATE DATABASE {stage.database}")
    await db.close()


async def _fill_under(load: Load, server: Server, disk: Path, seconds: float) -> tuple[int, int, float]:
    """Fill, wait, free: refusals meanwhile, times it was not alive, seconds until every writer got on again."""
    filler = fill(disk)
    before, dead = load.seen.answers["503"], 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        dead += (await asyncio.to_thread(server.ask, "/healthz"))[0] != 200
        fill(disk)  # what a vacuum freed
        await asyncio.sleep(0.5)
    refused = load.seen.answers["503"] - before
    filler.unlink()
    freed = time.monotonic()
    while not load.all_acked_since(freed) and time.monotonic() - freed < 60 and load.is_alive():
        await asyncio.sleep(0.02)
    return refused, dead, time.monotonic() - freed


async def _database(stage: Stage, disk: Path) -> list[Figure]:
    """Writers with a ledger, and a disk that is full twice."""
    await _onto(stage, disk)
    engine = stage.engine()
    crews = await scene.crews(engine, WRITERS)
    await engine.dispose()
    server = await stage.serving()
    load = Load(server.url, crews, stage.folder, stage.seed)
    load.start()
    refused, dead, resumed = 0, 0, 0.0
    for _ in range(stage.n(2, 1)):
        await asyncio.sleep(3)
        told = await _fill_under(load, server, disk, stage.n(8, 5))
        refused, dead, resumed = refused + told[0], dead + told[1], max(resumed, told[2])
    await asyncio.to_thread(load.stop)
    found = await check(stage.urls, server.url, crews, Promises(load.path))
    return [
        Figure("writes acknowledged", load.acked, least=200),
        Figure("refused while the database's disk was full", refused, least=20),
        zero("times the server was not alive", dead, stage),
        zero("other answers than 2xx and 503", load.seen.wrong, stage),
        zero("lost", found.lost, stage),
        zero("doubled", found.doubled, stage),
        zero("gaps and halves", found.gaps + found.wrong + found.foreign, stage),
        Figure("every writer got on after space was freed", resumed, "s", most=RESUMED_WITHIN_S),
    ]


async def _sent(app: Officer) -> float:
    """Send until everything has left, half a minute at most; how long it took (seconds)."""
    freed = time.monotonic()
    while app.store.outbox() and time.monotonic() - freed < 30:
        with contextlib.suppress(Later):
            await app.flush()
        await asyncio.sleep(0.1)
    return time.monotonic() - freed


async def _attachments(stage: Stage, disk: Path) -> list[Figure]:
    """A file sent to a full disk is refused and leaves nothing; with space it arrives whole."""
    engine = stage.engine()
    officer = (await scene.people(engine, Role.OFFICER, 1))[0]
    await engine.dispose()
    server, db = await stage.serving(data_dir=disk), await stage.owner()
    photo = stage.folder / "photo.bin"
    photo.write_bytes(b"%PDF-1.4\n" + os.urandom(6 * 2**20))
    async with aiohttp.ClientSession() as session:
        app = Officer(Wire(server.url, session), Store(stage.folder / "app.sqlite"))
        app.wire.token = officer.token
        app.do("/violations", category="tobacco", occurred_at="2026-05-01T12:00:00Z", lon=25.3, lat=54.7,
                           coord_source="gps")  # fmt: skip
        await app.flush()
        (made,) = app.store.outbox("done")
        filler, refused = fill(disk, leave=8 * 2**20), 0
        app.attach(photo, violation_id=made.answer["id"])
        for _ in range(5):
            try:
                await app.flush()
            except Later:
                refused += 1
        halves = [str(file) for file in (disk / "attachments").rglob("*") if file.is_file()]
        rows = await db.fetchval("SELECT count(*) FROM attachment WHERE status = 'complete'")
        filler.unlink()
        took_s = await _sent(app)
        unsent = len(app.store.outbox()) + len(app.store.outbox("refused"))
        app.store.close()
    (stored,) = [file for file in (disk / "attachments" / "originals").rglob("*") if file.is_file()] or [Path()]
    await db.close()
    return [
        Figure("pieces refused while the attachments' disk was full", refused, least=5),
        zero("files and rows of what was not whole", len(halves) + rows, stage),
        zero("not sent once there was space", unsent, stage),
        Figure("the file arrived after space was freed", took_s, "s", most=RESUMED_WITHIN_S),
        zero("bytes that differ", int(not stored.is_file() or stored.read_bytes() != photo.read_bytes()), stage),
    ]


async def play(stage: Stage) -> list[Figure]:
    """The database's disk, then the attachments'."""
    figures = []
    if stage.mutant is None:
        with small_disk(stage.folder / "media", MEDIA_MIB) as disk:
            figures = await _attachments(stage, disk)
            stage.servers.pop().close()
    with small_disk(stage.cluster.data_dir.parent / "small", DATABASE_MIB) as disk:
        try:
            figures = [*await _database(stage, disk), *figures]
        finally:
            for server in stage.servers:
                server.close()
            await _off(stage)
    return [*figures, zero("server errors", stage.errors(), stage)]


F10 = Fault(
    "F10",
    "the disk of the database, then of the attachments, full: refused with 503, nothing lost, on again by itself",
    "tablespace on a disk of 24 MB, filled twice",
    on_a_loop(play),
    {"ack_before_commit": Mutant("positions are answered before their commit", "lost")},
)
