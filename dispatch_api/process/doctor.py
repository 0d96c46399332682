"""`outrider doctor`: every setting with its meaning and state, and what is wrong with this installation."""

import asyncio
import json
import os
import re
import shutil
import socket
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr

from core.db import asyncpg_dsn, utcnow
from core.settings import Settings
from dispatch_api import fcm, outside
from dispatch_api.commands.database import with_database
from dispatch_api.process import ports, tls
from dispatch_api.process.cluster import Cluster
from dispatch_api.process.condition import DISK_WANTED_BYTES, SKEW_BORNE_S, clock_is_kept, disks, skew_s
from dispatch_api.process.console import CannotStart, say
from dispatch_api.process.postgres import Binaries
from dispatch_api.routes.health import DURABLE
from dispatch_api.webpush import keys as webpush

_UNCONNECTED = (OSError, asyncpg.PostgresError, TimeoutError, ValueError)
_MIGHTY = "SELECT rolname FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)"
_ADMINISTRATORS = (
    "SELECT count(*) AS n, count(*) FILTER (WHERE disabled_at IS NULL) AS enabled FROM user_account"
    " WHERE 'administrator' = ANY(roles)"
)
_PASSWORD = re.compile(r"(://[^:@/]*):[^@/]*@")


def report(settings: Settings) -> int:
    """Print the settings and the findings; 1 when anything is wrong, else 0."""
    say("Settings (environment or .env)")
    for line in _settings_lines(settings):
        say(line)
    say()
    say("Checks")
    wrong = 0
    for name, trouble in checks(settings):
        wrong += trouble is not None
        say(f"  ok     {name}" if trouble is None else f"  WRONG  {name}: {trouble}")
    say()
    say("Nothing is wrong." if not wrong else f"{wrong} to mend.")
    return 1 if wrong else 0


def _settings_lines(settings: Settings) -> Iterator[str]:
    for name, field in type(settings).model_fields.items():
        value, default = getattr(settings, name), field.get_default()
        state = f"{_shown(value)} (default)" if value == default else f"{_shown(value)} (default {_shown(default)})"
        yield f"  OUTRIDER_{name.upper():<26}{state}"
        yield f"  {'':<35}{field.description}"


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "unset"
    if isinstance(value, SecretStr):
        return "[secret]"
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, bool):
        return "1" if value else "0"
    return _PASSWORD.sub(r"\1:[secret]@", str(value))


def checks(settings: Settings) -> Iterator[tuple[str, str | None]]:
    """Each check by name, with None or what is wrong and what to do."""
    folder = Path(settings.data_dir)
    yield f"data folder {folder}", _folder_trouble(folder)
    if heads := settings.audit_head_dir:
        yield f"folder of audit heads {heads}", _folder_trouble(heads, "OUTRIDER_AUDIT_HEAD_DIR")
    yield "free disk space", _space_trouble(settings)
    yield f"this machine's clock{'' if clock_is_kept() else ': no time service is known to keep it'}", None
    yield f"time zone {settings.timezone}", _zone_trouble(settings.timezone)
    for name, port in settings.unauthenticated.items():
        yield f"{name} on port {port} knows no secret: let it be reached through a private APN or a VPN alone", None
    if not settings.mfa_roles:
        yield "no role must have a second factor: OUTRIDER_MFA_ROLES=administrator,supervisor is advised", None
    yield "TLS files", " ".join(tls.problems(settings.tls_cert, settings.tls_key)) or None
    for name in ("cot_client_ca", "mqtt_ca", "mqtt_password_file"):
        if file := getattr(settings, name):
            yield f"OUTRIDER_{name.upper()}", _file_trouble(file)
    if settings.fcm_credentials or settings.fcm_web:
        yield "pushes to apps", " ".join(fcm.troubles(settings)) or None
    for channel in outside.wanted(settings):
        yield f"{channel} about alarms", " ".join(outside.troubles(settings, channel)) or None
    if webpush.is_wanted(settings):
        yield "pushes to browsers", " ".join(webpush.troubles(settings)) or None
    if settings.database_url is None:
        yield "PostgreSQL with PostGIS", _postgres_trouble()
    yield from _running_checks(settings)
    yield _browser_check(settings)


def _folder_trouble(folder: Path, setting: str = "OUTRIDER_DATA_DIR") -> str | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"it cannot be made ({error.strerror}): give its parent the right, or set {setting}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"it cannot be written to: chown it to the user Outrider runs as, or set {setting}"
    return None


def _file_trouble(file: Path) -> str | None:
    try:
        with file.open("rb"):
            return None
    except OSError as error:
        return f"{file} cannot be read ({error.strerror}): the gateway will not start"


def _space_trouble(settings: Settings) -> str | None:
    for disk in disks(settings):
        if disk.is_low:
            free, wanted = disk.free_bytes / 1024**3, DISK_WANTED_BYTES / 1024**3
            place = f"{free:.1f} GB are free in {disk.folder}, {wanted:.0f} GB are wanted"
            return f"only {place}: make room or move OUTRIDER_DATA_DIR"
    return None


def _zone_trouble(name: str) -> str | None:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return "it is unknown here: correct OUTRIDER_TIMEZONE, or install the package tzdata"
    return None


def _postgres_trouble() -> str | None:
    try:
        Binaries.find()
    except CannotStart as error:
        return str(error)
    return None


def _running_checks(settings: Settings) -> Iterator[tuple[str, str | None]]:
    """The database and the port: of a sleeping installation both must be free to start, of a running one answer."""
    if settings.database_url is None:
        try:
            cluster = Cluster.for_settings(settings)
            answers = cluster.answers()
        except CannotStart as error:
            yield "private database", str(error)
            return
        if not answers:
            yield "private database: asleep, `outrider up` starts it", None
            yield f"port {settings.port}", _port_trouble(settings)
            return
        settings = with_database(settings)
    yield "database answers, PostGIS there, writes durable", asyncio.run(_database_trouble(settings))
    yield "database answers the trackers' role", asyncio.run(_ingest_trouble(settings))
    if settings.four_eyes:
        yield "four eyes for role grants", asyncio.run(_four_eyes_trouble(settings))


def _port_trouble(settings: Settings) -> str | None:
    try:
        listening: socket.socket = ports.bind(settings.host, settings.port)
    except CannotStart as error:
        return str(error)
    listening.close()
    return None


async def _database_trouble(settings: Settings) -> str | None:
    assert settings.database_url
    try:
        connection = await asyncpg.connect(asyncpg_dsn(settings.database_url), timeout=5)
    except _UNCONNECTED as error:
        return f"no connection ({error or type(error).__name__}): is it running, and OUTRIDER_DATABASE_URL right?"
    try:
        for name, good in DURABLE.items():
            value = await connection.fetchval("SELECT current_setting($1)", name)
            if value not in good:
                return f"{name} is {value}, so acknowledged fixes could be lost: set it on in PostgreSQL"
        if mighty := await connection.fetchval(_MIGHTY):
            return (
                f"{mighty} may see every row and change the audit: name the role outrider_app in OUTRIDER_DATABASE_URL"
            )
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'postgis')"):
            return "PostGIS is not installed there: install it for that PostgreSQL version"
        before = utcnow()
        skew = skew_s(await connection.fetchval("SELECT clock_timestamp()"), before, utcnow())
        if abs(skew) > SKEW_BORNE_S:
            return f"its clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this one: keep both by NTP"
    finally:
        await connection.close()
    return None


async def _ingest_trouble(settings: Settings) -> str | None:
    if settings.ingest_database_url is None:
        return "OUTRIDER_INGEST_DATABASE_URL is not set: positions are stored by a role of their own, outrider_ingest"
    try:
        connection = await asyncpg.connect(asyncpg_dsn(settings.ingest_database_url), timeout=5)
    except _UNCONNECTED as error:
        return f"no connection ({error or type(error).__name__}): is OUTRIDER_INGEST_DATABASE_URL right?"
    await connection.close()
    return None


async def _four_eyes_trouble(settings: Settings) -> str | None:
    assert settings.database_url
    try:
        connection = await asyncpg.connect(asyncpg_dsn(settings.database_url), timeout=5)
    except _UNCONNECTED:
        return None  # told already
    try:
        found = await connection.fetchrow(_ADMINISTRATORS)
    except asyncpg.UndefinedTableError:
        return None  # a database that is still to be migrated
    finally:
        await connection.close()
    if found["n"] >= 2 and found["enabled"] < 2:
        return (
            f"administrators who are not disabled: {found['enabled']}, so nobody can grant what another proposes: make"
            " one by `outrider create-user LOGIN --role administrator`"
        )
    return None


def _browser_check(settings: Settings) -> tuple[str, str | None]:
    if settings.chromium is not None:
        usable = os.access(settings.chromium, os.X_OK)
        return "browser for the tests", None if usable else f"OUTRIDER_CHROMIUM={settings.chromium} is no program"
    found = shutil.which("chromium")
    return f"browser for the tests: {found or 'none, and only `make test` needs one'}", None
