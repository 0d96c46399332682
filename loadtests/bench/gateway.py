"""What the gateway stores: Teltonika over TCP beside binary COPY, OwnTracks through a Mosquitto, idle connections.

`python -m loadtests.bench.gateway [--json] [--rounds 3] [--messages 30000]`. Gateway, database, broker and the load
(`gateway_load`, prebuilt frames) share the machine.

- `teltonika_to_copy`: records a second acknowledged to 1,000 connected devices, 25 a frame, each device waiting for its
  answer, over what one connection's binary COPY of 1,000 rows a transaction stores; the median over the rounds.
- `mqtt_per_s`: OwnTracks messages a second from the first publish until all are committed; the broker asks for no
  password here, since hashing them is not what is measured.
- `decoded_per_s`: Teltonika records a second that the decoder alone makes of frames of 25.
- `idle_mib`: memory of the gateway with 5,000 devices signed in and silent.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg

from core.db import asyncpg_dsn, utcnow
from core.ids import new_id
from geo.protocols import teltonika
from loadtests.bench import gateway_load, growth, scratch

TELTONIKA, MQTT = 8490, 8491
DEVICES, PHONES = 5_000, 200
SHIPPED = (scratch.ROOT / "deploy" / "mosquitto" / "outrider.conf").read_text()
UNITS = (
    "INSERT INTO unit (id, call_sign, kind, capabilities, tracking, status, status_at, version, created_at, updated_at)"
    " SELECT id, id::text, 'patrol', '{}', 'always', 'available', now(), 1, now(), now() FROM unnest($1::uuid[]) id"
)
DEVICE = (
    "INSERT INTO device (id, protocol, identifier, key_digest, speed_unit, forwards_for, created_at, updated_at)"
    " SELECT id, $3, name, decode(md5(id::text), 'hex'), 'knots', '{}', now(), now()"
    " FROM unnest($1::uuid[], $2::text[]) v (id, name)"
)
ASSIGNED = (
    "INSERT INTO device_assignment (id, device_id, unit_id) SELECT gen_random_uuid(), id, id FROM unnest($1::uuid[]) id"
)


async def _register(urls: dict[str, str]) -> dict[str, list[str]]:
    """Units tracked always with a device each: the identifiers by protocol."""
    db = await asyncpg.connect(asyncpg_dsn(urls["OUTRIDER_OWNER_DATABASE_URL"]))
    names: dict[str, list[str]] = {}
    for protocol, n in (("teltonika", DEVICES), ("owntracks", PHONES)):
        ids = [new_id() for _ in range(n)]
        imeis = [str(gateway_load.IMEI_FROM + number) for number in range(n)]
        names[protocol] = imeis if protocol == "teltonika" else [str(each) for each in ids]
        await db.execute(UNITS, ids)
        await db.execute(DEVICE, ids, imeis if protocol == "teltonika" else [None] * n, protocol)
        await db.execute(ASSIGNED, ids)
    await db.execute("SELECT ensure_position_day(current_date - d) FROM generate_series(-1, $1::int) d", growth.DAYS)
    await db.close()
    return names


def _broker(folder: Path) -> list[str]:
    """The shipped configuration without TLS, passwords and places."""
    text = re.sub(r"^(certfile|keyfile|password_file|acl_file) .*\n", "", SHIPPED, flags=re.MULTILINE)
    text = text.replace("listener 8883", f"listener {MQTT} 127.0.0.1").replace("allow_anonymous false", "")
    config = folder / "mosquitto.conf"
    user = "user root\n" if os.geteuid() == 0 else ""
    config.write_text(f"{user}log_type error\npersistence_location {folder}/\n{text}\nallow_anonymous true\n")
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise SystemExit("mosquitto is missing: apt-get install mosquitto")
    return [program, "-c", str(config)]


def _load(*words: str) -> Any:
    """What `gateway_load` found, in a process of its own."""
    command = [sys.executable, "-m", "loadtests.bench.gateway_load", *words]
    return json.loads(subprocess.run(command, cwd=scratch.ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)


async def _copied_per_s(urls: dict[str, str], devices: list[UUID], turn: int, seconds: float) -> float:
    """Rows a second by binary COPY, 1,000 a transaction, into the same table."""
    db = await asyncpg.connect(asyncpg_dsn(urls["OUTRIDER_OWNER_DATABASE_URL"]))
    await db.set_type_codec("geometry", schema="public", encoder=bytes, decoder=bytes, format="binary")
    began, chunk = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        rows = growth.rows(devices, turn * 1_000_000 + chunk * 1_000, 1_000)
        await db.copy_records_to_table("position", records=rows, columns=growth.COLUMNS)
        chunk += 1
    spent = time.perf_counter() - began
    await db.close()
    return chunk * 1_000 / spent


async def _stored(urls: dict[str, str], n: int, began: float) -> float:
    """Positions of phones a second, once all are there."""
    db = await asyncpg.connect(asyncpg_dsn(urls["OUTRIDER_OWNER_DATABASE_URL"]))
    query = "SELECT count(*) FROM position p JOIN device d ON d.id = p.device_id WHERE d.protocol = 'owntracks'"
    while time.time() - began < 120:
        if await db.fetchval(query) == n:
            break
        await asyncio.sleep(0.1)
    else:
        raise SystemExit("not every message was stored")
    await db.close()
    return n / (time.time() - began)


def _decoded_per_s() -> float:
    frame = gateway_load.frame(0, 0)
    content, now = frame[8:-4], utcnow()
    began, records = time.perf_counter(), 0
    while time.perf_counter() - began < 2:
        for _ in range(100):
            records += len(teltonika.decode(content, now).fixes)
    return records / (time.perf_counter() - began)


def measure(rounds: int, messages: int) -> dict[str, Any]:
    """All of it, one after the other."""
    with tempfile.TemporaryDirectory() as name, scratch.database() as urls:
        folder = Path(name)
        folder.chmod(0o755)
        names = asyncio.run(_register(urls))
        settings = urls | {
            "OUTRIDER_DATA_DIR": name, "OUTRIDER_TELTONIKA_PORT": str(TELTONIKA), "OUTRIDER_MQTT_HOST": "127.0.0.1",
            "OUTRIDER_MQTT_PORT": str(MQTT), "OUTRIDER_LOG_LEVEL": "warning",
        }  # fmt: skip
        gateway = [sys.executable, "-m", "dispatch_api.cli", "gateway"]
        found: dict[str, list[float]] = {"teltonika": [], "copy": []}
        devices = [new_id() for _ in range(1_000)]
        with scratch.listening(_broker(folder), MQTT, {}), scratch.listening(gateway, TELTONIKA, settings):
            for turn in range(rounds):
                found["teltonika"].append(_load("teltonika", str(TELTONIKA), str(turn))["per_s"])
                found["copy"].append(asyncio.run(_copied_per_s(urls, devices, turn, 4)))
            plan = folder / "phones.json"
            plan.write_text(json.dumps(names["owntracks"]))
            began = time.time()
            _load("mqtt", str(MQTT), str(messages), str(plan))
            mqtt = asyncio.run(_stored(urls, messages, began))
        with scratch.listening(gateway, TELTONIKA, settings) as process:
            idle = _load("idle", str(TELTONIKA), str(process.pid), str(DEVICES))
    ratios = [a / b for a, b in zip(found["teltonika"], found["copy"], strict=True)]
    return {
        "teltonika_to_copy": round(median(ratios), 3), "teltonika_per_s": round(median(found["teltonika"])),
        "copy_per_s": round(median(found["copy"])), "mqtt_per_s": round(mqtt),
        "decoded_per_s": round(_decoded_per_s()), "idle_mib": idle["mib"],
    }  # fmt: skip


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=30_000)
    args = parser.parse_args()
    figures = measure(args.rounds, args.messages)
    print(json.dumps(figures) if args.json else "\n".join(f"{name:18} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
