"""`outrider mqtt-users`: Mosquitto's password and ACL files, from the devices that are registered and not revoked."""

import argparse
import os
import secrets
import signal
import sys
import tempfile
from pathlib import Path
from uuid import UUID

from core.actor import system
from core.ids import digest
from core.settings import Settings
from core.work import open_work
from dispatch_api.commands.database import app_engine
from geo import devices
from geo.device_secrets import SALT_BYTES, broker_hash

PASSWORDS, ACL = "passwords", "acl"
FOR_THE_BROKER = 0o640
FOR_NOBODY_ELSE = 0o600


async def run(settings: Settings, args: argparse.Namespace) -> int:
    """Write what has changed, and let the broker read it when its PID file is named; the exit code."""
    folder: Path = args.folder or settings.data_dir / "mqtt"
    if settings.mqtt_user and settings.mqtt_password_file is None:
        print("Name a file for the gateway's password: OUTRIDER_MQTT_PASSWORD_FILE.", file=sys.stderr)
        return 1
    try:
        async with app_engine(settings) as engine, open_work(engine, system("mqtt-users")) as work:
            hashes = await devices.broker_hashes(work)
        folder.mkdir(parents=True, exist_ok=True)
        changed = [
            _write(folder / PASSWORDS, _passwords(settings, hashes)),
            _write(folder / ACL, acl(settings.mqtt_user or "")),
        ]
        if any(changed) and args.reload:
            os.kill(int(args.reload.read_text()), signal.SIGHUP)
    except (OSError, ValueError) as error:
        print(f"The broker's files are not written: {error}", file=sys.stderr)
        return 1
    print(f"{folder}: {len(hashes)} devices{'' if changed else ', nothing changed'}")
    return 0


def acl(gateway: str) -> str:
    """Who may do what: a device writes below its own topic and reads nothing, the gateway reads all of them."""
    return f"pattern write owntracks/%u/#\n\nuser {gateway}\ntopic read owntracks/#\n"


def _passwords(settings: Settings, hashes: dict[UUID, str]) -> str:
    """The password file: the gateway's account, whose password is made when its file is missing, and the devices."""
    lines = [f"{device_id}:{kept}\n" for device_id, kept in hashes.items()]
    file = settings.mqtt_password_file
    if settings.mqtt_user and file is not None:
        if not file.exists():
            _write(file, secrets.token_urlsafe(32), FOR_NOBODY_ELSE)
        password = file.read_text().strip()
        lines.insert(0, f"{settings.mqtt_user}:{broker_hash(password, digest(password)[:SALT_BYTES])}\n")
    return "".join(lines)


def _write(file: Path, text: str, mode: int = FOR_THE_BROKER) -> bool:
    """Replace a file whole, unless it holds just that; whether it was replaced."""
    if file.exists() and file.read_text() == text:
        return False
    made, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with os.fdopen(made, "w") as out:
        out.write(text)
    os.chmod(name, mode)
    os.replace(name, file)
    return True
