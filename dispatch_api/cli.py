"""The `outrider` command: argument parsing only; each command's work is in the module it imports when called."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from core.settings import Settings

Command = Callable[[Settings, argparse.Namespace], int]
Add = Callable[[str, Command, str], argparse.ArgumentParser]
"""Adds a command: its name, what runs it, and its help."""


def _up(settings: Settings, _: argparse.Namespace) -> int:
    from dispatch_api.process import supervisor

    return supervisor.up(settings)


def _worker(settings: Settings, _: argparse.Namespace) -> int:
    from dispatch_api.workers import runner

    return runner.run(settings)


def _serve(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import serve

    return serve.run(settings.model_copy(update={"processes": args.processes or settings.processes}))


def _gateway(settings: Settings, _: argparse.Namespace) -> int:
    from dispatch_api.gateway import server

    return server.run(settings)


def _migrate(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import migrate

    return migrate.run(settings, args.revision)


def _upgrade(settings: Settings, _: argparse.Namespace) -> int:
    from dispatch_api.commands import upgrade

    return upgrade.run(settings)


def _backup(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import backup

    return backup.run(settings, args.file)


def _restore(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import backup

    return backup.restore(settings, args.file, replace=args.replace)


def _create_user(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import create_user

    return asyncio.run(create_user.run(settings, args.login, args.name or args.login, args.role))


def _reset_factor(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import reset

    return asyncio.run(reset.factor(settings, args.login))


def _reset_password(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import reset

    return asyncio.run(reset.password(settings, args.login))


def _verify_audit(settings: Settings, _: argparse.Namespace) -> int:
    from dispatch_api.commands import verify_audit

    return asyncio.run(verify_audit.run(settings))


def _verify_heat(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import verify_heat

    return asyncio.run(verify_heat.run(settings, recount=args.recount))


def _retention(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import retention

    return asyncio.run(retention.run(settings, dry_run=args.dry_run))


def _subject_report(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import subject_report

    return asyncio.run(subject_report.run(settings, args))


def _doctor(settings: Settings, _: argparse.Namespace) -> int:
    from dispatch_api.process import doctor

    return doctor.report(settings)


def _tls_init(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.process import tls

    return tls.init(settings, args.names)


def _tls_client(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.process import tls_client

    return tls_client.init(settings, args.name)


def _webpush_init(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.webpush import keys

    return keys.init(settings, args.contact)


def _demo(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import demo

    return demo.run(settings, args.action)


def _replay(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import replay

    return asyncio.run(replay.run(settings, args))


def _simulate(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import simulate

    return asyncio.run(simulate.run(settings, args))


def _mqtt_users(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import mqtt_users

    return asyncio.run(mqtt_users.run(settings, args))


def _conformance(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import conformance

    return asyncio.run(conformance.run(settings, args))


def _import(settings: Settings, args: argparse.Namespace) -> int:
    from dispatch_api.commands import import_violations

    return asyncio.run(import_violations.run(settings, args))


def _server_options(parser: argparse.ArgumentParser, role: str) -> None:
    parser.add_argument("--url", help="address of the server (default: the one of the settings)")
    parser.add_argument("--login", help=f"login with the role {role} (default: the demonstration's)")
    parser.add_argument("--password", help="their password (default: asked for, or the demonstration's)")
    parser.add_argument("--code", help="code of their second factor (default: asked for where they have one)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("outrider", description="Tasking and geolocation for customs mobile units.")
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, function: Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        return command

    _add_running(add)
    _add_feeding(add)
    _add_keeping(add)
    return parser


def _add_running(add: Add) -> None:
    """What runs Outrider and sets it up."""
    add("up", _up, "private database, server, worker and gateway in one supervised tree (what `make run` starts)")
    add("serve", _serve, "the HTTP server alone").add_argument(
        "--processes", type=int, choices=range(1, 65), metavar="N", help="how many (default: OUTRIDER_PROCESSES, 1)"
    )
    add("gateway", _gateway, "the listeners for trackers that do not speak HTTP (Teltonika: TCP and UDP 5027)")
    add("worker", _worker, "background work alone: deadlines, audit seals, imports, retention")
    add("migrate", _migrate, "bring the database's schema to this version").add_argument(
        "revision", nargs="?", default="head", help="`head`, `base` or a revision"
    )
    add("upgrade", _upgrade, "the same with a restore point before, restored when the migration fails")
    user = add("create-user", _create_user, "make a person; prints a one-time password")
    user.add_argument("login")
    user.add_argument("--name", help="full name (default: the login)")
    user.add_argument("--role", action="append", required=True, help="a role; may be repeated")
    phone = add("reset-factor", _reset_factor, "take a person's second factor away: their phone is lost")
    phone.add_argument("login")
    forgotten = add("reset-password", _reset_password, "give a person a one-time password: theirs is forgotten")
    forgotten.add_argument("login")
    add("doctor", _doctor, "list the settings and say what is wrong")
    tls = add("tls-init", _tls_init, "make an own CA and a server certificate for a closed network")
    tls.add_argument("names", nargs="+", help="DNS names and addresses of the server")
    tablet = add("tls-client", _tls_client, "make the certificate by which a tablet with ATAK is known")
    tablet.add_argument("name", help="its name, the identifier of the device")
    pushes = add("webpush-init", _webpush_init, "make the key by which browsers' push services know this installation")
    pushes.add_argument("contact", help="whom they write to when something is wrong: an e-mail address, or https://…")
    broker = add("mqtt-users", _mqtt_users, "write Mosquitto's password and ACL files from the registered devices")
    broker.add_argument("folder", nargs="?", type=Path, help="where to (default: `mqtt` in the data folder)")
    broker.add_argument("--reload", type=Path, help="PID file of the broker that is to read them when they change")


_SIMULATED = (
    "teltonika", "gt06", "h02", "cot", "http", "osmand", "gpslogger", "owntracks", "overland", "nmea", "traccar",
)  # fmt: skip


def _add_feeding(add: Add) -> None:
    """What brings data in."""
    demo = add("demo", _demo, "the demonstration: load its data, or drive its trackers")
    demo.add_argument("action", choices=["load", "drive"])
    replay = add("replay", _replay, "send a recorded CSV (unit,time,lat,lon,…) through the ingest interface")
    replay.add_argument("file", help="CSV, plain or gzip")
    replay.add_argument("--speed", type=float, default=1.0, help="how many times faster than recorded (default 1)")
    replay.add_argument("--keep-times", action="store_true", help="send the recorded times unchanged")
    replay.add_argument("--duration", type=float, help="stop after this many seconds")
    _server_options(replay, "administrator")
    driven = add("simulate", _simulate, "generated units that drive about and report as real trackers do")
    driven.add_argument("--protocol", choices=_SIMULATED, default="teltonika")
    driven.add_argument("--transport", choices=["tcp", "udp", "mqtt", "http"], help="(default: the protocol's usual)")
    driven.add_argument("--units", type=int, default=10, help="how many (default 10)")
    driven.add_argument("--interval", type=float, default=5.0, help="seconds between two records (default 5)")
    driven.add_argument("--records", type=int, default=1, help="records sent together (default 1)")
    driven.add_argument("--duration", type=float, help="stop after this many seconds")
    driven.add_argument("--host", help="address of the gateway, or the broker (default: the one of the settings)")
    driven.add_argument("--port", type=int, help="its port (default: the one of the settings)")
    _server_options(driven, "administrator")
    kit = add(
        "conformance", _conformance, "send recorded messages of real trackers to a running test server, and judge"
    )
    kit.add_argument("folder", nargs="?", type=Path, default=Path("tests/fixtures/protocol_vectors"))
    kit.add_argument("--protocol", help="only this one")
    kit.add_argument("--host", help="address of the server and the gateway (default: the one of the settings)")
    kit.add_argument("--url", help="address for HTTP (default: made of the host and the settings)")
    kit.add_argument("--mqtt-users", type=Path, metavar="FOLDER", help="where the broker's files are to be written")
    kit.add_argument("--reload", type=Path, metavar="PIDFILE", help="of the broker that is to read them")
    load = add("import", _import, "import violations from CSV or GeoJSON, with progress")
    load.add_argument("file")
    load.add_argument("--source", default="import", help="name of the source; ids are unique within it")
    _server_options(load, "supervisor")


def _add_keeping(add: Add) -> None:
    """What checks, shows and deletes what is kept."""
    add("backup", _backup, "write the database and the data folder's files into one file").add_argument(
        "file", type=Path, help="a new file"
    )
    back = add("restore", _restore, "bring a backup back, checked, into an installation that is stopped")
    back.add_argument("file", type=Path)
    back.add_argument("--replace", action="store_true", help="also over a database that holds records")
    add("verify-audit", _verify_audit, "check the audit chain and its exported heads")
    counts = add("verify-heat", _verify_heat, "check the counts behind heat against the violations")
    counts.add_argument("--recount", action="store_true", help="when they differ, count anew")
    kept = add("retention", _retention, "delete records past their time now, as the worker does every hour")
    kept.add_argument("--dry-run", action="store_true", help="only show what would be deleted, and what is held")
    subject = add("subject-report", _subject_report, "write a file of everything held about one person")
    subject.add_argument("login")
    subject.add_argument("--reason", required=True, help="what it is made for; written to the audit")
    subject.add_argument("--format", choices=["json", "html"], default="html")
    subject.add_argument("--output", help="the file (default: subject-LOGIN-DAY.FORMAT)")


def main(words: list[str] | None = None) -> None:
    """Run one command; the process ends with its exit code."""
    args = _parser().parse_args(words)
    try:
        code = args.function(Settings.read(), args)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
