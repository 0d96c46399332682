"""How soon an officer whose socket is gone is pushed: from the click on a task to the push service's having the push.

`python -m loadtests.bench.pushes [--json] [--tasks 100] [--per-second 10]`. A real server and a real worker; each task
goes to a crew of its own, whose tablet has a Web Push target and no socket. The push service is a stand-in over TLS in
this process, which notes when a push came. Two seconds of each figure are what a tablet with a socket is given to say
that it has the task.
"""

import argparse
import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import uuid4

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from core.actor import Role, system
from core.db import make_engine
from core.ids import digest
from core.models import Install
from core.settings import Settings
from core.work import open_work
from dispatch_api.process import tls
from dispatch_api.process.serving import server_options
from dispatch_api.webpush import codec, keys
from geo.models import Shift, ShiftMember, Unit, UnitMember
from loadtests.bench import scratch
from loadtests.bench.fanout import people

PORT = int(os.environ.get("OUTRIDER_BENCH_PORT", "8460"))
LONGEST_WAIT_S = 30.0


class Service:
    """The stand-in: when each tablet's first push came, by the name at the end of its endpoint."""

    def __init__(self, certificates: Path) -> None:
        came: dict[str, float] = {}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                came.setdefault(self.path.rpartition("/")[2], time.monotonic())
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Listener(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

        self.came, self._server = came, Listener(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


async def _prepare(url: str, host: str, n: int) -> tuple[str, list[str]]:
    """`n` crews on shift, each with a tablet that can be pushed at `host`: a dispatcher's token, and the units' ids."""
    point = codec.b64url(codec.point(ec.generate_private_key(ec.SECP256R1()).public_key()))
    opens = {"p256dh": point, "auth": codec.b64url(bytes(16))}
    engine = make_engine(url)
    async with open_work(engine, system("bench")) as work:
        ((_, token),) = await people(work, 1, Role.DISPATCHER)
        officers = await people(work, n, Role.OFFICER)
        units = [Unit(call_sign=f"P-{i}", kind="patrol", status="available") for i in range(n)]
        work.session.add_all(units)
        await work.session.flush()
        shifts = [Shift(unit_id=unit.id, on_at=work.now) for unit in units]
        work.session.add_all(shifts)
        await work.session.flush()
        for (user, _), unit, shift in zip(officers, units, shifts, strict=True):
            where = {"target": f"https://{host}/push/{unit.id}", "target_kind": "endpoint", "keys": opens}
            target = {"channel": "webpush", **where}
            work.session.add_all([
                UnitMember(unit_id=unit.id, user_id=user.id), ShiftMember(shift_id=shift.id, user_id=user.id),
                Install(user_id=user.id, name="t", credential_digest=digest(str(unit.id)), push=target),
            ])  # fmt: skip
    await engine.dispose()
    return token, [str(unit.id) for unit in units]


@contextlib.contextmanager
def _running(environment: dict[str, str], folder: Path) -> Iterator[None]:
    """Server and worker as `outrider up` starts them."""
    options = server_options(Settings(port=PORT, data_dir=folder, demo=False))
    command = [sys.executable, "-m", "uvicorn", "dispatch_api.asgi:app", "--port", str(PORT), *options]
    with scratch.listening(command, PORT, environment):
        work = [sys.executable, "-m", "dispatch_api.cli", "worker"]
        worker = subprocess.Popen(work, cwd=scratch.ROOT, env=os.environ | environment)
        try:
            time.sleep(3)  # until its loops go round
            yield
        finally:
            worker.terminate()
            worker.wait(30)


def _clicked(token: str, units: list[str], per_second: float) -> dict[str, float]:
    """One task for each unit, evenly; when each was clicked, by the unit's id."""
    at: dict[str, float] = {}
    body = {"kind": "stop_vehicle", "priority": "P1", "title": "Stop", "reason_code": "indicator", "issue": True,
            "lon": 25.3, "lat": 54.7}  # fmt: skip
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}/api/v1", headers={"Authorization": f"Bearer {token}"}) as http:
        begun = time.monotonic()
        for n, unit_id in enumerate(units):
            time.sleep(max(0.0, begun + n / per_second - time.monotonic()))
            at[unit_id] = time.monotonic()
            http.post("/tasks", json=body | {"id": str(uuid4()), "unit_id": unit_id}).raise_for_status()
    return at


def measure(tasks: int = 100, per_second: float = 10) -> dict[str, Any]:
    """Milliseconds from click to push, and how many pushes did not come."""
    with tempfile.TemporaryDirectory() as name, scratch.database() as urls, contextlib.ExitStack() as stack:
        folder = Path(name)
        with contextlib.redirect_stdout(sys.stderr):
            assert tls.init(Settings(data_dir=folder), ["localhost"]) == 0
            assert keys.init(Settings(data_dir=folder), "bench@outrider.example") == 0
        service = Service(folder / "tls")
        stack.callback(service.close)
        environment = urls | {
            "OUTRIDER_DATA_DIR": name, "OUTRIDER_LOG_LEVEL": "warning", "OUTRIDER_WEBPUSH_HOSTS": service.host,
            "OUTRIDER_WEBPUSH_KEY": str(folder / "webpush" / "vapid.key"), "OUTRIDER_WEBPUSH_PRIVATE": "1",
            "OUTRIDER_WEBPUSH_CONTACT": "mailto:bench@outrider.example",
            "OUTRIDER_WEBPUSH_CA": str(folder / "tls" / "ca.crt"),
        }  # fmt: skip
        token, units = asyncio.run(_prepare(urls["OUTRIDER_DATABASE_URL"], service.host, tasks))
        with _running(environment, folder):
            clicked = _clicked(token, units, per_second)
            deadline = time.monotonic() + LONGEST_WAIT_S
            while len(service.came) < tasks and time.monotonic() < deadline:
                time.sleep(0.1)
        took_ms = sorted((service.came[unit] - at) * 1000 for unit, at in clicked.items() if unit in service.came)
    cuts = quantiles(took_ms, n=100, method="inclusive")
    figures = {"p50": round(cuts[49]), "p99": round(cuts[98]), "max": round(took_ms[-1])}
    return {"click_to_push_ms": figures, "lost": tasks - len(took_ms)}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--per-second", type=float, default=10)
    args = parser.parse_args()
    figures = measure(args.tasks, args.per_second)
    print(json.dumps(figures) if args.json else json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
