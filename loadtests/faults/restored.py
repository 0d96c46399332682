"""F19: a backup made under load is brought back into a new database: usable, whole, within its time."""

import asyncio
import time

from core.settings import Settings
from dispatch_api.backup import bring_back, make
from dispatch_api.backup.bring_back import Wish
from dispatch_api.commands.progress import Progress
from dispatch_api.process.cluster import APP, INGEST, OWNER, Cluster
from loadtests.faults import scene
from loadtests.faults.checker import Found, check
from loadtests.faults.fault import Fault, Figure, Mutant, on_a_loop, zero
from loadtests.faults.ledger import Promises
from loadtests.faults.stage import Stage, migrate, start
from loadtests.faults.writers import WRITERS, Load

RESTORED_WITHIN_S = 1_800 / 10_000_000
"""Of one position: 30 minutes for ten million."""
_FILL = """
INSERT INTO position (device_id, fix_at, received_at, unit_id, point)
SELECT $1, now() - n * interval '50 ms', now(), $2, ST_SetSRID(ST_MakePoint(25 + n / 1e7, 54.7), 4326)
FROM generate_series(1, $3::int) n
"""


async def _fill(stage: Stage, unit: scene.Tracked, n: int) -> None:
    db = await stage.owner()
    await db.execute("SELECT ensure_position_day(day::date) FROM generate_series(now() - interval '2 days', now() +"
                     " interval '1 day', interval '1 day') day")  # fmt: skip
    await db.execute(_FILL, unit.device_id, unit.unit_id, n, timeout=300)
    await db.close()


async def _back(stage: Stage, load: Load, crews: list[scene.Crew], settings: Settings, other: Cluster,
                lines: int) -> tuple[Found, float, int]:  # fmt: skip
    """Restore into the other cluster and look; what is wrong, the seconds it took, the positions there."""
    roles = {"": APP, "OWNER_": OWNER, "INGEST_": INGEST}
    urls = {f"OUTRIDER_{which}DATABASE_URL": other.url(role) for which, role in roles.items()}
    began = time.monotonic()
    if stage.mutant == "no_restore":
        migrate(other)
    else:
        await bring_back.restore(other.url(OWNER), settings, stage.folder / "backup", Progress(),
                                 Wish(end_sessions=False, say=stage.say))  # fmt: skip
    server = stage.server()
    server.add(urls)
    await start(server)
    took_s = time.monotonic() - began
    promises = Promises(load.path, lines)
    found = await check(urls, None if stage.mutant else server.url, crews, promises)
    server.close()
    return found, took_s, int(other.ask("SELECT count(*) FROM position") or 0)


async def play(stage: Stage) -> list[Figure]:
    """Fill, back up under load, restore elsewhere, compare with the ledger as it was when the backup began."""
    engine, n = stage.engine(), stage.n(400_000, 20_000)
    crews, (unit,) = await scene.crews(engine, WRITERS), await scene.tracked(engine, 1)
    await engine.dispose()
    await _fill(stage, unit, n)
    server = await stage.serving()
    load = Load(server.url, crews, stage.folder, stage.seed)
    load.start()
    await asyncio.sleep(stage.n(10, 5))
    lines = len(load.path.read_text().splitlines()) - 1
    settings = Settings(data_dir=stage.folder / "restored", demo=False)
    settings.data_dir.mkdir()
    began = time.monotonic()
    await make.backup(stage.urls["OUTRIDER_OWNER_DATABASE_URL"], settings, stage.folder / "backup", Progress())
    backup_s = time.monotonic() - began
    await asyncio.to_thread(load.stop)
    with Cluster.temporary() as other:
        found, restored_s, rows = await _back(stage, load, crews, settings, other, lines)
    return [
        Figure("writes acknowledged before the backup began", sum(map(len, Promises(load.path, lines).acked.values())),
               least=300),
        Figure("positions brought back", rows, least=n),
        Figure("backup under load", backup_s, "s"),
        Figure("restored and serving after", restored_s, "s", most=60 + n * RESTORED_WITHIN_S),
        zero("lost of what was acknowledged before", found.lost, stage),
        zero("doubled", found.doubled, stage),
        zero("gaps, halves, made up; the audit's chain", found.gaps + found.wrong + found.foreign, stage),
        zero("server errors", stage.errors(), stage),
    ]  # fmt: skip


F19 = Fault(
    "F19",
    "a backup made under load, restored into a new cluster: all acknowledged before it is there, the audit verifies",
    "400,000 positions for 10 million, whose measured times are below; how much is lost is the backups' interval",
    on_a_loop(play),
    {"no_restore": Mutant("a new database without the backup", "lost of what was acknowledged before")},
)
