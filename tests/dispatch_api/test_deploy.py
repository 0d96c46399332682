"""What lies in deploy/ fits this version: units that systemd understands, and a proxy in front of a real server.

Without nginx or systemd-analyze on the machine what they would say is left out, and said so as a warning; what can be
read from the files is checked everywhere.
"""

import asyncio
import json
import os
import re
import shutil
import ssl
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websockets
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Role
from core.settings import Settings
from dispatch_api import cli
from dispatch_api.lane_routes import MAX_OVERLAND
from dispatch_api.process import tls
from dispatch_api.security import DEFAULT_LIMIT, LIMITS, MAX_IMPORT, PIECES, TRACKS
from mobile_contract.attachments import PIECE_BYTES
from tests import module_wide
from tests.helpers import ROOT, Client, Database, Server, crew, free_port

UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())
PROXY = (ROOT / "deploy" / "nginx.example.conf").read_text()
MIB = 1 << 20


def test_units_run_commands_there_are() -> None:
    for unit in UNITS:
        for words in re.findall(r"/opt/outrider/\.venv/bin/outrider (\w[\w-]*)(?: \S+)?", unit.read_text()):
            cli._parser().parse_args([words] if words != "backup" else [words, "file"])


def test_units_are_understood_by_systemd(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        warnings.warn("left out: `systemd-analyze verify`, which is not installed here", stacklevel=1)
        return
    copies = []
    for unit in UNITS:
        copy = tmp_path / unit.name.replace("@.", "@lan.")
        text = unit.read_text().replace("/opt/outrider/.venv/bin/outrider", "/bin/true").replace("/opt/outrider", "/")
        copy.write_text(text)
        copies.append(str(copy))
    assert {Path(copy).suffix for copy in copies} == {".service", ".target", ".timer"}
    done = subprocess.run([program, "verify", "--man=no", *copies], capture_output=True, text=True, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "outrider" in line]
    assert (done.returncode, ours) == (0, [])


def test_the_proxy_lets_through_what_the_server_takes() -> None:
    found = re.findall(r"location [=~] (\S+) \{[^}]*client_max_body_size (\d+)m", PROXY)
    pieces = {f"^{PIECES.pattern}$": PIECE_BYTES, f"^{TRACKS.pattern}$": MAX_IMPORT}
    assert {path: int(size) * MIB for path, size in found} == LIMITS | pieces | {"/ingest/overland": MAX_OVERLAND}
    whole = re.search(r"^    client_max_body_size (\d+)m", PROXY, re.MULTILINE)
    assert whole
    assert int(whole[1]) * MIB == DEFAULT_LIMIT


database = module_wide.database


@pytest.fixture(scope="module")
def server(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that trusts the proxy."""
    more = {"OUTRIDER_TRUSTED_PROXIES": "127.0.0.1", "OUTRIDER_METRICS_TOKEN": "a-token-of-this-test"}
    running = Server(database, tmp_path_factory.mktemp("server"), extra=more).start()
    yield running
    running.stop()


@pytest.fixture
def proxy(server: Server, tmp_path: Path) -> Iterator[int | None]:
    """The port of a real nginx with the example as it is but for ports, names and files; None without nginx."""
    program = shutil.which("nginx")
    if program is None:
        warnings.warn(
            "left out: a real nginx with deploy/nginx.example.conf, which is not installed here", stacklevel=1
        )
        yield None
        return
    assert tls.init(Settings(data_dir=tmp_path), ["localhost", "127.0.0.1"]) == 0
    port = free_port()
    text = re.sub(r"^ *listen \[::\].*\n", "", PROXY, flags=re.MULTILINE)
    for was, now in (
        ("listen 443", f"listen 127.0.0.1:{port}"), ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        ("server 127.0.0.1:8000;", f"server 127.0.0.1:{server.port};"), ("outrider.customs.example", "localhost"),
        ("/etc/ssl/outrider/", f"{tmp_path}/tls/"), ("/var/log/nginx/", f"{tmp_path}/"),
    ):  # fmt: skip
        assert was in text
        text = text.replace(was, now)
    kept = "".join(
        f"{what}_temp_path {tmp_path}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers could not enter the test's folder
    head = f"{user} daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}} http {{ {kept}"
    config = tmp_path / "nginx.conf"
    config.write_text(f"{head}\n{text}\n}}\n")
    command = [program, "-p", str(tmp_path), "-c", str(config), "-e", str(tmp_path / "error.log")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with subprocess.Popen(command) as running:
        try:
            yield port
        finally:
            running.terminate()


async def test_a_real_proxy_in_front(server: Server, engine: AsyncEngine, proxy: int | None) -> None:
    """TLS, sockets, limits, whose address counts, what stays inside."""
    if proxy is None:
        return
    trusted = ssl.create_default_context()
    trusted.check_hostname, trusted.verify_mode = False, ssl.CERT_NONE
    base = f"https://127.0.0.1:{proxy}"
    async with httpx.AsyncClient(verify=trusted, base_url=base, headers={"Host": f"localhost:{proxy}"}) as http:
        for _ in range(50):
            try:
                ready = await http.get("/readyz")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
        assert ready.status_code == 200
        assert ready.headers["strict-transport-security"]
        made = await crew(engine)
        key = {"Authorization": f"Bearer {made.device_key}", "Content-Type": "application/json"}
        assert (await http.post("/api/v1/positions", content=b'{"fixes": []}', headers=key)).status_code == 200
        padded = b'{"fixes": []' + b" " * (MIB - 13) + b"}"
        assert (await http.post("/api/v1/positions", content=padded, headers=key)).status_code == 200
        assert (await http.post("/api/v1/positions", content=padded + b" ", headers=key)).status_code == 413
        overland = b'{"locations": []' + b" " * (2 * MIB - 17) + b"}"
        assert (await http.post("/ingest/overland", content=overland, headers=key)).status_code == 200
        inside = {"Authorization": "Bearer a-token-of-this-test"}
        assert (await http.get("/metrics", headers=inside)).status_code == 200
        user, headers = await Client(http, engine).new(Role.DISPATCHER)
        spoofed = {"X-Forwarded-For": "203.0.113.9"}
        wrong = {"login": user.login, "password": "not this one at all"}
        assert (await http.post("/api/v1/session", json=wrong, headers=spoofed)).status_code == 401
        async with websockets.connect(f"wss://localhost:{proxy}/api/v1/live", ssl=trusted) as socket:
            token = headers["Authorization"].removeprefix("Bearer ")
            await socket.send(json.dumps({"kind": "hello", "token": token}))
            kinds = [json.loads(await asyncio.wait_for(socket.recv(), 5))["kind"] for _ in range(3)]
        assert kinds[:2] == ["welcome", "snapshot"]
    owner = await server.database.owner()
    tried = await owner.fetch("SELECT * FROM login_try")
    await owner.close()
    assert tried
    assert "203.0.113.9" not in str([dict(row) for row in tried])
